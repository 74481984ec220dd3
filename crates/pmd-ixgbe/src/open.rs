//! Taking a card over: what the user wants of it, and what it can do.

use crate::filters::{self, Filters, MORE_ADDRESSES};
use crate::flows::{self, DirectorMemory, FlowDirector, Flows};
use crate::hardware::Hardware;
use crate::port::{IxgbePort, KIB, LARGEST, OVERHEAD};
use crate::stats::Sums;
use crate::trouble::Trouble;
use crate::{eeprom, ids, link, queue, rss};
use linecard_eal::device::{Device, InterruptKind};
use linecard_pmd_core::{
    Capabilities, Controls, Descriptors, Error, PortInfo, QueueStats, RxOffloads, Step, TxOffloads,
    VlanStrip,
};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How a card is to be driven.
#[derive(Clone, Debug)]
pub struct IxgbeOptions {
    name: Option<String>,
    interval: Duration,
    director: FlowDirector,
}

impl Default for IxgbeOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl IxgbeOptions {
    /// As most want it.
    pub fn new() -> Self {
        IxgbeOptions {
            name: None,
            interval: Duration::from_micros(50),
            director: FlowDirector::Perfect(DirectorMemory::KiB64),
        }
    }

    /// What to call the port; the device's own name unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The least time between two interrupts of a receive queue: up to 1,022 µs, in steps of 2 µs
    /// (EITR, §7.3.2.1).
    pub fn interrupt_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How the flow director works; perfect filters in 64 KiB unless told.
    pub fn flow_director(mut self, director: FlowDirector) -> Self {
        self.director = director;
        self
    }
}

impl IxgbePort {
    /// Takes a card over: resets it, and reads what it is.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no such card, or its EEPROM is damaged; [`Error::System`] with
    /// the register that did not become what it should in time; [`Error::Gone`].
    pub fn open(device: Box<dyn Device>, options: IxgbeOptions) -> Result<Self, Error> {
        let name = options.name.clone().unwrap_or_else(|| device.name().to_owned());
        take_over(device, name.clone(), options).map_err(|trouble| trouble.at(&name, "open"))
    }
}

fn take_over(
    device: Box<dyn Device>,
    name: String,
    options: IxgbeOptions,
) -> Result<IxgbePort, Trouble> {
    let identity = device.identity();
    let card =
        ids::family(identity).ok_or_else(|| Trouble::Stranger { id: identity.to_string() })?;
    let node = device.node();
    let hardware = Arc::new(Hardware::new(device, card)?);
    hardware.reset()?;
    eeprom::check(&hardware)?;
    let mac = filters::own_address(&hardware.registers);
    if mac.is_multicast() || mac.0 == [0; 6] {
        return Err(Trouble::Address { address: mac.to_string() });
    }
    link::up(&hardware)?;
    let capabilities = capabilities(&hardware, &options);
    let link = link::state(&hardware)?;
    Ok(IxgbePort {
        info: PortInfo { name, kind: "ixgbe", mac, node, capabilities },
        hardware,
        config: None,
        known: None,
        introduced: Vec::new(),
        filters: Filters::new(mac),
        flows: Flows::new(options.director),
        strip: VlanStrip::Off,
        rss: None,
        mtu: 1500,
        interval: options.interval,
        running: None,
        alive: Weak::new(),
        stats: QueueStats::default(),
        sums: Sums::default(),
        link,
        gone: false,
    })
}

fn capabilities(hardware: &Hardware, options: &IxgbeOptions) -> Capabilities {
    let descriptors = Descriptors {
        min: queue::LEAST,
        max: queue::MOST,
        step: Step::PowerOfTwo,
        default: queue::USUAL,
    };
    let mut rx_offloads = RxOffloads::IP_CHECKSUM
        | RxOffloads::L4_CHECKSUM
        | RxOffloads::VLAN_STRIP
        | RxOffloads::VLAN_FILTER
        | RxOffloads::SCATTER
        | RxOffloads::RSS_HASH
        | RxOffloads::PACKET_TYPE;
    rx_offloads.set(RxOffloads::MARK, matches!(options.director, FlowDirector::Perfect(_)));
    let tx_offloads = TxOffloads::IP_CHECKSUM
        | TxOffloads::TCP_CHECKSUM
        | TxOffloads::UDP_CHECKSUM
        | TxOffloads::SCTP_CHECKSUM
        | TxOffloads::TCP_SEGMENTATION
        | TxOffloads::VLAN_INSERT
        | TxOffloads::MULTI_SEGMENT;
    let wakes = hardware.device.interrupts().vectors(InterruptKind::MsiX) > 1;
    Capabilities {
        rx_queues: 128,
        tx_queues: 128,
        rx_descriptors: descriptors,
        tx_descriptors: descriptors,
        mtu: 68..=LARGEST - OVERHEAD,
        rx_offloads,
        tx_offloads,
        rss: Some(rss::capabilities(hardware.family.table())),
        extra_macs: MORE_ADDRESSES,
        min_buffer: KIB,
        iova: Some(hardware.device.dma().limits().mode),
        rx_wake_up: wakes,
        events: true,
        flows: flows::capabilities(options.director),
        controls: Controls::EEPROM | Controls::REGISTERS,
    }
}

//! Taking a card over: what the user wants of it, and what it can do.

use crate::clock::Clock;
use crate::eeprom::EepromAccess;
use crate::engine::Engine;
use crate::fetch::Fetch;
use crate::filters::{self, EXTRA_ADDRESSES, Filters};
use crate::flows::{self, DirectorMemory, FlowDirector, Flows};
use crate::hardware::Hardware;
use crate::ids::{Family, Media};
use crate::interrupts::check;
use crate::port::{IxgbePort, KIB, LARGEST, OVERHEAD};
use crate::rx::ReceivePath;
use crate::stats::Sums;
use crate::trouble::Trouble;
use crate::{eeprom, ids, link, queue, rss};
use linecard_eal::device::{Device, Identity, InterruptKind};
use linecard_pmd_core::{
    Capabilities, Controls, Descriptors, Error, FlowControl, Pause, PortInfo, RxOffloads, Step,
    TxOffloads,
};
use std::sync::Arc;
use std::time::Duration;

/// How a card is to be driven.
#[derive(Clone, Debug)]
pub struct IxgbeOptions {
    name: Option<String>,
    interval: Duration,
    director: FlowDirector,
    outer_tag: Option<u16>,
    receive_path: ReceivePath,
    fetch: Fetch,
    eeprom: EepromAccess,
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
            outer_tag: None,
            receive_path: ReceivePath::best(),
            fetch: Fetch::default(),
            eeprom: EepromAccess::Read,
        }
    }

    /// What to call the port; the device's own name unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The least time between two interrupts of a receive queue: up to 1,022 µs, more is refused, in steps of 2 µs
    /// (EITR, §7.3.2.1).
    pub fn interrupt_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Every frame, received or sent, has an outer tag of this EtherType (0x88A8, or 0x8100 again), and may
    /// have an inner one: VLAN filter, strip and insert are about the inner one, and checksums are
    /// found behind both. The outer tag stays in the frame. What has none is served as if it had no
    /// tag at all (§7.4.5).
    pub fn outer_tag(mut self, ether_type: u16) -> Self {
        self.outer_tag = Some(ether_type);
        self
    }

    /// How the flow director works; perfect filters in 64 KiB unless told.
    pub fn flow_director(mut self, director: FlowDirector) -> Self {
        self.director = director;
        self
    }

    /// Whether the EEPROM may be written; only read unless told.
    pub fn eeprom(mut self, access: EepromAccess) -> Self {
        self.eeprom = access;
        self
    }

    /// Which code takes frames from receive rings; the best that the processor runs unless told.
    pub fn receive_path(mut self, path: ReceivePath) -> Self {
        self.receive_path = path;
        self
    }

    /// When transmit queues fetch descriptors. What the card cannot do is refused when the port is
    /// configured.
    pub fn transmit_fetch(mut self, fetch: Fetch) -> Self {
        self.fetch = fetch;
        self
    }
}

impl IxgbePort {
    /// Takes a card over: resets it, and reads what it is.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no such card, its EEPROM is damaged, or the processor does not run the
    /// path that was asked for; [`Error::System`] with the register that did not become what it
    /// should in time; [`Error::Gone`].
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
    if !options.receive_path.is_supported() {
        return Err(Trouble::Processor { path: options.receive_path.name() });
    }
    check(options.interval)?;
    let identity = device.identity();
    let card = ids::family(identity).ok_or_else(|| stranger(identity))?;
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
    let info = PortInfo { name, kind: "ixgbe", mac, node, capabilities };
    Ok(IxgbePort {
        engine: Engine::new(info, &hardware.function, options.receive_path, options.fetch),
        hardware,
        interrupts: None,
        filters: Filters::new(mac),
        flows: Flows::new(options.director),
        rss: None,
        pause: FlowControl::new(Pause::Off),
        rates: Vec::new(),
        clock: Clock::new(),
        lamps: None,
        interval: options.interval,
        outer_tag: options.outer_tag,
        eeprom: options.eeprom,
        sums: Sums::default(),
        link,
        gone: false,
    })
}

fn stranger(identity: Identity) -> Trouble {
    let wanted = "an 82599, X520, X540 or X550";
    Trouble::Stranger { id: identity.to_string(), wanted, kind: "ixgbe" }
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
    let mut tx_offloads = TxOffloads::IP_CHECKSUM
        | TxOffloads::TCP_CHECKSUM
        | TxOffloads::UDP_CHECKSUM
        | TxOffloads::SCTP_CHECKSUM
        | TxOffloads::TCP_SEGMENTATION
        | TxOffloads::VLAN_INSERT
        | TxOffloads::MULTI_SEGMENT;
    let wakes = hardware.function.device.interrupts().vectors(InterruptKind::MsiX) > 1;
    // §7.11: merged segments wait for a vector's moderation, and not for ever.
    let moderates = wakes && options.interval >= LEAST_INTERVAL;
    rx_offloads.set(RxOffloads::LRO, moderates);
    tx_offloads.set(TxOffloads::TIMESTAMP, ids::has_clock(hardware.function.device.identity()));
    Capabilities {
        rx_queues: 128,
        // §7.2.1.2.1: more than 64 with traffic classes, which come with them.
        tx_queues: 128,
        rx_descriptors: descriptors,
        tx_descriptors: descriptors,
        mtu: 68..=LARGEST - OVERHEAD,
        rx_offloads,
        tx_offloads,
        rss: Some(rss::capabilities(hardware.family.table())),
        extra_macs: EXTRA_ADDRESSES,
        min_buffer: KIB,
        iova: Some(hardware.function.device.dma().limits().mode),
        rx_wake_up: wakes,
        events: true,
        flows: flows::capabilities(options.director),
        controls: controls(hardware, options),
    }
}

/// EITR counts in units of 2 µs: below, interrupts are not moderated.
const LEAST_INTERVAL: Duration = Duration::from_micros(2);

fn controls(hardware: &Hardware, options: &IxgbeOptions) -> Controls {
    let mut every = Controls::FLOW_CONTROL
        | Controls::TX_RATE
        | Controls::QUEUE_RESTART
        | Controls::EEPROM
        | Controls::REGISTERS
        | Controls::FIRMWARE
        | Controls::LED;
    every.set(Controls::MODULE, (hardware.family, hardware.media) == (Family::I82599, Media::Sfp));
    every.set(Controls::EEPROM_WRITE, options.eeprom == EepromAccess::Write);
    every.set(Controls::TIME_SYNC, ids::has_clock(hardware.function.device.identity()));
    every
}

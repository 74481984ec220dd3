//! Taking a virtual function over: what the user wants of it, and what it can do.

use super::interrupts;
use super::mailbox::Mailbox;
use super::port::{Asked, IxgbeVfPort};
use super::request::{Agent, MOST_HASHES, Pool};
use super::stats::Sums;
use crate::engine::Engine;
use crate::fetch::Fetch;
use crate::function::{Function, Kind};
use crate::interrupts::check;
use crate::port::KIB;
use crate::registers::Until;
use crate::rx::ReceivePath;
use crate::trouble::Trouble;
use crate::{ids, link, queue};
use linecard_eal::device::{Device, Identity};
use linecard_ixgbe_regs::registers::virtual_function::{VFCTRL, VFLINKS, VFSTATUS, vfctrl};
use linecard_net::MacAddr;
use linecard_pmd_core::{
    Capabilities, Controls, Descriptors, Error, FlowCapabilities, PortInfo, RxOffloads, Step,
    TxOffloads,
};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// The largest frame, check sequence included, that drivers of physical functions grant.
const LARGEST: usize = 9728;

/// Header and check sequence: what the physical function's driver counts besides the MTU. It adds tags
/// itself.
pub(super) const COUNTED: usize = 14 + 4;

/// Further unicast addresses that are asked for, at most. The host may have room for fewer.
pub(super) const MORE_UNICAST: usize = 30;

/// §4.2.2.3: between a reset of the function and the next access of its registers; twice as long as a
/// reset of the card takes.
const AFTER_RESET: Duration = Duration::from_millis(20);

/// How a virtual function is to be driven.
#[derive(Clone, Debug)]
pub struct IxgbeVfOptions {
    name: Option<String>,
    interval: Duration,
    receive_path: ReceivePath,
    fetch: Fetch,
}

impl Default for IxgbeVfOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl IxgbeVfOptions {
    /// As most want it.
    pub fn new() -> Self {
        IxgbeVfOptions {
            name: None,
            interval: Duration::from_micros(50),
            receive_path: ReceivePath::best(),
            fetch: Fetch::default(),
        }
    }

    /// What to call the port; the device's own name unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The least time between two interrupts of a receive queue: up to 1,022 µs, more is refused, in steps of 2 µs.
    pub fn interrupt_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
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

impl IxgbeVfPort {
    /// Takes a virtual function over: resets it, and asks the driver of the physical function what it
    /// may have.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no such function, or the processor does not run the path that was
    /// asked for; [`Error::System`] if the driver of the physical function does not answer within six
    /// seconds, or there is none; [`Error::Gone`].
    pub fn open(device: Box<dyn Device>, options: IxgbeVfOptions) -> Result<Self, Error> {
        let name = options.name.clone().unwrap_or_else(|| device.name().to_owned());
        take_over(device, name.clone(), &options).map_err(|trouble| trouble.at(&name, "open"))
    }
}

fn take_over(
    device: Box<dyn Device>,
    name: String,
    options: &IxgbeVfOptions,
) -> Result<IxgbeVfPort, Trouble> {
    if !options.receive_path.is_supported() {
        return Err(Trouble::Processor { path: options.receive_path.name() });
    }
    check(options.interval)?;
    let identity = device.identity();
    let family = ids::virtual_family(identity).ok_or_else(|| stranger(identity))?;
    let node = device.node();
    let function = Arc::new(Function::new(device, Kind::Virtual)?);
    let mut agent = Agent::new(Mailbox::new(&function.registers));
    reset(&function)?;
    let introduced = agent.introduce()?;
    let mac = introduced.mac.unwrap_or_else(random_address);
    let pool = agent.queues()?;
    let capabilities = capabilities(&function, pool);
    let link = link::read(&function.registers, &VFLINKS, family)?;
    let info = PortInfo { name, kind: "ixgbe_vf", mac, node, capabilities };
    Ok(IxgbeVfPort {
        engine: Engine::new(info, &function, options.receive_path, options.fetch),
        function,
        family,
        agent,
        interrupts: None,
        asked: Asked::new(mac),
        interval: options.interval,
        sums: Sums::default(),
        link,
        gone: false,
        forgotten: false,
    })
}

fn stranger(identity: Identity) -> Trouble {
    let wanted = "a virtual function of an 82599, X520, X540 or X550";
    Trouble::Stranger { id: identity.to_string(), wanted, kind: "ixgbe_vf" }
}

/// Stops all queues, and the function's requests on the bus (§4.2.2.3).
pub(super) fn reset(function: &Function) -> Result<(), Trouble> {
    let registers = &function.registers;
    function.silence();
    registers.write(&VFCTRL, vfctrl::RST.mask());
    registers.flush();
    std::thread::sleep(AFTER_RESET);
    if registers.read(&VFSTATUS) == u32::MAX {
        return Err(Trouble::Silent { register: VFSTATUS.name });
    }
    let ring = &function.rings();
    for queue in 0..linecard_ixgbe_regs::VF_QUEUES {
        for (register, enable) in [
            (ring.receive.control, linecard_ixgbe_regs::registers::rxdctl::ENABLE),
            (ring.transmit.control, linecard_ixgbe_regs::registers::txdctl::ENABLE),
        ] {
            registers.wait(&Until::clear(register, enable, crate::hardware::PATIENCE).at(queue))?;
        }
    }
    function.silence();
    function.release();
    Ok(())
}

/// An address of our own, where nobody gives one: locally administered.
fn random_address() -> MacAddr {
    let [a, b, c, d, e, f, ..] = RandomState::new().hash_one("ixgbe_vf").to_le_bytes();
    MacAddr([a & 0xFC | 0x02, b, c, d, e, f])
}

fn capabilities(function: &Function, pool: Pool) -> Capabilities {
    let descriptors = Descriptors {
        min: queue::LEAST,
        max: queue::MOST,
        step: Step::PowerOfTwo,
        default: queue::USUAL,
    };
    Capabilities {
        rx_queues: pool.rx,
        tx_queues: pool.tx,
        rx_descriptors: descriptors,
        tx_descriptors: descriptors,
        mtu: 68..=LARGEST - COUNTED,
        rx_offloads: RxOffloads::IP_CHECKSUM
            | RxOffloads::L4_CHECKSUM
            | RxOffloads::VLAN_STRIP
            | RxOffloads::VLAN_FILTER
            | RxOffloads::SCATTER
            | RxOffloads::RSS_HASH
            | RxOffloads::PACKET_TYPE,
        tx_offloads: TxOffloads::IP_CHECKSUM
            | TxOffloads::TCP_CHECKSUM
            | TxOffloads::UDP_CHECKSUM
            | TxOffloads::SCTP_CHECKSUM
            | TxOffloads::TCP_SEGMENTATION
            | TxOffloads::VLAN_INSERT
            | TxOffloads::MULTI_SEGMENT,
        // The table and the key are the physical function's.
        rss: None,
        extra_macs: MORE_UNICAST + MOST_HASHES,
        min_buffer: KIB,
        iova: Some(function.device.dma().limits().mode),
        rx_wake_up: interrupts::bells(function, pool.rx) == pool.rx,
        events: true,
        flows: FlowCapabilities::default(),
        controls: Controls::QUEUE_RESTART | Controls::REGISTERS,
    }
}

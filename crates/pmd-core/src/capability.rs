//! What a port can do, said up front.

use crate::flow::FlowCapabilities;
use bitflags::bitflags;
use core::ops::RangeInclusive;
use linecard_eal::mem::IovaMode;
use linecard_net::rss::RssTypes;

bitflags! {
    /// What receive can do for the CPU.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RxOffloads: u32 {
        /// Check the IPv4 header checksum.
        const IP_CHECKSUM = 1 << 0;
        /// Check TCP and UDP checksums.
        const L4_CHECKSUM = 1 << 1;
        /// Take off the VLAN tag.
        const VLAN_STRIP = 1 << 2;
        /// Take off the outer of two tags.
        const QINQ_STRIP = 1 << 3;
        /// Let through only chosen VLANs.
        const VLAN_FILTER = 1 << 4;
        /// Put frames larger than a buffer into several.
        const SCATTER = 1 << 5;
        /// Merge TCP segments; take large TCP frames that nobody has cut yet.
        const LRO = 1 << 6;
        /// Give the RSS hash.
        const RSS_HASH = 1 << 7;
        /// Give a time stamp.
        const TIMESTAMP = 1 << 8;
        /// Give the packet type.
        const PACKET_TYPE = 1 << 9;
        /// Give the mark of flow rules. A packet that a rule of the port's has matched may be without
        /// its RSS hash then.
        const MARK = 1 << 10;
        /// Take large UDP frames that nobody has cut into datagrams yet.
        const LARGE_UDP = 1 << 11;
    }
}

bitflags! {
    /// What transmit can do for the CPU.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TxOffloads: u32 {
        /// Fill in the IPv4 header checksum.
        const IP_CHECKSUM = 1 << 0;
        /// Fill in the TCP checksum.
        const TCP_CHECKSUM = 1 << 1;
        /// Fill in the UDP checksum.
        const UDP_CHECKSUM = 1 << 2;
        /// Fill in the SCTP checksum.
        const SCTP_CHECKSUM = 1 << 3;
        /// Cut large packets into TCP segments.
        const TCP_SEGMENTATION = 1 << 4;
        /// Cut large packets into UDP datagrams.
        const UDP_SEGMENTATION = 1 << 5;
        /// Insert a VLAN tag.
        const VLAN_INSERT = 1 << 6;
        /// Insert two VLAN tags.
        const QINQ_INSERT = 1 << 7;
        /// Send packets of several segments.
        const MULTI_SEGMENT = 1 << 8;
        /// Note when a packet was sent, if it asks for it.
        const TIMESTAMP = 1 << 9;
    }
}

bitflags! {
    /// What can be done with a port besides sending and receiving.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Controls: u32 {
        /// Pauses: [`Port::set_flow_control`](crate::Port::set_flow_control).
        const FLOW_CONTROL = 1 << 0;
        /// A limit for a transmit queue: [`Port::set_tx_rate`](crate::Port::set_tx_rate).
        const TX_RATE = 1 << 1;
        /// Single queues stopped and started: [`Port::stop_queue`](crate::Port::stop_queue).
        const QUEUE_RESTART = 1 << 2;
        /// [`Port::read_eeprom`](crate::Port::read_eeprom).
        const EEPROM = 1 << 3;
        /// [`Port::module`](crate::Port::module).
        const MODULE = 1 << 4;
        /// [`Port::registers`](crate::Port::registers).
        const REGISTERS = 1 << 5;
        /// [`Port::firmware`](crate::Port::firmware).
        const FIRMWARE = 1 << 6;
        /// [`Port::set_led`](crate::Port::set_led).
        const LED = 1 << 7;
        /// A clock, and stamps of PTP frames: [`Port::set_time_sync`](crate::Port::set_time_sync).
        const TIME_SYNC = 1 << 8;
        /// [`Port::write_eeprom`](crate::Port::write_eeprom).
        const EEPROM_WRITE = 1 << 9;
    }
}

/// Which numbers of descriptors a queue may have, between the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Multiples of this.
    MultipleOf(usize),
    /// Powers of two: split virtqueues (virtio 1.2 §2.7).
    PowerOfTwo,
}

impl Step {
    /// Whether `n` is allowed.
    pub fn allows(self, n: usize) -> bool {
        match self {
            Step::MultipleOf(of) => n.is_multiple_of(of),
            Step::PowerOfTwo => n.is_power_of_two(),
        }
    }
}

impl core::fmt::Display for Step {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Step::MultipleOf(of) => write!(f, "a multiple of {of}"),
            Step::PowerOfTwo => f.write_str("a power of two"),
        }
    }
}

/// How many descriptors a queue may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The least.
    pub min: usize,
    /// The most.
    pub max: usize,
    /// Which numbers between are allowed.
    pub step: Step,
    /// As many if nobody asks.
    pub default: usize,
}

impl Descriptors {
    /// Any number up to `max`.
    pub const fn up_to(max: usize, default: usize) -> Self {
        Descriptors { min: 1, max, step: Step::MultipleOf(1), default }
    }
}

/// How a port spreads packets over its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RssCapabilities {
    /// What it can hash.
    pub types: RssTypes,
    /// Lengths of key that it takes.
    pub key_bytes: Vec<usize>,
    /// Entries of its indirection table.
    pub table: usize,
}

/// What a port can do. Everything that is not here is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// The most receive queues.
    pub rx_queues: usize,
    /// The most transmit queues.
    pub tx_queues: usize,
    /// Receive descriptors of a queue.
    pub rx_descriptors: Descriptors,
    /// Transmit descriptors of a queue.
    pub tx_descriptors: Descriptors,
    /// MTU: bytes behind the Ethernet header.
    pub mtu: RangeInclusive<usize>,
    /// What receive can do.
    pub rx_offloads: RxOffloads,
    /// What transmit can do.
    pub tx_offloads: TxOffloads,
    /// How it spreads packets, if it does.
    pub rss: Option<RssCapabilities>,
    /// The most addresses that it accepts besides its own.
    pub extra_macs: usize,
    /// The least that a buffer must hold behind its headroom.
    pub min_buffer: usize,
    /// How the device addresses memory, and so how pools must be made
    /// ([`MbufPoolBuilder::iova`](linecard_mbuf::MbufPoolBuilder::iova)); `None` if it does not
    /// matter, as to ports that copy.
    pub iova: Option<IovaMode>,
    /// Whether a receive queue can be slept on.
    pub rx_wake_up: bool,
    /// Whether it tells of link changes.
    pub events: bool,
    /// Which flow rules it can run.
    pub flows: FlowCapabilities,
    /// What else can be done with it.
    pub controls: Controls,
}

impl Default for Capabilities {
    /// One queue each way, frames of up to 9,000 bytes, and nothing else.
    fn default() -> Self {
        Capabilities {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: Descriptors::up_to(4096, 512),
            tx_descriptors: Descriptors::up_to(4096, 512),
            mtu: 68..=9000,
            rx_offloads: RxOffloads::empty(),
            tx_offloads: TxOffloads::MULTI_SEGMENT,
            rss: None,
            extra_macs: 0,
            min_buffer: 64,
            iova: None,
            rx_wake_up: false,
            events: false,
            flows: FlowCapabilities::default(),
            controls: Controls::empty(),
        }
    }
}

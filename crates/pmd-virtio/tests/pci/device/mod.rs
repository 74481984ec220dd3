//! A virtio network device on the PCI bus, in this process: it sends every frame back on the queue
//! pair that it came from, and keeps a list of what the driver did that it should not have. Written from
//! the specification (virtio 1.2 §4.1, §5.1), and apart from what it tests.
//!
//! It does its work inside of the write to a notification register, so that nothing depends on time.

mod bus;
#[expect(dead_code, reason = "each device uses a part of it")]
#[path = "../../user/device/memory.rs"]
mod memory;
mod model;
#[path = "../../user/device/net.rs"]
mod net;
mod registers;
#[path = "../../user/device/ring.rs"]
mod ring;

pub(crate) use bus::Fake;
use linecard_virtqueue::Features;
use linecard_virtqueue::net::NetConfig;

/// What a device is to be.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) features: Features,
    pub(crate) config: NetConfig,
    /// Descriptors of receive, transmit and control queues.
    pub(crate) sizes: [u16; 3],
    /// MSI-X vectors; none means a line.
    pub(crate) vectors: u32,
    /// Whether it has a modern interface, and a legacy one.
    pub(crate) modern: bool,
    pub(crate) legacy: bool,
    pub(crate) faults: Vec<Fault>,
}

/// What is wrong with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its status never becomes 0.
    NeverResets,
    /// It forgets FEATURES_OK.
    RefusesFeatures,
    /// It keeps its own idea of a queue's size.
    KeepsSizes,
    /// It has one pair of queues, whatever it says.
    FewerQueues,
    /// It has no vector for anything.
    NoVectors,
    /// Queues are enabled after a reset.
    EnabledAfterReset,
    /// Its configuration changes all the time.
    Restless,
    /// It does not answer commands.
    SilentControl,
    /// It says no to all of them.
    RefusesCommands,
    /// It uses more commands than it had.
    LyingControl,
    /// It uses receive buffers that it does not have.
    LyingReceive,
    /// A structure, by its number, is not there.
    Lacks(u8),
    /// A structure begins at an odd place.
    Crooked(u8),
    /// A structure reaches beyond its BAR.
    Beyond(u8),
    /// A structure has a byte.
    Short(u8),
    /// Its capabilities lead in a circle.
    Circle,
    /// BAR 4 cannot be mapped.
    NoBar,
    /// Its bus mastering cannot be taken away.
    Unstoppable,
    /// Its queues do not come out of their reset.
    QueuesStay,
    /// The notification register of its second receive queue is beyond their structure.
    FarBell,
}

/// A modern device with all that one can have, which is honest.
pub(crate) fn everything() -> Offer {
    let features = Features::VERSION_1
        | Features::ACCESS_PLATFORM
        | Features::RING_PACKED
        | Features::IN_ORDER
        | Features::INDIRECT_DESC
        | Features::EVENT_IDX
        | Features::MRG_RXBUF
        | Features::ANY_LAYOUT
        | Features::MAC
        | Features::STATUS
        | Features::MTU
        | Features::SPEED_DUPLEX
        | Features::CTRL_VQ
        | Features::CTRL_RX
        | Features::CTRL_VLAN
        | Features::CTRL_MAC_ADDR
        | Features::GUEST_ANNOUNCE
        | Features::MQ
        | Features::RSS
        | Features::HASH_REPORT
        | Features::RING_RESET
        | Features::NOTIFICATION_DATA
        | Features::CSUM
        | Features::GUEST_CSUM;
    let config = NetConfig {
        mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
        status: 1,
        max_virtqueue_pairs: 4,
        mtu: 9000,
        speed: 25_000,
        duplex: 1,
        rss_max_key_size: 40,
        rss_max_indirection_table_length: 128,
        supported_hash_types: 0x1FF,
    };
    Offer {
        features,
        config,
        sizes: [256, 256, 64],
        vectors: 10,
        modern: true,
        legacy: false,
        faults: Vec::new(),
    }
}

impl Offer {
    /// Without some features.
    pub(crate) fn without(mut self, features: Features) -> Self {
        self.features -= features;
        self
    }

    /// With something wrong.
    pub(crate) fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

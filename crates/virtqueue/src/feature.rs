//! What driver and device may agree on.

use bitflags::bitflags;

bitflags! {
    /// Feature bits: of a network device (virtio 1.2 §5.1.3), of any device (§6), and vhost-user's own.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Features: u64 {
        /// The device takes unfinished checksums.
        const CSUM = 1 << 0;
        /// The driver takes unfinished checksums.
        const GUEST_CSUM = 1 << 1;
        /// The driver may turn its own offloads on and off.
        const CTRL_GUEST_OFFLOADS = 1 << 2;
        /// The device says what MTU is wise.
        const MTU = 1 << 3;
        /// The device has an address.
        const MAC = 1 << 5;
        /// The driver takes large TCP over IPv4.
        const GUEST_TSO4 = 1 << 7;
        /// The driver takes large TCP over IPv6.
        const GUEST_TSO6 = 1 << 8;
        /// The driver takes large TCP with ECN.
        const GUEST_ECN = 1 << 9;
        /// The driver takes UDP to be fragmented.
        const GUEST_UFO = 1 << 10;
        /// The device takes large TCP over IPv4.
        const HOST_TSO4 = 1 << 11;
        /// The device takes large TCP over IPv6.
        const HOST_TSO6 = 1 << 12;
        /// The device takes large TCP with ECN.
        const HOST_ECN = 1 << 13;
        /// The device takes UDP to be fragmented.
        const HOST_UFO = 1 << 14;
        /// A received frame may go over several buffers.
        const MRG_RXBUF = 1 << 15;
        /// The device has a link status.
        const STATUS = 1 << 16;
        /// There is a control queue.
        const CTRL_VQ = 1 << 17;
        /// Receive modes and address tables through it.
        const CTRL_RX = 1 << 18;
        /// VLAN filters through it.
        const CTRL_VLAN = 1 << 19;
        /// More receive modes.
        const CTRL_RX_EXTRA = 1 << 20;
        /// The device may ask the driver to announce itself.
        const GUEST_ANNOUNCE = 1 << 21;
        /// Several queue pairs, spread automatically.
        const MQ = 1 << 22;
        /// The address can be set through the control queue.
        const CTRL_MAC_ADDR = 1 << 23;
        /// Legacy: notify when the queue is empty.
        const NOTIFY_ON_EMPTY = 1 << 24;
        /// vhost: all writes are logged (live migration).
        const LOG_ALL = 1 << 26;
        /// Legacy: descriptors may be laid out at will. Version 1 has it anyway.
        const ANY_LAYOUT = 1 << 27;
        /// A descriptor may stand for a table of them.
        const INDIRECT_DESC = 1 << 28;
        /// Notifications by index.
        const EVENT_IDX = 1 << 29;
        /// vhost-user: there are protocol features.
        const PROTOCOL_FEATURES = 1 << 30;
        /// Not a legacy device.
        const VERSION_1 = 1 << 32;
        /// The device's accesses are translated.
        const ACCESS_PLATFORM = 1 << 33;
        /// Packed rings.
        const RING_PACKED = 1 << 34;
        /// Buffers are used in the order in which they were made available.
        const IN_ORDER = 1 << 35;
        /// Barriers as between processors are not enough.
        const ORDER_PLATFORM = 1 << 36;
        /// Single-root I/O virtualisation.
        const SR_IOV = 1 << 37;
        /// Notifications say how far the ring is filled.
        const NOTIFICATION_DATA = 1 << 38;
        /// Each queue says what its notifications hold.
        const NOTIF_CONFIG_DATA = 1 << 39;
        /// Queues can be reset one by one.
        const RING_RESET = 1 << 40;
        /// The driver takes large UDP over IPv4.
        const GUEST_USO4 = 1 << 54;
        /// The driver takes large UDP over IPv6.
        const GUEST_USO6 = 1 << 55;
        /// The device takes large UDP.
        const HOST_USO = 1 << 56;
        /// The device reports hashes.
        const HASH_REPORT = 1 << 57;
        /// `hdr_len` is exact.
        const GUEST_HDRLEN = 1 << 59;
        /// The device spreads packets by hash.
        const RSS = 1 << 60;
        /// The device counts the segments that it merged.
        const RSC_EXT = 1 << 61;
        /// The device may stand by for another.
        const STANDBY = 1 << 62;
        /// The device knows its speed.
        const SPEED_DUPLEX = 1 << 63;
    }
}

impl Features {
    /// Bytes of the header before each frame (§5.1.6.1).
    pub const fn header_len(self) -> usize {
        if self.contains(Features::HASH_REPORT) {
            crate::net::HASHED
        } else if self.contains(Features::VERSION_1) || self.contains(Features::MRG_RXBUF) {
            crate::net::MERGED
        } else {
            crate::net::VNET
        }
    }

    /// Without the features whose prerequisites are missing (§5.1.3.1).
    pub fn consistent(mut self) -> Self {
        for (needs, any_of) in NEEDS {
            if self.intersects(needs) && !self.intersects(any_of) {
                self -= needs;
            }
        }
        self
    }
}

/// Features, and of which at least one must be there for them (§5.1.3.1).
const NEEDS: [(Features, Features); 15] = [
    (Features::GUEST_TSO4, Features::GUEST_CSUM),
    (Features::GUEST_TSO6, Features::GUEST_CSUM),
    (Features::GUEST_ECN, Features::GUEST_TSO4.union(Features::GUEST_TSO6)),
    (Features::GUEST_UFO, Features::GUEST_CSUM),
    (Features::GUEST_USO4.union(Features::GUEST_USO6), Features::GUEST_CSUM),
    (Features::HOST_TSO4, Features::CSUM),
    (Features::HOST_TSO6, Features::CSUM),
    (Features::HOST_ECN, Features::HOST_TSO4.union(Features::HOST_TSO6)),
    (Features::HOST_UFO, Features::CSUM),
    (Features::HOST_USO, Features::CSUM),
    (
        Features::CTRL_RX
            .union(Features::CTRL_VLAN)
            .union(Features::GUEST_ANNOUNCE)
            .union(Features::MQ)
            .union(Features::CTRL_MAC_ADDR)
            .union(Features::CTRL_GUEST_OFFLOADS),
        Features::CTRL_VQ,
    ),
    (Features::CTRL_RX_EXTRA, Features::CTRL_RX),
    (Features::RSC_EXT, Features::GUEST_TSO4.union(Features::GUEST_TSO6)),
    (Features::RSS, Features::CTRL_VQ),
    (Features::RING_PACKED.union(Features::IN_ORDER), Features::VERSION_1),
];

bitflags! {
    /// Device status (virtio 1.2 §2.1).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u8 {
        /// The driver has found the device.
        const ACKNOWLEDGE = 1;
        /// The driver knows how to drive it.
        const DRIVER = 2;
        /// The driver is ready.
        const DRIVER_OK = 4;
        /// The features are settled.
        const FEATURES_OK = 8;
        /// The device is in an error that only a reset ends.
        const NEEDS_RESET = 64;
        /// The driver has given up.
        const FAILED = 128;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_without_their_prerequisites_go() {
        let lone = Features::HOST_TSO4 | Features::HOST_ECN | Features::MQ | Features::MAC;
        assert_eq!(lone.consistent(), Features::MAC);
        let whole = lone | Features::CSUM | Features::CTRL_VQ;
        assert_eq!(whole.consistent(), whole);
    }

    #[test]
    fn the_header_grows_with_the_features() {
        assert_eq!(Features::empty().header_len(), 10);
        assert_eq!(Features::MRG_RXBUF.header_len(), 12);
        assert_eq!(Features::VERSION_1.header_len(), 12);
        assert_eq!((Features::VERSION_1 | Features::HASH_REPORT).header_len(), 20);
    }
}

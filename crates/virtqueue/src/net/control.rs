//! Commands of the control queue (virtio 1.2 §5.1.6.5): a header, the command's data, and one byte of
//! answer that the device writes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What every command begins with.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct ControlHdr {
    /// The class: `RX`, `MAC` …
    pub class: u8,
    /// The command within it.
    pub command: u8,
}

const _: () = assert!(size_of::<ControlHdr>() == 2);

/// The device did it.
pub const OK: u8 = 0;
/// The device did not.
pub const ERR: u8 = 1;

/// A command, by class and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Receive frames for others too: one byte, 1 or 0 (`CTRL_RX`).
    Promiscuous,
    /// All multicast: one byte (`CTRL_RX`).
    AllMulticast,
    /// All unicast: one byte (`CTRL_RX_EXTRA`).
    AllUnicast,
    /// No multicast: one byte (`CTRL_RX_EXTRA`).
    NoMulticast,
    /// No unicast: one byte (`CTRL_RX_EXTRA`).
    NoUnicast,
    /// No broadcast: one byte (`CTRL_RX_EXTRA`).
    NoBroadcast,
    /// Two tables of addresses, unicast and multicast, each a 32-bit count before it (`CTRL_RX`).
    MacTable,
    /// The device's own address: six bytes (`CTRL_MAC_ADDR`).
    MacAddress,
    /// Let frames of a VLAN through: 16 bits (`CTRL_VLAN`).
    VlanAdd,
    /// Let them through no longer: 16 bits (`CTRL_VLAN`).
    VlanRemove,
    /// The announcement has been made: no data (`GUEST_ANNOUNCE`).
    AnnounceAck,
    /// So many queue pairs: 16 bits (`MQ`).
    QueuePairs,
    /// How packets are spread over queues: [`RssFixed`] and what follows (`RSS`).
    Rss,
    /// Which hashes to report (`HASH_REPORT`).
    Hash,
    /// Which guest offloads are on: 64 bits of features (`CTRL_GUEST_OFFLOADS`).
    GuestOffloads,
}

impl Command {
    /// As the device wants it.
    pub const fn header(self) -> ControlHdr {
        let (class, command) = match self {
            Command::Promiscuous => (0, 0),
            Command::AllMulticast => (0, 1),
            Command::AllUnicast => (0, 2),
            Command::NoMulticast => (0, 3),
            Command::NoUnicast => (0, 4),
            Command::NoBroadcast => (0, 5),
            Command::MacTable => (1, 0),
            Command::MacAddress => (1, 1),
            Command::VlanAdd => (2, 0),
            Command::VlanRemove => (2, 1),
            Command::AnnounceAck => (3, 0),
            Command::QueuePairs => (4, 0),
            Command::Rss => (4, 1),
            Command::Hash => (4, 2),
            Command::GuestOffloads => (5, 0),
        };
        ControlHdr { class, command }
    }

    /// All of them.
    pub const ALL: [Command; 15] = [
        Command::Promiscuous,
        Command::AllMulticast,
        Command::AllUnicast,
        Command::NoMulticast,
        Command::NoUnicast,
        Command::NoBroadcast,
        Command::MacTable,
        Command::MacAddress,
        Command::VlanAdd,
        Command::VlanRemove,
        Command::AnnounceAck,
        Command::QueuePairs,
        Command::Rss,
        Command::Hash,
        Command::GuestOffloads,
    ];

    /// The command that a header names; `None` if there is no such.
    pub fn of(header: ControlHdr) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.header() == header)
    }
}

/// What [`Command::Rss`] begins with (§5.1.6.5.7). Then the table's `indirection_table_mask + 1`
/// 16-bit queue numbers, 16 bits of the largest transmit queue, a byte of the key's length, the key.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct RssFixed {
    /// Which hashes: `HASH_…`.
    pub hash_types: u32,
    /// Entries of the table minus one: a power of two minus one.
    pub indirection_table_mask: u16,
    /// The queue for packets that are not hashed.
    pub unclassified_queue: u16,
}

const _: () = assert!(size_of::<RssFixed>() == 8);

/// Hash of IPv4 addresses (§5.1.6.4.3.1).
pub const HASH_IPV4: u32 = 1 << 0;
/// Hash of TCP over IPv4.
pub const HASH_TCPV4: u32 = 1 << 1;
/// Hash of UDP over IPv4.
pub const HASH_UDPV4: u32 = 1 << 2;
/// Hash of IPv6 addresses.
pub const HASH_IPV6: u32 = 1 << 3;
/// Hash of TCP over IPv6.
pub const HASH_TCPV6: u32 = 1 << 4;
/// Hash of UDP over IPv6.
pub const HASH_UDPV6: u32 = 1 << 5;
/// Hash of IPv6 addresses, extension headers looked into.
pub const HASH_IPV6_EX: u32 = 1 << 6;
/// Hash of TCP over IPv6, extension headers looked into.
pub const HASH_TCPV6_EX: u32 = 1 << 7;
/// Hash of UDP over IPv6, extension headers looked into.
pub const HASH_UDPV6_EX: u32 = 1 << 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_header() {
        for command in Command::ALL {
            assert_eq!(Command::of(command.header()), Some(command));
        }
        assert_eq!(Command::of(ControlHdr { class: 9, command: 0 }), None);
    }
}

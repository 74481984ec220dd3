//! ICMP (RFC 792) and ICMPv6 (RFC 4443): the part every message has, and the next four bytes.

use super::{U16, header};

header! {
    /// An ICMP header.
    pub struct Icmp[8] {
        /// Type of message.
        pub kind: u8,
        /// Code within the type.
        pub code: u8,
        /// Checksum of the message.
        pub checksum: U16,
        /// Identifier in echo messages; otherwise depends on the type.
        pub id: U16,
        /// Sequence number in echo messages; otherwise depends on the type.
        pub seq: U16,
    }
}

impl Icmp {
    /// Type of an echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Type of "destination unreachable".
    pub const UNREACHABLE: u8 = 3;
    /// Type of an echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Type of "time exceeded".
    pub const TIME_EXCEEDED: u8 = 11;
}

header! {
    /// An ICMPv6 header.
    pub struct Icmpv6[8] {
        /// Type of message; below 128 it reports an error.
        pub kind: u8,
        /// Code within the type.
        pub code: u8,
        /// Checksum over pseudo-header and message.
        pub checksum: U16,
        /// Identifier in echo messages; otherwise depends on the type.
        pub id: U16,
        /// Sequence number in echo messages; otherwise depends on the type.
        pub seq: U16,
    }
}

impl Icmpv6 {
    /// Type of an echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Type of an echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Type of a neighbour solicitation.
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// Type of a neighbour advertisement.
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
}

//! Which packets are hashed, and over what.

use crate::flow::FlowKey;
use crate::packet_type::L4;

bitflags::bitflags! {
    /// The kinds of packet that RSS hashes.
    ///
    /// A kind with a transport protocol is hashed over addresses and ports; `IPV4`, `IPV6` and
    /// `IPV6_EX` over addresses, and for every packet that no more specific kind of the set takes.
    /// The `_EX` kinds are those of NICs that look for Mobile IPv6 addresses in extension headers;
    /// software uses the addresses of the fixed header, the same where there are no others.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct RssTypes: u32 {
        /// Any IPv4 packet, over its addresses.
        const IPV4 = 1 << 0;
        /// TCP over IPv4.
        const IPV4_TCP = 1 << 1;
        /// UDP over IPv4.
        const IPV4_UDP = 1 << 2;
        /// SCTP over IPv4.
        const IPV4_SCTP = 1 << 3;
        /// Any IPv6 packet, over its addresses.
        const IPV6 = 1 << 4;
        /// TCP over IPv6.
        const IPV6_TCP = 1 << 5;
        /// UDP over IPv6.
        const IPV6_UDP = 1 << 6;
        /// SCTP over IPv6.
        const IPV6_SCTP = 1 << 7;
        /// Any IPv6 packet, over its addresses, Mobile IPv6 heeded.
        const IPV6_EX = 1 << 8;
        /// TCP over IPv6, Mobile IPv6 heeded.
        const IPV6_TCP_EX = 1 << 9;
        /// UDP over IPv6, Mobile IPv6 heeded.
        const IPV6_UDP_EX = 1 << 10;

        /// Everything over addresses.
        const IP = Self::IPV4.bits() | Self::IPV6.bits() | Self::IPV6_EX.bits();
        /// TCP over either version.
        const TCP = Self::IPV4_TCP.bits() | Self::IPV6_TCP.bits() | Self::IPV6_TCP_EX.bits();
        /// UDP over either version.
        const UDP = Self::IPV4_UDP.bits() | Self::IPV6_UDP.bits() | Self::IPV6_UDP_EX.bits();
        /// SCTP over either version.
        const SCTP = Self::IPV4_SCTP.bits() | Self::IPV6_SCTP.bits();
    }
}

impl RssTypes {
    /// The kinds that hash such a packet with its ports, and those that hash its addresses.
    #[inline]
    pub(super) fn for_packet(flow: &FlowKey, l4: L4) -> (Self, Self) {
        let transport = match l4 {
            L4::Tcp => Self::TCP,
            L4::Udp => Self::UDP,
            L4::Sctp => Self::SCTP,
            _ => Self::empty(),
        };
        let version = match flow {
            FlowKey::V4 { .. } => Self::IPV4.union(Self::V4_TRANSPORT),
            FlowKey::V6 { .. } => Self::all().difference(Self::IPV4.union(Self::V4_TRANSPORT)),
        };
        (transport.intersection(version), Self::IP.intersection(version))
    }

    const V4_TRANSPORT: Self = Self::IPV4_TCP.union(Self::IPV4_UDP).union(Self::IPV4_SCTP);
}

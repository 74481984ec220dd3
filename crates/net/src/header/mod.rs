//! Header types: the bytes on the wire as they lie, read and written in place.
//!
//! Every type is unaligned, has its exact size asserted at compile time, and gives
//! `ref_from_prefix` and `mut_from_prefix`, which borrow the front of a slice. Multi-byte fields
//! are big-endian integers ([`U16`], [`U32`]): read with `.get()`, write with `.set(…)`.
//! Types whose header varies in length have a `split`, which also checks the length field.

mod arp;
mod ethernet;
mod geneve;
mod gre;
mod gtp;
mod icmp;
mod ipv4;
mod ipv6;
mod ipv6_ext;
mod mpls;
mod options;
mod sctp;
mod tcp;
mod udp;
mod vxlan;

pub use arp::Arp;
pub use ethernet::{Ethernet, Vlan};
pub use geneve::{Geneve, GeneveOption, GeneveOptions};
pub use gre::{Gre, GreFields};
pub use gtp::{Gtpu, GtpuFields};
pub use icmp::{Icmp, Icmpv6};
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;
pub use ipv6_ext::{ChainEnd, Extension, ExtensionChain, Ipv6Fragment, MAX_EXTENSIONS};
pub use mpls::{MAX_LABELS, MplsLabel, MplsStack};
pub use options::{TlvOption, TlvOptions};
pub use sctp::Sctp;
pub use tcp::{Tcp, TcpFlags};
pub use udp::Udp;
pub use vxlan::Vxlan;
pub use zerocopy::byteorder::network_endian::{U16, U32};

/// EtherType values (IEEE 802 numbers).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Transparent Ethernet bridging: an Ethernet frame inside GRE or GENEVE.
    pub const TEB: u16 = 0x6558;
    /// A VLAN tag (802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// MPLS, unicast.
    pub const MPLS: u16 = 0x8847;
    /// MPLS, multicast or upstream-assigned label.
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    /// A service VLAN tag (802.1ad, QinQ).
    pub const QINQ: u16 = 0x88a8;
    /// LLDP.
    pub const LLDP: u16 = 0x88cc;
    /// PTP over Ethernet (IEEE 1588).
    pub const PTP: u16 = 0x88f7;
    /// The outer tag that QinQ used before 802.1ad.
    pub const QINQ_OLD: u16 = 0x9100;
}

/// IP protocol numbers (IANA), also the next-header values of IPv6.
pub mod protocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// IPv4 in IP.
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// GRE.
    pub const GRE: u8 = 47;
    /// Encapsulating security payload.
    pub const ESP: u8 = 50;
    /// Authentication header.
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// No next header.
    pub const NONE: u8 = 59;
    /// IPv6 destination options.
    pub const DEST_OPTS: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// MPLS in IP.
    pub const MPLS: u8 = 137;
}

/// UDP destination ports that carry tunnels.
pub mod port {
    /// GTP control plane.
    pub const GTPC: u16 = 2123;
    /// GTP user plane.
    pub const GTPU: u16 = 2152;
    /// VXLAN.
    pub const VXLAN: u16 = 4789;
    /// GENEVE.
    pub const GENEVE: u16 = 6081;
}

/// Declares a wire type: derives, compile-time size, and borrowing from a slice.
macro_rules! header {
    ($(#[$meta:meta])* pub struct $name:ident [$len:literal] { $($body:tt)* }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, Debug, Default,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
            zerocopy::Immutable, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name { $($body)* }

        const _: () = assert!(size_of::<$name>() == $len && align_of::<$name>() == 1);

        impl $name {
            /// Bytes on the wire, optional parts not counted.
            pub const LEN: usize = $len;

            /// This header at the front of `bytes`, and what follows; `None` when cut short.
            #[inline]
            pub fn ref_from_prefix(bytes: &[u8]) -> Option<(&Self, &[u8])> {
                zerocopy::FromBytes::ref_from_prefix(bytes).ok()
            }

            /// As [`Self::ref_from_prefix`], to write in place.
            #[inline]
            pub fn mut_from_prefix(bytes: &mut [u8]) -> Option<(&mut Self, &mut [u8])> {
                zerocopy::FromBytes::mut_from_prefix(bytes).ok()
            }

            /// The header as bytes.
            #[inline]
            pub fn as_bytes(&self) -> &[u8] {
                zerocopy::IntoBytes::as_bytes(self)
            }
        }
    };
}
pub(crate) use header;

#[cfg(test)]
mod tests;

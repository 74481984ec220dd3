//! The IPv6 fixed header (RFC 8200).

use core::net::Ipv6Addr;

use super::{U16, U32, header};

header! {
    /// The fixed IPv6 header; extension headers are walked by [`super::ExtensionChain`].
    pub struct Ipv6[40] {
        /// Version (6, 4 bits), traffic class (8) and flow label (20).
        pub version_class_label: U32,
        /// Bytes after this header, extension headers included.
        pub payload_len: U16,
        /// What follows ([`super::protocol`]).
        pub next_header: u8,
        /// Hops left.
        pub hop_limit: u8,
        /// Source, in wire order.
        pub src: [u8; 16],
        /// Destination, in wire order.
        pub dst: [u8; 16],
    }
}

impl Ipv6 {
    /// The version field; 6 in a sound header.
    #[inline]
    pub fn version(&self) -> u8 {
        (self.version_class_label.get() >> 28) as u8
    }

    /// Traffic class: DSCP (6 bits) and ECN (2 bits).
    pub fn traffic_class(&self) -> u8 {
        (self.version_class_label.get() >> 20) as u8
    }

    /// Flow label, 20 bits.
    pub fn flow_label(&self) -> u32 {
        self.version_class_label.get() & 0xf_ffff
    }

    /// The fixed header and the rest; `None` unless the version is 6 and all is there.
    #[inline]
    pub fn split(bytes: &[u8]) -> Option<(&Self, &[u8])> {
        Self::ref_from_prefix(bytes).filter(|(ip, _)| ip.version() == 6)
    }

    /// Source.
    #[inline]
    pub fn src_addr(&self) -> Ipv6Addr {
        self.src.into()
    }

    /// Destination.
    #[inline]
    pub fn dst_addr(&self) -> Ipv6Addr {
        self.dst.into()
    }

    /// Takes one hop off the hop limit; `false`, and no change, at 0 or 1.
    #[inline]
    pub fn decrement_hop_limit(&mut self) -> bool {
        let forwards = self.hop_limit > 1;
        self.hop_limit -= u8::from(forwards);
        forwards
    }
}

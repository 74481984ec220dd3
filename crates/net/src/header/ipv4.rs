//! IPv4 (RFC 791).

use core::net::Ipv4Addr;

use super::{TlvOptions, U16, header};

header! {
    /// An IPv4 header, without its options.
    pub struct Ipv4[20] {
        /// Version (4) and header length in 32-bit words.
        pub version_ihl: u8,
        /// Type of service: DSCP (6 bits) and ECN (2 bits).
        pub tos: u8,
        /// Length of header and payload.
        pub total_len: U16,
        /// Identification, the same in every fragment of a packet.
        pub id: U16,
        /// Flags (3 bits) and fragment offset in units of 8 bytes.
        pub flags_fragment: U16,
        /// Time to live.
        pub ttl: u8,
        /// What follows ([`super::protocol`]).
        pub protocol: u8,
        /// Checksum of the header, options included.
        pub checksum: U16,
        /// Source, in wire order.
        pub src: [u8; 4],
        /// Destination, in wire order.
        pub dst: [u8; 4],
    }
}

impl Ipv4 {
    /// The flag that forbids fragmentation.
    pub const DONT_FRAGMENT: u16 = 0x4000;
    /// The flag that says more fragments follow.
    pub const MORE_FRAGMENTS: u16 = 0x2000;

    /// The version field; 4 in a sound header.
    #[inline]
    pub fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Length of the header in bytes, as it claims: 0 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0xf) * 4
    }

    /// Header, options and the rest; `None` unless version and length are sound and all is there.
    #[inline]
    pub fn split(bytes: &[u8]) -> Option<(&Self, &[u8], &[u8])> {
        let (ip, rest) = Self::ref_from_prefix(bytes)?;
        let options = ip.header_len().checked_sub(Self::LEN).filter(|_| ip.version() == 4)?;
        let (options, payload) = rest.split_at_checked(options)?;
        Some((ip, options, payload))
    }

    /// Walks what `split` gave as options.
    pub fn options(options: &[u8]) -> TlvOptions<'_> {
        TlvOptions::new(options)
    }

    /// Source.
    #[inline]
    pub fn src_addr(&self) -> Ipv4Addr {
        self.src.into()
    }

    /// Destination.
    #[inline]
    pub fn dst_addr(&self) -> Ipv4Addr {
        self.dst.into()
    }

    /// Offset of this fragment in its packet, in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.flags_fragment.get() & 0x1fff) * 8
    }

    /// Whether more fragments follow.
    #[inline]
    pub fn has_more_fragments(&self) -> bool {
        self.flags_fragment.get() & Self::MORE_FRAGMENTS != 0
    }

    /// Whether the packet may not be fragmented.
    pub fn is_unfragmentable(&self) -> bool {
        self.flags_fragment.get() & Self::DONT_FRAGMENT != 0
    }

    /// Takes one hop off the time to live and mends the checksum; `false`, and no change, at 0 or 1.
    #[inline]
    pub fn decrement_ttl(&mut self) -> bool {
        if self.ttl <= 1 {
            return false;
        }
        let before = u16::from_be_bytes([self.ttl, self.protocol]);
        self.ttl -= 1;
        let after = u16::from_be_bytes([self.ttl, self.protocol]);
        let mended = crate::checksum::update_u16(self.checksum.get(), before, after);
        self.checksum.set(mended);
        true
    }
}

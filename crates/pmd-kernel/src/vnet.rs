//! `struct virtio_net_hdr`: what is unfinished about a frame, as TAP and AF_PACKET tell it (virtio
//! 1.2 §5.1.6, in the host's byte order and without `num_buffers`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The checksum is to be computed from `csum_start` on.
pub(crate) const NEEDS_CSUM: u8 = 1;
/// The checksum has been found right.
pub(crate) const DATA_VALID: u8 = 2;

/// The frame is whole.
pub(crate) const GSO_NONE: u8 = 0;
/// TCP over IPv4, to be cut.
pub(crate) const GSO_TCPV4: u8 = 1;
/// TCP over IPv6, to be cut.
pub(crate) const GSO_TCPV6: u8 = 4;
/// UDP, to be cut into datagrams.
pub(crate) const GSO_UDP_L4: u8 = 5;
/// Flag: the first segment alone has CWR.
pub(crate) const GSO_ECN: u8 = 0x80;

/// The header in front of a frame.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub(crate) struct VnetHdr {
    pub(crate) flags: u8,
    pub(crate) gso_type: u8,
    pub(crate) hdr_len: u16,
    pub(crate) gso_size: u16,
    pub(crate) csum_start: u16,
    pub(crate) csum_offset: u16,
}

/// Bytes of it.
pub(crate) const VNET: usize = size_of::<VnetHdr>();
const _: () = assert!(VNET == 10);

impl VnetHdr {
    /// The header at the start of `bytes`; one that says nothing, if they are too few.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Self {
        VnetHdr::read_from_prefix(bytes).map_or(VnetHdr::default(), |(header, _)| header)
    }

    /// Whether the frame is as it goes over a wire, and nothing is known of its checksum.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.flags == 0 && self.gso_type == GSO_NONE
    }

    /// Whether the frame is to be cut into several.
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        self.gso_type & !GSO_ECN != GSO_NONE
    }

    /// The same for a frame into which `bytes` have been put before its network header.
    pub(crate) fn shifted(mut self, bytes: u16) -> Self {
        self.csum_start = self.csum_start.saturating_add(bytes);
        self.hdr_len = self.hdr_len.saturating_add(bytes);
        self
    }
}

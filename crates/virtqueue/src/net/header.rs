//! `struct virtio_net_hdr`: what is unfinished about a frame (virtio 1.2 §5.1.6). TAP and AF_PACKET
//! speak of it too, in the host's byte order and without `num_buffers`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The checksum is to be computed from `csum_start` on.
pub const NEEDS_CSUM: u8 = 1;
/// The checksum has been found right.
pub const DATA_VALID: u8 = 2;
/// `csum_start` and `csum_offset` count merged segments and duplicate ACKs instead.
pub const RSC_INFO: u8 = 4;

/// The frame is whole.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4, to be cut.
pub const GSO_TCPV4: u8 = 1;
/// UDP, to be cut into IP fragments.
pub const GSO_UDP: u8 = 3;
/// TCP over IPv6, to be cut.
pub const GSO_TCPV6: u8 = 4;
/// UDP, to be cut into datagrams.
pub const GSO_UDP_L4: u8 = 5;
/// Flag: the first segment alone has CWR.
pub const GSO_ECN: u8 = 0x80;

/// The header in front of a frame: without `num_buffers`, as legacy devices without `MRG_RXBUF`, TAP
/// and AF_PACKET have it.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct VnetHdr {
    /// [`NEEDS_CSUM`], [`DATA_VALID`], [`RSC_INFO`].
    pub flags: u8,
    /// One of `GSO_…`, with or without [`GSO_ECN`].
    pub gso_type: u8,
    /// Bytes of headers, if the frame is large; a hint.
    pub hdr_len: u16,
    /// Bytes of payload of each segment, if the frame is large.
    pub gso_size: u16,
    /// Where the checksum's range begins.
    pub csum_start: u16,
    /// Where the checksum is, from there.
    pub csum_offset: u16,
}

/// The header with `num_buffers`: `VERSION_1` or `MRG_RXBUF` negotiated.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct VnetMerged {
    /// What is unfinished.
    pub vnet: VnetHdr,
    /// Over how many buffers a received frame goes; 1 without `MRG_RXBUF`, 0 when sending.
    pub num_buffers: u16,
}

/// The header with the hash: `HASH_REPORT` negotiated (§5.1.6.4.3).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct VnetHashed {
    /// The header that all have.
    pub merged: VnetMerged,
    /// The hash, low half first.
    pub hash_value: [u16; 2],
    /// Of what: a [`HashReport`].
    pub hash_report: u16,
    /// Nothing.
    pub padding: u16,
}

/// Bytes of [`VnetHdr`].
pub const VNET: usize = size_of::<VnetHdr>();
/// Bytes of [`VnetMerged`].
pub const MERGED: usize = size_of::<VnetMerged>();
/// Bytes of [`VnetHashed`].
pub const HASHED: usize = size_of::<VnetHashed>();
const _: () = assert!(VNET == 10 && MERGED == 12 && HASHED == 20);
const _: () = assert!(align_of::<VnetHashed>() == 2);

impl VnetHdr {
    /// The header at the start of `bytes`; one that says nothing, if they are too few.
    #[inline]
    pub fn read(bytes: &[u8]) -> Self {
        VnetHdr::read_from_prefix(bytes).map_or(VnetHdr::default(), |(header, _)| header)
    }

    /// Whether the frame is as it goes over a wire, and nothing is known of its checksum.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.flags == 0 && self.gso_type == GSO_NONE
    }

    /// Whether the frame is to be cut into several.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.gso_type & !GSO_ECN != GSO_NONE
    }

    /// The same for a frame into which `bytes` have been put before its network header.
    pub fn shifted(mut self, bytes: u16) -> Self {
        self.csum_start = self.csum_start.saturating_add(bytes);
        self.hdr_len = self.hdr_len.saturating_add(bytes);
        self
    }
}

impl VnetHashed {
    /// The hash in one word.
    #[inline]
    pub fn hash(&self) -> u32 {
        u32::from(self.hash_value[0]) | u32::from(self.hash_value[1]) << 16
    }
}

/// What a hash in [`VnetHashed`] was computed of (§5.1.6.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum HashReport {
    /// There is none.
    None = 0,
    /// IPv4 addresses.
    Ipv4 = 1,
    /// TCP over IPv4.
    Tcpv4 = 2,
    /// UDP over IPv4.
    Udpv4 = 3,
    /// IPv6 addresses.
    Ipv6 = 4,
    /// TCP over IPv6.
    Tcpv6 = 5,
    /// UDP over IPv6.
    Udpv6 = 6,
    /// IPv6 addresses, extension headers looked into.
    Ipv6Ex = 7,
    /// TCP over IPv6, extension headers looked into.
    Tcpv6Ex = 8,
    /// UDP over IPv6, extension headers looked into.
    Udpv6Ex = 9,
}

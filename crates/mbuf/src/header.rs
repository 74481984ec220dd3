//! The layout of a buffer: a header of two cache lines, then headroom and data room.
//!
//! ```text
//! offset  field        who writes                        line
//!      0  buf          pool, once (attach changes it)     0    where headroom begins
//!      8  iova         pool, once (attach changes it)     0    the same for a device
//!     16  data_off     receive, edits          ┐          0    from buf to the data
//!     18  segs         receive, chain          │ rearm    0    buffers of the packet, this one first
//!     19  kind         attach, detach          │ 8 bytes  0    whose the buffer is
//!     20  port         receive                 │          0    where it came from
//!     22  buf_len      pool, once (and attach) ┘          0    headroom and data room
//!     24  flags        receive, application               0    which of the rest is valid
//!     32  packet_type  receive                 ┐          0    linecard-net's packet type
//!     36  packet_len   receive, edits          │ receive  0    bytes in all segments
//!     40  data_len     receive, edits          │ 24 bytes 0    bytes in this segment
//!     42  vlan         receive, application    │          0    tag control information
//!     44  rss_hash     receive                 │          0
//!     48  mark         receive                 │          0    what a flow rule marked it with
//!     52  vlan_outer   receive, application    │          0
//!     54  (unused)                             ┘          0
//!     56  home         pool, once                         0    where the buffer goes back to
//!     64  next         chain                              1    valid if more segments follow
//!     72  tx           application                        1    valid if flags ask for offloads
//!     80  timestamp    receive                            1    valid if flags say so
//!     88  refs         share                              1    valid while shared
//!     96  user         application                        1    32 bytes of the user's own
//!    128  (headroom)
//! ```
//!
//! A packet that is received, forwarded and sent without offloads touches line 0 only. Receive
//! writes `rearm` with one store and the rest with three, so that a driver may do so with SIMD.
//!
//! In a pool every buffer is plain (direct, one segment), so that returning one needs no
//! more than a look at `rearm`.

use core::sync::atomic::AtomicU32;
use linecard_mempool::Home;

/// Bytes of the header: two cache lines.
pub(crate) const HEADER: usize = 128;

/// The most segments that a packet may have.
pub const MAX_SEGMENTS: usize = u8::MAX as usize;

/// Whose the buffer behind a header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The one right behind the header.
    Direct = 0,
    /// That of a shared packet: read-only.
    Alias = 1,
    /// Memory from outside, with a release callback.
    External = 2,
}

/// The first 128 bytes of every buffer; the module says which byte is what.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Header {
    pub(crate) buf: *mut u8,
    pub(crate) iova: u64,
    pub(crate) rearm: Rearm,
    pub(crate) flags: u64,
    pub(crate) rx: RxFields,
    pub(crate) home: Home,
    pub(crate) next: *mut Header,
    pub(crate) tx: u64,
    pub(crate) timestamp: u64,
    pub(crate) refs: AtomicU32,
    pub(crate) user: [u64; 4],
}

/// What every receive resets, in one store.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rearm {
    /// From the buffer's start to its data.
    pub data_off: u16,
    /// Buffers of the packet.
    pub segs: u8,
    pub(crate) kind: u8,
    /// The port it came from.
    pub port: u16,
    /// Headroom and data room: the pool's, unless the buffer is from elsewhere.
    pub buf_len: u16,
}

impl Rearm {
    /// One direct buffer of `buf_len` bytes with its data at `data_off`, from `port`.
    #[inline(always)]
    pub const fn new(buf_len: u16, data_off: u16, port: u16) -> Self {
        Rearm { data_off, segs: 1, kind: Kind::Direct as u8, port, buf_len }
    }

    /// As it lies in memory.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        // SAFETY: 8 bytes of integers without padding, the size of which is asserted below.
        unsafe { core::mem::transmute(self) }
    }
}

/// What a receive says of a packet. Fields that the flags do not name may hold anything.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxFields {
    /// What headers it has, in `linecard-net`'s notation; 0 if nobody looked.
    pub packet_type: u32,
    /// Bytes in all segments.
    pub packet_len: u32,
    /// Bytes in the first segment.
    pub data_len: u16,
    /// The stripped VLAN tag.
    pub vlan: u16,
    /// The RSS hash.
    pub rss_hash: u32,
    /// What a flow rule marked it with.
    pub mark: u32,
    /// The stripped outer VLAN tag.
    pub vlan_outer: u16,
    /// Nothing.
    pub unused: u16,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Header>() == HEADER && align_of::<Header>() == 64);
    assert!(offset_of!(Header, rearm) == 16 && size_of::<Rearm>() == 8);
    assert!(offset_of!(Header, flags) == 24);
    assert!(offset_of!(Header, rx) == 32);
    assert!(offset_of!(RxFields, vlan_outer) == 20);
    assert!(size_of::<RxFields>() == 24 && offset_of!(Header, home) == 56);
    assert!(offset_of!(Header, next) == 64);
    assert!(offset_of!(Header, user) == 96);
};

impl Header {
    /// The header's own buffer, right behind it. By address, since a reference to the header does not
    /// reach there; the pool exposed the address of its memory.
    #[inline(always)]
    pub(crate) fn own_buffer(this: *const Header) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(this.addr() + HEADER)
    }

    /// Whether the buffer can go back to its pool as it is: direct and alone.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        // One comparison: both lie in one word.
        u16::from_ne_bytes([self.rearm.segs, self.rearm.kind])
            == const { u16::from_ne_bytes([1, Kind::Direct as u8]) }
    }
}

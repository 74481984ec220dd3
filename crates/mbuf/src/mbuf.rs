//! The owned handle, and the edits of a packet.

use crate::error::{NoRoom, Place};
use crate::header::{Header, Kind};
use crate::{external, free, shared};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::slice;

/// A packet, owned: one or more buffers of a pool, one pointer wide.
///
/// Its bytes are those of its segments in a row; most packets have one. [`data`](Mbuf::data) and
/// [`data_mut`](Mbuf::data_mut) are the first segment's, where the headers are.
///
/// What was given away or dropped is gone, and so are its bytes:
///
/// ```compile_fail,E0382
/// # let pool = linecard_mbuf::MbufPool::builder("gone").size(8).build().unwrap();
/// # let mut burst = linecard_mbuf::Burst::new();
/// let packet = pool.alloc().unwrap();
/// burst.push(packet).unwrap();
/// packet.len();                           // moved into the burst
/// ```
/// ```compile_fail,E0382
/// # let pool = linecard_mbuf::MbufPool::builder("gone").size(8).build().unwrap();
/// let packet = pool.alloc().unwrap();
/// drop(packet);
/// drop(packet);                           // a double free
/// ```
/// ```compile_fail,E0505
/// # let pool = linecard_mbuf::MbufPool::builder("gone").size(8).build().unwrap();
/// let packet = pool.alloc().unwrap();
/// let bytes = packet.data();
/// drop(packet);
/// assert!(bytes.is_empty());              // a use after free
/// ```
/// ```compile_fail,E0599
/// # let pool = linecard_mbuf::MbufPool::builder("gone").size(8).build().unwrap();
/// let twice = pool.alloc().unwrap().clone();
/// ```
#[repr(transparent)]
pub struct Mbuf {
    header: NonNull<Header>,
}

// SAFETY: an `Mbuf` owns its buffers alone, and going back to a pool works from every thread.
unsafe impl Send for Mbuf {}
// SAFETY: `&Mbuf` only reads.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// # Safety
    /// `header` is the first of a packet that nobody else owns.
    #[inline(always)]
    pub(crate) unsafe fn from_header(header: NonNull<Header>) -> Self {
        Mbuf { header }
    }

    /// The header, ownership with it.
    #[inline(always)]
    pub(crate) fn into_header(self) -> NonNull<Header> {
        ManuallyDrop::new(self).header
    }

    #[inline(always)]
    pub(crate) fn header_ptr(&self) -> NonNull<Header> {
        self.header
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: owned by `self`.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn header_mut(&mut self) -> &mut Header {
        // SAFETY: owned by `self`, which is borrowed mutably.
        unsafe { self.header.as_mut() }
    }

    /// Bytes of the packet, in all its segments.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.header().rx.packet_len as usize
    }

    /// Whether it has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buffers that the packet is made of.
    #[inline]
    pub fn segment_count(&self) -> usize {
        usize::from(self.header().rearm.segs)
    }

    /// The first segment's bytes.
    #[inline(always)]
    pub fn data(&self) -> &[u8] {
        let header = self.header();
        // SAFETY: `data_off + data_len <= buf_len` by every edit, and the buffer is ours.
        unsafe { slice::from_raw_parts(data_at(header), usize::from(header.rx.data_len)) }
    }

    /// The first segment's bytes, to change. An alias of a shared packet is copied first.
    #[inline(always)]
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.own_first();
        let header = self.header();
        // SAFETY: as in `data`; the buffer is not shared, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(data_at(header), usize::from(header.rx.data_len)) }
    }

    /// Bytes free in front of the first segment's data.
    #[inline]
    pub fn headroom(&self) -> usize {
        usize::from(self.header().rearm.data_off)
    }

    /// Bytes free behind the last segment's data.
    #[inline]
    pub fn tailroom(&self) -> usize {
        // SAFETY: the last header belongs to this packet.
        tailroom(unsafe { self.last().as_ref() })
    }

    /// Grows by `n` bytes at the front; gives them, with whatever is in them.
    ///
    /// # Errors
    /// [`NoRoom`] if there is less headroom.
    #[inline]
    pub fn prepend(&mut self, n: usize) -> Result<&mut [u8], NoRoom> {
        let room = self.headroom();
        if n > room {
            return Err(NoRoom { asked: n, room, place: Place::Headroom });
        }
        self.own_first();
        let header = self.header_mut();
        header.rearm.data_off -= n as u16;
        header.rx.data_len += n as u16;
        header.rx.packet_len += n as u32;
        Ok(&mut self.data_mut()[..n])
    }

    /// Grows by `n` bytes at the end of the last segment; gives them, with whatever is in them.
    ///
    /// # Errors
    /// [`NoRoom`] if there is less tailroom.
    #[inline]
    pub fn append(&mut self, n: usize) -> Result<&mut [u8], NoRoom> {
        let mut last = self.last();
        // SAFETY: the last header belongs to this packet, which is borrowed mutably.
        let tail = unsafe { last.as_mut() };
        let room = tailroom(tail);
        if n > room {
            return Err(NoRoom { asked: n, room, place: Place::Tailroom });
        }
        own(tail);
        let old = usize::from(tail.rx.data_len);
        // SAFETY: `data_off + old + n <= buf_len`, as just checked; the buffer is ours alone.
        let grown = unsafe { slice::from_raw_parts_mut(data_at(tail).add(old), n) };
        tail.rx.data_len += n as u16;
        // The first header may be the last: only one reference at a time.
        self.header_mut().rx.packet_len += n as u32;
        Ok(grown)
    }

    /// Shrinks by `n` bytes at the front of the first segment.
    ///
    /// # Errors
    /// [`NoRoom`] if the first segment has fewer.
    #[inline]
    pub fn adjust(&mut self, n: usize) -> Result<(), NoRoom> {
        let header = self.header_mut();
        let room = usize::from(header.rx.data_len);
        if n > room {
            return Err(NoRoom { asked: n, room, place: Place::FirstSegment });
        }
        header.rearm.data_off += n as u16;
        header.rx.data_len -= n as u16;
        header.rx.packet_len -= n as u32;
        Ok(())
    }

    /// Shrinks by `n` bytes at the end. Segments that become empty, but the first, are returned.
    ///
    /// # Errors
    /// [`NoRoom`] if the packet has fewer.
    #[inline]
    pub fn trim(&mut self, n: usize) -> Result<(), NoRoom> {
        let room = self.len();
        if n > room {
            return Err(NoRoom { asked: n, room, place: Place::Packet });
        }
        if self.segment_count() > 1 {
            self.trim_chain(n);
        } else {
            let header = self.header_mut();
            header.rx.data_len -= n as u16;
            header.rx.packet_len -= n as u32;
        }
        Ok(())
    }

    /// The last header of the packet.
    #[inline]
    pub(crate) fn last(&self) -> NonNull<Header> {
        if self.header().rearm.segs == 1 {
            self.header
        } else {
            self.nth_header(self.segment_count() - 1)
        }
    }

    /// Makes the first segment writable.
    #[inline(always)]
    fn own_first(&mut self) {
        own(self.header_mut());
    }
}

/// Where a segment's data starts.
#[inline(always)]
pub(crate) fn data_at(header: &Header) -> *mut u8 {
    header.buf.wrapping_add(usize::from(header.rearm.data_off))
}

/// Bytes free behind a segment's data.
#[inline]
pub(crate) fn tailroom(header: &Header) -> usize {
    let end = usize::from(header.rearm.data_off) + usize::from(header.rx.data_len);
    usize::from(header.rearm.buf_len) - end
}

/// Makes a segment writable: an alias is copied into its own buffer and lets go of the shared one.
#[inline(always)]
pub(crate) fn own(header: &mut Header) {
    if header.rearm.kind == Kind::Alias as u8 {
        shared::copy_on_write(header);
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: owned by `self`, which ends here.
        unsafe { free::free_one(self.header) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.len())
            .field("segments", &self.segment_count())
            .field("headroom", &self.headroom())
            .field("port", &self.port())
            .field("flags", &self.flags())
            .finish_non_exhaustive()
    }
}

/// Lets go of memory that is not the buffer's own, so that it can go back to its pool. Gives the
/// shared packet that nobody else has any more, to be freed next.
///
/// # Safety
/// The segment belongs to a packet that is being freed or has just been copied.
pub(crate) unsafe fn detach(header: &mut Header) -> Option<NonNull<Header>> {
    // SAFETY: the kind says what is attached.
    unsafe {
        match header.rearm.kind {
            k if k == Kind::Alias as u8 => shared::detach(header),
            k if k == Kind::External as u8 => {
                external::detach(header);
                None
            }
            _ => None,
        }
    }
}

//! A packet that several have.

use crate::chain::{Segments, segments};
use crate::free;
use crate::header::{Header, Kind};
use crate::mbuf::{Mbuf, data_at};
use crate::pool::MbufPool;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

/// A packet that several have, counted and read-only: for multicast, capture, retransmission. The
/// last one to go returns it to its pool.
///
/// ```
/// let pool = linecard_mbuf::MbufPool::builder("shared").size(8).build()?;
/// let mut packet = pool.alloc().expect("eight are free");
/// packet.append(4)?.copy_from_slice(b"data");
/// let shared = packet.share();
/// let mut other = shared.alias(&pool).expect("seven are free");
/// other.prepend(1)?[0] = b'#';                // copied first: others have the packet too
/// assert_eq!((other.data(), shared.data()), (&b"#data"[..], &b"data"[..]));
/// assert!(shared.try_unshare().is_ok());      // nobody else has it any more
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nobody writes to it:
///
/// ```compile_fail,E0599
/// # let pool = linecard_mbuf::MbufPool::builder("shared").size(8).build().unwrap();
/// let mut shared = pool.alloc().unwrap().share();
/// shared.data_mut();
/// ```
pub struct SharedMbuf {
    header: NonNull<Header>,
}

// SAFETY: everybody only reads, and the count is atomic.
unsafe impl Send for SharedMbuf {}
// SAFETY: as above.
unsafe impl Sync for SharedMbuf {}

impl Mbuf {
    /// Gives up the right to change the packet, to share it.
    pub fn share(self) -> SharedMbuf {
        let mut header = self.into_header();
        // SAFETY: owned until here, and from here on by the first sharer.
        *unsafe { header.as_mut() }.refs.get_mut() = 1;
        SharedMbuf { header }
    }
}

impl SharedMbuf {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: counted, and nobody writes.
        unsafe { self.header.as_ref() }
    }

    /// Bytes of the packet, in all its segments.
    pub fn len(&self) -> usize {
        self.header().rx.packet_len as usize
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first segment's bytes.
    pub fn data(&self) -> &[u8] {
        self.segments().next().unwrap_or(&[])
    }

    /// Its segments, in order.
    pub fn segments(&self) -> Segments<'_> {
        // SAFETY: borrowed from `self`.
        unsafe { segments(self.header) }
    }

    /// How many share it now.
    pub fn sharers(&self) -> usize {
        // Relaxed: a figure to look at.
        self.header().refs.load(Ordering::Relaxed) as usize
    }

    /// The packet itself, if nobody else has it any more.
    ///
    /// # Errors
    /// The shared packet again, if somebody has.
    pub fn try_unshare(self) -> Result<Mbuf, SharedMbuf> {
        // Acquire pairs with the Release in `drop`: what the others read is read before we write.
        if self.header().refs.load(Ordering::Acquire) == 1 {
            // SAFETY: we are the only one, and let go without counting down.
            Ok(unsafe { Mbuf::from_header(ManuallyDrop::new(self).header) })
        } else {
            Err(self)
        }
    }

    /// An [`Mbuf`] that shows the same bytes, to be queued for transmit or to get headers of its own:
    /// one buffer of `pool` a segment, no bytes copied. A segment that is written to, or grown, is
    /// copied into its own buffer first. What receive said of the packet and its user's metadata come
    /// along; what transmit was asked does not.
    ///
    /// `None` if the pool has too few buffers, or if its buffers could not hold a segment.
    pub fn alias(&self, pool: &MbufPool) -> Option<Mbuf> {
        let mut all: Option<Mbuf> = None;
        let mut at = Some(self.header);
        for left in (0..self.header().rearm.segs).rev() {
            // SAFETY: the header belongs to this packet; `next` is valid while segments are left.
            let source = unsafe { at?.as_ref() };
            let alias = self.alias_one(source, pool)?;
            match &mut all {
                Some(first) => first.chain(alias).ok()?,
                None => all = Some(alias),
            }
            at = if left > 0 { NonNull::new(source.next) } else { None };
        }
        all
    }

    /// An alias of one segment.
    fn alias_one(&self, source: &Header, pool: &MbufPool) -> Option<Mbuf> {
        let mut alias = pool.alloc()?;
        let header = alias.header_mut();
        let own = usize::from(header.rearm.buf_len);
        let needed = usize::from(source.rearm.data_off) + usize::from(source.rx.data_len);
        if needed > own {
            return None;
        }
        let buf_len = header.rearm.buf_len;
        let saved = Saved { iova: header.iova, buf_len, shared: self.keeper(source) };
        // SAFETY: the buffer behind a direct header is idle from now on and large enough.
        unsafe { Header::own_buffer(header).cast::<Saved>().write_unaligned(saved) };
        header.buf = source.buf;
        header.iova = source.iova;
        header.rearm.data_off = source.rearm.data_off;
        header.rearm.kind = Kind::Alias as u8;
        // No room to grow into: what lies around the bytes is not this packet's.
        header.rearm.buf_len = needed as u16;
        header.rearm.port = source.rearm.port;
        header.flags = source.flags & !crate::Flags::TX.bits();
        header.rx = source.rx;
        header.rx.packet_len = u32::from(source.rx.data_len);
        header.timestamp = source.timestamp;
        header.user = source.user;
        Some(alias)
    }

    /// Who keeps the bytes of one of our segments: we do; or, if it is itself an alias, the packet
    /// that it is an alias of, so that aliases of aliases are not freed one inside the other.
    fn keeper(&self, segment: &Header) -> SharedMbuf {
        if segment.rearm.kind != Kind::Alias as u8 {
            return self.clone();
        }
        // SAFETY: `alias_one` left it there, and it stays while the segment is shared; read as it
        // lies there, it is not ours to drop.
        let saved = unsafe { Header::own_buffer(segment).cast::<Saved>().read_unaligned() };
        ManuallyDrop::new(saved).shared.clone()
    }
}

/// What an alias keeps in its own idle buffer.
#[repr(C)]
struct Saved {
    iova: u64,
    buf_len: u16,
    shared: SharedMbuf,
}

/// Lets go of the shared packet and shows the own buffer again. Gives the shared packet if nobody
/// else has it any more: to be freed next, not within, or packets that alias one another in a long
/// row would be freed one inside the other.
///
/// # Safety
/// The segment is an alias.
pub(crate) unsafe fn detach(header: &mut Header) -> Option<NonNull<Header>> {
    // SAFETY: `alias_one` left it there.
    let saved = unsafe { Header::own_buffer(header).cast::<Saved>().read_unaligned() };
    restore(header, saved.iova, saved.buf_len);
    saved.shared.let_go()
}

/// Shows the own buffer again.
pub(crate) fn restore(header: &mut Header, iova: u64, buf_len: u16) {
    header.buf = Header::own_buffer(header);
    header.iova = iova;
    header.rearm.kind = Kind::Direct as u8;
    header.rearm.buf_len = buf_len;
}

/// Copies an alias's bytes into its own buffer.
#[cold]
#[inline(never)]
pub(crate) fn copy_on_write(header: &mut Header) {
    let (from, len) = (data_at(header).cast_const(), usize::from(header.rx.data_len));
    // SAFETY: `alias_one` left `Saved` there, and checked that the own buffer has room for the data
    // at this offset; the shared packet is kept until its bytes have been copied.
    unsafe {
        let saved = Header::own_buffer(header).cast::<Saved>().read_unaligned();
        restore(header, saved.iova, saved.buf_len);
        data_at(header).copy_from_nonoverlapping(from, len);
        drop(saved);
    }
}

impl Clone for SharedMbuf {
    fn clone(&self) -> Self {
        // Relaxed: the count grows from a live sharer only.
        let before = self.header().refs.fetch_add(1, Ordering::Relaxed);
        // As `Arc` does: a count that wraps would free what is in use.
        if before > u32::MAX / 2 {
            std::process::abort();
        }
        SharedMbuf { header: self.header }
    }
}

impl SharedMbuf {
    /// Counts down; whether we were the last.
    fn count_down(&self) -> bool {
        // Release pairs with the Acquire fence of who counts down last.
        let last = self.header().refs.fetch_sub(1, Ordering::Release) == 1;
        if last {
            // Acquire pairs with the Release above: all reading is over.
            fence(Ordering::Acquire);
        }
        last
    }

    /// Gives up a share; the packet, if it was the last.
    fn let_go(self) -> Option<NonNull<Header>> {
        let this = ManuallyDrop::new(self);
        this.count_down().then_some(this.header)
    }
}

impl Drop for SharedMbuf {
    fn drop(&mut self) {
        if self.count_down() {
            // SAFETY: nobody else has it.
            unsafe { free::free_one(self.header) }
        }
    }
}

impl fmt::Debug for SharedMbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMbuf")
            .field("len", &self.len())
            .field("sharers", &self.sharers())
            .finish_non_exhaustive()
    }
}

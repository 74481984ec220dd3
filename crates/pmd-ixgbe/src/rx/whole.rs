//! Frames of one descriptor each, which nearly all are: the loops over them.

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Meaning, ReceivePath};
use crate::queue::{Cells, Descriptors, Run};
use linecard_eal::barrier;
use linecard_ixgbe_regs::descriptor::receive;
use linecard_mbuf::driver::received_words;
use linecard_mbuf::header::Rearm;
use linecard_mbuf::{Flags, Mbuf, MbufPool};
use linecard_mempool::Object;

/// What a descriptor says that is done and a frame by itself.
pub(super) const WHOLE: u64 = receive::DD.mask() | receive::EOP.mask();

/// What takes whole frames: all that the loops need of a queue, which keeps the ring beside it.
pub(crate) struct Frames {
    ring: Cells,
    /// By slot: the buffer that is posted there, between the queue's `next` and `posted`. What the device
    /// wrote never becomes an address.
    pub(super) shadow: Box<[Object]>,
    pub(super) rearm: Rearm,
    pub(super) meaning: Meaning,
    /// Bytes that the device may write into a buffer (SRRCTL.BSIZEPACKET).
    pub(super) room: u16,
    pub(super) path: ReceivePath,
    loop_: Loop,
}

// SAFETY: a queue has it, and the ring that it is of, alone; ring and buffers are no thread's own, and both go with
// the queue (its `Drop` stops the device before).
unsafe impl Send for Frames {}

/// A loop over frames that stand together in the ring, from a position on: its contract is that of
/// [`Frames::take`].
type Loop = unsafe fn(&Frames, u32, *mut Mbuf, usize) -> Taken;

/// The loop of a path, that tells what descriptors say, or lengths only.
fn loop_of(path: ReceivePath, meaning: &Meaning) -> Loop {
    match (path, meaning.is_wanted()) {
        #[cfg(target_arch = "x86_64")]
        (ReceivePath::Sse4, true) => x86::sse4::<true>,
        #[cfg(target_arch = "x86_64")]
        (ReceivePath::Sse4, false) => x86::sse4::<false>,
        #[cfg(target_arch = "x86_64")]
        (ReceivePath::Avx2, true) => x86::avx2::<true>,
        #[cfg(target_arch = "x86_64")]
        (ReceivePath::Avx2, false) => x86::avx2::<false>,
        (_, true) => Frames::scalar::<true>,
        (_, false) => Frames::scalar::<false>,
    }
}

/// Packets that were taken, and their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) packets: usize,
    pub(super) bytes: u64,
}

impl Taken {
    pub(super) const NOTHING: Self = Self { packets: 0, bytes: 0 };

    #[inline(always)]
    fn and(self, more: Self) -> Self {
        Taken { packets: self.packets + more.packets, bytes: self.bytes + more.bytes }
    }
}

/// A part of the ring that does not wrap: descriptors, what is posted there, and where packets go.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) cells: Run,
    pub(super) posted: *const Object,
    pub(super) into: *mut Mbuf,
}

impl Frames {
    /// Of a ring whose buffers come from `pool`, with `room` bytes for the device in each.
    pub(crate) fn new(
        ring: &Descriptors,
        pool: &MbufPool,
        port: u16,
        room: u16,
        meaning: Meaning,
        path: ReceivePath,
    ) -> Self {
        let (ring, rearm) = (ring.cells(), pool.rearm(port));
        let shadow = vec![pool.raw().filler(); ring.len() as usize].into_boxed_slice();
        let loop_ = loop_of(path, &meaning);
        Frames { ring, shadow, rearm, meaning, room, path, loop_ }
    }

    /// Takes up to `limit` whole frames from position `next` on, in their order, until a descriptor is not
    /// done, is a piece of a frame, or has a length that cannot be.
    ///
    /// # Safety
    /// `into` can be written `limit` times; that many buffers are posted from `next` on, and are the
    /// caller's no more once they are taken. The ring is there, and the processor runs the path.
    #[inline(always)]
    pub(super) unsafe fn take(&self, next: u32, into: *mut Mbuf, limit: usize) -> Taken {
        // Mostly all of it stands together.
        let first = limit.min(self.ring.until_end(next));
        // SAFETY: the caller's promise, of that many.
        let taken = unsafe { (self.loop_)(self, next, into, first) };
        if taken.packets < first || first == limit {
            return taken;
        }
        let next = next.wrapping_add(first as u32);
        // SAFETY: the caller's promise, of the others; no ring has more than fit into itself.
        taken.and(unsafe { (self.loop_)(self, next, into.add(first), limit - first) })
    }

    /// What stands together from a position on.
    #[inline(always)]
    pub(super) fn stretch(&self, next: u32, into: *mut Mbuf) -> Stretch {
        // SAFETY: the shadow is as long as the ring, and a slot is below that.
        let posted = unsafe { self.shadow.as_ptr().add(self.ring.slot(next)) };
        Stretch { cells: self.ring.run(next), posted, into }
    }

    /// A loop that any processor runs.
    ///
    /// # Safety
    /// As for [`take`](Self::take), of frames that stand together.
    unsafe fn scalar<const TOLD: bool>(&self, next: u32, into: *mut Mbuf, limit: usize) -> Taken {
        // SAFETY: the caller's promise.
        unsafe { self.ones::<TOLD>(self.stretch(next, into), limit) }
    }

    /// What a loop of fours has left: nothing, mostly.
    ///
    /// # Safety
    /// As for [`take`](Self::take), of what begins at `stretch`.
    #[inline(always)]
    #[cfg(target_arch = "x86_64")]
    pub(super) unsafe fn rest<const TOLD: bool>(
        &self,
        fours: Taken,
        stretch: Stretch,
        limit: usize,
    ) -> Taken {
        if fours.packets == limit {
            return fours;
        }
        // SAFETY: the caller's promise; that many have been taken.
        unsafe { self.after::<TOLD>(fours, stretch.skip(fours.packets), limit - fours.packets) }
    }

    /// As [`ones`](Self::ones), added to what was taken before.
    ///
    /// # Safety
    /// As for `ones`.
    #[inline(never)]
    #[cfg(target_arch = "x86_64")]
    unsafe fn after<const TOLD: bool>(
        &self,
        before: Taken,
        stretch: Stretch,
        limit: usize,
    ) -> Taken {
        // SAFETY: the caller's promise.
        before.and(unsafe { self.ones::<TOLD>(stretch, limit) })
    }

    /// One by one: what any processor can, and what the others are tested against.
    ///
    /// # Safety
    /// As for [`take`](Self::take), of what begins at `stretch`.
    #[inline(always)]
    unsafe fn ones<const TOLD: bool>(&self, stretch: Stretch, limit: usize) -> Taken {
        let (tables, rearm, room) = (self.meaning.tables(), self.rearm, self.room);
        let Taken { mut packets, mut bytes } = Taken::NOTHING;
        while packets < limit {
            // SAFETY: below the limit.
            let status = unsafe { stretch.cells.status(packets) };
            let len = receive::PKT_LEN.of(status) as u16;
            // A length of 0 wraps and is too large as well.
            if status & WHOLE != WHOLE || len.wrapping_sub(1) >= room {
                break;
            }
            // Pairs with the device's order: the first quadword and the data, then DD.
            barrier::dma_observe();
            // SAFETY: below the limit.
            let first = if TOLD { unsafe { stretch.cells.first(packets) } } else { 0 };
            let (packet_type, flags) =
                if TOLD { tables.of(first, status) } else { (0, Flags::empty()) };
            // Data length and tag stand in the descriptor as they do in the packet's header.
            let lengths = u64::from(packet_type) | u64::from(len) << 32;
            let words = [lengths, status >> 32 | first & receive::HASH.mask()];
            // SAFETY: the buffer is posted, and is given up; `len` is at most what the device may write
            // there, which is at most the pool's data room; a pool's memory is initialised.
            unsafe {
                let object = *stretch.posted.add(packets);
                stretch.into.add(packets).write(received_words(object, rearm, flags, words));
            }
            bytes += u64::from(len);
            packets += 1;
        }
        Taken { packets, bytes }
    }
}

impl Stretch {
    /// What is behind the first `n`.
    ///
    /// # Safety
    /// There are as many.
    #[inline(always)]
    pub(super) unsafe fn skip(self, n: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Stretch {
                cells: self.cells.skip(n),
                posted: self.posted.add(n),
                into: self.into.add(n),
            }
        }
    }
}

#[cfg(test)]
mod tests;

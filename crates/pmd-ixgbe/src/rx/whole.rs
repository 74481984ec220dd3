//! Frames of one descriptor each, which nearly all are: the loops over them.

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Meaning, ReceivePath};
use crate::queue::{Cells, Run};
use linecard_eal::barrier;
use linecard_ixgbe_regs::descriptor::receive;
use linecard_mbuf::driver::received_words;
use linecard_mbuf::header::Rearm;
use linecard_mbuf::{Flags, Mbuf};
use linecard_mempool::Object;

/// What a descriptor says that is done and a frame by itself.
pub(super) const WHOLE: u64 = receive::DD.mask() | receive::EOP.mask();

/// What loops need of a queue, copied out of it so that they need not look for it again.
pub(super) struct Frames<'a> {
    pub(super) ring: Cells,
    /// By slot, the buffers that are posted.
    pub(super) shadow: &'a [Object],
    pub(super) rearm: Rearm,
    pub(super) meaning: &'a Meaning,
    /// Bytes that the device may write into a buffer.
    pub(super) room: u16,
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

impl Frames<'_> {
    /// Takes up to `limit` whole frames from position `next` on, in their order, until a descriptor is not
    /// done, is a piece of a frame, or has a length that cannot be. What descriptors say of frames
    /// is `TOLD`, if anybody asked for it.
    ///
    /// # Safety
    /// `into` can be written `limit` times; that many buffers are posted from `next` on, with `room`
    /// bytes for the device behind the pool's headroom, from the pool that `rearm` is of, and are the
    /// caller's no more once they are taken. The processor runs `path`.
    #[inline(always)]
    pub(super) unsafe fn take<const TOLD: bool>(
        &self,
        path: ReceivePath,
        next: u32,
        into: *mut Mbuf,
        limit: usize,
    ) -> Taken {
        let mut taken = Taken::NOTHING;
        while taken.packets < limit {
            let position = next.wrapping_add(taken.packets as u32);
            let length = (limit - taken.packets).min(self.ring.until_end(position));
            // SAFETY: `length` descriptors stand together from there on, the shadow is as long as the ring,
            // and as many packets fit; the rest is the caller's promise.
            let some = unsafe {
                let posted = self.shadow.as_ptr().add(self.ring.slot(position));
                let into = into.add(taken.packets);
                let stretch = Stretch { cells: self.ring.run(position), posted, into };
                self.stretch::<TOLD>(path, stretch, length)
            };
            taken = taken.and(some);
            if some.packets < length {
                break;
            }
        }
        taken
    }

    /// In fours, if the path has any, and then one by one.
    ///
    /// # Safety
    /// As for [`take`](Self::take), of what begins at `stretch`.
    #[inline(always)]
    unsafe fn stretch<const TOLD: bool>(
        &self,
        path: ReceivePath,
        stretch: Stretch,
        limit: usize,
    ) -> Taken {
        // SAFETY: the caller's promise.
        let fours = unsafe {
            match path {
                #[cfg(target_arch = "x86_64")]
                ReceivePath::Sse4 => x86::sse4::<TOLD>(self, stretch, limit),
                #[cfg(target_arch = "x86_64")]
                ReceivePath::Avx2 => x86::avx2::<TOLD>(self, stretch, limit),
                _ => Taken::NOTHING,
            }
        };
        if fours.packets == limit {
            return fours;
        }
        // SAFETY: as above; that many have been taken.
        let ones = unsafe {
            let stretch = stretch.skip(fours.packets);
            self.ones::<TOLD>(stretch, limit - fours.packets)
        };
        fours.and(ones)
    }

    /// One by one: what any processor can, and what the others are tested against.
    ///
    /// # Safety
    /// As for [`take`](Self::take), of what begins at `stretch`.
    #[inline(always)]
    pub(super) unsafe fn ones<const TOLD: bool>(&self, stretch: Stretch, limit: usize) -> Taken {
        let Taken { mut packets, mut bytes } = Taken::NOTHING;
        while packets < limit {
            // SAFETY: below the limit.
            let status = unsafe { stretch.cells.status(packets) };
            let len = receive::PKT_LEN.of(status) as u16;
            // A length of 0 wraps and is too large as well.
            if status & WHOLE != WHOLE || len.wrapping_sub(1) >= self.room {
                break;
            }
            // Pairs with the device's order: the first quadword and the data, then DD.
            barrier::dma_observe();
            // SAFETY: below the limit.
            let first = if TOLD { unsafe { stretch.cells.first(packets) } } else { 0 };
            let (packet_type, flags) =
                if TOLD { self.meaning.of(first, status) } else { (0, Flags::empty()) };
            // Data length and tag stand in the descriptor as they do in the packet's header.
            let lengths = u64::from(packet_type) | u64::from(len) << 32;
            let words = [lengths, status >> 32 | first & receive::HASH.mask()];
            // SAFETY: the buffer is posted, and is given up; `len` is at most what the device may write
            // there, which is at most the pool's data room; a pool's memory is initialised.
            unsafe {
                let object = *stretch.posted.add(packets);
                stretch.into.add(packets).write(received_words(object, self.rearm, flags, words));
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

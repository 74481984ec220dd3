//! Elements in place: reserve slots and write them where they lie, look at elements before taking
//! them, or give the claim back.
//!
//! Only on an [`Exclusive`] side ([`Single`](crate::Single), [`Hts`](crate::Hts)): where claims of
//! several threads overlap, one of them cannot be taken back.

use crate::handle::{Consumer, Producer};
use crate::side::{Claim, Exclusive, How, Side};
use core::fmt;
#[cfg(not(loom))]
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::slice;

/// Slots reserved for writing. Dropped without [`commit`](Self::commit), nothing is added.
///
/// The slots lie in up to two runs, the second after the wrap.
pub struct WriteChunk<'a, T: Send, P: Exclusive, C: Side> {
    end: &'a mut Producer<T, P, C>,
    claim: Claim,
    open: bool,
}

/// Elements being looked at. Dropped without [`commit`](Self::commit), they stay in the ring.
///
/// The elements lie in up to two runs, the second after the wrap.
pub struct ReadChunk<'a, T: Send, P: Side, C: Exclusive> {
    end: &'a mut Consumer<T, P, C>,
    claim: Claim,
    open: bool,
}

impl<T: Send, P: Exclusive, C: Side> Producer<T, P, C> {
    /// Reserves `n` slots, if there is room for all.
    #[inline]
    pub fn reserve_bulk(&mut self, n: usize) -> Option<WriteChunk<'_, T, P, C>> {
        let claim = self.view.claim_free(&mut self.local, n, How::Bulk);
        (claim.n as usize == n).then(|| WriteChunk { claim, open: claim.n > 0, end: self })
    }

    /// Reserves up to `n` slots, as many as there is room for.
    #[inline]
    pub fn reserve_burst(&mut self, n: usize) -> WriteChunk<'_, T, P, C> {
        let claim = self.view.claim_free(&mut self.local, n, How::Burst);
        WriteChunk { claim, open: claim.n > 0, end: self }
    }
}

impl<T: Send, P: Side, C: Exclusive> Consumer<T, P, C> {
    /// Looks at exactly `n` elements, if there are as many.
    #[inline]
    pub fn peek_bulk(&mut self, n: usize) -> Option<ReadChunk<'_, T, P, C>> {
        let claim = self.view.claim_used(&mut self.local, n, How::Bulk);
        (claim.n as usize == n).then(|| ReadChunk { claim, open: claim.n > 0, end: self })
    }

    /// Looks at up to `n` elements, as many as there are.
    #[inline]
    pub fn peek_burst(&mut self, n: usize) -> ReadChunk<'_, T, P, C> {
        let claim = self.view.claim_used(&mut self.local, n, How::Burst);
        ReadChunk { claim, open: claim.n > 0, end: self }
    }
}

impl<T: Send, P: Exclusive, C: Side> WriteChunk<'_, T, P, C> {
    /// Slots reserved.
    pub fn len(&self) -> usize {
        self.claim.n as usize
    }

    /// Whether there was no room.
    pub fn is_empty(&self) -> bool {
        self.claim.n == 0
    }

    /// The reserved slots, in order.
    #[cfg(not(loom))]
    #[inline]
    pub fn slots(&mut self) -> [&mut [MaybeUninit<T>]; 2] {
        // SAFETY: the claim makes these slots ours alone until it ends, and the borrow of `self`
        // keeps it open; the runs do not overlap.
        self.end
            .view
            .slots()
            .runs(self.claim.pos, self.claim.n)
            .map(|(base, n)| unsafe { slice::from_raw_parts_mut(base, n) })
    }

    /// Writes the slot at `index`, as through `slots`, which loom could not watch.
    #[cfg(loom)]
    pub fn write(&mut self, index: usize, item: T) {
        assert!(index < self.len());
        // SAFETY: one of the claimed slots; what it held before counts as moved out.
        unsafe { self.end.view.slots().write_one(self.claim.pos.wrapping_add(index as u32), item) };
    }

    /// Adds the first `n` slots to the ring and gives the rest back.
    ///
    /// # Panics
    /// If `n` is more than [`len`](Self::len).
    ///
    /// # Safety
    /// The first `n` slots have been written.
    #[inline]
    pub unsafe fn commit(mut self, n: usize) {
        assert!(n <= self.len(), "committed {n} of {} reserved slots", self.len());
        self.close(n as u32);
    }

    /// Moves elements from `items` into the slots, adds them to the ring and says how many.
    #[inline]
    pub fn fill(mut self, items: impl IntoIterator<Item = T>) -> usize {
        let mut guard = Written { chunk: &mut self, n: 0 };
        for item in items.into_iter().take(guard.chunk.len()) {
            guard.write(item);
        }
        let n = guard.n;
        core::mem::forget(guard);
        self.close(n);
        n as usize
    }

    fn close(&mut self, n: u32) {
        if core::mem::take(&mut self.open) {
            self.end.view.publish_produced(&mut self.end.local, self.claim, n);
        }
    }
}

/// Elements written into a chunk and not yet committed: dropped if the iterator panics.
struct Written<'c, 'a, T: Send, P: Exclusive, C: Side> {
    chunk: &'c mut WriteChunk<'a, T, P, C>,
    n: u32,
}

impl<T: Send, P: Exclusive, C: Side> Written<'_, '_, T, P, C> {
    #[inline]
    fn write(&mut self, item: T) {
        let pos = self.chunk.claim.pos.wrapping_add(self.n);
        // SAFETY: `fill` writes at most `len` elements, so the slot is one of the claimed ones.
        unsafe { self.chunk.end.view.slots().write_one(pos, item) };
        self.n += 1;
    }
}

impl<T: Send, P: Exclusive, C: Side> Drop for Written<'_, '_, T, P, C> {
    fn drop(&mut self) {
        for i in 0..self.n {
            let pos = self.chunk.claim.pos.wrapping_add(i);
            // SAFETY: `write` initialised this slot, and nobody else may touch it yet.
            drop(unsafe { self.chunk.end.view.slots().read_one(pos) });
        }
    }
}

impl<T: Send, P: Exclusive, C: Side> Drop for WriteChunk<'_, T, P, C> {
    fn drop(&mut self) {
        self.close(0);
    }
}

impl<T: Send, P: Side, C: Exclusive> ReadChunk<'_, T, P, C> {
    /// Elements to look at.
    pub fn len(&self) -> usize {
        self.claim.n as usize
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.claim.n == 0
    }

    /// The elements, in order.
    #[cfg(not(loom))]
    #[inline]
    pub fn items(&self) -> [&[T]; 2] {
        // SAFETY: the claim makes these slots ours alone, they are initialised (A1), and nothing
        // moves them while `self` is borrowed.
        self.end
            .view
            .slots()
            .runs(self.claim.pos, self.claim.n)
            .map(|(base, n)| unsafe { slice::from_raw_parts(base.cast::<T>().cast_const(), n) })
    }

    /// A copy of the element at `index`, as through `items`, which loom could not watch.
    #[cfg(loom)]
    pub fn item(&self, index: usize) -> T
    where
        T: Copy,
    {
        assert!(index < self.len());
        // SAFETY: a claimed, initialised slot; a copy leaves it as it is.
        unsafe { self.end.view.slots().read_one(self.claim.pos.wrapping_add(index as u32)) }
    }

    /// Takes the first `n` elements out of the ring into `sink` and leaves the rest. Takes fewer if
    /// there are fewer or `sink` has less room; says how many.
    #[inline]
    pub fn take(mut self, sink: &mut impl crate::Sink<T>, n: usize) -> usize {
        let (base, room) = sink.room();
        let n = n.min(room).min(self.len());
        // SAFETY: `n` claimed, initialised slots are moved into `n` elements of room; `close` gives
        // the slots away before anything can read them again.
        unsafe {
            self.end.view.slots().read(self.claim.pos, base, n as u32);
            sink.gave(n);
        }
        self.close(n as u32);
        n
    }

    /// Drops the first `n` elements and leaves the rest in the ring.
    ///
    /// # Panics
    /// If `n` is more than [`len`](Self::len).
    pub fn commit(mut self, n: usize) {
        assert!(n <= self.len(), "committed {n} of {} elements", self.len());
        let mut left = Unread { chunk: &mut self, done: 0, n: n as u32 };
        while left.drop_one() {}
    }

    fn close(&mut self, n: u32) {
        if core::mem::take(&mut self.open) {
            self.end.view.publish_consumed(&mut self.end.local, self.claim, n);
        }
    }
}

/// Elements being dropped in place. If one's drop panics, those up to it are gone and the rest stay.
struct Unread<'c, 'a, T: Send, P: Side, C: Exclusive> {
    chunk: &'c mut ReadChunk<'a, T, P, C>,
    done: u32,
    n: u32,
}

impl<T: Send, P: Side, C: Exclusive> Unread<'_, '_, T, P, C> {
    fn drop_one(&mut self) -> bool {
        if self.done == self.n {
            return false;
        }
        let pos = self.chunk.claim.pos.wrapping_add(self.done);
        self.done += 1;
        // SAFETY: a claimed, initialised slot, moved out once: `done` was raised before.
        drop(unsafe { self.chunk.end.view.slots().read_one(pos) });
        true
    }
}

impl<T: Send, P: Side, C: Exclusive> Drop for Unread<'_, '_, T, P, C> {
    fn drop(&mut self) {
        let done = self.done;
        self.chunk.close(done);
    }
}

impl<T: Send, P: Side, C: Exclusive> Drop for ReadChunk<'_, T, P, C> {
    fn drop(&mut self) {
        self.close(0);
    }
}

impl<T: Send, P: Exclusive, C: Side> fmt::Debug for WriteChunk<'_, T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteChunk({} slots)", self.claim.n)
    }
}

impl<T: Send, P: Side, C: Exclusive> fmt::Debug for ReadChunk<'_, T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadChunk({} elements)", self.claim.n)
    }
}

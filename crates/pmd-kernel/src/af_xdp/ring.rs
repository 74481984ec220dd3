//! The four rings of a socket: two that we fill and the kernel empties, two the other way round.
//!
//! Indices run freely; a producer's and a consumer's differ by what lies between them. Ours are kept
//! here, so that what the kernel may write is looked at as a value and cut at the ring's size.

use crate::sys::{Parts, SharedArea};
use core::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct xdp_desc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub(super) struct Desc {
    /// A buffer's place in the memory of the pool, and from bit 48 on where in it the frame begins.
    pub(super) addr: u64,
    pub(super) len: u32,
    pub(super) options: u32,
}

struct Ring<T> {
    area: SharedArea,
    parts: Parts,
    size: u32,
    /// What we have produced or consumed up to.
    ours: u32,
    entry: PhantomData<T>,
}

impl<T> Ring<T> {
    fn new(area: SharedArea, parts: Parts, size: u32, ours: usize) -> Self {
        let ours = area.read_status(ours);
        Ring { area, parts, size, ours, entry: PhantomData }
    }

    /// Where the entry of an index lies.
    fn slot(&self, index: u32) -> usize {
        self.parts.entries + (index & (self.size - 1)) as usize * size_of::<T>()
    }
}

/// A ring that we fill.
pub(super) struct ToKernel<T> {
    ring: Ring<T>,
    /// What the kernel had consumed up to when we last looked.
    theirs: u32,
}

impl<T: IntoBytes + Immutable> ToKernel<T> {
    /// Over the ring of a socket, of `size` entries: a power of two.
    pub(super) fn new((area, parts): (SharedArea, Parts), size: u32) -> Self {
        let theirs = area.read_status(parts.consumer);
        ToKernel { ring: Ring::new(area, parts, size, parts.producer), theirs }
    }

    /// Entries that the kernel has not taken yet. It is asked only if there might be fewer than
    /// `size - enough`.
    fn taken(&mut self, enough: u32) -> u32 {
        let waiting = self.ring.ours.wrapping_sub(self.theirs);
        if self.ring.size - waiting.min(self.ring.size) >= enough {
            return waiting;
        }
        self.waiting()
    }

    /// Entries that the kernel has not taken yet.
    pub(super) fn waiting(&mut self) -> u32 {
        self.theirs = self.ring.area.read_status(self.ring.parts.consumer);
        self.ring.ours.wrapping_sub(self.theirs).min(self.ring.size)
    }

    /// Room for entries; the kernel is asked only if it looks like fewer than `enough`.
    pub(super) fn room(&mut self, enough: usize) -> usize {
        (self.ring.size - self.taken(enough as u32).min(self.ring.size)) as usize
    }

    /// Writes the entry `ahead` of the next one. There is room for it; the kernel does not see it
    /// before it is published.
    pub(super) fn write(&mut self, ahead: usize, entry: &T) {
        let at = self.ring.slot(self.ring.ours.wrapping_add(ahead as u32));
        self.ring.area.write(at, entry);
    }

    /// Shows the kernel the next `n` entries.
    pub(super) fn publish(&mut self, n: usize) {
        self.ring.ours = self.ring.ours.wrapping_add(n as u32);
        self.ring.area.write_status(self.ring.parts.producer, self.ring.ours);
    }
}

/// A ring that the kernel fills.
pub(super) struct FromKernel<T> {
    ring: Ring<T>,
}

impl<T: FromBytes> FromKernel<T> {
    /// Over the ring of a socket, of `size` entries: a power of two.
    pub(super) fn new((area, parts): (SharedArea, Parts), size: u32) -> Self {
        FromKernel { ring: Ring::new(area, parts, size, parts.consumer) }
    }

    /// Entries that wait.
    pub(super) fn waiting(&self) -> usize {
        let theirs = self.ring.area.read_status(self.ring.parts.producer);
        theirs.wrapping_sub(self.ring.ours).min(self.ring.size) as usize
    }

    /// The entry `ahead` of the next one, which waits.
    pub(super) fn read(&self, ahead: usize) -> Option<T> {
        self.ring.area.read(self.ring.slot(self.ring.ours.wrapping_add(ahead as u32)))
    }

    /// Gives the next `n` entries back to the kernel.
    pub(super) fn release(&mut self, n: usize) {
        self.ring.ours = self.ring.ours.wrapping_add(n as u32);
        self.ring.area.write_status(self.ring.parts.consumer, self.ring.ours);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts = Parts { producer: 0, consumer: 64, entries: 128 };

    fn area() -> (SharedArea, Parts) {
        (SharedArea::fake(128 + 4 * 16), PARTS)
    }

    #[test]
    fn a_ring_has_room_for_as_many_as_its_size_until_the_kernel_takes_some() {
        let mut ring = ToKernel::<u64>::new(area(), 4);
        assert_eq!(ring.room(4), 4);
        (0..4).for_each(|i| ring.write(i, &(i as u64)));
        ring.publish(4);
        assert_eq!((ring.room(1), ring.waiting()), (0, 4));
        ring.ring.area.write_status(PARTS.consumer, 3);
        assert_eq!((ring.room(1), ring.waiting()), (3, 1));
    }

    #[test]
    fn entries_lie_where_the_kernel_looks_for_them_across_the_wrap() {
        let mut ring = ToKernel::<u64>::new(area(), 4);
        (ring.ring.ours, ring.theirs) = (u32::MAX, u32::MAX);
        (0..2).for_each(|i| ring.write(i, &(7 + i as u64)));
        ring.publish(2);
        assert_eq!(ring.ring.area.read::<u64>(128 + 3 * 8), Some(7));
        assert_eq!(ring.ring.area.read::<u64>(128), Some(8));
        assert_eq!(ring.ring.area.read_status(PARTS.producer), 1);
    }

    #[test]
    fn what_the_kernel_gives_is_read_in_order_and_given_back() {
        let (mut memory, parts) = area();
        let first = Desc { addr: 5 << 48 | 4096, len: 60, options: 0 };
        assert!(memory.write(128, &first));
        memory.write_status(PARTS.producer, 2);
        let mut ring = FromKernel::<Desc>::new((memory, parts), 4);
        assert_eq!((ring.waiting(), ring.read(0)), (2, Some(first)));
        ring.release(2);
        assert_eq!((ring.waiting(), ring.ring.area.read_status(PARTS.consumer)), (0, 2));
    }

    #[test]
    fn an_index_that_makes_no_sense_is_cut_at_the_rings_size() {
        let (memory, parts) = area();
        memory.write_status(PARTS.producer, 1 << 30);
        assert_eq!(FromKernel::<Desc>::new((memory, parts), 4).waiting(), 4);
        let (memory, parts) = area();
        memory.write_status(PARTS.consumer, 1 << 30);
        let mut ring = ToKernel::<u64>::new((memory, parts), 4);
        assert!(ring.room(4) <= 4 && ring.waiting() <= 4);
    }
}

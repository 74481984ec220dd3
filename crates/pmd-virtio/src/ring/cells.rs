//! Cells of memory that the device shares.

use core::ptr::NonNull;
use linecard_eal::mem::Segment;
use std::sync::Arc;

/// Types that any bit pattern is valid for and that may change at any time: atomics, and structures
/// of them.
///
/// # Safety
/// The type has nothing else in it.
pub(crate) unsafe trait Cell: Sync {}

// SAFETY: atomics.
unsafe impl Cell for core::sync::atomic::AtomicU16 {}
// SAFETY: atomics.
unsafe impl Cell for core::sync::atomic::AtomicU32 {}
// SAFETY: atomics.
unsafe impl Cell for core::sync::atomic::AtomicU64 {}

/// A row of cells in a segment, which it keeps mapped.
pub(crate) struct Cells<T> {
    base: NonNull<T>,
    len: usize,
    _memory: Arc<Segment>,
}

// SAFETY: cells are atomics in memory that stays mapped as long as `_memory` lives.
unsafe impl<T: Cell> Send for Cells<T> {}
// SAFETY: as above.
unsafe impl<T: Cell> Sync for Cells<T> {}

impl<T: Cell> Cells<T> {
    /// `len` cells at `offset` of a segment.
    ///
    /// # Panics
    /// If they do not lie within the segment, or not at a multiple of their size: a mistake in the
    /// layout, which is ours.
    pub(crate) fn new(memory: &Arc<Segment>, offset: usize, len: usize) -> Self {
        let end = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        assert!(end.is_some_and(|end| end <= memory.len()), "cells within the segment");
        assert!(offset.is_multiple_of(align_of::<T>()), "aligned cells");
        // SAFETY: within the segment, as just checked; segments begin at a page.
        let base = unsafe { memory.base().add(offset).cast() };
        Cells { base, len, _memory: Arc::clone(memory) }
    }

    /// The cell at `index`.
    #[inline(always)]
    pub(crate) fn at(&self, index: u16) -> &T {
        let index = usize::from(index);
        assert!(index < self.len, "an index of ours");
        // SAFETY: within the row, which is mapped as long as `self` lives; any bits are a `T`, and
        // whoever else writes there meets an atomic.
        unsafe { self.base.add(index).as_ref() }
    }

    /// The cells from `index` on.
    #[inline(always)]
    pub(crate) fn from(&self, index: u16) -> &[T] {
        let index = usize::from(index);
        assert!(index <= self.len, "an index of ours");
        // SAFETY: as in `at`, all of them.
        unsafe { core::slice::from_raw_parts(self.base.add(index).as_ptr(), self.len - index) }
    }

    /// Makes all zero, while nobody else looks.
    pub(crate) fn clear(&self) {
        // SAFETY: within the segment; cells are valid as zeroes.
        unsafe { self.base.as_ptr().write_bytes(0, self.len) };
    }
}

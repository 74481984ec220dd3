//! Where tables lie: on the heap, or in memory of the caller's, such as huge pages.
//!
//! A large table is looked up at random, so that on pages of 4 KiB most look-ups miss the TLB as
//! well. This crate has no platform code: who has huge pages gives them as [`Memory`].

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Memory for one array of a table.
///
/// # Safety
/// From [`base`](Memory::base) on there are [`len`](Memory::len) bytes that are readable, writable
/// and zero when the table gets them. They belong to this value alone and stay where they are until
/// it is dropped. `base` is a multiple of 64.
pub unsafe trait Memory: Send + Sync {
    /// The first byte.
    fn base(&self) -> NonNull<u8>;
    /// How many bytes there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Memory of the global allocator.
#[derive(Debug)]
pub struct Heap {
    base: NonNull<u8>,
    layout: Layout,
}

/// Of what the allocator returns: a cache line, so that no bucket lies in two.
const ALIGN: usize = 64;

impl Heap {
    /// At least `bytes` zeros; `None` when the allocator has no more.
    pub fn zeroed(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGN).ok()?;
        // SAFETY: the layout's size is at least one byte.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { base, layout })
    }

    /// As [`Heap::zeroed`], in the form that builders take.
    pub fn boxed(bytes: usize) -> Option<Box<dyn Memory>> {
        Self::zeroed(bytes).map(|heap| Box::new(heap) as Box<dyn Memory>)
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: `base` was allocated with this layout, and is freed once.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

// SAFETY: allocated zeroed, with this size and alignment, and owned until the drop.
unsafe impl Memory for Heap {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.layout.size()
    }
}

// SAFETY: an owned allocation, which any thread may use and free.
unsafe impl Send for Heap {}
// SAFETY: `&Heap` gives away only its address and length.
unsafe impl Sync for Heap {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_memory_is_zero_and_on_a_cache_line() {
        let heap = Heap::zeroed(1000).unwrap();
        assert_eq!(heap.base().as_ptr() as usize % 64, 0);
        // SAFETY: `len` bytes from `base` on belong to `heap`.
        let bytes = unsafe { std::slice::from_raw_parts(heap.base().as_ptr(), heap.len()) };
        assert!(bytes.len() >= 1000 && bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn more_than_there_is_is_none() {
        assert!(Heap::zeroed(usize::MAX - 100).is_none());
    }
}

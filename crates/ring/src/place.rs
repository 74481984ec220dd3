//! Where a ring lies: on the heap, or in memory of the caller's choice.

#[cfg(not(any(loom, shuttle)))]
use crate::error::Error;
use crate::side::Side;
#[cfg(not(any(loom, shuttle)))]
use crate::view::Control;
use crate::view::{Heap, View};
#[cfg(not(any(loom, shuttle)))]
use alloc::boxed::Box;
use core::ptr::NonNull;

/// Memory that a ring may be placed in and that stays where it is.
///
/// # Safety
/// From `base`, `len` bytes are readable and writable until the value is dropped, moving the value
/// does not move them, and nothing but rings of one type (in this process or others that map the
/// same memory) touches them while the value lives; and no ring is created in them
/// while another ring, or a handle of one, over the same memory lives.
pub unsafe trait Memory: Send + Sync + 'static {
    /// The first byte.
    fn base(&self) -> NonNull<u8>;
    /// Bytes from there on.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Elements that mean the same in every process and need no drop: plain data.
///
/// # Safety
/// Every bit pattern is a valid value; no pointers, no references, no padding that matters.
pub unsafe trait Plain: Copy + Send + 'static {}

macro_rules! plain {
    ($($t:ty)*) => {$(
        // SAFETY: integers accept every bit pattern and hold no address.
        unsafe impl Plain for $t {}
    )*};
}
plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
// SAFETY: an array of plain data is plain data.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Memory known by address only.
#[derive(Debug)]
pub struct RawMemory {
    base: NonNull<u8>,
    len: usize,
}

impl RawMemory {
    /// Names `len` bytes from `base`.
    ///
    /// # Safety
    /// As [`Memory`] demands, for as long as the value, or any ring or handle made from it, lives.
    pub unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        RawMemory { base, len }
    }
}

// SAFETY: the memory is shared between threads by design; what may touch it is promised to `new`.
unsafe impl Send for RawMemory {}
// SAFETY: as above.
unsafe impl Sync for RawMemory {}
// SAFETY: promised to `new`.
unsafe impl Memory for RawMemory {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// What keeps a ring's memory alive, and what is left in it.
pub(crate) enum Keep<T, P: Side, C: Side> {
    /// On the heap: what is left is dropped with it.
    Heap {
        /// The ring, to find what is left.
        view: View<T, P, C>,
        /// Its memory.
        _heap: Heap<T>,
    },
    /// The caller's: plain data needs no drop.
    #[cfg(not(any(loom, shuttle)))]
    Foreign(#[expect(dead_code, reason = "held for its drop")] Box<dyn Memory>),
}

impl<T, P: Side, C: Side> Keep<T, P, C> {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn foreign(memory: impl Memory) -> Self {
        Keep::Foreign(Box::new(memory))
    }
}

impl<T, P: Side, C: Side> Drop for Keep<T, P, C> {
    fn drop(&mut self) {
        match self {
            // SAFETY: every ring and handle holds this `Keep`, so none is left.
            Keep::Heap { view, .. } => unsafe { view.drain() },
            #[cfg(not(any(loom, shuttle)))]
            Keep::Foreign(_) => {}
        }
    }
}

/// The slots begin on a line of their own.
#[cfg(not(any(loom, shuttle)))]
pub(crate) const fn offset_of_slots<T>() -> usize {
    const { assert!(align_of::<T>() <= 128, "an element aligned to more than 128 bytes") };
    size_of::<Control>()
}

/// The base of memory that is large enough and aligned.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn fit(memory: &impl Memory, needed: usize) -> Result<NonNull<u8>, Error> {
    if !(memory.base().as_ptr() as usize).is_multiple_of(align_of::<Control>()) {
        return Err(Error::MemoryUnaligned);
    }
    if memory.len() < needed {
        return Err(Error::MemoryTooSmall { needed, given: memory.len() });
    }
    Ok(memory.base())
}

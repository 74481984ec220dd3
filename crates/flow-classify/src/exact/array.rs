//! Fixed arrays that begin as zeros, in memory of the caller's.

use crate::memory::Memory;
use std::ops::Deref;
#[cfg(not(loom))]
use std::ptr::NonNull;

/// Gives memory of at least so many bytes.
pub(super) type Place<'a> = &'a mut dyn FnMut(usize) -> Option<Box<dyn Memory>>;

/// A type that zeros are a value of, and that needs no drop.
///
/// # Safety
/// Zero bytes are a valid value; alignment is at most 64.
pub(super) unsafe trait Zeros: Default {}

// SAFETY: an atomic integer is as plain as the integer.
unsafe impl Zeros for crate::sync::AtomicU32 {}
// SAFETY: as above.
unsafe impl Zeros for crate::sync::AtomicU64 {}

/// An array of `T`, shared by reference.
#[cfg(not(loom))]
pub(super) struct Array<T> {
    base: NonNull<T>,
    len: usize,
    _memory: Box<dyn Memory>,
}

#[cfg(not(loom))]
// SAFETY: an array that is owned, of values that may be sent.
unsafe impl<T: Send> Send for Array<T> {}
#[cfg(not(loom))]
// SAFETY: `&Array` gives `&T` only.
unsafe impl<T: Sync> Sync for Array<T> {}

#[cfg(not(loom))]
impl<T: Zeros> Array<T> {
    /// `len` zeros; otherwise the bytes that could not be had.
    pub(super) fn zeroed(len: usize, place: Place<'_>) -> Result<Self, usize> {
        let bytes = len.saturating_mul(size_of::<T>());
        let memory = place(bytes).filter(|memory| memory.len() >= bytes).ok_or(bytes)?;
        Ok(Self { base: memory.base().cast(), len, _memory: memory })
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }
}

#[cfg(not(loom))]
impl<T: Zeros> Deref for Array<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `Memory` promises bytes that were zero, a valid `T` (`Zeros`), aligned to 64; there
        // are enough of them (`zeroed`), and they stay and are shared as `T` only until `self` drops.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

/// Loom's atomics are no plain bytes.
#[cfg(loom)]
pub(super) struct Array<T> {
    items: Vec<T>,
}

#[cfg(loom)]
impl<T: Zeros> Array<T> {
    pub(super) fn zeroed(len: usize, _place: Place<'_>) -> Result<Self, usize> {
        Ok(Self { items: (0..len).map(|_| T::default()).collect() })
    }

    pub(super) fn bytes(&self) -> usize {
        self.items.len() * size_of::<T>()
    }
}

#[cfg(loom)]
impl<T: Zeros> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T: Zeros> std::fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} items]", self.len())
    }
}

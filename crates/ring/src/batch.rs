//! Where bulk and burst calls take elements from and put them: contiguous memory that gives up or
//! gains ownership of elements by count.

use alloc::vec::Vec;

/// A run of owned elements that a ring can move out of, first ones first.
///
/// # Safety
/// `items` is the same run until [`took`](Self::took), and after `took(n)` the first `n` elements
/// are no longer owned by the source: it neither drops nor hands them out again. Neither panics:
/// slots are claimed while they run.
pub unsafe trait Source<T> {
    /// What there is to take.
    fn items(&self) -> &[T];
    /// Gives up the first `n` elements, which have been moved out.
    ///
    /// # Safety
    /// `n <= self.items().len()`, and the caller has moved the first `n` elements elsewhere.
    unsafe fn took(&mut self, n: usize);
}

/// Room that a ring can move elements into.
///
/// # Safety
/// `room` is writable memory for as many elements as it says, and the same memory until
/// [`gave`](Self::gave); after `gave(n)` its first `n` elements are owned by the sink. Neither panics:
/// slots are claimed while they run.
pub unsafe trait Sink<T> {
    /// Where elements may be put, and how many.
    fn room(&mut self) -> (*mut T, usize);
    /// Takes ownership of the first `n` elements of [`room`](Self::room).
    ///
    /// # Safety
    /// `n` is at most what `room` said, and the caller has written the first `n` elements.
    unsafe fn gave(&mut self, n: usize);
}

// SAFETY: `took` closes the gap over the elements that were moved out and shortens the vector first,
// so none is dropped or seen twice.
unsafe impl<T> Source<T> for Vec<T> {
    fn items(&self) -> &[T] {
        self
    }

    unsafe fn took(&mut self, n: usize) {
        let left = self.len() - n;
        // SAFETY: `n <= len` by contract, so both runs are within the vector's initialised part;
        // `copy` allows overlap; exactly the `left` elements at the front are initialised after it.
        unsafe {
            self.set_len(0);
            let base = self.as_mut_ptr();
            core::ptr::copy(base.add(n), base, left);
            self.set_len(left);
        }
    }
}

// SAFETY: `room` is the spare capacity, and `gave` makes its first `n` elements part of the vector.
unsafe impl<T> Sink<T> for Vec<T> {
    fn room(&mut self) -> (*mut T, usize) {
        let spare = self.spare_capacity_mut();
        (spare.as_mut_ptr().cast(), spare.len())
    }

    unsafe fn gave(&mut self, n: usize) {
        // SAFETY: the contract says that the first `n` spare elements are initialised.
        unsafe { self.set_len(self.len() + n) }
    }
}

// SAFETY: elements that are `Copy` are never owned by the slice; `took` only moves its start.
unsafe impl<T: Copy> Source<T> for &[T] {
    #[inline(always)]
    fn items(&self) -> &[T] {
        self
    }

    #[inline(always)]
    unsafe fn took(&mut self, n: usize) {
        *self = &self[n..];
    }
}

/// A slice of `Copy` elements to be overwritten from the front, and how many were.
#[derive(Debug)]
pub struct Fill<'a, T> {
    slice: &'a mut [T],
    filled: usize,
}

impl<'a, T: Copy> Fill<'a, T> {
    /// Nothing filled yet.
    #[inline(always)]
    pub fn new(slice: &'a mut [T]) -> Self {
        Fill { slice, filled: 0 }
    }

    /// What has been filled.
    #[inline(always)]
    pub fn filled(&self) -> &[T] {
        &self.slice[..self.filled]
    }
}

// SAFETY: `room` is what lies behind the filled part; a `T: Copy` needs no drop when overwritten.
unsafe impl<T: Copy> Sink<T> for Fill<'_, T> {
    #[inline(always)]
    fn room(&mut self) -> (*mut T, usize) {
        let room = &mut self.slice[self.filled..];
        (room.as_mut_ptr(), room.len())
    }

    #[inline(always)]
    unsafe fn gave(&mut self, n: usize) {
        self.filled += n;
    }
}

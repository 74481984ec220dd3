//! Moving elements between caller memory and the slots of a ring, across the wrap.
//!
//! This module just moves memory around very carefully: it knows no index protocol. Who may touch
//! which slot is decided by [`side`](crate::side) before it is called.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// One element of storage.
#[cfg(not(loom))]
pub(crate) type Slot<T> = core::cell::UnsafeCell<MaybeUninit<T>>;
/// One element of storage, watched by loom.
#[cfg(loom)]
pub(crate) type Slot<T> = loom::cell::UnsafeCell<MaybeUninit<T>>;

/// The slots of a ring: `mask + 1` of them, a power of two.
pub(crate) struct Slots<T> {
    base: NonNull<Slot<T>>,
    mask: u32,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Slots<T> {}

impl<T> Slots<T> {
    /// # Safety
    /// `base` points at `mask + 1` slots that stay valid as long as this value and its copies are
    /// used; `mask + 1` is a power of two.
    pub(crate) unsafe fn new(base: NonNull<Slot<T>>, mask: u32) -> Self {
        Slots { base, mask }
    }

    /// How many of `n` elements from `pos` on stand before the wrap.
    #[inline(always)]
    fn before_wrap(self, pos: u32, n: u32) -> (usize, usize) {
        let first = (pos & self.mask) as usize;
        let room = (self.mask as usize + 1) - first;
        (first, room.min(n as usize))
    }

    /// Moves `n` elements from `src` into the slots from `pos` on.
    ///
    /// # Safety
    /// The caller owns slots `pos .. pos + n` alone, `n <= mask + 1`, and `src` is readable for `n`
    /// elements that count as moved afterwards.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn write(self, pos: u32, src: *const T, n: u32) {
        let (first, left) = self.before_wrap(pos, n);
        let base = self.base.as_ptr().cast::<T>();
        // SAFETY: `first + left <= mask + 1` and the rest starts at slot 0, both in the storage
        // that `new` was promised; the caller owns them; `src` is caller memory, so no overlap.
        unsafe {
            copy(src, base.add(first), left);
            if left < n as usize {
                copy(src.add(left), base, n as usize - left);
            }
        }
    }

    /// Moves `n` elements from the slots at `pos` on to `dst`.
    ///
    /// # Safety
    /// The caller owns slots `pos .. pos + n` alone and they are initialised, `n <= mask + 1`, and
    /// `dst` is writable for `n` elements.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn read(self, pos: u32, dst: *mut T, n: u32) {
        let (first, left) = self.before_wrap(pos, n);
        let base = self.base.as_ptr().cast::<T>();
        // SAFETY: as in `write`, with source and destination exchanged.
        unsafe {
            copy(base.add(first), dst, left);
            if left < n as usize {
                copy(base, dst.add(left), n as usize - left);
            }
        }
    }

    /// As the other `write`, slot by slot, so that loom sees each.
    ///
    /// # Safety
    /// As there.
    #[cfg(loom)]
    pub(crate) unsafe fn write(self, pos: u32, src: *const T, n: u32) {
        for i in 0..n {
            // SAFETY: the caller owns the slot and `src` has `n` elements.
            unsafe {
                let slot = &*self.base.as_ptr().add((pos.wrapping_add(i) & self.mask) as usize);
                slot.with_mut(|p| (*p).write(src.add(i as usize).read()));
            }
        }
    }

    /// As the other `read`, slot by slot, so that loom sees each.
    ///
    /// # Safety
    /// As there.
    #[cfg(loom)]
    pub(crate) unsafe fn read(self, pos: u32, dst: *mut T, n: u32) {
        for i in 0..n {
            // SAFETY: the caller owns the slot, it is initialised, and `dst` has room for `n`.
            unsafe {
                let slot = &*self.base.as_ptr().add((pos.wrapping_add(i) & self.mask) as usize);
                slot.with(|p| dst.add(i as usize).write((*p).assume_init_read()));
            }
        }
    }

    /// The two runs of slots that hold `n` elements from `pos` on; the second is after the wrap.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn runs(self, pos: u32, n: u32) -> [(*mut MaybeUninit<T>, usize); 2] {
        let (first, left) = self.before_wrap(pos, n);
        let base = self.base.as_ptr().cast::<MaybeUninit<T>>();
        [(base.wrapping_add(first), left), (base, n as usize - left)]
    }
}

/// Bytes from which the C library's `memcpy` beats the inline loop (measured: it wins from about a
/// quarter of a kilobyte on, where its wide vectors pay for the call).
#[cfg(not(loom))]
const CALL_FROM: usize = 512;

/// Copies `n` elements. Short runs are copied inline, in blocks of eight, four, two and one: a call
/// to `memcpy` would cost more than the copy.
///
/// # Safety
/// `src` is readable and `dst` writable for `n` elements, and they do not overlap.
#[cfg(not(loom))]
#[inline(always)]
unsafe fn copy<T>(src: *const T, dst: *mut T, n: usize) {
    if size_of::<T>() > 32 || n * size_of::<T>() >= CALL_FROM {
        // SAFETY: the caller's promise, word for word.
        unsafe { core::ptr::copy_nonoverlapping(src, dst, n) };
        return;
    }
    let mut done = 0;
    // SAFETY: `done` counts what is copied and never passes `n`; a block is `[MaybeUninit<T>; B]`,
    // which has the alignment of `T` and accepts any bytes.
    unsafe {
        while n - done >= 8 {
            block::<T, 8>(src.add(done), dst.add(done));
            done += 8;
        }
        if n & 4 != 0 {
            block::<T, 4>(src.add(done), dst.add(done));
            done += 4;
        }
        if n & 2 != 0 {
            block::<T, 2>(src.add(done), dst.add(done));
            done += 2;
        }
        if n & 1 != 0 {
            block::<T, 1>(src.add(done), dst.add(done));
        }
    }
}

/// # Safety
/// `src` is readable and `dst` writable for `B` elements, and they do not overlap.
#[cfg(not(loom))]
#[inline(always)]
unsafe fn block<T, const B: usize>(src: *const T, dst: *mut T) {
    type Block<T, const B: usize> = [MaybeUninit<T>; B];
    // SAFETY: the caller's promise; an array of `MaybeUninit<T>` is `B` elements of `T` in a row.
    unsafe { dst.cast::<Block<T, B>>().write(src.cast::<Block<T, B>>().read()) }
}

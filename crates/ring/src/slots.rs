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
    #[cfg(not(loom))]
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
            copy_run(src, base.add(first), left);
            if left < n as usize {
                copy_run(src.add(left), base, n as usize - left);
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
            copy_run(base.add(first), dst, left);
            if left < n as usize {
                copy_run(base, dst.add(left), n as usize - left);
            }
        }
    }

    /// Moves one element into the slot at `pos`.
    ///
    /// # Safety
    /// The caller owns the slot alone.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn write_one(self, pos: u32, item: T) {
        // SAFETY: the masked index is within the storage, and the slot is the caller's.
        unsafe { self.base.as_ptr().cast::<T>().add((pos & self.mask) as usize).write(item) }
    }

    /// Moves one element out of the slot at `pos`.
    ///
    /// # Safety
    /// The caller owns the slot alone, and it is initialised.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) unsafe fn read_one(self, pos: u32) -> T {
        // SAFETY: the masked index is within the storage, and the slot is the caller's.
        unsafe { self.base.as_ptr().cast::<T>().add((pos & self.mask) as usize).read() }
    }

    /// As the other `write_one`, through loom's cell.
    ///
    /// # Safety
    /// As there.
    #[cfg(loom)]
    pub(crate) unsafe fn write_one(self, pos: u32, item: T) {
        let item = MaybeUninit::new(item);
        // SAFETY: the caller's promise; `item` is moved, and as `MaybeUninit` not dropped.
        unsafe { self.write(pos, item.as_ptr(), 1) }
    }

    /// As the other `read_one`, through loom's cell.
    ///
    /// # Safety
    /// As there.
    #[cfg(loom)]
    pub(crate) unsafe fn read_one(self, pos: u32) -> T {
        let mut item = MaybeUninit::uninit();
        // SAFETY: the caller's promise; `read` initialises `item`.
        unsafe {
            self.read(pos, item.as_mut_ptr(), 1);
            item.assume_init()
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

/// Sixteen bytes in a register, initialised or not.
#[cfg(all(not(loom), target_arch = "x86_64"))]
type Lane = MaybeUninit<core::arch::x86_64::__m128i>;
/// Sixteen bytes in registers, initialised or not.
#[cfg(all(not(loom), not(target_arch = "x86_64")))]
type Lane = MaybeUninit<u128>;

/// Bytes up to which a copy is done inline. A call to `memcpy` costs more than such a copy; beyond,
/// its wide vectors pay for the call.
#[cfg(not(loom))]
const INLINE: usize = 128;

/// Copies `n` elements, up to 128 bytes inline and without a call: what rings and the caches of
/// pools do all day.
///
/// # Safety
/// `src` is readable and `dst` writable for `n` elements, and they do not overlap.
#[cfg(not(loom))]
#[inline(always)]
pub unsafe fn copy_run<T>(src: *const T, dst: *mut T, n: usize) {
    let bytes = n * size_of::<T>();
    // SAFETY: the caller's promise, in elements or in bytes; each branch of the inline copy covers
    // `bytes` between half and the whole of what its two windows span.
    unsafe {
        if n == 1 {
            dst.write(src.read());
        } else if bytes > INLINE {
            core::ptr::copy_nonoverlapping(src, dst, n);
        } else if bytes > 64 {
            windows::<[Lane; 4]>(src.cast(), dst.cast(), bytes);
        } else if bytes > 32 {
            windows::<[Lane; 2]>(src.cast(), dst.cast(), bytes);
        } else if bytes >= 16 {
            windows::<[Lane; 1]>(src.cast(), dst.cast(), bytes);
        } else {
            for i in 0..n {
                dst.add(i).write(src.add(i).read());
            }
        }
    }
}

/// Copies `bytes` through two windows, one from the start and one up to the end, that overlap where
/// there is less than twice a window. Both are read before either is written.
///
/// # Safety
/// `size_of::<W>() <= bytes <= 2 * size_of::<W>()`, `src` is readable and `dst` writable for
/// `bytes`, and they do not overlap.
#[cfg(not(loom))]
#[inline(always)]
unsafe fn windows<W: Window>(src: *const u8, dst: *mut u8, bytes: usize) {
    let second = bytes - size_of::<W>();
    // SAFETY: both windows lie within `bytes`, which the caller vouches for.
    unsafe {
        let (first_part, last_part) = (W::load(src), W::load(src.add(second)));
        first_part.store(dst);
        last_part.store(dst.add(second));
    }
}

/// A run of lanes that is loaded as a whole before it is stored.
#[cfg(not(loom))]
trait Window: Copy {
    /// # Safety
    /// `src` is readable for the window.
    unsafe fn load(src: *const u8) -> Self;
    /// # Safety
    /// `dst` is writable for the window.
    unsafe fn store(self, dst: *mut u8);
}

#[cfg(not(loom))]
impl<const N: usize> Window for [Lane; N] {
    #[inline(always)]
    unsafe fn load(src: *const u8) -> Self {
        // SAFETY: lane `i < N` is within the window.
        core::array::from_fn(|i| unsafe { src.cast::<Lane>().add(i).read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, dst: *mut u8) {
        for (i, lane) in self.into_iter().enumerate() {
            // SAFETY: lane `i < N` is within the window.
            unsafe { dst.cast::<Lane>().add(i).write_unaligned(lane) };
        }
    }
}

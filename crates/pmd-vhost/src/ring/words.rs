//! Words of a ring that both sides write: touched by atomic operations only, in bounds that were
//! checked when the ring was set up.

use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// A part of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    base: *mut u8,
    len: usize,
}

// SAFETY: an address of memory that belongs to no thread.
unsafe impl Send for Words {}

impl Words {
    /// A part of `len` bytes.
    ///
    /// # Safety
    /// They are mapped as long as any of the value's methods is called, `base` is aligned to 4, and
    /// who else touches them is another process or does so by atomic operations.
    pub(crate) unsafe fn new(base: *mut u8, len: usize) -> Self {
        Words { base, len }
    }

    /// Where the byte `at` is.
    #[inline(always)]
    pub(crate) fn at(&self, at: usize) -> *mut u8 {
        debug_assert!(at < self.len);
        self.base.wrapping_add(at)
    }

    #[inline(always)]
    fn half(&self, at: usize) -> &AtomicU16 {
        debug_assert!(at + 2 <= self.len && at.is_multiple_of(2));
        // SAFETY: two aligned bytes of the part, by `new`'s contract and the callers' offsets, which
        // are constants or slots masked to the ring's size.
        unsafe { AtomicU16::from_ptr(self.base.add(at).cast()) }
    }

    /// A word that the other side writes; nothing follows from its value but itself.
    #[inline(always)]
    pub(crate) fn load(&self, at: usize) -> u16 {
        // Relaxed: callers that conclude something use `load_acquire`, or a fence.
        self.half(at).load(Ordering::Relaxed)
    }

    /// A word with which the other side gives something away: what it wrote before is seen.
    #[inline(always)]
    pub(crate) fn load_acquire(&self, at: usize) -> u16 {
        // Acquire pairs with the release, or write barrier, of the driver before it writes the word.
        self.half(at).load(Ordering::Acquire)
    }

    /// Writes a word from which nothing follows.
    #[inline(always)]
    pub(crate) fn store(&self, at: usize, value: u16) {
        // Relaxed: what gives something away is `store_release`.
        self.half(at).store(value, Ordering::Relaxed);
    }

    /// Writes a word that gives something away: what was written before is seen with it.
    #[inline(always)]
    pub(crate) fn store_release(&self, at: usize, value: u16) {
        // Release pairs with the acquire, or read barrier, of the driver behind its look at the word.
        self.half(at).store(value, Ordering::Release);
    }

    /// Writes two words.
    #[inline(always)]
    pub(crate) fn store_pair(&self, at: usize, value: u32) {
        debug_assert!(at + 4 <= self.len && at.is_multiple_of(4));
        // SAFETY: four aligned bytes of the part, as in `half`.
        let word = unsafe { AtomicU32::from_ptr(self.base.add(at).cast()) };
        // Relaxed: what gives something away is `store_release`.
        word.store(value, Ordering::Relaxed);
    }

    /// Copies 16 bytes, aligned to 16: a descriptor, read once.
    #[inline(always)]
    pub(crate) fn descriptor(&self, at: usize) -> [u64; 2] {
        debug_assert!(at + 16 <= self.len && at.is_multiple_of(16));
        // SAFETY: 16 bytes of the part, aligned to 8 at least, as in `half`; volatile, so that they
        // are read here and not again later, when the guest may have changed them.
        unsafe {
            let from = self.base.add(at).cast::<u64>();
            [from.read_volatile(), from.add(1).read_volatile()]
        }
    }
}

/// Brings a line here that will be read soon.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, for which any address will do.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

//! Words of a ring that both sides write: touched by atomic operations only, in bounds that were
//! checked when the ring was set up.

use crate::memory::{Access, Span};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

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

    #[inline(always)]
    fn whole(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + 8 <= self.len && at.is_multiple_of(8));
        // SAFETY: eight aligned bytes of the part, which begins at a multiple of 16, as in `half`.
        unsafe { AtomicU64::from_ptr(self.base.add(at).cast()) }
    }

    /// Four words, the last of which gives something away: what the other side wrote before is seen.
    #[inline(always)]
    pub(crate) fn whole_acquire(&self, at: usize) -> u64 {
        // Acquire pairs with the release, or write barrier, of the driver before it writes the last.
        u64::from_le(self.whole(at).load(Ordering::Acquire))
    }

    /// Four words; nothing follows from their value but itself.
    #[inline(always)]
    pub(crate) fn load_whole(&self, at: usize) -> u64 {
        // Relaxed: callers that conclude something have read another word with `whole_acquire` before.
        u64::from_le(self.whole(at).load(Ordering::Relaxed))
    }

    /// Writes four words from which nothing follows.
    #[inline(always)]
    pub(crate) fn store_whole(&self, at: usize, value: u64) {
        // Relaxed: what gives something away is `give_whole`.
        self.whole(at).store(value, Ordering::Relaxed);
    }

    /// Writes four words, the last of which gives something away: what was written before is seen with
    /// it. The other side reads them in whatever pieces.
    #[inline(always)]
    pub(crate) fn give_whole(&self, at: usize, value: u64) {
        // Release pairs with the acquire, or read barrier, of the driver behind its look at the last.
        self.whole(at).store(value, Ordering::Release);
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

/// Which lines of a buffer will be touched soon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Touch {
    /// Bytes at the start of a buffer that the driver wrote, which nobody will look at.
    pub(crate) unread: u32,
    /// Whether what is read is taken from the driver's core: it pays on packed rings, and not on split ones,
    /// with DPDK's driver at the other end.
    pub(crate) alone: bool,
}

impl Touch {
    /// Brings the first lines of a buffer here, for what will be done with them.
    ///
    /// Those that are only read may be taken from the driver's core, too: the buffer comes round again to be
    /// written, and a line that both cores share then has to be asked for once more, which no
    /// prefetch does (on a Zen 4, `prefetchw` leaves a shared line shared).
    #[inline(always)]
    pub(crate) fn soon(self, span: Span, access: Access) {
        match access {
            Access::Read => {
                let line = span.at.wrapping_add(self.unread as usize);
                if self.alone { prefetch_write(line) } else { prefetch(line) }
            }
            Access::Write => {
                // A header that may be there already, and what comes behind it.
                prefetch(span.at);
                prefetch_write(span.at.wrapping_add(64));
            }
        }
    }
}

/// Brings a line here that will be written soon, away from whoever has it.
#[inline(always)]
pub(crate) fn prefetch_write(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, for which any address will do; a processor that does not know it does nothing.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
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

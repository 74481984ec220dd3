//! Intel SDM vol. 3A §9.2.2, "Memory Ordering in P6 and More Recent Processor Families"; AMD64
//! vol. 2 §7.2: to write-back and uncached memory, stores are seen in program order, and loads
//! are made in program order. Only a load may pass an earlier store. What is left to do is to
//! keep the compiler from reordering; these fences emit no instruction but for `full`.

use std::arch::asm;
use std::arch::x86_64::_mm_sfence;
use std::sync::atomic::{Ordering, fence};

#[inline(always)]
pub(super) fn store_store() {
    // Release: pairs with the device's, or the peer's, acquiring load of what is stored next.
    fence(Ordering::Release);
}

#[inline(always)]
pub(super) fn load_load() {
    // Acquire: pairs with the device's, or the peer's, releasing store of what was loaded last.
    fence(Ordering::Acquire);
}

/// A locked instruction on our own stack orders all that MFENCE does in write-back and uncached
/// memory (SDM vol. 3A §9.2.2), and costs less: it does not wait for loads.
#[cfg(not(miri))]
#[inline(always)]
pub(super) fn full() {
    // SAFETY: adds no bits to a word of the stack's red zone, so that nothing changes but flags; for
    // the compiler it may read and write any memory, so that no access is moved across it.
    unsafe {
        asm!("lock or dword ptr [rsp - 64], 0");
    }
}

#[cfg(miri)]
pub(super) fn full() {
    // SeqCst: pairs with the same fence of the peer, which stores its wish before it loads ours.
    fence(Ordering::SeqCst);
}

#[inline(always)]
pub(super) fn store_device() {
    // Release: pairs with the device, which reads memory after it saw the register's new value.
    fence(Ordering::Release);
}

/// SDM vol. 3A §12.3.1: SFENCE drains the write-combining buffers.
#[inline(always)]
pub(super) fn flush_write_combining() {
    // SAFETY: SFENCE is part of SSE, which every x86-64 processor has; it touches no memory.
    unsafe {
        _mm_sfence();
    }
}

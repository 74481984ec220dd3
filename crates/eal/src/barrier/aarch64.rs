//! Arm Architecture Reference Manual (DDI 0487) §B2.3.12 "Data Memory Barrier": a DMB orders
//! accesses on either side of it as seen by observers in its shareability domain. Devices are
//! outside the inner shareable domain of the processors, hence `osh`. `st` orders stores with
//! stores, `ld` orders loads with loads and stores. A store to a Device-nGnRE register is such
//! a store, so that `oshst` suffices before a doorbell, as in Linux's `writel`.

use std::arch::asm;

/// One barrier instruction. Without `nomem` the compiler moves no access to memory across it.
macro_rules! barrier {
    ($instruction:literal) => {
        // SAFETY: a barrier has no operands, and changes neither memory, registers nor flags.
        unsafe { asm!($instruction, options(nostack, preserves_flags)) }
    };
}

#[inline(always)]
pub(super) fn store_store() {
    barrier!("dmb oshst");
}

#[inline(always)]
pub(super) fn load_load() {
    barrier!("dmb oshld");
}

#[inline(always)]
pub(super) fn full() {
    barrier!("dmb osh");
}

#[inline(always)]
pub(super) fn store_device() {
    barrier!("dmb oshst");
}

/// §B2.3.12 "Data Synchronization Barrier": complete only when the stores before it are.
#[inline(always)]
pub(super) fn flush_write_combining() {
    barrier!("dsb st");
}

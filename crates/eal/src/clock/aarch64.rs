//! The virtual counter of the generic timer: Arm ARM (DDI 0487) chapter D12, `CNTVCT_EL0` and
//! `CNTFRQ_EL0`. Linux lets user space read both.

use std::arch::asm;

use super::Rate;
use crate::Root;

#[inline(always)]
pub(super) fn counter() -> u64 {
    let cycles;
    // SAFETY: reads a register that the kernel lets user space read; touches nothing else.
    unsafe {
        asm!("mrs {}, cntvct_el0", out(reg) cycles, options(nomem, nostack, preserves_flags))
    };
    cycles
}

/// An ISB on either side keeps the read from being made early or late (DDI 0487 §D12.2).
#[inline(always)]
pub(super) fn counter_ordered() -> u64 {
    let cycles;
    // SAFETY: as in `counter`; ISB has no operands. Without `nomem` the compiler moves no access
    // to memory across it.
    unsafe {
        asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) cycles, options(nostack, preserves_flags));
    }
    cycles
}

/// The architecture requires a constant rate.
pub(super) fn usable(_root: &Root) -> bool {
    true
}

pub(super) fn rate() -> Option<(u64, Rate)> {
    let hz: u64;
    // SAFETY: reads a register that the kernel lets user space read; touches nothing else.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hz, options(nomem, nostack, preserves_flags)) };
    (hz > 0).then_some((hz, Rate::Processor))
}

//! TPAUSE: the processor dozes until a time (Intel SDM vol. 2B "TPAUSE", CPUID.7.0:ECX\[5\]).

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _rdtsc};

/// Whether the processor has WAITPKG.
pub(super) fn is_supported() -> bool {
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ecx & (1 << 5) != 0
}

/// Dozes in C0.2 for about `cycles` of the time stamp counter, or until an interrupt; the kernel
/// limits it too (IA32_UMWAIT_CONTROL, 100,000 cycles unless configured).
///
/// # Safety
///
/// The processor has WAITPKG.
pub(super) unsafe fn doze(cycles: u64) {
    // SAFETY: RDTSC is there on every x86-64 processor.
    let until = unsafe { _rdtsc() }.wrapping_add(cycles);
    let (low, high) = (until as u32, (until >> 32) as u32);
    // SAFETY: the processor has the instruction, as the caller promises. It reads three registers
    // and changes flags only: `preserves_flags` is not claimed. ECX bit 0 clear asks for C0.2.
    unsafe { asm!("tpause ecx", in("ecx") 0u32, in("edx") high, in("eax") low, options(nostack)) };
}

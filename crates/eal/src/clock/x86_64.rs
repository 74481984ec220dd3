//! The time stamp counter, and what CPUID says about it.

use std::arch::x86_64::{__cpuid, __rdtscp, _mm_lfence, _rdtsc, CpuidResult};

use super::Rate;
use crate::Root;

#[inline(always)]
pub(super) fn counter() -> u64 {
    // SAFETY: RDTSC is there on every x86-64 processor; where a kernel forbids it to users
    // (PR_SET_TSC), the process asked for that, and gets its signal.
    unsafe { _rdtsc() }
}

/// Intel SDM vol. 2B "RDTSCP": it waits for earlier loads; the LFENCE keeps later instructions
/// from starting before it.
#[inline(always)]
pub(super) fn counter_ordered() -> u64 {
    let mut processor = 0;
    // SAFETY: every processor with an invariant TSC has RDTSCP (both came with Nehalem and K10),
    // and LFENCE is SSE2, part of x86-64. `processor` is written to while borrowed.
    unsafe {
        let cycles = __rdtscp(&raw mut processor);
        _mm_lfence();
        cycles
    }
}

/// Whether the counter can be trusted: constant rate, and not given up by the kernel.
pub(super) fn usable(root: &Root) -> bool {
    (invariant(&cpuid) || flags_say_so(root)) && !given_up(root)
}

/// CPUID 0x8000_0007 EDX bit 8 (SDM vol. 3B §18.17.1, "Invariant TSC").
fn invariant(cpuid: &impl Fn(u32) -> CpuidResult) -> bool {
    cpuid(0x8000_0000).eax >= 0x8000_0007 && cpuid(0x8000_0007).edx & (1 << 8) != 0
}

/// The kernel's own finding, for hypervisors that hide the bit.
fn flags_say_so(root: &Root) -> bool {
    let cpuinfo = root.text("proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    ["constant_tsc", "nonstop_tsc"].iter().all(|flag| flags.split_whitespace().any(|f| f == *flag))
}

/// The kernel takes `tsc` off this list when it finds it unstable.
fn given_up(root: &Root) -> bool {
    let sources = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    let listed = |text: String| text.split_whitespace().any(|source| source == "tsc");
    root.text(sources).is_ok_and(|text| !listed(text))
}

/// The rate, if anybody tells it exactly.
pub(super) fn rate() -> Option<(u64, Rate)> {
    rate_of(&cpuid)
}

fn rate_of(cpuid: &impl Fn(u32) -> CpuidResult) -> Option<(u64, Rate)> {
    let hypervisor = hypervisor(cpuid).map(|hz| (hz, Rate::Hypervisor));
    hypervisor.or_else(|| crystal(cpuid).map(|hz| (hz, Rate::Processor)))
}

/// CPUID 0x4000_0010 EAX: kHz of the TSC, a convention of VMware that KVM follows.
fn hypervisor(cpuid: &impl Fn(u32) -> CpuidResult) -> Option<u64> {
    let virtual_machine = cpuid(1).ecx & (1 << 31) != 0;
    let leaves = || cpuid(0x4000_0000).eax;
    // Beyond 0xff leaves it is not a hypervisor's answer but some other leaf's.
    if !virtual_machine || !(0x4000_0010..0x4000_0100).contains(&leaves()) {
        return None;
    }
    Some(u64::from(cpuid(0x4000_0010).eax) * 1000).filter(|hz| *hz > 0)
}

/// CPUID 0x15 (SDM vol. 3B §18.7.3): crystal in ECX, multiplied by EBX / EAX. A crystal of 0 is
/// not told.
fn crystal(cpuid: &impl Fn(u32) -> CpuidResult) -> Option<u64> {
    if cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = cpuid(0x15);
    let product = u64::from(leaf.ecx) * u64::from(leaf.ebx);
    product.checked_div(u64::from(leaf.eax)).filter(|hz| *hz > 0)
}

fn cpuid(leaf: u32) -> CpuidResult {
    __cpuid(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor that answers with the given leaves, and with zeroes to any other.
    fn processor(leaves: &'static [(u32, [u32; 4])]) -> impl Fn(u32) -> CpuidResult {
        move |leaf| {
            let found = leaves.iter().find(|(number, _)| *number == leaf);
            let [eax, ebx, ecx, edx] = found.map_or([0; 4], |(_, registers)| *registers);
            CpuidResult { eax, ebx, ecx, edx }
        }
    }

    #[test]
    fn a_skylake_tells_its_rate_by_its_crystal() {
        let skylake = processor(&[(0, [0x16, 0, 0, 0]), (0x15, [2, 216, 25_000_000, 0])]);
        assert_eq!(rate_of(&skylake), Some((2_700_000_000, Rate::Processor)));
    }

    #[test]
    fn a_crystal_of_unknown_rate_or_a_ratio_by_zero_tells_nothing() {
        let unknown = processor(&[(0, [0x16, 0, 0, 0]), (0x15, [2, 216, 0, 0])]);
        assert_eq!(rate_of(&unknown), None);
        let zero = processor(&[(0, [0x16, 0, 0, 0]), (0x15, [0, 216, 9, 0])]);
        assert_eq!(rate_of(&zero), None);
    }

    #[test]
    fn a_hypervisor_is_believed_before_the_processor() {
        let guest = processor(&[
            (0, [0x16, 0, 0, 0]),
            (1, [0, 0, 1 << 31, 0]),
            (0x15, [2, 216, 25_000_000, 0]),
            (0x4000_0000, [0x4000_0010, 0, 0, 0]),
            (0x4000_0010, [2_600_000, 66_000, 0, 0]),
        ]);
        assert_eq!(rate_of(&guest), Some((2_600_000_000, Rate::Hypervisor)));
    }

    #[test]
    fn the_hypervisors_leaves_are_not_believed_without_a_hypervisor() {
        let bare = processor(&[(0x4000_0000, [0x4000_0010, 0, 0, 0]), (0x4000_0010, [1, 0, 0, 0])]);
        assert_eq!(rate_of(&bare), None);
    }

    #[test]
    fn a_counter_is_invariant_only_if_the_leaf_exists_and_says_so() {
        let yes =
            processor(&[(0x8000_0000, [0x8000_0008, 0, 0, 0]), (0x8000_0007, [0, 0, 0, 256])]);
        assert!(invariant(&yes));
        let no = processor(&[(0x8000_0000, [0x8000_0004, 0, 0, 0]), (0x8000_0007, [0, 0, 0, 256])]);
        assert!(!invariant(&no));
    }
}

//! A guest that counts instructions.
//!
//! guest: icount=on, cpus=1, nodes=1, hugepages=0, iommu=none, limit=120
#![cfg(target_arch = "x86_64")]

use linecard_testbed::{Need, guest, needs};
use std::arch::asm;

/// The ticks that a loop of two instructions takes, between two readings of the TSC.
fn ticks_of(rounds: u64) -> u64 {
    let (before, after): (u64, u64);
    // SAFETY: only named registers are changed, memory and stack are not touched, and the loop
    // ends because `rounds` is at least one and counted down to zero.
    unsafe {
        asm!(
            "lfence", "rdtsc", "shl rdx, 32", "or rax, rdx", "mov {before}, rax",
            "2:", "dec {rounds}", "jnz 2b",
            "lfence", "rdtsc", "shl rdx, 32", "or rax, rdx",
            before = out(reg) before,
            rounds = inout(reg) rounds => _,
            out("rax") after,
            out("rdx") _,
            options(nomem, nostack),
        );
    }
    after - before
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_same_work_takes_the_same_number_of_instructions() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let numbers: Vec<u64> = (0..1000).collect();
    let least = || {
        let sum = || std::hint::black_box(&numbers).iter().fold(0, |sum: u64, n| sum ^ n);
        (0..8).map(|_| guest::ticks(sum).1).min().expect("eight of them")
    };
    let first = least();
    // An addition of two numbers and the loop around it, more or less unrolled.
    assert!((500..20_000).contains(&first), "{first}");
    assert_eq!(least(), first);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_tick_of_the_tsc_is_an_instruction() {
    if !needs(&[Need::Guest]) {
        return;
    }
    assert!(guest::is_counting_instructions());
    // The loop's own, and the few around it; a timer's tick may come between now and then.
    let few = ticks_of(1);
    for rounds in [10, 1000, 100_000] {
        let least = (0..8).map(|_| ticks_of(rounds)).min().expect("eight of them");
        assert_eq!(least - few, 2 * (rounds - 1), "of {rounds} rounds");
    }
}

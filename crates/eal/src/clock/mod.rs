//! Time in cycles: cheap to read, and converted to nanoseconds without a division.
//!
//! ```
//! use linecard_eal::clock::Clock;
//!
//! let clock = Clock::new();
//! let start = clock.cycles();
//! let spent = clock.cycles_to_ns(clock.cycles() - start);
//! assert!(spent < 1_000_000_000);
//! ```
//!
//! # Which counter, and how its rate is known
//!
//! On x86-64 the time stamp counter, if it runs at a constant rate through every power state
//! (CPUID 0x8000_0007, or the kernel's flags `constant_tsc` and `nonstop_tsc`) and the kernel has
//! not given it up as a clock source. Its rate is asked of the hypervisor (CPUID 0x4000_0010),
//! then of the processor (CPUID 0x15), then measured for 20 ms against `CLOCK_MONOTONIC_RAW`.
//! CPUID 0x16 is not asked: it is rounded to 1 MHz, and measuring is a hundred times better.
//! The kernel's `tsc_known_freq` says that the kernel was told the rate, and not what it is.
//!
//! On aarch64 the virtual counter (`CNTVCT_EL0`), whose rate is in `CNTFRQ_EL0`.
//!
//! Anywhere else, or where the counter cannot be trusted, `CLOCK_MONOTONIC`: one cycle is then
//! one nanosecond.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "other.rs")]
mod arch;
mod calibrate;
mod scale;

use std::time::Duration;

use crate::Root;
use scale::Scale;

const NANOS: u64 = 1_000_000_000;

/// What the cycles are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A counter of the processor that a user may read.
    Counter,
    /// The kernel's monotonic clock.
    Kernel,
}

/// How the rate came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// The hypervisor told.
    Hypervisor,
    /// The processor told.
    Processor,
    /// It was measured; good to about 10 parts in a million.
    Measured,
    /// The kernel's clock counts nanoseconds.
    Nanoseconds,
}

/// A counter with its rate: a plain value, made once and copied to whoever needs it.
///
/// Counters of several processors are in step where the kernel uses the TSC as its clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    rate: Rate,
    hz: u64,
    to_ns: Scale,
    from_ns: Scale,
}

static_assertions::assert_impl_all!(Clock: Copy, Send, Sync);

impl Clock {
    /// The best clock of this machine. Takes 20 ms if the rate has to be measured.
    pub fn new() -> Self {
        Self::new_in(&Root::host())
    }

    fn new_in(root: &Root) -> Self {
        let told = arch::usable(root).then(|| arch::rate().or_else(calibrate::measure)).flatten();
        match told {
            Some((hz, rate)) => Self::of(Source::Counter, rate, hz),
            None => Self::kernel(),
        }
    }

    /// The kernel's monotonic clock: slower to read, never in doubt.
    pub fn kernel() -> Self {
        Self::of(Source::Kernel, Rate::Nanoseconds, NANOS)
    }

    fn of(source: Source, rate: Rate, hz: u64) -> Self {
        let (to_ns, from_ns) = (Scale::new(NANOS, hz), Scale::new(hz, NANOS));
        Self { source, rate, hz, to_ns, from_ns }
    }

    /// The counter now. It may be read a few instructions early or late, as the processor
    /// reorders; see [`cycles_ordered`](Self::cycles_ordered).
    #[inline(always)]
    pub fn cycles(&self) -> u64 {
        match self.source {
            Source::Counter => arch::counter(),
            Source::Kernel => calibrate::nanoseconds(libc::CLOCK_MONOTONIC),
        }
    }

    /// The counter now, read after every earlier load and before every later instruction.
    #[inline(always)]
    pub fn cycles_ordered(&self) -> u64 {
        match self.source {
            Source::Counter => arch::counter_ordered(),
            Source::Kernel => calibrate::nanoseconds(libc::CLOCK_MONOTONIC),
        }
    }

    /// Cycles as nanoseconds, rounded down; at most 2 ns less than exact, never more. Saturates.
    #[inline(always)]
    pub fn cycles_to_ns(&self, cycles: u64) -> u64 {
        self.to_ns.apply(cycles)
    }

    /// Nanoseconds as cycles, rounded down; at most 2 cycles less than exact, never more.
    /// Saturates.
    #[inline(always)]
    pub fn ns_to_cycles(&self, ns: u64) -> u64 {
        self.from_ns.apply(ns)
    }

    /// A duration as cycles. Saturates.
    pub fn to_cycles(&self, duration: Duration) -> u64 {
        self.ns_to_cycles(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Cycles as a duration.
    pub fn to_duration(&self, cycles: u64) -> Duration {
        Duration::from_nanos(self.cycles_to_ns(cycles))
    }

    /// Cycles per second.
    pub fn hz(&self) -> u64 {
        self.hz
    }

    /// What the cycles are counted by.
    pub fn source(&self) -> Source {
        self.source
    }

    /// How the rate came to be known.
    pub fn rate(&self) -> Rate {
        self.rate
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells the processor that this is a waiting loop: it saves power and leaves its sibling room.
#[inline(always)]
pub fn pause() {
    std::hint::spin_loop();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_counter_never_runs_backwards_on_one_thread() {
        for clock in [Clock::new(), Clock::kernel()] {
            let mut last = clock.cycles_ordered();
            for _ in 0..10_000 {
                let now = clock.cycles_ordered();
                assert!(now >= last);
                last = now;
            }
        }
    }

    #[test]
    fn a_second_of_cycles_is_a_second() {
        let clock = Clock::new();
        assert!(NANOS - clock.cycles_to_ns(clock.hz()) <= 2);
        assert!(clock.hz() - clock.to_cycles(Duration::from_secs(1)) <= 2);
    }

    #[test]
    fn the_clock_agrees_with_the_kernel_to_a_thousandth() {
        let clock = Clock::new();
        let (start, since) = (clock.cycles_ordered(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (ours, theirs) = (clock.cycles_ordered() - start, since.elapsed());
        let (ours, theirs) = (clock.to_duration(ours).as_nanos(), theirs.as_nanos());
        assert!(ours.abs_diff(theirs) < theirs / 1000 + 200_000, "{ours} {theirs} {clock:?}");
    }

    #[test]
    fn a_machine_whose_kernel_gave_the_counter_up_is_given_the_kernels_clock() {
        let dir = tempfile::tempdir().unwrap();
        let sources = dir.path().join("sys/devices/system/clocksource/clocksource0");
        std::fs::create_dir_all(&sources).unwrap();
        std::fs::write(sources.join("available_clocksource"), "hpet acpi_pm \n").unwrap();
        let clock = Clock::new_in(&Root::at(dir.path()));
        if cfg!(target_arch = "x86_64") {
            assert_eq!((clock.source(), clock.hz()), (Source::Kernel, NANOS));
        }
    }

    proptest! {
        #[test]
        fn there_and_back_loses_little_and_gains_nothing(
            hz in 1_000_000u64..10_000_000_000, ns in 0u64..1 << 60,
        ) {
            let clock = Clock::of(Source::Counter, Rate::Measured, hz);
            let back = clock.cycles_to_ns(clock.ns_to_cycles(ns));
            prop_assert!(back <= ns);
            prop_assert!(ns - back <= 2 + 3 * NANOS.div_ceil(hz));
        }
    }
}

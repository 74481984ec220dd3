//! How quiet a cpu is: the gaps that a loop sees which does nothing but look at the clock.
//!
//! Whatever takes the cpu away from the loop (ticks, interrupts, other threads, the hypervisor,
//! firmware) shows as a gap. A worker on that cpu will drop packets if its queues cannot hold
//! what comes in during the longest of them.

use std::fmt;
use std::time::Duration;

use crate::clock::Clock;

const BUCKETS: usize = 64;
/// From this on a gap is an interruption, and not the loop itself.
const INTERRUPTION: Duration = Duration::from_micros(1);
/// A tick or a light interrupt takes less than this.
const QUIET: Duration = Duration::from_micros(20);
/// A queue of 1024 descriptors at 14.88 million packets a second is full after 69 µs.
const FAIR: Duration = Duration::from_micros(69);

/// Gaps by their length in powers of two of nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jitter {
    counts: [u64; BUCKETS],
    longest: u64,
    lost: u64,
    total: u64,
}

/// What a measurement means for a worker on that cpu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No gap above 20 µs: as good as isolated.
    Quiet,
    /// No gap above 69 µs: a queue of 1024 survives it at 10 Gbit/s line rate.
    Fair,
    /// Longer gaps: packets will be lost under load.
    Noisy,
}

impl Jitter {
    /// Spins on the calling thread's cpu for `duration`.
    pub fn measure(clock: &Clock, duration: Duration) -> Self {
        let mut jitter = Self { counts: [0; BUCKETS], longest: 0, lost: 0, total: 0 };
        let start = clock.cycles();
        let length = clock.to_cycles(duration);
        let mut last = start;
        while last.wrapping_sub(start) < length {
            let now = clock.cycles();
            jitter.record(clock.cycles_to_ns(now.wrapping_sub(last)));
            last = now;
        }
        jitter
    }

    #[inline(always)]
    fn record(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.longest = self.longest.max(ns);
        self.total += ns;
        self.lost += if u128::from(ns) >= INTERRUPTION.as_nanos() { ns } else { 0 };
    }

    /// The longest gap.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The length that this many per mille of the gaps do not exceed, to the power of two above
    /// it: 999 for the 99.9th percentile.
    pub fn percentile(&self, per_mille: u64) -> Duration {
        let all: u64 = self.counts.iter().sum();
        let rank = u128::from(all) * u128::from(per_mille.min(1000));
        let mut below = 0u128;
        let reached = self.counts.iter().position(|count| {
            below += u128::from(*count);
            below * 1000 >= rank
        });
        Duration::from_nanos(upper_end(reached.unwrap_or(0))).min(self.longest())
    }

    /// How many gaps were of a microsecond or more.
    pub fn interruptions(&self) -> u64 {
        self.counts[bucket(1024)..].iter().sum()
    }

    /// The part of the time that went into gaps of a microsecond or more, 0 to 1.
    pub fn lost(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.lost as f64 / self.total as f64 }
    }

    /// The gaps: from which length on (up to twice that), and how many; empty ones left out.
    pub fn histogram(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| (Duration::from_nanos(lower_end(index)), *count))
    }

    /// What it means for a worker on that cpu.
    pub fn verdict(&self) -> Verdict {
        match self.longest() {
            longest if longest <= QUIET => Verdict::Quiet,
            longest if longest <= FAIR => Verdict::Fair,
            _ => Verdict::Noisy,
        }
    }
}

/// 0 for no time, else one more than the base-2 logarithm.
fn bucket(ns: u64) -> usize {
    ((u64::BITS - ns.leading_zeros()) as usize).min(BUCKETS - 1)
}

fn lower_end(bucket: usize) -> u64 {
    if bucket == 0 { 0 } else { 1 << (bucket - 1) }
}

fn upper_end(bucket: usize) -> u64 {
    (1u64 << bucket) - 1
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "quiet: fit for a worker",
            Self::Fair => "fair: queues of 1024 will hold at 10 Gbit/s",
            Self::Noisy => "noisy: packets will be lost under load; isolate the cpu",
        })
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, count) in self.histogram() {
            writeln!(f, "{:>12} {count:>12}", format!("{from:?}"))?;
        }
        let (longest, most) = (self.longest(), self.percentile(999));
        writeln!(f, "longest {longest:?}, 99.9 % within {most:?}")?;
        let (times, lost) = (self.interruptions(), self.lost() * 100.0);
        write!(f, "{times} interruptions took {lost:.3} % of the time\n{}", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(gaps: &[u64]) -> Jitter {
        let mut jitter = Jitter { counts: [0; BUCKETS], longest: 0, lost: 0, total: 0 };
        gaps.iter().for_each(|ns| jitter.record(*ns));
        jitter
    }

    #[test]
    fn gaps_are_sorted_into_powers_of_two() {
        let jitter = of(&[0, 1, 20, 31, 5000]);
        let rows: Vec<_> = jitter.histogram().map(|(from, n)| (from.as_nanos(), n)).collect();
        assert_eq!(rows, [(0, 1), (1, 1), (16, 2), (4096, 1)]);
        assert_eq!((jitter.interruptions(), jitter.longest().as_nanos()), (1, 5000));
    }

    #[test]
    fn a_percentile_is_the_end_of_the_bucket_that_reaches_it() {
        let jitter = of(&[[20; 999].as_slice(), &[9000]].concat());
        assert_eq!(jitter.percentile(999).as_nanos(), 31);
        assert_eq!(jitter.percentile(1000).as_nanos(), 9000);
        assert_eq!(of(&[]).percentile(999), Duration::ZERO);
    }

    #[test]
    fn the_longest_gap_decides_on_the_verdict() {
        assert_eq!(of(&[20_000]).verdict(), Verdict::Quiet);
        assert_eq!(of(&[20_001]).verdict(), Verdict::Fair);
        assert_eq!(of(&[70_000]).verdict(), Verdict::Noisy);
        assert_eq!(of(&[u64::MAX]).verdict(), Verdict::Noisy);
    }

    #[test]
    fn time_lost_is_what_went_into_interruptions() {
        let jitter = of(&[500, 500, 3000]);
        assert_eq!(jitter.lost(), 0.75);
        assert!(jitter.to_string().contains("1 interruptions took 75.000 %"));
    }

    #[test]
    fn a_measurement_takes_its_time_and_accounts_for_all_of_it() {
        let clock = Clock::new();
        let jitter = Jitter::measure(&clock, Duration::from_millis(5));
        assert!(jitter.total >= 4_900_000 && jitter.counts.iter().sum::<u64>() > 10);
    }
}

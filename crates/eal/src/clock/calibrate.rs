//! The rate of the counter, measured against the kernel's clock.

use std::time::Duration;

use super::{NANOS, Rate, arch};

const LENGTH: Duration = Duration::from_millis(20);
/// Tries at reading both clocks at once; the one that took least is used.
const TRIES: usize = 16;

/// Nanoseconds of one of the kernel's clocks. Served without a system call where the kernel can.
pub(super) fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec for the kernel to write to, borrowed for this call only. It
    // cannot fail for the clocks that are used here; if it did, time would stand still at 0.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as u64) * NANOS + time.tv_nsec as u64
}

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Moment {
    cycles: u64,
    ns: u64,
    took: u64,
}

impl Moment {
    fn now() -> Self {
        let tries = (0..TRIES).map(|_| {
            let before = arch::counter_ordered();
            let ns = nanoseconds(libc::CLOCK_MONOTONIC_RAW);
            let took = arch::counter_ordered().wrapping_sub(before);
            Self { cycles: before.wrapping_add(took / 2), ns, took }
        });
        tries.min_by_key(|moment| moment.took).unwrap_or(Self { cycles: 0, ns: 0, took: 0 })
    }
}

/// Measures; `None` if either clock stands still.
pub(super) fn measure() -> Option<(u64, Rate)> {
    let start = Moment::now();
    std::thread::sleep(LENGTH);
    let end = Moment::now();
    let cycles = u128::from(end.cycles.wrapping_sub(start.cycles));
    let ns = u128::from(end.ns.checked_sub(start.ns).filter(|ns| *ns > 0)?);
    let hz = u64::try_from(cycles * u128::from(NANOS) / ns).ok()?;
    (hz > 0).then_some((hz, Rate::Measured))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_measurements_agree_to_a_thousandth() {
        let (Some((one, _)), Some((two, _))) = (measure(), measure()) else { return };
        assert!(one.abs_diff(two) < one / 1000, "{one} {two}");
    }
}

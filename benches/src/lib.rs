//! What the measuring programs share: pinning, the cycle counter, rounds, and rows of JSON.
//!
//! The programs under `src/bin` are the twins of the C programs under `dpdk/`: the same loops, the
//! same case names. `cargo xtask compare` runs both in turn and joins their rows.
#![expect(clippy::print_stdout, reason = "rows on standard output are what the programs are for")]

pub mod acl;
pub mod exact;
pub mod routes;

use clap::Parser;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What every measuring program takes.
#[derive(Parser, Debug, Clone)]
pub struct Options {
    /// Seconds a case.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    pub case: String,
}

impl Options {
    /// Cycles a case, given the program's own default in seconds.
    pub fn cycles(&self, default_seconds: f64) -> u64 {
        (self.seconds.unwrap_or(default_seconds) * tsc_hz()) as u64
    }

    /// Whether to run a case of this name.
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.case)
    }
}

/// The time stamp counter, unfenced as in DPDK's loops; nanoseconds where there is none.
#[inline(always)]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86-64 has RDTSC, and Linux leaves it enabled for user space.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use std::sync::OnceLock;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// Cycles a second, measured over 50 ms.
pub fn tsc_hz() -> f64 {
    let (start, first) = (Instant::now(), cycles());
    std::thread::sleep(Duration::from_millis(50));
    (cycles() - first) as f64 / start.elapsed().as_secs_f64()
}

/// Pins the calling thread.
///
/// # Panics
/// If the kernel refuses.
pub fn pin(cpu: usize) {
    // SAFETY: `set` is a plain bit set that lives across the call, and its size is passed.
    let done = unsafe {
        let mut set: libc::cpu_set_t = core::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    assert_eq!(done, 0, "cannot pin to cpu {cpu}: {}", std::io::Error::last_os_error());
}

/// CPUs that this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Prints one row.
pub fn row(case: &str, unit: &str, value: f64) {
    println!(r#"{{"case":"{case}","unit":"{unit}","value":{value:.4}}}"#);
}

/// Two threads that meet again and again, spinning.
#[derive(Debug, Default)]
pub struct Meeting(AtomicU32);

impl Meeting {
    /// Returns when both threads are at their `n`-th meeting, counted from one.
    pub fn meet(&self, n: u32) {
        // AcqRel pairs with the other thread's: what it did before the meeting is visible.
        self.0.fetch_add(1, Ordering::AcqRel);
        // Acquire pairs with the addition above.
        while self.0.load(Ordering::Acquire) < 2 * n {
            std::hint::spin_loop();
        }
    }
}

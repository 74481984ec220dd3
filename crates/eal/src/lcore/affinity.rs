//! Pinning the calling thread.

use std::io;

const BITS: usize = u64::BITS as usize;

/// Lets the calling thread run on these cpus only.
pub(super) fn pin(cpus: &[u32]) -> io::Result<()> {
    let words = cpus.iter().max().map_or(1, |most| *most as usize / BITS + 1);
    let mut mask = vec![0u64; words];
    for &cpu in cpus {
        mask[cpu as usize / BITS] |= 1 << (cpu as usize % BITS);
    }
    // SAFETY: the kernel reads as many bytes of `mask` as it is told that there are; it takes
    // masks of any length, so that cpus beyond cpu_set_t's 1024 can be named.
    let refused =
        unsafe { libc::sched_setaffinity(0, words * size_of::<u64>(), mask.as_ptr().cast()) };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cpu that the calling thread is on at this moment.
#[cfg(test)]
pub(super) fn current() -> u32 {
    // SAFETY: sched_getcpu takes no arguments.
    unsafe { libc::sched_getcpu() as u32 }
}

//! Front ends: the ways in which a driver in another process, or in a guest, reaches a device.

mod interrupt_thread;
pub(crate) mod mapping;
mod message;
pub mod qemu;
mod qtest;
mod system_memory;
pub mod vfio_user;
mod vtd;

use rustix::time::{ClockId, clock_gettime};

/// The time that front ends tell their devices: this machine's monotonic clock in nanoseconds, the same for all cards,
/// so that a wire between two can say when a frame comes.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

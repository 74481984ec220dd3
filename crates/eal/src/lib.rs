//! The platform: huge pages, NUMA, lcores, clock, barriers.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("linecard-eal is for 64-bit Linux");

pub mod alarm;
pub mod barrier;
pub mod clock;
mod cpulist;
pub mod event;
pub mod lcore;
pub mod mem;
pub mod mmio;
pub mod numa;
mod root;
pub mod timer;

pub use root::Root;

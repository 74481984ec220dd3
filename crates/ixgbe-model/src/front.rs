//! Front ends: the ways in which a driver in another process, or in a guest, reaches a device.

mod interrupt_thread;
pub(crate) mod mapping;
mod message;
pub mod qemu;
mod qtest;
mod system_memory;
pub mod vfio_user;
mod vtd;

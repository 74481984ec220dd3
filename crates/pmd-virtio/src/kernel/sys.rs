//! `ioctl`, and the layouts of `linux/vhost.h` that go with it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Turns the -1 of a system call into the error that it left.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// An `ioctl` whose argument is a structure, which it reads or writes.
///
/// # Safety
/// `number` takes a pointer to a `T`, and follows no pointer within it but such as the kernel checks.
pub(super) unsafe fn ioctl<T>(fd: BorrowedFd<'_>, number: u32, argument: &mut T) -> io::Result<()> {
    // SAFETY: the caller's promise; the argument is borrowed for the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), number as _, core::ptr::from_mut(argument)) })
        .map(drop)
}

/// An `ioctl` whose argument is a number, or nothing.
pub(super) fn ioctl_number(fd: BorrowedFd<'_>, number: u32, argument: usize) -> io::Result<()> {
    // SAFETY: callers name requests that take a number: nothing is dereferenced.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), number as _, argument) }).map(drop)
}

/// The number of a vhost request: direction, size of its structure, `0xAF`, and its own number.
const fn vhost(direction: u32, number: u32, size: usize) -> u32 {
    direction << 30 | (size as u32) << 16 | 0xAF << 8 | number
}

const NONE: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;

pub(super) const GET_FEATURES: u32 = vhost(READ, 0x00, 8);
pub(super) const SET_FEATURES: u32 = vhost(WRITE, 0x00, 8);
pub(super) const SET_OWNER: u32 = vhost(NONE, 0x01, 0);
/// Its size is that of the table without any region.
pub(super) const SET_MEM_TABLE: u32 = vhost(WRITE, 0x03, 8);
pub(super) const SET_VRING_NUM: u32 = vhost(WRITE, 0x10, size_of::<State>());
pub(super) const SET_VRING_ADDR: u32 = vhost(WRITE, 0x11, size_of::<Addresses>());
pub(super) const SET_VRING_BASE: u32 = vhost(WRITE, 0x12, size_of::<State>());
pub(super) const SET_VRING_KICK: u32 = vhost(WRITE, 0x20, size_of::<RingFile>());
pub(super) const SET_VRING_CALL: u32 = vhost(WRITE, 0x21, size_of::<RingFile>());
pub(super) const NET_SET_BACKEND: u32 = vhost(WRITE, 0x30, size_of::<RingFile>());

/// `struct vhost_vring_state`.
#[repr(C)]
pub(super) struct State {
    pub(super) index: u32,
    pub(super) num: u32,
}

/// `struct vhost_vring_file`.
#[repr(C)]
pub(super) struct RingFile {
    pub(super) index: u32,
    /// -1 for none.
    pub(super) fd: i32,
}

/// `struct vhost_vring_addr`.
#[repr(C)]
pub(super) struct Addresses {
    pub(super) index: u32,
    pub(super) flags: u32,
    pub(super) descriptors: u64,
    pub(super) used: u64,
    pub(super) available: u64,
    pub(super) log: u64,
}

/// `struct vhost_memory_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct MemoryRegion {
    /// What descriptors name.
    pub(super) guest: u64,
    pub(super) len: u64,
    /// Where it is in this process.
    pub(super) user: u64,
    pub(super) padding: u64,
}

/// The most regions that we name: the kernel's default limit (`vhost.max_mem_regions`).
pub(super) const MAX_REGIONS: usize = 64;

/// `struct vhost_memory`.
#[repr(C)]
pub(super) struct MemoryTable {
    pub(super) count: u32,
    pub(super) padding: u32,
    pub(super) regions: [MemoryRegion; MAX_REGIONS],
}

const _: () = {
    assert!(size_of::<State>() == 8 && size_of::<RingFile>() == 8);
    assert!(size_of::<Addresses>() == 40 && size_of::<MemoryRegion>() == 32);
    assert!(size_of::<MemoryTable>() == 8 + 32 * MAX_REGIONS);
    // As the kernel's headers have them.
    assert!(GET_FEATURES == 0x8008_AF00 && SET_OWNER == 0xAF01 && SET_MEM_TABLE == 0x4008_AF03);
    assert!(SET_VRING_ADDR == 0x4028_AF11 && NET_SET_BACKEND == 0x4008_AF30);
};

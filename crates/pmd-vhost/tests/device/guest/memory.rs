//! Memory that a guest shares.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

/// A sealed memfd, mapped here.
pub(crate) struct Memory {
    pub(crate) fd: OwnedFd,
    pub(crate) len: usize,
    base: *mut u8,
}

// SAFETY: the mapping is the process's; it is touched by copying and by atomic operations.
unsafe impl Send for Memory {}

impl Memory {
    pub(crate) fn new(len: usize) -> Self {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name ends with a zero; the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"guest".as_ptr(), flags)) };
        File::from(fd.try_clone().expect("a descriptor")).set_len(len as u64).expect("memory");
        // SAFETY: no pointers.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of the whole file.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        assert!(base != libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Memory { fd, len, base: base.cast() }
    }

    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset + len <= self.len, "the test itself is out of bounds");
        // SAFETY: within the mapping.
        unsafe { self.base.add(offset) }
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        // SAFETY: within the mapping; what the device reads meanwhile is the test's business.
        unsafe { self.at(offset, bytes.len()).copy_from(bytes.as_ptr(), bytes.len()) };
    }

    pub(crate) fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        // SAFETY: within the mapping.
        unsafe { bytes.as_mut_ptr().copy_from(self.at(offset, len), len) };
        bytes
    }

    fn word(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: two aligned bytes of the mapping.
        unsafe { AtomicU16::from_ptr(self.at(offset, 2).cast()) }
    }

    /// What was written before is seen with it.
    pub(crate) fn store(&self, offset: usize, value: u16) {
        // Release pairs with the device's acquire of an index or flags.
        self.word(offset).store(value, Ordering::Release);
    }

    pub(crate) fn load(&self, offset: usize) -> u16 {
        // Acquire pairs with the device's release of an index or flags.
        self.word(offset).load(Ordering::Acquire)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; nothing borrowed from it is left.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

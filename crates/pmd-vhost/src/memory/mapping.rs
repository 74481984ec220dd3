//! Memory that another process shares with us by a descriptor.
//!
//! The file behind it may not be what its sender says. What can be checked is checked when it is
//! mapped: that it is memory (a file of tmpfs or hugetlbfs: pages of another file system may take for
//! ever to come), and that it is as long as is said. What can happen later cannot be checked: a file
//! that is cut makes every access behind its new end a SIGBUS, which ends the process. A seal against
//! shrinking rules that out ([`Shrinking::Refuse`] insists on one).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// What to do about memory that its owner could cut while we use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shrinking {
    /// Take it: its owner is trusted that far. QEMU seals its memfds; DPDK does not.
    #[default]
    Accept,
    /// Take only memory that is sealed against it (`F_SEAL_SHRINK`). The seal does not forbid holes
    /// (`FALLOC_FL_PUNCH_HOLE`), and one in huge pages, once there are no more of them, ends this process
    /// at the next access like a cut does: who shares huge pages is trusted, sealed or not.
    Refuse,
}

/// Why a descriptor was not mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the file ends at {end:#x} and the region at {wanted:#x}")]
    Short { end: u64, wanted: u64 },
    #[error("the file is not memory: share a memfd, or a file on tmpfs or hugetlbfs")]
    NotMemory,
    #[error("the file can be cut while it is used: seal it with F_SEAL_SHRINK")]
    Unsealed,
    #[error("no bytes, or more than there are addresses")]
    Range,
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

/// A part of a shared file, mapped until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// From `base` to the first byte that was asked for: the rest of a page.
    skip: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread. It gives out an address only; what is
// there is written by others at any time, and read and written through raw pointers alone.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// File systems whose files are memory.
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58F6;
const HUGETLBFS: i64 = 0x9584_58F6;

impl Mapping {
    /// Maps `len` bytes from `offset` on.
    pub(crate) fn of(
        fd: BorrowedFd<'_>,
        offset: u64,
        len: u64,
        shrinking: Shrinking,
    ) -> Result<Self, Refused> {
        let (end, page) = check(fd, shrinking)?;
        let wanted = offset.checked_add(len).filter(|_| len > 0).ok_or(Refused::Range)?;
        if wanted > end {
            return Err(Refused::Short { end, wanted });
        }
        let start = offset - offset % page;
        let bytes = (wanted - start).checked_next_multiple_of(page).ok_or(Refused::Range)?;
        let bytes = isize::try_from(bytes).map_err(|_| Refused::Range)? as usize;
        let at = i64::try_from(start).map_err(|_| Refused::Range)?;
        let base = map(fd, at, bytes)?;
        Ok(Mapping { base, len: bytes, skip: (offset - start) as usize })
    }

    /// The first byte that was asked for.
    pub(crate) fn start(&self) -> NonNull<u8> {
        // SAFETY: `skip` is less than a page, and the mapping is longer than that.
        unsafe { self.base.add(self.skip) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length. Whoever has an address of it has this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn map(fd: BorrowedFd<'_>, at: i64, bytes: usize) -> Result<NonNull<u8>, Refused> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let (none, fd) = (std::ptr::null_mut(), fd.as_raw_fd());
    // SAFETY: a new mapping at a place of the kernel's choice.
    let base = unsafe { libc::mmap(none, bytes, access, libc::MAP_SHARED, fd, at) };
    match NonNull::new(base.cast()) {
        Some(start) if base != libc::MAP_FAILED => Ok(start),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// The file's length and its page size, if it is memory, and safe enough.
fn check(fd: BorrowedFd<'_>, shrinking: Shrinking) -> Result<(u64, u64), Refused> {
    // SAFETY: both structures are plain integers.
    let (mut stat, mut fs): (libc::stat, libc::statfs) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: both have room for what the kernel writes; the descriptor is open while borrowed.
    let failed = unsafe {
        libc::fstat(fd.as_raw_fd(), &raw mut stat) < 0
            || libc::fstatfs(fd.as_raw_fd(), &raw mut fs) < 0
    };
    if failed {
        return Err(io::Error::last_os_error().into());
    }
    let regular = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    // Magic numbers are 32 bits, sign extended on some architectures.
    let magic = fs.f_type & 0xFFFF_FFFF;
    if !regular || ![TMPFS, RAMFS, HUGETLBFS].contains(&magic) {
        return Err(Refused::NotMemory);
    }
    // SAFETY: F_GET_SEALS takes no pointer.
    let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
    if shrinking == Shrinking::Refuse && (seals < 0 || seals & libc::F_SEAL_SHRINK == 0) {
        return Err(Refused::Unsealed);
    }
    let page = if magic == HUGETLBFS { stat.st_blksize as u64 } else { 4096 };
    Ok((stat.st_size as u64, page.max(4096)))
}

/// New memory with a descriptor, `len` bytes, sealed against any change of its length.
pub(crate) fn memfd(name: &CStr, len: u64) -> io::Result<OwnedFd> {
    // SAFETY: the name ends with a zero and outlives the call.
    let fd =
        unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and known to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: neither takes a pointer.
    let failed = unsafe {
        libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) < 0
            || libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) < 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_part_of_a_file_is_mapped_wherever_it_begins() {
        let fd = memfd(c"part", 3 * 4096).expect("memory");
        let whole = Mapping::of(fd.as_fd(), 0, 3 * 4096, Shrinking::Refuse).expect("all of it");
        let part = Mapping::of(fd.as_fd(), 4100, 4096, Shrinking::Refuse).expect("a part");
        // SAFETY: both are mapped and long enough; this is the only thread that uses them.
        unsafe {
            whole.start().as_ptr().add(4100 + 4095).write_volatile(7);
            assert_eq!(part.start().as_ptr().add(4095).read_volatile(), 7);
        }
    }

    #[test]
    fn a_file_shorter_than_its_region_is_refused() {
        let fd = memfd(c"short", 4096).expect("memory");
        for (offset, len) in [(0, 4097), (1, 4096), (4096, 1), (u64::MAX, 2), (0, u64::MAX)] {
            let refused = Mapping::of(fd.as_fd(), offset, len, Shrinking::Accept);
            assert!(refused.is_err(), "{offset} {len}");
        }
        assert!(matches!(Mapping::of(fd.as_fd(), 0, 0, Shrinking::Accept), Err(Refused::Range)));
    }

    #[test]
    fn what_is_not_memory_is_refused() {
        let file = File::open("/dev/null").expect("it is always there");
        let refused = Mapping::of(file.as_fd(), 0, 4096, Shrinking::Accept);
        assert!(matches!(refused, Err(Refused::NotMemory)));
    }

    #[test]
    fn memory_that_can_be_cut_is_refused_if_that_was_asked() {
        // SAFETY: the name ends with a zero.
        let fd = unsafe { libc::memfd_create(c"loose".as_ptr(), libc::MFD_CLOEXEC) };
        // SAFETY: just opened.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        File::from(fd.try_clone().expect("a descriptor")).set_len(4096).expect("memory");
        let refused = Mapping::of(fd.as_fd(), 0, 4096, Shrinking::Refuse);
        assert!(matches!(refused, Err(Refused::Unsealed)));
        assert!(Mapping::of(fd.as_fd(), 0, 4096, Shrinking::Accept).is_ok());
    }
}

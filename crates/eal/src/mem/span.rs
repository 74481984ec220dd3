//! A stretch of address space that is ours: mapped here, unmapped when dropped.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use super::low;

/// How often a hole is looked for: between the look and the call, another thread may take it, and
/// then the next look sees what it took.
const TRIES: usize = 100;

#[derive(Debug)]
pub(super) struct Span {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range; what is behind it is accessed by whoever the segment's owner lets.
unsafe impl Send for Span {}
// SAFETY: as for Send; `&Span` gives the address only.
unsafe impl Sync for Span {}

impl Span {
    /// Maps `len` bytes of a file, or of nothing, for reading and writing: low, at a multiple of
    /// `align`, if there is room; else wherever the kernel likes.
    pub(super) fn map(
        file: Option<&File>,
        flags: libc::c_int,
        len: usize,
        align: usize,
    ) -> io::Result<Self> {
        let (kind, fd) = match file {
            Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
            None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
        };
        let flags = kind | flags;
        for _ in 0..TRIES {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
            let Some(place) = low::hole(&maps, len, align) else { break };
            match Self::map_at(place, len, flags | libc::MAP_FIXED_NOREPLACE, fd) {
                Ok(span) if span.base.addr().get() == place => return Ok(span),
                // A kernel before 4.17 takes the place for a wish.
                Ok(_elsewhere) => (),
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => (),
                Err(error) => return Err(error),
            }
        }
        Self::map_at(0, len, flags, fd)
    }

    fn map_at(place: usize, len: usize, flags: libc::c_int, fd: libc::c_int) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let wish = std::ptr::without_provenance_mut(place);
        // SAFETY: without MAP_FIXED a mapping replaces none.
        let base = unsafe { libc::mmap(wish, len, access, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // SAFETY: the range is of one mapping of ours, or of what was put over it, and whoever
        // dropped the segment has promised that nothing uses it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

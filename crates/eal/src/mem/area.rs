//! A mapped stretch of address space, and what the kernel is asked to do with it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use super::page::{PageSize, Pages, base_page};
use super::span::Span;

/// `span` from `offset`, `len` bytes. The rest of it is only there for alignment.
#[derive(Debug)]
pub(super) struct Area {
    span: Span,
    offset: usize,
    len: usize,
}

impl Area {
    /// Maps `len` bytes, a multiple of `pages`' unit. Nothing is faulted in; huge pages are
    /// reserved, so that a shortage is an error here and not a SIGBUS later.
    pub(super) fn map(file: Option<&File>, pages: Pages, len: usize) -> io::Result<Self> {
        let whole =
            |flags, align| Ok(Self { span: Span::map(file, flags, len, align)?, offset: 0, len });
        match pages {
            Pages::Transparent => Self::aligned(file, len),
            Pages::Huge(size) if file.is_none() => {
                let size_bits = (size.bits() as libc::c_int) << libc::MAP_HUGE_SHIFT;
                whole(libc::MAP_HUGETLB | size_bits, size.bytes())
            }
            Pages::Huge(size) => whole(0, size.bytes()),
            Pages::Base => whole(0, base_page()),
        }
    }

    /// As `map`, starting at a multiple of 2 MiB, without which the kernel merges no pages.
    fn aligned(file: Option<&File>, len: usize) -> io::Result<Self> {
        let unit = PageSize::Size2M.bytes();
        let wide = len.checked_add(unit).ok_or(io::ErrorKind::OutOfMemory)?;
        let span = Span::map(None, libc::MAP_NORESERVE, wide, unit)?;
        let start = span.base().as_ptr().addr();
        let area = Self { span, offset: start.next_multiple_of(unit) - start, len };
        if let Some(file) = file {
            area.overlay(file)?;
        }
        Ok(area)
    }

    /// Puts the file in place of the anonymous pages of this area.
    fn overlay(&self, file: &File) -> io::Result<()> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let base = self.base().as_ptr().cast();
        // SAFETY: MAP_FIXED replaces [base, base + len), which lies within `self.span`: we own it,
        // nothing has a pointer into it yet, and unmapping `self.span` unmaps the replacement too.
        let got = unsafe { libc::mmap(base, self.len, access, flags, file.as_raw_fd(), 0) };
        if got == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        // SAFETY: `offset + len` is within the span.
        unsafe { self.span.base().add(self.offset) }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Tells the kernel how the area is used: one of the `MADV_…` that change no contents.
    pub(super) fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the range is ours, and all callers' advice is about pages, not their contents.
        let refused = unsafe { libc::madvise(self.base().as_ptr().cast(), self.len, advice) };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Faults every page in for writing. A page that cannot be had is an error; on kernels before
    /// 5.14, which cannot tell, it is a SIGBUS (the reservation makes it unlikely).
    pub(super) fn populate(&self) -> io::Result<()> {
        match self.advise(libc::MADV_POPULATE_WRITE) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.touch();
                Ok(())
            }
            result => result,
        }
    }

    fn touch(&self) {
        for offset in (0..self.len).step_by(base_page()) {
            // SAFETY: `offset` is within the area, which is mapped for writing and still all
            // zeroes, and of which nobody else has a pointer yet.
            unsafe { self.base().as_ptr().add(offset).write_volatile(0) };
        }
    }

    /// Has the kernel merge what is already faulted in (`MADV_COLLAPSE`, 6.1).
    pub(super) fn collapse(&self) -> io::Result<()> {
        self.advise(libc::MADV_COLLAPSE)
    }

    pub(super) fn lock(&self) -> io::Result<()> {
        // SAFETY: the range is ours, and mlock does not change its contents.
        let refused = unsafe { libc::mlock(self.base().as_ptr().cast(), self.len) };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// How many of its bytes are on huge pages that the kernel merged, from `/proc/self/smaps`.
    pub(super) fn merged(&self) -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let base = self.base().as_ptr().addr();
        merged_in(&smaps, base, base + self.len).min(self.len)
    }
}

/// Sums the merged bytes of the mappings that touch `[start, end)`.
fn merged_in(smaps: &str, start: usize, end: usize) -> usize {
    const FIELDS: [&str; 3] = ["AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:"];
    let (mut ours, mut kib) = (false, 0);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (Some(first), value) = (words.next(), words.next()) else { continue };
        if let Some((from, to)) = range(first) {
            ours = from < end && start < to;
        } else if ours && FIELDS.contains(&first) {
            kib += value.and_then(|kib| kib.parse().ok()).unwrap_or(0);
        }
    }
    kib * 1024
}

/// `7f00-8000`, in hexadecimal: the first word of a mapping's heading.
fn range(word: &str) -> Option<(usize, usize)> {
    let (from, to) = word.split_once('-')?;
    let hex = |text| usize::from_str_radix(text, 16).ok();
    Some((hex(from)?, hex(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_pages_are_counted_in_our_mappings_only() {
        let smaps = "1000-3000 rw-p 00000000 00:00 0\nAnonHugePages:      8 kB\n\
                     3000-5000 rw-s 00000000 00:01 7 /memfd:x (deleted)\nShmemPmdMapped: 4 kB\n\
                     VmFlags: rd wr\n9000-a000 rw-p 0 0 0\nAnonHugePages:  64 kB\n";
        assert_eq!(merged_in(smaps, 0x3000, 0x4000), 4096);
        assert_eq!(merged_in(smaps, 0x1000, 0x5000), 12288);
        assert_eq!(merged_in("", 0, usize::MAX), 0);
    }

    #[test]
    fn an_area_for_merging_starts_at_a_multiple_of_two_mebibytes() {
        let two = PageSize::Size2M.bytes();
        let area = Area::map(None, Pages::Transparent, two).unwrap();
        assert_eq!(area.base().as_ptr().addr() % two, 0);
        area.populate().unwrap();
    }

    #[test]
    fn touching_is_as_good_as_populating() {
        let area = Area::map(None, Pages::Base, 8 * base_page()).unwrap();
        area.touch();
        assert_eq!(area.len(), 8 * base_page());
    }
}

//! The log of dirty pages: a bit a page of 4 KiB of guest memory, shared with the front-end, which
//! copies what is dirty to where the guest moves.

use super::mapping::{Mapping, Shrinking};
use crate::request::Wrong;
use linecard_virtqueue::vhost_user::message::Log;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering};

const PAGE: u64 = 4096;

/// The log.
#[derive(Debug)]
pub(crate) struct DirtyLog {
    mapping: Mapping,
    bytes: u64,
}

impl DirtyLog {
    /// Maps the log that a front-end gives.
    pub(crate) fn map(area: Log, fd: BorrowedFd<'_>, shrinking: Shrinking) -> Result<Self, Wrong> {
        let mapping = Mapping::of(fd, area.offset, area.size, shrinking)
            .map_err(|why| Wrong::refused(format!("the log: {why}")))?;
        Ok(DirtyLog { mapping, bytes: area.size })
    }

    /// Whether it has a bit for every page below this guest address.
    pub(crate) fn covers(&self, end: u64) -> bool {
        end.div_ceil(PAGE).div_ceil(8) <= self.bytes
    }

    /// Marks the pages of a range of guest memory that has been written. Pages without a bit are left
    /// out.
    pub(crate) fn mark(&self, guest: u64, len: u64) {
        if len == 0 {
            return;
        }
        let last = guest.saturating_add(len - 1) / PAGE;
        for page in guest / PAGE..=last.min(self.bytes.saturating_mul(8).saturating_sub(1)) {
            // SAFETY: `page / 8` is less than the log's bytes, all of which are mapped; everybody
            // changes them with atomic operations.
            let byte = unsafe {
                AtomicU8::from_ptr(self.mapping.start().as_ptr().add((page / 8) as usize))
            };
            // Release pairs with the acquire with which the front-end takes the bits: it copies the
            // page as we have written it.
            byte.fetch_or(1 << (page % 8), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::memfd;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn every_page_that_was_written_has_its_bit() {
        let fd = memfd(c"log", 8).expect("memory");
        let log = DirtyLog::map(Log { size: 8, offset: 0 }, fd.as_fd(), Shrinking::Refuse);
        let log = log.expect("a log");
        assert!(log.covers(64 * PAGE) && !log.covers(64 * PAGE + 1));
        log.mark(PAGE - 1, 2);
        log.mark(9 * PAGE, PAGE);
        log.mark(63 * PAGE, 10 * PAGE);
        log.mark(u64::MAX, u64::MAX);
        log.mark(5 * PAGE, 0);
        let mut bits = [0; 8];
        File::from(fd).read_exact_at(&mut bits, 0).expect("eight bytes");
        assert_eq!(bits, [0b11, 0b10, 0, 0, 0, 0, 0, 0x80]);
    }
}

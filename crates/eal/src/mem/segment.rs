//! Memory that is there.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

use super::addr::{Iova, IovaMap, PhysMap, VirtAddr};
use super::area::Area;
use super::attempt::Mapped;
use super::error::MemError;
use super::page::{PageSize, Pages};
use super::physical;
use super::report::{Got, Report};
use crate::Root;

/// Mapped memory: owned, zeroed, every page faulted in. Dropping it unmaps it and gives its
/// pages back.
///
/// It hands out a raw pointer only. Who may access which bytes when is the business of whoever
/// carves the segment up; the segment itself never reads or writes it.
#[derive(Debug)]
pub struct Segment {
    area: Area,
    file: Option<File>,
    pages: Pages,
    merged: bool,
    report: Report,
}

static_assertions::assert_impl_all!(Segment: Send, Sync);

/// How devices address memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IovaMode {
    /// Behind an IOMMU that is set up to translate from this process's addresses.
    Virtual,
    /// By physical address, without an IOMMU.
    Physical,
}

impl Segment {
    pub(super) fn new(mapped: Mapped, report: Report) -> Self {
        let Mapped { area, file, pages, merged } = mapped;
        Self { area, file, pages, merged, report }
    }

    /// The first byte. Valid for reads and writes of [`len`](Self::len) bytes until the drop.
    pub fn base(&self) -> NonNull<u8> {
        self.area.base()
    }

    /// The first byte's address as a number.
    pub fn address(&self) -> VirtAddr {
        VirtAddr::of(self.base().as_ptr())
    }

    /// The length in bytes: what was asked for, rounded up to whole pages.
    #[expect(clippy::len_without_is_empty, reason = "a segment is never empty")]
    pub fn len(&self) -> usize {
        self.area.len()
    }

    /// The size of its pages, before any merging.
    pub fn page_size(&self) -> PageSize {
        self.pages.page_size()
    }

    /// Whether it is of the kernel's huge page pool.
    pub fn is_huge(&self) -> bool {
        matches!(self.pages, Pages::Huge(_))
    }

    /// Whether the kernel had merged all of its base pages into 2 MiB pages when it was mapped.
    pub fn transparent_huge(&self) -> bool {
        self.merged
    }

    /// The node that all of its pages were on when it was mapped; `None` if they are spread, or
    /// the kernel does not tell (the report says which).
    pub fn node(&self) -> Option<u32> {
        self.got().and_then(|got| got.node)
    }

    /// What was tried, why it failed, what was got.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The file that backs it and where in the file it starts, to share with another process;
    /// `None` for anonymous memory.
    ///
    /// # Safety
    ///
    /// Through the descriptor, its copies, and what others do with it, nothing is written to the
    /// memory that its owner does not allow: a pool's objects, say, only as their holders would.
    pub unsafe fn file(&self) -> Option<(BorrowedFd<'_>, u64)> {
        self.file.as_ref().map(|file| (file.as_fd(), 0))
    }

    /// The physical address of every page.
    ///
    /// It holds while the pages stay where they are: huge pages do, locked base pages may still
    /// be moved by compaction. A device that goes on using an address after a move corrupts
    /// memory, so drive devices without an IOMMU from huge pages only.
    ///
    /// # Errors
    ///
    /// [`MemError::PhysicalHidden`] without CAP_SYS_ADMIN, [`MemError::PageAbsent`] if a page has
    /// been swapped out, [`MemError::Read`] if there is no pagemap.
    pub fn physical(&self) -> Result<PhysMap, MemError> {
        self.physical_in(&Root::host())
    }

    pub(super) fn physical_in(&self, root: &Root) -> Result<PhysMap, MemError> {
        let page = match self.pages {
            Pages::Huge(size) => size.bytes(),
            Pages::Transparent | Pages::Base => Pages::Base.unit(),
        };
        physical::map(root, self.address(), self.len(), page)
    }

    /// The address of every page as a device has to be told.
    ///
    /// # Errors
    ///
    /// As [`physical`](Self::physical) in [`IovaMode::Physical`]; none otherwise.
    pub fn iova(&self, mode: IovaMode) -> Result<IovaMap, MemError> {
        match mode {
            IovaMode::Physical => self.physical().map(IovaMap::from),
            IovaMode::Virtual => {
                let start = Iova::new(self.address().raw() as u64);
                Ok(IovaMap::contiguous_from(start, self.len(), self.page_size().bytes()))
            }
        }
    }

    fn got(&self) -> Option<&Got> {
        self.report.attempts.last()?.outcome.as_ref().ok()
    }
}

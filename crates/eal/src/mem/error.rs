//! What can go wrong with memory.

use std::io;
use std::path::PathBuf;

use super::report::Report;

/// Why memory could not be had, or its addresses not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemError {
    /// A request for nothing.
    #[error("a segment of 0 bytes was asked for; ask for at least 1")]
    Empty,
    /// A request that cannot be rounded up to a page within the address space.
    #[error("{len} bytes cannot be rounded up to whole pages: the limit is {limit} bytes")]
    TooLong {
        /// What was asked for.
        len: usize,
        /// The most that can be asked for.
        limit: usize,
    },
    /// No attempt worked; the report has each of them with its reason and what to do about it.
    #[error("no memory that meets the request\n{0}")]
    Unavailable(Box<Report>),
    /// The kernel hides physical addresses from this process.
    #[error(
        "physical addresses are hidden from this process: run with CAP_SYS_ADMIN, \
         or use IovaMode::Virtual behind an IOMMU (vfio-pci), which needs no privilege"
    )]
    PhysicalHidden,
    /// A page of the segment was not in memory when its address was looked up.
    #[error("the page at offset {offset:#x} is not in memory; map the segment with Lock::Yes")]
    PageAbsent {
        /// Where in the segment.
        offset: usize,
    },
    /// A file of the kernel could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

//! Memory for packets: in huge pages where there are any, on the right node, gone when dropped.
//!
//! ```
//! use linecard_eal::mem::{PagePolicy, Request};
//!
//! # fn main() -> Result<(), linecard_eal::mem::MemError> {
//! let segment = Request::new(100_000).name("packets").map()?;
//! assert!(segment.len() >= 100_000);
//! println!("{}", segment.report());
//!
//! // A policy that the machine may not be able to meet is an error that tells what to do.
//! match Request::new(1 << 40).pages(PagePolicy::Huge).map() {
//!     Ok(segment) => println!("{}", segment.report()),
//!     Err(error) => println!("{error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! * Nothing on disk has a name, so nothing is left behind by a drop, a panic or `kill -9`.
//! * Every page is faulted in and zero before [`Request::map`] returns. A shortage of huge pages
//!   is an error there, never a SIGBUS later (kernels since 5.14; see below).
//! * A node that was required is verified after the fault, page by page.
//! * No fallback is silent: [`Segment::report`] has every attempt with the reason it failed.
//! * Segments lie low, between 4 GiB and 512 GiB, where there is room: an IOMMU of 39 bits can then
//!   show them to a device at the process's own addresses.
//! * A file that is shared cannot be cut short by whom it is shared with (memfd only).
//!
//! # What merging costs
//!
//! Where the kernel gives a memfd no transparent huge pages by itself (`shmem_enabled` is `never`
//! as delivered), base pages are faulted in and merged by `MADV_COLLAPSE`, which copies them: for
//! 1 GiB 0.8 to 3 s, where anonymous memory took 0.1 to 1.3 s and base pages 0.7 s (one virtual
//! machine, Linux 6.18). `echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled` makes
//! it the kernel's own business; huge pages, reserved at boot, make it nobody's.
//!
//! # How a shortage is found
//!
//! Mapping a file of huge pages reserves them, on any node; `ENOMEM` if there are too few. Bound
//! to a node, a fault can still find that node empty, and a fault without a page is a SIGBUS. So
//! the node's free pages are counted first, and pages are faulted in by `MADV_POPULATE_WRITE`,
//! which returns an error instead. Kernels before 5.14 lack it: pages are then touched one by
//! one, and a race for the last page of a node is lost with a SIGBUS.

mod addr;
mod area;
mod attempt;
mod backing;
mod error;
mod hugepages;
mod low;
mod page;
mod physical;
mod placement;
mod report;
mod request;
mod segment;
mod span;

pub use addr::{AddressMap, BusAddress, Iova, IovaMap, PhysAddr, PhysMap, Run, VirtAddr};
pub use backing::Backing;
pub use error::MemError;
pub use hugepages::{Access, Counts, HugeMount, HugePages, HugeSize, ThpMode};
pub(crate) use page::base_page;
pub use page::{PagePolicy, PageSize, Pages};
pub use report::{Attempt, Failure, Got, Report, Step};
pub use request::{Lock, Node, Request};
pub use segment::{IovaMode, Segment};

#[cfg(test)]
mod tests;

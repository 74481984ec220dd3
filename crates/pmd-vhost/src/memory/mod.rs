//! The guest's memory: where it is, what of it may be touched, and what has been.
//!
//! Nothing here is ever behind a Rust reference: the guest writes it at any time. An address that
//! the guest gives becomes a [`Span`] only if it lies in a region that the front-end has shared (and,
//! behind an IOMMU, in a translation with the right that is needed); a span is touched by copying to or
//! from memory of our own.

mod iotlb;
mod log;
mod mapping;
mod table;
mod view;

pub(crate) use iotlb::Translations;
pub(crate) use log::DirtyLog;
pub use mapping::Shrinking;
pub(crate) use mapping::{Mapping, memfd};
pub(crate) use table::{MOST_REGIONS, MemoryTable, Region};
pub(crate) use view::{Access, Span, View};

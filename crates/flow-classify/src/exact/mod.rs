//! Exact match: a flow table.

mod array;
mod bucket;
mod build;
mod bulk;
mod displace;
mod entry;
mod error;
mod key;
mod paths;
mod positions;
mod read;
mod scan;
mod several;
mod shared;
mod write;

pub use build::Builder;
pub use entry::{Found, Position};
pub use error::{Error, Refused, Why};
pub use key::{Hash, Key, Seed};
pub use read::{FlowTable, Reader, View};
pub use several::{SharedWriter, Turn};
pub use write::{Inserted, Writer};

#[cfg(all(test, not(loom)))]
mod tests;

//! What can be wrong with a table's shape, and why an entry was not taken.

use crate::simd::NotHere;

/// A table cannot be made as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No entries at all, or too many.
    #[error("a table of {asked} entries: 1 to {limit} are possible; for more, shard by hash")]
    Capacity {
        /// What was asked for.
        asked: usize,
        /// The most there can be.
        limit: usize,
    },
    /// A load that buckets cannot have.
    #[error("buckets filled to {asked} %: 25 to 100 are possible; 80 is what tables begin with")]
    Load {
        /// What was asked for.
        asked: u32,
    },
    /// The memory was not there.
    #[error("no {bytes} bytes of memory for the table: ask for fewer entries")]
    Memory {
        /// What was asked for.
        bytes: usize,
    },
    /// The processor lacks the instructions that were asked for.
    #[error(transparent)]
    Simd(#[from] NotHere),
}

/// An entry that was not taken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused<V> {
    /// The value, given back.
    pub value: V,
    /// What is in the way.
    pub why: Why,
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The table has as many entries as it was made for.
    #[error("the table is full at {capacity} entries: remove some, or make a larger one")]
    Full {
        /// What the table was made for.
        capacity: usize,
    },
    /// There is room, but a reader may still look at what was removed.
    #[error(
        "{removed} removed entries are held by a reader: have every reader begin a new view, or drop it"
    )]
    Held {
        /// How many entries wait.
        removed: usize,
    },
}

//! What can go wrong when a pool is made, and what an audit can find.

use core::ops::Range;
use linecard_eal::mem::MemError;

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No objects, or too many.
    #[error("a pool of {0} objects: take 1 to {max}", max = crate::MAX_SIZE)]
    Size(usize),
    /// Objects of no bytes, or too many.
    #[error("objects of {0} bytes: take 1 to {max}", max = crate::layout::MAX_OBJECT)]
    ObjectSize(usize),
    /// A cache that is larger than allowed or than two thirds of the pool.
    #[error(
        "a cache of {cache} objects a thread for a pool of {size}: at most {max}, and no more than \
         two thirds of the pool, since a thread may hold half as many again"
    )]
    Cache {
        /// What was asked for.
        cache: usize,
        /// The pool's size.
        size: usize,
        /// The most that a cache may hold.
        max: usize,
    },
    /// The alignment is not a power of two, or above a page.
    #[error("an alignment of {0} bytes: take a power of two up to 4096")]
    Alignment(usize),
    /// The bytes to watch are not bytes of an object.
    #[error(
        "watching bytes {} to {} of objects of {object} bytes: take a range within the object",
        watched.start, watched.end
    )]
    Watch {
        /// What was asked for.
        watched: Range<usize>,
        /// Bytes of an object.
        object: usize,
    },
    /// The supplied segments hold fewer objects than asked for.
    #[error("the segments hold {fit} objects of {stride} bytes each, not {size}: add memory")]
    SegmentsTooSmall {
        /// Objects that fit.
        fit: usize,
        /// Objects asked for.
        size: usize,
        /// Bytes from one object to the next.
        stride: usize,
    },
    /// A pool that could starve its receivers.
    #[error(
        "a pool of {size} objects could starve: {needed} may be held at once ({terms}): take at \
         least {needed}"
    )]
    Starves {
        /// The pool's size.
        size: usize,
        /// What it needs.
        needed: usize,
        /// The sum, term by term.
        terms: String,
    },
    /// No memory.
    #[error(transparent)]
    Memory(#[from] MemError),
}

/// What an audit of a pool found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Something wrote past the end of an object.
    #[error("object {index}: its canary is {found:#018x}: something wrote past the object's end")]
    Overflow {
        /// Which object.
        index: usize,
        /// What stands where the canary was.
        found: u64,
    },
    /// Something wrote into a free object.
    #[error("object {index}: byte {offset} changed while it was free: a use after free")]
    UseAfterFree {
        /// Which object.
        index: usize,
        /// Which byte.
        offset: usize,
    },
    /// More objects are free than there are.
    #[error("{available} of {size} objects are free: one was returned twice")]
    TooMany {
        /// Objects free.
        available: usize,
        /// Objects there are.
        size: usize,
    },
}

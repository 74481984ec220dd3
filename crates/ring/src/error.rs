//! What can go wrong when a ring is made. Full and empty are values, not errors.

use core::fmt;

/// Why a ring could not be made, attached to, or given another handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The capacity is zero or above 2³⁰.
    Capacity {
        /// What was asked for.
        asked: usize,
    },
    /// The heap has no room for a ring of this capacity.
    NoMemory,
    /// The caller's memory is too small.
    MemoryTooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The caller's memory does not start on a multiple of 128 bytes.
    MemoryUnaligned,
    /// The memory holds no ring, or one of another element or of other sides.
    NotThisRing,
    /// A single side already has its one handle.
    Taken,
}

/// The largest capacity, 2³⁰: positions are 32 bits, and their difference must stay unambiguous even
/// where one of them is a few laps old.
pub const MAX_CAPACITY: usize = 1 << 30;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Capacity { asked } => {
                write!(f, "a ring of {asked} elements: take 1 to {MAX_CAPACITY}")
            }
            Error::NoMemory => {
                f.write_str("no memory for a ring of this capacity: take a smaller one")
            }
            Error::MemoryTooSmall { needed, given } => write!(
                f,
                "the ring needs {needed} bytes and was given {given}: see `Ring::bytes_for`"
            ),
            Error::MemoryUnaligned => {
                f.write_str("memory for a ring must start on a multiple of 128 bytes")
            }
            Error::NotThisRing => f.write_str(
                "the memory holds no ring of this element type and these sides: create it first, \
                 with the same types, and attach afterwards",
            ),
            Error::Taken => f.write_str(
                "this single side already has its one handle: move it, or make the side Multi",
            ),
        }
    }
}

impl core::error::Error for Error {}

/// The ring was full: here is your element back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full")
    }
}

impl<T: fmt::Debug> core::error::Error for Full<T> {}

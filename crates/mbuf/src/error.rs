//! What can go wrong with a buffer or its pool.

/// There is no room for an edit; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} {} asked for, {room} {place}", place.unit())]
pub struct NoRoom {
    /// Bytes (or segments) asked for.
    pub asked: usize,
    /// Bytes (or segments) there are.
    pub room: usize,
    /// Where they are.
    pub place: Place,
}

/// Where an edit looked for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In front of the first segment's data.
    Headroom,
    /// Behind the last segment's data.
    Tailroom,
    /// In the first segment: `adjust` does not reach beyond it.
    FirstSegment,
    /// In the packet.
    Packet,
    /// Segments that a chain may still have.
    Segments,
}

impl Place {
    /// What is counted there.
    fn unit(&self) -> &'static str {
        if *self == Place::Segments { "segments" } else { "bytes" }
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Place::Headroom => "of headroom left",
            Place::Tailroom => "of tailroom left",
            Place::FirstSegment => "in the first segment",
            Place::Packet => "in the packet",
            Place::Segments => "left of what a chain may have",
        })
    }
}

/// Why a pool of packet buffers could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Headroom and data room together are too large or too small.
    #[error("{headroom} bytes of headroom and {room} of data: together take 64 to 65535")]
    Room {
        /// Headroom asked for.
        headroom: usize,
        /// Data room asked for.
        room: usize,
    },
    /// A buffer that no device can be told of as one piece.
    #[error(
        "a buffer lies across pages that are not neighbours on the memory bus: take huge pages \
         (PagePolicy::Huge) for devices without an IOMMU"
    )]
    Scattered,
    /// The pool itself.
    #[error(transparent)]
    Pool(#[from] linecard_mempool::Error),
    /// Addresses for devices.
    #[error(transparent)]
    Memory(#[from] linecard_eal::mem::MemError),
}

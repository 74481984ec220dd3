//! What a device may say that cannot be.

/// Why a queue was given up: the device is broken, or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lie {
    /// More buffers used than it has.
    #[error("the device says it used {said} buffers, and has {outstanding}")]
    Index {
        /// Buffers that it says.
        said: u16,
        /// Buffers that it has.
        outstanding: u16,
    },
    /// A buffer that it does not have.
    #[error("the device returned buffer {0}, which it does not have")]
    Id(u32),
    /// More bytes than there was room for, or fewer than a header.
    #[error("the device says it wrote {said} bytes: a header has {header}, the buffer {room}")]
    Length {
        /// Bytes that it says.
        said: u32,
        /// Bytes of a header.
        header: u32,
        /// Bytes of the buffer.
        room: u32,
    },
}

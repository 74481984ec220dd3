//! What is unfinished about a frame, in both directions: between the virtio-net header and a packet's
//! metadata (virtio 1.2 §5.1.6.2, §5.1.6.4).
//!
//! * [`settle`]: a frame came with a header. Its checksum is completed, or the packet says that it is
//!   open and asks the port that sends it on; a large frame becomes a packet to be cut.
//! * [`Head`]: a packet that asks for something goes out, and is not touched: the header, and the
//!   frame's first bytes as they must be. [`prepare`] does the same in the packet itself.
//! * [`Segments`] cuts a large frame for whoever takes none.

mod receive;
mod segment;
mod transmit;

#[cfg(test)]
mod tests;

pub use receive::settle;
pub use segment::Segments;
pub use transmit::{Head, TAG, is_simple, prepare, tag};

use bitflags::bitflags;

bitflags! {
    /// What may be left unfinished in a received frame.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Unfinished: u8 {
        /// TCP and UDP checksums: the packet says what is known, and asks for the rest.
        const CHECKSUM = 1 << 0;
        /// Segmentation: large TCP frames are welcome.
        const LARGE_TCP = 1 << 1;
        /// And large UDP ones.
        const LARGE_UDP = 1 << 2;
    }
}

/// Header and frame do not fit each other: the frame is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the virtio-net header does not fit its frame")]
pub struct Unsound;

/// Where the checksum is in a TCP header.
const TCP_CHECKSUM: u16 = 16;
/// Where the checksum is in a UDP header.
const UDP_CHECKSUM: u16 = 6;

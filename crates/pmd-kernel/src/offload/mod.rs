//! What the kernel leaves to whoever takes a frame, and what it does for whoever gives one: between
//! `virtio_net_hdr` and a packet's metadata.

mod receive;
mod segment;
mod transmit;

#[cfg(test)]
mod tests;

pub(crate) use receive::{Unsound, settle};
pub(crate) use segment::Segments;
pub(crate) use transmit::{Head, TAG, is_simple, tag};

/// Where the checksum is in a TCP header.
const TCP_CHECKSUM: u16 = 16;
/// Where the checksum is in a UDP header.
const UDP_CHECKSUM: u16 = 6;

//! Internet checksums (RFC 1071), their incremental update (RFC 1624), and SCTP's CRC32c.
//!
//! A *sum* is the folded ones' complement sum; a *checksum* is its complement, as it stands in a
//! header. Words are big-endian, an odd last byte is the high half of a word.

mod incremental;
mod internet;

pub use incremental::{update_bytes, update_u16, update_u32};
pub use internet::{checksum, fold, sum};

//! Internet checksums (RFC 1071), their incremental update (RFC 1624), and SCTP's CRC32c.
//!
//! A *sum* is the folded ones' complement sum; a *checksum* is its complement, as it stands in a
//! header. Words are big-endian, an odd last byte is the high half of a word.
//!
//! [`fill_ipv4`], [`fill_l4`] and the `verify` functions work on a frame in place, with the
//! offsets that [`crate::parse()`] found.

#[cfg_attr(
    all(target_arch = "x86_64", feature = "std"),
    expect(
        unsafe_code,
        reason = "calling a function compiled for AVX2, once AVX2 is known to be there"
    )
)]
mod bulk;
mod crc32c;
mod frame;
mod incremental;
mod internet;

pub use crc32c::{Crc32c, crc32c};
pub use frame::{Status, fill_ipv4, fill_l4, l4_checksum, pseudo_sum, verify_ipv4, verify_l4};
pub use incremental::{update_bytes, update_u16, update_u32};
pub use internet::{checksum, fold, ipv4_header_checksum, pseudo_v4, pseudo_v6, sum};

#[cfg(test)]
mod tests;

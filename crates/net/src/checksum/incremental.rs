//! Mending a checksum after a field changed, without reading the packet (RFC 1624).

use super::internet::{fold, sum};

/// The checksum after one aligned 16-bit word changed from `before` to `after`.
#[inline]
pub const fn update_u16(checksum: u16, before: u16, after: u16) -> u16 {
    // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
    !fold(!checksum as u64 + !before as u64 + after as u64)
}

/// The checksum after one aligned 32-bit word changed, an IPv4 address say.
#[inline]
pub const fn update_u32(checksum: u16, before: u32, after: u32) -> u16 {
    !fold(!checksum as u64 + !before as u64 + after as u64)
}

/// The checksum after an aligned stretch of bytes changed, an IPv6 address say.
///
/// Both stretches must begin at an even offset of what the checksum covers.
pub fn update_bytes<const N: usize>(checksum: u16, before: &[u8; N], after: &[u8; N]) -> u16 {
    let (old, new) = (sum(before), sum(after));
    !fold(!checksum as u64 + !old as u64 + new as u64)
}

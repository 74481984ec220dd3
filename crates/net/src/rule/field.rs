//! How one field of a header is matched.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::ItemFault;
use crate::MacAddr;

/// A value that a header field can have: an unsigned number, of at most 128 bits.
pub trait Field: Copy {
    /// Bits of the type.
    const BITS: u32;

    /// The value as a number, the first byte on the wire being the highest.
    fn to_number(self) -> u128;
}

macro_rules! field {
    ($($ty:ty, $bits:literal, $number:expr;)*) => {
        $(impl Field for $ty {
            const BITS: u32 = $bits;

            #[inline]
            fn to_number(self) -> u128 {
                let number: fn($ty) -> u128 = $number;
                number(self)
            }
        })*
    };
}

field! {
    u8, 8, u128::from;
    u16, 16, u128::from;
    u32, 32, u128::from;
    Ipv4Addr, 32, |address| u128::from(address.to_bits());
    Ipv6Addr, 128, Ipv6Addr::to_bits;
    MacAddr, 48, |address| {
        let MacAddr([a, b, c, d, e, f]) = address;
        u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    };
}

/// Which values of a field match.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Match<T> {
    /// All.
    #[default]
    Any,
    /// One.
    Exact(T),
    /// Those equal to `value` in the bits that `mask` has set.
    Mask {
        /// The bits to find.
        value: T,
        /// The bits to look at.
        mask: T,
    },
    /// Those equal to `value` in the first `len` bits.
    Prefix {
        /// The bits to find.
        value: T,
        /// Bits to look at, from the highest of the field.
        len: u8,
    },
    /// Those from `lo` to `hi`, both included.
    Range {
        /// The least.
        lo: T,
        /// The greatest.
        hi: T,
    },
}

impl<T> Match<T> {
    /// Those equal to `value` in the first `len` bits.
    pub const fn prefix(value: T, len: u8) -> Self {
        Self::Prefix { value, len }
    }

    /// Whether this asks nothing.
    pub const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

impl<T> From<T> for Match<T> {
    fn from(value: T) -> Self {
        Self::Exact(value)
    }
}

impl<T: Field> Match<T> {
    /// Whether a field with this value matches.
    #[inline]
    pub fn matches(&self, field: T) -> bool {
        let field = field.to_number();
        match *self {
            Self::Any => true,
            Self::Exact(value) => field == value.to_number(),
            Self::Mask { value, mask } => (field ^ value.to_number()) & mask.to_number() == 0,
            Self::Prefix { value, len } => {
                (field ^ value.to_number()) & prefix_mask(T::BITS, len) == 0
            }
            Self::Range { lo, hi } => (lo.to_number()..=hi.to_number()).contains(&field),
        }
    }

    /// Whether `field` is there and matches; a field that is missing matches `Any` only.
    pub(super) fn matches_optional(&self, field: Option<T>) -> bool {
        field.map_or(self.is_any(), |field| self.matches(field))
    }

    /// The same set as a value and a mask; `None` for a range.
    pub fn to_mask(&self) -> Option<(u128, u128)> {
        let all = prefix_mask(T::BITS, u8::MAX);
        let (value, mask) = match *self {
            Self::Any => (0, 0),
            Self::Exact(value) => (value.to_number(), all),
            Self::Mask { value, mask } => (value.to_number(), mask.to_number()),
            Self::Prefix { value, len } => (value.to_number(), prefix_mask(T::BITS, len)),
            Self::Range { .. } => return None,
        };
        Some((value & mask, mask))
    }

    /// Checks that the match makes sense for a field of `width` bits, and can match at all.
    pub(super) fn validate(&self, field: &'static str, width: u32) -> Result<(), ItemFault> {
        let fits = |value: T| value.to_number() & !prefix_mask(width, u8::MAX) == 0;
        let sound = match *self {
            Self::Range { lo, hi } if lo.to_number() > hi.to_number() => {
                return Err(ItemFault::EmptyRange { field });
            }
            Self::Prefix { len, .. } if u32::from(len) > width => {
                return Err(ItemFault::PrefixTooLong { field, len, limit: width });
            }
            Self::Any => true,
            Self::Exact(value) | Self::Prefix { value, .. } => fits(value),
            Self::Mask { value, mask } => fits(value) && fits(mask),
            Self::Range { lo, hi } => fits(lo) && fits(hi),
        };
        sound.then_some(()).ok_or(ItemFault::ValueTooLarge { field, bits: width })
    }
}

/// The first `len` of `bits` bits; all of them when `len` is greater.
const fn prefix_mask(bits: u32, len: u8) -> u128 {
    let all = u128::MAX >> (128 - bits);
    let host_bits = bits.saturating_sub(len as u32);
    if host_bits >= 128 { 0 } else { all >> host_bits << host_bits }
}

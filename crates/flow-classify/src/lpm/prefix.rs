//! Prefixes of IPv4 and IPv6, and what the tables need to know of addresses.

use super::LpmError;
use core::fmt;
use core::hash::Hash;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An address as a number: the first bit of the address is the highest.
pub trait Bits: Copy + Ord + Hash + fmt::Debug + Default + Send + Sync + sealed::Sealed {
    /// How many there are: the longest prefix.
    const WIDTH: u8;

    /// The first `len` bits, the others 0.
    fn first(self, len: u8) -> Self;

    /// The bit behind the first `len`; `len < WIDTH`.
    fn bit(self, len: u8) -> usize;

    /// How many leading bits are the same.
    fn common(self, other: Self) -> u8;

    /// With all bits behind the first `len` set: the last address of a prefix.
    fn last(self, len: u8) -> Self;
}

macro_rules! bits {
    ($($int:ty),*) => {$(
        impl Bits for $int {
            const WIDTH: u8 = <$int>::BITS as u8;

            #[inline]
            fn first(self, len: u8) -> Self {
                self & !<$int>::MAX.checked_shr(len.into()).unwrap_or(0)
            }

            #[inline]
            fn bit(self, len: u8) -> usize {
                ((self >> (Self::WIDTH - 1 - len)) & 1) as usize
            }

            #[inline]
            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            #[inline]
            fn last(self, len: u8) -> Self {
                self | <$int>::MAX.checked_shr(len.into()).unwrap_or(0)
            }
        }

        impl sealed::Sealed for $int {}
    )*};
}

bits!(u32, u128);

/// [`Ipv4Addr`] or [`Ipv6Addr`].
pub trait Address:
    Copy + Ord + Hash + fmt::Debug + fmt::Display + FromStr + sealed::Sealed
{
    /// The address as a number.
    type Bits: Bits;

    /// As a number.
    fn to_bits(self) -> Self::Bits;

    /// From a number.
    fn from_bits(bits: Self::Bits) -> Self;
}

macro_rules! address {
    ($($address:ty: $bits:ty),*) => {$(
        impl Address for $address {
            type Bits = $bits;

            #[inline]
            fn to_bits(self) -> $bits {
                <$address>::to_bits(self)
            }

            #[inline]
            fn from_bits(bits: $bits) -> Self {
                <$address>::from_bits(bits)
            }
        }

        impl sealed::Sealed for $address {}
    )*};
}

address!(Ipv4Addr: u32, Ipv6Addr: u128);

mod sealed {
    pub trait Sealed {}
}

/// The addresses that share their first `len` bits.
///
/// Prefixes are ordered by address, then by length: a prefix comes right before all that it covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix<A: Address> {
    addr: A,
    len: u8,
}

impl<A: Address> Prefix<A> {
    /// `addr/len`.
    ///
    /// # Errors
    /// If `len` is more than an address has, or a bit of `addr` behind it is set.
    pub fn new(addr: A, len: u8) -> Result<Self, LpmError> {
        if len > A::Bits::WIDTH {
            return Err(LpmError::Length { len, most: A::Bits::WIDTH });
        }
        if addr.to_bits().first(len) != addr.to_bits() {
            return Err(LpmError::HostBits { len });
        }
        Ok(Self { addr, len })
    }

    /// The prefix of `len` bits that `addr` is in.
    ///
    /// # Errors
    /// If `len` is more than an address has.
    pub fn containing(addr: A, len: u8) -> Result<Self, LpmError> {
        if len > A::Bits::WIDTH {
            return Err(LpmError::Length { len, most: A::Bits::WIDTH });
        }
        Ok(Self { addr: A::from_bits(addr.to_bits().first(len)), len })
    }

    /// `addr` alone.
    pub fn host(addr: A) -> Self {
        Self { addr, len: A::Bits::WIDTH }
    }

    /// Every address: the default route.
    pub fn all() -> Self {
        Self { addr: A::from_bits(A::Bits::default()), len: 0 }
    }

    pub(super) fn from_bits(bits: A::Bits, len: u8) -> Self {
        Self { addr: A::from_bits(bits), len }
    }

    pub(super) fn bits(self) -> A::Bits {
        self.addr.to_bits()
    }

    /// The first address.
    pub fn first(self) -> A {
        self.addr
    }

    /// The last address.
    pub fn last(self) -> A {
        A::from_bits(self.bits().last(self.len))
    }

    /// How many bits all addresses share.
    #[expect(clippy::len_without_is_empty, reason = "the length of a prefix: none is empty")]
    pub fn len(self) -> u8 {
        self.len
    }

    /// Whether every address of `other` is in this one too.
    pub fn covers(self, other: Self) -> bool {
        self.len <= other.len && other.bits().first(self.len) == self.bits()
    }

    /// Whether `addr` is in it.
    pub fn contains(self, addr: A) -> bool {
        self.covers(Self::host(addr))
    }
}

impl<A: Address> fmt::Display for Prefix<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl<A: Address> fmt::Debug for Prefix<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `192.0.2.0/24`; an address without a length is itself alone.
impl<A: Address> FromStr for Prefix<A> {
    type Err = LpmError;

    fn from_str(text: &str) -> Result<Self, LpmError> {
        let (addr, len) = match text.split_once('/') {
            Some((addr, len)) => (addr, len.parse().map_err(|_| LpmError::Text)?),
            None => (text, A::Bits::WIDTH),
        };
        Self::new(addr.parse().map_err(|_| LpmError::Text)?, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/32"] {
            assert_eq!(text.parse::<Prefix<Ipv4Addr>>().unwrap().to_string(), text);
        }
        let host: Prefix<Ipv6Addr> = "2001:db8::1".parse().unwrap();
        assert_eq!(host.to_string(), "2001:db8::1/128");
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        let parse = |text: &str| text.parse::<Prefix<Ipv4Addr>>().unwrap_err();
        assert_eq!(parse("10.0.0.0/33"), LpmError::Length { len: 33, most: 32 });
        assert_eq!(parse("10.0.0.1/24"), LpmError::HostBits { len: 24 });
        for text in ["", "/", "10.0.0.0/", "10.0.0/8", "10.0.0.0/-1", "::/0", "10.0.0.0/8/8"] {
            assert_eq!(parse(text), LpmError::Text, "{text}");
        }
    }

    #[test]
    fn a_prefix_goes_from_its_first_address_to_its_last() {
        let prefix: Prefix<Ipv4Addr> = "10.1.0.0/16".parse().unwrap();
        assert_eq!(prefix.first(), Ipv4Addr::new(10, 1, 0, 0));
        assert_eq!(prefix.last(), Ipv4Addr::new(10, 1, 255, 255));
        assert_eq!(Prefix::<Ipv4Addr>::all().last(), Ipv4Addr::BROADCAST);
        assert!(prefix.contains(prefix.last()) && !prefix.contains(Ipv4Addr::new(10, 2, 0, 0)));
        assert!(Prefix::all().covers(prefix) && !prefix.covers(Prefix::all()));
    }
}

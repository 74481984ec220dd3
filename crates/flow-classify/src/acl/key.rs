//! What is looked up: a compact flow key, in 64-bit words.

use super::forest::Split;
use linecard_net::flow::{KeyV4, KeyV6};
use linecard_net::rule::Field;
use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Rules that are compared at once.
pub(super) const LANES: usize = 8;

/// A word of each of [`LANES`] rules, in a cache line of its own.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line(pub(super) [u64; LANES]);

mod sealed {
    pub trait Sealed {}
    impl Sealed for linecard_net::flow::KeyV4 {}
    impl Sealed for linecard_net::flow::KeyV6 {}
}

/// A compact flow key of `linecard-net`: [`KeyV4`] or [`KeyV6`].
pub trait Key: Copy + Eq + Debug + Send + Sync + sealed::Sealed + 'static {
    /// An address.
    type Address: Field + Ord + Debug + Send + Sync + 'static;
    /// Both addresses in words, source first, the first byte on the wire being the highest.
    #[doc(hidden)]
    type Words: Copy + PartialEq + Debug + Default + AsRef<[u64]> + AsMut<[u64]> + Send + Sync;
    /// These words of several rules.
    #[doc(hidden)]
    type Lines: Copy + Debug + AsRef<[Line]> + AsMut<[Line]> + Send + Sync;
    /// Lines that match all.
    #[doc(hidden)]
    const EMPTY: Self::Lines;
    /// How rules may be dealt out to trees.
    #[doc(hidden)]
    const SPLITS: &'static [Split];
    /// The key in words.
    #[doc(hidden)]
    fn pack(&self) -> Packed<Self>;
    /// Both addresses, as numbers, in words.
    #[doc(hidden)]
    fn words(src: u128, dst: u128) -> Self::Words;
    /// The reverse of [`Key::words`].
    #[doc(hidden)]
    fn numbers(words: &Self::Words) -> [u128; 2];
}

/// A key, or a value or mask of one, in words.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packed<K: Key> {
    /// Addresses.
    pub addresses: K::Words,
    /// From the highest bit: source port (16), destination port (16), protocol (8), nothing (24).
    pub rest: u64,
}

impl<K: Key> Default for Packed<K> {
    fn default() -> Self {
        Self { addresses: K::Words::default(), rest: 0 }
    }
}

impl<K: Key> Packed<K> {
    /// Words of a key, that of ports and protocol included.
    pub(super) const WORDS: usize = size_of::<K::Words>() / 8 + 1;

    pub(super) fn word(&self, n: usize) -> u64 {
        self.addresses.as_ref().get(n).copied().unwrap_or(self.rest)
    }

    pub(super) fn word_mut(&mut self, n: usize) -> &mut u64 {
        self.addresses.as_mut().get_mut(n).unwrap_or(&mut self.rest)
    }

    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.addresses.as_ref().iter().copied().chain([self.rest])
    }

    pub(super) fn sport(&self) -> u16 {
        (self.rest >> 48) as u16
    }

    pub(super) fn dport(&self) -> u16 {
        (self.rest >> 32) as u16
    }

    pub(super) fn proto(&self) -> u8 {
        (self.rest >> 24) as u8
    }
}

/// Ports and protocol in a word.
pub(super) fn rest(sport: u16, dport: u16, proto: u8) -> u64 {
    u64::from(sport) << 48 | u64::from(dport) << 32 | u64::from(proto) << 24
}

const EMPTY: Line = Line([0; LANES]);

impl Key for KeyV4 {
    type Address = Ipv4Addr;
    type Words = [u64; 1];
    type Lines = [Line; 1];
    const EMPTY: [Line; 1] = [EMPTY; 1];
    const SPLITS: &'static [Split] = &[Split::None, Split::At(2), Split::At(8), Split::At(16)];

    #[inline(always)]
    fn pack(&self) -> Packed<Self> {
        let (words, _) = self.as_bytes().as_chunks::<8>();
        let [addresses, rest] = [words[0], words[1]].map(u64::from_be_bytes);
        Packed { addresses: [addresses], rest }
    }

    fn words(src: u128, dst: u128) -> [u64; 1] {
        [(src as u64) << 32 | dst as u64 & 0xFFFF_FFFF]
    }

    fn numbers([both]: &[u64; 1]) -> [u128; 2] {
        [u128::from(both >> 32), u128::from(*both as u32)]
    }
}

impl Key for KeyV6 {
    type Address = Ipv6Addr;
    type Words = [u64; 4];
    type Lines = [Line; 4];
    const EMPTY: [Line; 4] = [EMPTY; 4];
    const SPLITS: &'static [Split] = &[Split::None, Split::At(8), Split::At(24), Split::At(48)];

    #[inline(always)]
    fn pack(&self) -> Packed<Self> {
        let (words, _) = self.as_bytes().as_chunks::<8>();
        let [a, b, c, d, rest] =
            [words[0], words[1], words[2], words[3], words[4]].map(u64::from_be_bytes);
        Packed { addresses: [a, b, c, d], rest }
    }

    fn words(src: u128, dst: u128) -> [u64; 4] {
        [(src >> 64) as u64, src as u64, (dst >> 64) as u64, dst as u64]
    }

    fn numbers([a, b, c, d]: &[u64; 4]) -> [u128; 2] {
        let join = |high: &u64, low: &u64| u128::from(*high) << 64 | u128::from(*low);
        [join(a, b), join(c, d)]
    }
}

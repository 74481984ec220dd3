//! Keys and their hashes.

use std::hash::{BuildHasher, RandomState};
use zerocopy::{Immutable, IntoBytes};

/// A key of 4 to 64 bytes without padding: `[u8; N]`, integers, [`linecard_net::flow::KeyV4`] and
/// [`linecard_net::flow::KeyV6`], or any type that derives `zerocopy::IntoBytes` and
/// `zerocopy::Immutable`. Keys are equal when their bytes are. A length out of range does not compile.
pub trait Key: IntoBytes + Immutable + Copy + Send + Sync + 'static {}

impl<K: IntoBytes + Immutable + Copy + Send + Sync + 'static> Key for K {}

/// Refuses keys of other lengths when the table's code is made.
pub(super) const fn check_length<K>() {
    assert!(size_of::<K>() >= 4 && size_of::<K>() <= 64, "a key has 4 to 64 bytes");
}

/// Whether two keys have the same bytes.
#[inline(always)]
pub(super) fn same<K: Key>(one: &K, other: &K) -> bool {
    one.as_bytes() == other.as_bytes()
}

/// A key's hash, as a table uses it. One table's keys must all be hashed in the same way: by
/// [`Reader::hash`](super::Reader::hash), or all by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub(super) u32);

impl Hash {
    /// From a hash that is there already, such as what a NIC computed for RSS. It is mixed once
    /// more: the packets of one queue have some bits of that hash in common.
    #[inline]
    pub const fn from_rss(rss: u32) -> Self {
        let mixed = rss.wrapping_mul(0x9e37_79b1);
        Self(mixed ^ mixed >> 15)
    }

    /// The number.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The secret of a table's hash: who does not know it cannot make keys that collide.
#[derive(Clone, Copy)]
pub struct Seed([u64; 8]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

impl Seed {
    /// A seed nobody knows.
    pub fn random() -> Self {
        Self::fixed(RandomState::new().hash_one(0x6c69_6e65_u32))
    }

    /// Always the same, for runs to be repeated.
    pub fn fixed(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            // A Weyl sequence, of which every element is mixed by a product with itself.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            fold(fold(state, state ^ 0xe703_7ed1_a0b4_28db), 0xa076_1d64_78bd_642f)
        }))
    }

    /// The hash of `key`: a product of 64 by 64 bits for every 16 bytes, all independent, and one
    /// more of their sum. The same on every path and every processor.
    #[inline(always)]
    pub fn hash<K: Key>(&self, key: &K) -> Hash {
        let bytes = key.as_bytes();
        let sum = if size_of::<K>() <= 16 { self.short(bytes) } else { self.long(bytes) };
        let wide = fold(sum, 0x8ebc_6af0_9c88_c6e3);
        Hash(wide as u32 ^ (wide >> 32) as u32)
    }

    #[inline(always)]
    fn short(&self, bytes: &[u8]) -> u64 {
        let len = bytes.len();
        let (low, high) = match len {
            8.. => (word(bytes, 0), word(bytes, len - 8)),
            _ => (half(bytes, 0), half(bytes, len - 4)),
        };
        fold(low ^ self.0[0], high ^ self.0[1])
    }

    #[inline(always)]
    fn long(&self, bytes: &[u8]) -> u64 {
        let mut sum = 0;
        for nth in 0..bytes.len().div_ceil(16) {
            // The last one overlaps the one before, if the length is no multiple of 16.
            let at = (nth * 16).min(bytes.len() - 16);
            sum ^=
                fold(word(bytes, at) ^ self.0[nth * 2], word(bytes, at + 8) ^ self.0[nth * 2 + 1]);
        }
        sum
    }
}

/// Both halves of the product, one on the other.
#[inline(always)]
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline(always)]
fn half(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The fullest of `buckets` when `hashes` are spread by their high bits, as buckets are.
    fn fullest(hashes: impl Iterator<Item = u32>, buckets: usize) -> usize {
        let mut counts = vec![0; buckets];
        hashes.for_each(|hash| counts[(hash as usize * buckets) >> 32] += 1);
        counts.into_iter().max().unwrap_or(0)
    }

    /// 16 a bucket on average: a fair throw has its fullest of 4096 at about 34.
    const KEYS: u32 = 1 << 16;
    const FAIR: usize = 48;

    fn is_fair(key: impl Fn(u32) -> [u8; 16]) {
        for seed in 0..8 {
            let seed = Seed::fixed(seed);
            let hash = |number| seed.hash(&key(number)).0;
            assert!(fullest((0..KEYS).map(hash), 4096) < FAIR);
            // The low bits tell entries of a bucket apart.
            assert!(fullest((0..KEYS).map(|n| hash(n).reverse_bits()), 4096) < FAIR);
        }
    }

    #[test]
    fn keys_that_differ_in_little_are_spread() {
        let at = |offset: usize| {
            move |number: u32| {
                let mut key = [7; 16];
                key[offset..offset + 4].copy_from_slice(&number.to_be_bytes());
                key
            }
        };
        (0..=12).for_each(|offset| is_fair(at(offset)));
        is_fair(|number| {
            let mut key = [0; 16];
            key[2..4].copy_from_slice(&(number as u16 >> 8).to_be_bytes());
            key[8..10].copy_from_slice(&(number as u16 & 255).to_be_bytes());
            key
        });
    }

    #[test]
    fn every_byte_of_a_key_counts() {
        fn check<const N: usize>() {
            let seed = Seed::fixed(1);
            for byte in 0..N {
                let mut other = [0_u8; N];
                other[byte] = 1;
                assert_ne!(seed.hash(&[0_u8; N]), seed.hash(&other), "byte {byte} of {N}");
            }
        }
        check::<4>();
        check::<5>();
        check::<7>();
        check::<8>();
        check::<13>();
        check::<16>();
        check::<17>();
        check::<37>();
        check::<40>();
        check::<64>();
    }

    #[test]
    fn hashes_of_a_nic_that_share_their_low_bits_are_spread() {
        let of_one_queue = (0..KEYS).map(|number| Hash::from_rss(number << 7 | 5).0);
        assert!(fullest(of_one_queue.clone(), 4096) < FAIR);
        assert!(fullest(of_one_queue.map(u32::reverse_bits), 4096) < FAIR);
    }
}

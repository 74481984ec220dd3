//! Toeplitz by carry-less products.
//!
//! Bit `j` of the hash is the sum, over GF(2), of input bit `i` times key bit `i + j`: a correlation. With the input
//! as a polynomial whose powers fall (as big-endian words have them) and the key as one whose
//! powers rise (its bits reversed, once), it is 32 coefficients in the middle of their product.

use crate::simd::{NotHere, Path, Simd};
use linecard_net::rss::{RssKey, ToeplitzKey};
use std::net::{Ipv4Addr, Ipv6Addr};

const CODE: &[Simd] = &[
    Simd::Plain,
    #[cfg(target_arch = "x86_64")]
    Simd::Sse42,
];

/// 64-bit words of the longest input.
const WORDS: usize = ToeplitzKey::MAX_INPUT.div_ceil(8);

/// A key made ready for hashing, in a few words: unlike tables, they leave the first cache to others.
#[derive(Clone, Debug)]
pub struct Toeplitz {
    /// For each word of input, the 64 bits of the key from its first bit on and the 32 after them,
    /// the first bit lowest.
    windows: [[u64; 2]; WORDS],
    tables: Box<ToeplitzKey>,
    path: Path,
}

impl Toeplitz {
    /// By the best path.
    pub fn new(key: &RssKey) -> Self {
        Self::on(key, Path::best_of(CODE))
    }

    /// By the instructions that are asked for.
    ///
    /// # Errors
    /// [`NotHere`] if the processor lacks them.
    pub fn with(key: &RssKey, simd: Simd) -> Result<Self, NotHere> {
        Ok(Self::on(key, Path::asked(simd, CODE)?))
    }

    fn on(key: &RssKey, path: Path) -> Self {
        let windows = std::array::from_fn(|nth| {
            let low = word(key.as_bytes(), nth).reverse_bits();
            let high = word(key.as_bytes(), nth + 1).reverse_bits() & u64::from(u32::MAX);
            [low, high]
        });
        Self { windows, tables: Box::new(ToeplitzKey::new(key)), path }
    }

    /// The instructions that are used, and why.
    pub fn path(&self) -> Path {
        self.path
    }

    /// The tables of the plain path, as [`linecard_net::rss`] takes them.
    pub fn tables(&self) -> &ToeplitzKey {
        &self.tables
    }

    /// The hash of `input`. Bytes past [`ToeplitzKey::MAX_INPUT`] do not count.
    #[inline]
    pub fn hash(&self, input: &[u8]) -> u32 {
        match self.path.simd() {
            #[cfg(target_arch = "x86_64")]
            Simd::Sse42 | Simd::Avx2 | Simd::Avx512 => {
                // SAFETY: `Path` only has what the processor has.
                unsafe { self.products(&input[..input.len().min(ToeplitzKey::MAX_INPUT)]) }
            }
            _ => self.tables.hash(input),
        }
    }

    /// Over addresses and ports, as for TCP, UDP and SCTP over IPv4.
    #[inline]
    pub fn v4(&self, src: Ipv4Addr, dst: Ipv4Addr, sport: u16, dport: u16) -> u32 {
        let mut input = [0; 12];
        input[..4].copy_from_slice(&src.octets());
        input[4..8].copy_from_slice(&dst.octets());
        input[8..10].copy_from_slice(&sport.to_be_bytes());
        input[10..].copy_from_slice(&dport.to_be_bytes());
        self.hash(&input)
    }

    /// Over addresses and ports, as for TCP, UDP and SCTP over IPv6.
    #[inline]
    pub fn v6(&self, src: Ipv6Addr, dst: Ipv6Addr, sport: u16, dport: u16) -> u32 {
        let mut input = [0; 36];
        input[..16].copy_from_slice(&src.octets());
        input[16..32].copy_from_slice(&dst.octets());
        input[32..34].copy_from_slice(&sport.to_be_bytes());
        input[34..].copy_from_slice(&dport.to_be_bytes());
        self.hash(&input)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "sse2,pclmulqdq")]
    fn products(&self, input: &[u8]) -> u32 {
        use core::arch::x86_64::{
            _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x,
            _mm_setzero_si128, _mm_slli_epi64, _mm_srli_epi64, _mm_unpackhi_epi64, _mm_xor_si128,
        };
        let (mut low, mut high) = (_mm_setzero_si128(), _mm_setzero_si128());
        for (nth, [first, next]) in self.windows.iter().enumerate().take(input.len().div_ceil(8)) {
            let input = _mm_cvtsi64_si128(word(input, nth) as i64);
            let key = _mm_set_epi64x(*next as i64, *first as i64);
            low = _mm_xor_si128(low, _mm_clmulepi64_si128::<0x00>(input, key));
            high = _mm_xor_si128(high, _mm_clmulepi64_si128::<0x10>(input, key));
        }
        // Coefficients 63 to 94 of the one, and -1 to 30 of the other.
        let upper = _mm_slli_epi64::<1>(_mm_xor_si128(_mm_unpackhi_epi64(low, low), high));
        let middle = _mm_xor_si128(_mm_srli_epi64::<63>(low), upper);
        (_mm_cvtsi128_si64(middle) as u32).reverse_bits()
    }
}

/// The `nth` eight bytes, the first highest; zeros where there are none.
#[inline(always)]
fn word(bytes: &[u8], nth: usize) -> u64 {
    let rest = bytes.get(nth * 8..).unwrap_or_default();
    match rest.first_chunk() {
        Some(whole) => u64::from_be_bytes(*whole),
        None => rest.iter().rev().fold(0, |word, byte| (word >> 8) | u64::from(*byte) << 56),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hash_is_microsofts_on_every_path() {
        let (src, dst) = ([66, 9, 149, 187].into(), [161, 142, 100, 80].into());
        for simd in Simd::supported() {
            let key = Toeplitz::with(&RssKey::MICROSOFT, simd).unwrap();
            assert_eq!(key.v4(src, dst, 2794, 1766), 0x51cc_c178, "{simd}");
        }
    }

    proptest! {
        #[test]
        fn every_path_agrees_with_the_tables(
            key in prop_oneof![
                prop::collection::vec(any::<u8>(), 40), prop::collection::vec(any::<u8>(), 52),
            ],
            input in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let key = RssKey::new(&key).unwrap();
            let expected = ToeplitzKey::new(&key).hash(&input);
            for simd in Simd::supported() {
                let found = Toeplitz::with(&key, simd).unwrap().hash(&input);
                prop_assert_eq!(found, expected, "{}", simd);
            }
        }
    }
}

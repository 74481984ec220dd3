//! AVX2 and AVX-512, both with BMI2.

use super::{Isa, Look, further, walk};
use crate::acl::Verdict;
use crate::acl::block::{Block, Limits, at};
use crate::acl::forest::Forest;
use crate::acl::key::{Key, Line, Packed};
use crate::acl::rule::Categories;
use std::arch::x86_64::*;

/// # Safety
/// As for [`super::classify`].
#[target_feature(
    enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
pub(super) unsafe fn avx512<K: Key>(
    forest: &Forest<K>,
    categories: Categories,
    keys: &[K],
    verdicts: &mut [Verdict],
) {
    // SAFETY: what the caller says.
    unsafe { walk::<Avx512, K>(forest, categories, keys, verdicts) };
}

/// # Safety
/// As for [`super::classify`].
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) unsafe fn avx2<K: Key>(
    forest: &Forest<K>,
    categories: Categories,
    keys: &[K],
    verdicts: &mut [Verdict],
) {
    // SAFETY: what the caller says.
    unsafe { walk::<Avx2, K>(forest, categories, keys, verdicts) };
}

/// The bytes of a key's ports and protocol for each 16-bit lane of a cache line of limits; its last
/// quarter, which has ids, gets zeros.
const SPREAD: [[u8; 16]; 4] = {
    const fn lanes(low: u8, high: u8) -> [u8; 16] {
        let mut bytes = [low; 16];
        let mut at = 1;
        while at < 16 {
            bytes[at] = high;
            at += 2;
        }
        bytes
    }
    [lanes(6, 7), lanes(4, 5), lanes(3, 0x80), lanes(0x80, 0x80)]
};

enum Avx512 {}

impl Isa for Avx512 {
    #[inline(always)]
    unsafe fn extract(word: u64, mask: u64) -> u64 {
        // SAFETY: the caller says that BMI2 is there.
        unsafe { _pext_u64(word, mask) }
    }

    #[inline(always)]
    unsafe fn compare<K: Key>(block: &Block<K>, key: &Packed<K>, categories: Categories) -> u32 {
        let words =
            block.value.as_ref().iter().zip(block.mask.as_ref()).zip(key.addresses.as_ref());
        // SAFETY: the caller says that the instructions are there; lines are 64 bytes, aligned so.
        unsafe {
            let category = _mm_set1_epi16(categories.0 as i16);
            let of = _mm_loadu_si128(at(&block.categories).cast());
            let mut found = _mm_test_epi16_mask(of, category);
            for ((value, mask), word) in words {
                let key = _mm512_set1_epi64(*word as i64);
                let differ = _mm512_xor_si512(key, _mm512_load_si512(at(value).cast()));
                found &= _mm512_testn_epi64_mask(differ, _mm512_load_si512(at(mask).cast()));
            }
            let spread = _mm512_loadu_si512(SPREAD.as_ptr().cast());
            let key = _mm512_shuffle_epi8(_mm512_set1_epi64(key.rest as i64), spread);
            let above = _mm512_cmple_epu16_mask(_mm512_load_si512(at(&block.lo).cast()), key);
            let hi = _mm512_load_si512(at(&block.hi).cast());
            let within = _mm512_mask_cmple_epu16_mask(above, key, hi);
            u32::from(found) & within & within >> 8 & within >> 16
        }
    }

    #[cold]
    #[inline(never)]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx2,bmi1,bmi2,lzcnt,popcnt"
    )]
    unsafe fn further<K: Key>(look: Look<'_, K>, found: u32, best: u64) -> u64 {
        // SAFETY: what the caller says.
        unsafe { further::<Self, K>(look, found, best) }
    }
}

enum Avx2 {}

impl Isa for Avx2 {
    #[inline(always)]
    unsafe fn extract(word: u64, mask: u64) -> u64 {
        // SAFETY: the caller says that BMI2 is there.
        unsafe { _pext_u64(word, mask) }
    }

    #[inline(always)]
    unsafe fn compare<K: Key>(block: &Block<K>, key: &Packed<K>, categories: Categories) -> u32 {
        let words =
            block.value.as_ref().iter().zip(block.mask.as_ref()).zip(key.addresses.as_ref());
        // SAFETY: the caller says that the instructions are there; halves of a line are 32 bytes,
        // aligned so, of which there are two.
        unsafe {
            let of = _mm_loadu_si128(at(&block.categories).cast());
            let out = _mm_and_si128(of, _mm_set1_epi16(categories.0 as i16));
            let mut found = !bytes(_mm_cmpeq_epi16(out, _mm_setzero_si128()));
            for ((value, mask), word) in words {
                let key = _mm256_set1_epi64x(*word as i64);
                found &= equal(key, value, mask, 0) | equal(key, value, mask, 1) << 4;
            }
            found & spans(key.rest, &block.lo, &block.hi)
        }
    }

    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    unsafe fn further<K: Key>(look: Look<'_, K>, found: u32, best: u64) -> u64 {
        // SAFETY: what the caller says.
        unsafe { further::<Self, K>(look, found, best) }
    }
}

/// Four lanes whose words are equal under their masks.
///
/// # Safety
/// The processor has AVX2; `half` is 0 or 1.
#[inline(always)]
unsafe fn equal(key: __m256i, value: &Line, mask: &Line, half: usize) -> u32 {
    // SAFETY: what the caller says.
    unsafe {
        let value = _mm256_load_si256(at(value).cast::<__m256i>().add(half));
        let mask = _mm256_load_si256(at(mask).cast::<__m256i>().add(half));
        let differ = _mm256_and_si256(_mm256_xor_si256(key, value), mask);
        let equal = _mm256_cmpeq_epi64(differ, _mm256_setzero_si256());
        _mm256_movemask_pd(_mm256_castsi256_pd(equal)) as u32
    }
}

/// Lanes whose ports and protocol are within their limits.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn spans(rest: u64, lo: &Limits, hi: &Limits) -> u32 {
    let (lo, hi, spread) = (at(lo).cast::<__m256i>(), at(hi).cast::<__m256i>(), SPREAD.as_ptr());
    // SAFETY: what the caller says; limits are 64 bytes, aligned so, and `SPREAD` has 64.
    unsafe {
        let rest = _mm256_set1_epi64x(rest as i64);
        let within = |half: usize| {
            let spread = _mm256_loadu_si256(spread.cast::<__m256i>().add(half));
            let key = _mm256_shuffle_epi8(rest, spread);
            let above = _mm256_max_epu16(key, _mm256_load_si256(lo.add(half)));
            let below = _mm256_min_epu16(key, _mm256_load_si256(hi.add(half)));
            _mm256_and_si256(_mm256_cmpeq_epi16(above, key), _mm256_cmpeq_epi16(below, key))
        };
        let (ports, proto) = (within(0), within(1));
        let (sport, dport) = (_mm256_castsi256_si128(ports), _mm256_extracti128_si256(ports, 1));
        let both = _mm_and_si128(sport, dport);
        bytes(_mm_and_si128(both, _mm256_castsi256_si128(proto)))
    }
}

/// A bit for each of eight 16-bit lanes, which are all ones or all zeros.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn bytes(lanes: __m128i) -> u32 {
    // SAFETY: what the caller says.
    unsafe { _mm_movemask_epi8(_mm_packs_epi16(lanes, _mm_setzero_si128())) as u32 & 0xFF }
}

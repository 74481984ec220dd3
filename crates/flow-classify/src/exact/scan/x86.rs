//! A bucket in four, two or one vector.
//!
//! A writer may store to a slot meanwhile. A vector load of the language would be a data race, so
//! the loads are assembly: to the compiler that is code that may do whatever sixteen atomic
//! loads may do. To the processor every aligned element of a vector load is read whole, and loads are not
//! reordered with later loads, which makes each an Acquire.

use super::super::bucket::{Bucket, Meta, Word};
use super::Scan;
use core::arch::asm;
use core::arch::x86_64::*;

/// SSE2, which every x86-64 has.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sse;

impl Scan for Sse {
    #[inline(always)]
    unsafe fn scan(bucket: &Bucket, tag: Word, index_mask: u32) -> u32 {
        let at = bucket.words.as_ptr();
        let (first, second, third, fourth): (__m128i, __m128i, __m128i, __m128i);
        // SAFETY: a `Bucket` has 64 bytes and is aligned to 64; see the module for the race.
        unsafe {
            asm!(
                "movdqa {first}, xmmword ptr [{at}]",
                "movdqa {second}, xmmword ptr [{at} + 16]",
                "movdqa {third}, xmmword ptr [{at} + 32]",
                "movdqa {fourth}, xmmword ptr [{at} + 48]",
                at = in(reg) at,
                first = out(xmm_reg) first,
                second = out(xmm_reg) second,
                third = out(xmm_reg) third,
                fourth = out(xmm_reg) fourth,
                options(nostack, preserves_flags),
            );
            let (tag, mask) = (_mm_set1_epi32(tag.0 as i32), _mm_set1_epi32(!index_mask as i32));
            let same = |words| {
                let differs = _mm_and_si128(_mm_xor_si128(words, tag), mask);
                _mm_cmpeq_epi32(differs, _mm_setzero_si128())
            };
            let low = _mm_packs_epi32(same(first), same(second));
            let high = _mm_packs_epi32(same(third), same(fourth));
            _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32 & !1
        }
    }
}

/// AVX2.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx2;

impl Scan for Avx2 {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn scan(bucket: &Bucket, tag: Word, index_mask: u32) -> u32 {
        let at = bucket.words.as_ptr();
        let (first, second): (__m256i, __m256i);
        // SAFETY: a `Bucket` has 64 bytes and is aligned to 64; see the module for the race.
        unsafe {
            asm!(
                "vmovdqa {first}, ymmword ptr [{at}]",
                "vmovdqa {second}, ymmword ptr [{at} + 32]",
                at = in(reg) at,
                first = out(ymm_reg) first,
                second = out(ymm_reg) second,
                options(nostack, preserves_flags),
            );
        }
        let (tag, mask) = (_mm256_set1_epi32(tag.0 as i32), _mm256_set1_epi32(!index_mask as i32));
        let same = |words| {
            let differs = _mm256_and_si256(_mm256_xor_si256(words, tag), mask);
            let same = _mm256_cmpeq_epi32(differs, _mm256_setzero_si256());
            _mm256_movemask_ps(_mm256_castsi256_ps(same)) as u32
        };
        (same(first) | same(second) << 8) & !1
    }
}

/// AVX-512: one load, one XOR, one test.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512;

impl Scan for Avx512 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn scan(bucket: &Bucket, tag: Word, index_mask: u32) -> u32 {
        u32::from(same(load(bucket), tag, index_mask))
    }

    /// The slot comes out of the vector itself: there is nothing to be loaded again.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn first(bucket: &Bucket, tag: Word, index_mask: u32) -> (Word, Meta) {
        let words = load(bucket);
        let first = _mm512_maskz_compress_epi32(same(words, tag, index_mask), words);
        (Word(_mm512_cvtsi512_si32(first) as u32), Meta(_mm512_cvtsi512_si32(words) as u32))
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bucket: &Bucket) -> __m512i {
    let words: __m512i;
    // SAFETY: a `Bucket` has 64 bytes and is aligned to 64; see the module for the race.
    unsafe {
        asm!(
            "vmovdqa64 {words}, zmmword ptr [{at}]",
            at = in(reg) bucket.words.as_ptr(),
            words = out(zmm_reg) words,
            options(nostack, preserves_flags),
        );
    }
    words
}

/// The slots that have the tag, without word 0.
#[inline]
#[target_feature(enable = "avx512f")]
fn same(words: __m512i, tag: Word, index_mask: u32) -> __mmask16 {
    let differs = _mm512_xor_si512(words, _mm512_set1_epi32(tag.0 as i32));
    _mm512_mask_testn_epi32_mask(!1, differs, _mm512_set1_epi32(!index_mask as i32))
}

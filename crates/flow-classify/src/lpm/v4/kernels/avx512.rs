//! Sixteen addresses at a time, by gathers of AVX-512.

use super::{entry_of_group, find};
use crate::lpm::NextHop;
use crate::lpm::table::Look;
use core::arch::asm;
use core::arch::x86_64::*;
use core::net::Ipv4Addr;

/// Addresses at a time.
const LANES: usize = 16;

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2")]
pub(super) unsafe fn bulk(table: Look<'_>, addrs: &[Ipv4Addr], found: &mut [Option<NextHop>]) {
    let (lanes, rest) = addrs.as_chunks::<LANES>();
    let (found, found_rest) = found.as_chunks_mut::<LANES>();
    for (addrs, found) in lanes.iter().zip(found) {
        // SAFETY: the caller's promise.
        unsafe { sixteen(table, &addrs.map(|addr| addr.to_bits()), found) };
    }
    for (addr, found) in rest.iter().zip(found_rest) {
        // SAFETY: the caller's promise.
        *found = unsafe { find(table, addr.to_bits()) };
    }
}

/// # Safety
/// As for [`bulk`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi1,bmi2")]
#[inline]
unsafe fn sixteen(table: Look<'_>, addrs: &[u32; LANES], found: &mut [Option<NextHop>; LANES]) {
    // SAFETY: 16 numbers are 64 bytes, and so are 16 optional next hops, of which every bit pattern
    // is one: they are transparent around `NonZeroU32`.
    let (addr, out) = unsafe { (_mm512_loadu_si512(addrs.as_ptr().cast()), found.as_mut_ptr()) };
    let word = _mm512_srli_epi32::<13>(addr);
    // SAFETY: the caller's promise, and 19 bits are left of an address.
    let (low_words, high_words) = unsafe {
        (
            words(table, _mm512_castsi512_si256(word)),
            words(table, _mm512_extracti64x4_epi64::<1>(word)),
        )
    };
    let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    let changes = _mm512_permutex2var_epi32(low_words, even, high_words);
    let first = _mm512_permutex2var_epi32(low_words, odd, high_words);
    let slot = _mm512_and_si512(_mm512_srli_epi32::<8>(addr), _mm512_set1_epi32(31));
    let before = _mm512_andnot_si512(_mm512_sllv_epi32(_mm512_set1_epi32(-1), slot), changes);
    let cell = _mm512_add_epi32(first, ones(before));
    // SAFETY: cells that the words led to; they do not change while we are pinned.
    let entry = unsafe { _mm512_i32gather_epi32::<4>(cell, table.first_cell().cast()) };
    // SAFETY: see above.
    unsafe { _mm512_storeu_si512(out.cast(), entry) };
    let mut groups = _mm512_movepi32_mask(entry);
    while groups != 0 {
        let lane = groups.trailing_zeros() as usize;
        // SAFETY: the entry of this lane is a group's, found just now.
        let inner = unsafe { entry_of_group(table, entry_at(entry, lane), addrs[lane]) };
        found[lane] = NextHop::from_entry(inner);
        groups &= groups - 1;
    }
}

#[inline(always)]
fn entry_at(entries: __m512i, lane: usize) -> u32 {
    // SAFETY: both are 64 bytes of plain numbers.
    let entries: [u32; LANES] = unsafe { core::mem::transmute(entries) };
    entries[lane]
}

/// Eight words of the root. The writer may write words meanwhile, which Rust's plain loads, and its
/// intrinsics, must not race with; for the processor they are eight aligned loads of 8 bytes.
///
/// # Safety
/// The root has a word of every number.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
unsafe fn words(table: Look<'_>, numbers: __m256i) -> __m512i {
    let mut words = _mm512_setzero_si512();
    // SAFETY: reads words of the root and nothing else; processors of this kind load in order, which
    // is the acquire that pairs with the release of `set_word`.
    unsafe {
        asm!(
            "kxnorb {all}, {all}, {all}",
            "vpgatherdq {words} {{{all}}}, [{root} + {numbers} * 8]",
            all = out(kreg) _,
            words = inout(zmm_reg) words,
            numbers = in(ymm_reg) numbers,
            root = in(reg) table.first_word(),
            options(nostack, readonly, preserves_flags),
        );
    }
    words
}

/// How many bits are set in each lane: without `vpopcntd`, which not all processors of this level have.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn ones(lanes: __m512i) -> __m512i {
    let of_nibble =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let nibble = _mm512_set1_epi8(15);
    let low = _mm512_shuffle_epi8(of_nibble, _mm512_and_si512(lanes, nibble));
    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(lanes), nibble);
    let bytes = _mm512_add_epi8(low, _mm512_shuffle_epi8(of_nibble, high));
    let pairs = _mm512_maddubs_epi16(bytes, _mm512_set1_epi8(1));
    _mm512_madd_epi16(pairs, _mm512_set1_epi16(1))
}

//! Searching a bucket by comparing all its keys at once.

use super::{CHUNK, Marked, PLAIN, Steps, find, find_all};
use crate::lpm::NextHop;
use crate::lpm::family::Kernels;
use crate::lpm::table::Look;
use crate::lpm::v6::entry::{BUCKETS, KIND_SHIFT, LEADS_ON};
use core::arch::x86_64::*;
use core::net::Ipv6Addr;

pub(super) const AVX2: Kernels<Ipv6Addr> = Kernels { single: single_avx2, bulk: bulk_avx2 };

pub(super) const AVX512: Kernels<Ipv6Addr> = Kernels { single: single_avx512, bulk: bulk_avx512 };

/// # Safety
/// As for [`super::Search`], with AVX2.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
unsafe fn search_avx2(table: Look<'_>, at: u32, runs: u32, key: u32) -> u32 {
    let key = _mm256_set1_epi32(key.cast_signed());
    let mut count = 0;
    for eight in (at..at + runs).step_by(8) {
        // SAFETY: eight keys of the bucket, which do not change while we are pinned.
        let keys = unsafe { _mm256_loadu_si256(table.first_cell().add(eight as usize).cast()) };
        // The larger of both is the key: it is not below.
        let not_above = _mm256_cmpeq_epi32(_mm256_max_epu32(keys, key), key);
        count += _mm256_movemask_ps(_mm256_castsi256_ps(not_above)).count_ones();
    }
    count
}

/// # Safety
/// As for [`super::Search`], with AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,popcnt")]
#[inline]
unsafe fn search_avx512(table: Look<'_>, at: u32, runs: u32, key: u32) -> u32 {
    let key = _mm512_set1_epi32(key.cast_signed());
    // SAFETY: a line of the bucket, whose blocks are of whole lines and begin with one; it does not
    // change while we are pinned.
    let low = unsafe { _mm512_load_si512(table.first_cell().add(at as usize).cast()) };
    // Without a branch, which could not be foreseen: small buckets load their line again, and what that
    // says is masked away.
    let second = at + (runs & 32) / 2;
    // SAFETY: the second of the four lines of a large bucket, or the first line of a smaller one.
    let high = unsafe { _mm512_load_si512(table.first_cell().add(second as usize).cast()) };
    let of_bucket = ((1_u64 << runs) - 1) as u32;
    let low = u32::from(_mm512_cmple_epu32_mask(low, key));
    let not_above = low | (u32::from(_mm512_cmple_epu32_mask(high, key)) << 16);
    (not_above & of_bucket).count_ones()
}

/// What [`super::Marks`] are.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,popcnt")]
#[inline]
fn marks_avx512(entries: &[u32; CHUNK]) -> Marked {
    let first_node = _mm512_set1_epi32((LEADS_ON | (BUCKETS << KIND_SHIFT)).cast_signed());
    let (quarters, _) = entries.as_chunks::<16>();
    let (mut nodes, mut leads_on) = (0, 0);
    for quarter in quarters.iter().rev() {
        // SAFETY: they are 64 bytes.
        let entries = unsafe { _mm512_loadu_si512(quarter.as_ptr().cast()) };
        nodes = nodes << 16 | u64::from(_mm512_cmpge_epu32_mask(entries, first_node));
        leads_on = leads_on << 16 | u64::from(_mm512_movepi32_mask(entries));
    }
    Marked { nodes, buckets: leads_on & !nodes }
}

const STEPS_AVX512: Steps = Steps { marks: marks_avx512, search: search_avx512 };

/// # Safety
/// As for [`crate::lpm::family::Single`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
unsafe fn single_avx2(table: Look<'_>, addr: Ipv6Addr) -> Option<NextHop> {
    // SAFETY: the caller's promise.
    unsafe { find(table, addr, search_avx2) }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
unsafe fn bulk_avx2(table: Look<'_>, addrs: &[Ipv6Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { find_all(table, addrs, found, Steps { search: search_avx2, ..PLAIN }) }
}

/// # Safety
/// As for [`crate::lpm::family::Single`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,popcnt")]
unsafe fn single_avx512(table: Look<'_>, addr: Ipv6Addr) -> Option<NextHop> {
    // SAFETY: the caller's promise.
    unsafe { find(table, addr, search_avx512) }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,popcnt")]
unsafe fn bulk_avx512(table: Look<'_>, addrs: &[Ipv6Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { find_all(table, addrs, found, STEPS_AVX512) }
}

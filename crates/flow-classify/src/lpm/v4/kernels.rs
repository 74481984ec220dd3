//! Looking up: one algorithm, compiled for every level, and with gathers where there are any.

use super::word;
use super::{SLOT_LEN, WORD_LEN, group};
use crate::lpm::NextHop;
use crate::lpm::family::Kernels;
use crate::lpm::table::Look;
use crate::simd::Simd;
use core::net::Ipv4Addr;

#[cfg(target_arch = "x86_64")]
mod avx512;

/// The levels that there is code for.
#[cfg(target_arch = "x86_64")]
pub(super) const CODE: &[Simd] = &Simd::ALL;
#[cfg(not(target_arch = "x86_64"))]
pub(super) const CODE: &[Simd] = &[Simd::Plain];

#[cfg(target_arch = "x86_64")]
pub(super) fn of(simd: Simd) -> Kernels<Ipv4Addr> {
    match simd {
        Simd::Plain => Kernels { single, bulk },
        Simd::Sse42 => Kernels { single: single_sse42, bulk: bulk_sse42 },
        Simd::Avx2 => Kernels { single: single_sse42, bulk: bulk_avx2 },
        Simd::Avx512 => Kernels { single: single_sse42, bulk: avx512::bulk },
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn of(_: Simd) -> Kernels<Ipv4Addr> {
    Kernels { single, bulk }
}

/// The cell of an address's entry: where the word says that its slot's is.
///
/// # Safety
/// The caller is pinned since before it got the table.
#[inline(always)]
unsafe fn cell(table: Look<'_>, addr: u32) -> u32 {
    // SAFETY: there is a word for every value of that many bits.
    let word = unsafe { table.word_unchecked((addr >> (32 - WORD_LEN)) as usize) };
    word::cell(word, (addr >> (32 - SLOT_LEN)) & 31)
}

/// The entry of an address in a slot that has routes of its own.
///
/// # Safety
/// `entry` is the entry of a group, found since the caller pinned.
#[cold]
#[inline(never)]
unsafe fn entry_of_group(table: Look<'_>, entry: u32, addr: u32) -> u32 {
    let at = group::word_cell(entry, addr);
    // SAFETY: two cells of the head of a group that `entry` led to.
    let (low, high) = unsafe { (table.cell_unchecked(at), table.cell_unchecked(at + 1)) };
    let word = u64::from(high) << 32 | u64::from(low);
    // SAFETY: a cell of the same group.
    unsafe { table.cell_unchecked(word::cell(word, addr & 31)) }
}

/// # Safety
/// The caller is pinned since before it got the table.
#[inline(always)]
unsafe fn find(table: Look<'_>, addr: u32) -> Option<NextHop> {
    // SAFETY: the caller's promise, and a cell that a word led to just now.
    let mut found = unsafe { table.cell_unchecked(cell(table, addr)) };
    if group::is_group(found) {
        // SAFETY: just found.
        found = unsafe { entry_of_group(table, found, addr) };
    }
    NextHop::from_entry(found)
}

/// # Safety
/// As for [`crate::lpm::family::Single`].
unsafe fn single(table: Look<'_>, addr: Ipv4Addr) -> Option<NextHop> {
    // SAFETY: the caller's promise.
    unsafe { find(table, addr.to_bits()) }
}

/// # Safety
/// As for [`crate::lpm::family::Single`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
unsafe fn single_sse42(table: Look<'_>, addr: Ipv4Addr) -> Option<NextHop> {
    // SAFETY: the caller's promise.
    unsafe { find(table, addr.to_bits()) }
}

/// Addresses at a time: their words are all asked for before the first entry is.
const CHUNK: usize = 32;

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[inline(always)]
unsafe fn bulk_inline(table: Look<'_>, addrs: &[Ipv4Addr], found: &mut [Option<NextHop>]) {
    let (chunks, rest) = addrs.as_chunks::<CHUNK>();
    let (found, found_rest) = found.as_chunks_mut::<CHUNK>();
    for (addrs, found) in chunks.iter().zip(found) {
        // SAFETY: the caller's promise.
        unsafe { chunk(table, addrs, found) };
    }
    for (addr, found) in rest.iter().zip(found_rest) {
        // SAFETY: the caller's promise.
        *found = unsafe { find(table, addr.to_bits()) };
    }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[inline(always)]
unsafe fn chunk(table: Look<'_>, addrs: &[Ipv4Addr; CHUNK], found: &mut [Option<NextHop>; CHUNK]) {
    let mut cells = [0; CHUNK];
    for (addr, at) in addrs.iter().zip(&mut cells) {
        // SAFETY: the caller's promise.
        *at = unsafe { cell(table, addr.to_bits()) };
    }
    let mut any = 0;
    for (at, found) in cells.iter().zip(&mut *found) {
        // SAFETY: a cell that a word led to just now.
        let entry = unsafe { table.cell_unchecked(*at) };
        any |= entry;
        *found = NextHop::from_entry(entry);
    }
    if group::is_group(any) {
        // SAFETY: just found.
        unsafe { groups(table, addrs, found) };
    }
}

/// Goes on where an entry is a group's.
///
/// # Safety
/// The entries were found since the caller pinned.
#[inline(never)]
unsafe fn groups(table: Look<'_>, addrs: &[Ipv4Addr], found: &mut [Option<NextHop>]) {
    for (addr, found) in addrs.iter().zip(found) {
        let entry = found.map_or(0, NextHop::entry);
        if group::is_group(entry) {
            // SAFETY: the caller's promise.
            *found = NextHop::from_entry(unsafe { entry_of_group(table, entry, addr.to_bits()) });
        }
    }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
unsafe fn bulk(table: Look<'_>, addrs: &[Ipv4Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { bulk_inline(table, addrs, found) }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
unsafe fn bulk_sse42(table: Look<'_>, addrs: &[Ipv4Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { bulk_inline(table, addrs, found) }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
unsafe fn bulk_avx2(table: Look<'_>, addrs: &[Ipv4Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { bulk_inline(table, addrs, found) }
}

//! Looking up: one algorithm, whose search in a bucket every level does in its own way.

use super::entry::{self, NODE_HEAD, Target};
use super::runs::{BUCKET_BITS, window};
use super::{Page, WORD_LEN, word_of};
use crate::lpm::NextHop;
use crate::lpm::family::Kernels;
use crate::lpm::table::Table;
use crate::simd::Simd;
use core::net::Ipv6Addr;

#[cfg(target_arch = "x86_64")]
mod x86;

/// The levels that there is code for.
#[cfg(target_arch = "x86_64")]
pub(super) const CODE: &[Simd] = &[Simd::Plain, Simd::Avx2, Simd::Avx512];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const CODE: &[Simd] = &[Simd::Plain];

#[cfg(target_arch = "x86_64")]
pub(super) fn of(simd: Simd) -> Kernels<Ipv6Addr> {
    match simd {
        Simd::Plain | Simd::Sse42 => Kernels { single, bulk },
        Simd::Avx2 => x86::AVX2,
        Simd::Avx512 => x86::AVX512,
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn of(_: Simd) -> Kernels<Ipv6Addr> {
    Kernels { single, bulk }
}

/// Addresses at a time.
const CHUNK: usize = 32;

/// How many of the `runs` keys from a cell on are not above `key`: at least one, for the first is 0.
///
/// # Safety
/// They are the keys of a bucket that was found since the caller pinned, and the processor has what the
/// search needs.
type Search = unsafe fn(table: &Table, at: u32, runs: u32, key: u32) -> u32;

/// By halves.
///
/// # Safety
/// As for [`Search`].
#[inline(always)]
unsafe fn search_plain(table: &Table, at: u32, runs: u32, key: u32) -> u32 {
    let (mut below, mut half) = (0, runs / 2);
    while half > 0 {
        // SAFETY: `below + half < runs`: a key of the bucket.
        let pivot = unsafe { table.cell_unchecked(at + below + half) };
        below += if pivot <= key { half } else { 0 };
        half /= 2;
    }
    below + 1
}

/// The entry of an address in its page, and how many bits led to it.
///
/// # Safety
/// The caller is pinned since before it got the table.
#[inline(always)]
unsafe fn first_entry(table: &Table, addr: u128) -> (u32, u8) {
    // SAFETY: there is a word for every value of that many bits.
    let page = Page::from_word(unsafe { table.word_unchecked(word_of(addr)) });
    let behind = (addr >> (128 - 2 * WORD_LEN)) as u32 & 0xffff;
    // SAFETY: a cell of the page that the word led to just now: it has as many as the shift leaves.
    let entry = unsafe { table.link_unchecked(page.first + (behind >> (page.shift & 31))) };
    (entry, 2 * WORD_LEN - page.shift)
}

/// From an entry that leads on to the next, and how many bits led to that.
///
/// # Safety
/// As for [`Search`]; and `entry` was found since the caller pinned, by `depth` bits of the address.
#[inline(always)]
unsafe fn step(table: &Table, addr: u128, (entry, depth): (u32, u8), search: Search) -> (u32, u8) {
    let key = window(addr, depth);
    match entry::target(entry) {
        Target::Bucket { at, runs } => {
            // SAFETY: the caller's promise.
            let run = unsafe { search(table, at, runs, key) } - 1;
            // SAFETY: the entry of one of the runs.
            (unsafe { table.cell_unchecked(at + runs + run) }, depth.wrapping_add(BUCKET_BITS))
        }
        Target::Node { at, stride } => {
            let cell = at + NODE_HEAD + (key >> (32 - stride));
            // SAFETY: one of the 2^stride entries of the node.
            (unsafe { table.link_unchecked(cell) }, depth + stride)
        }
    }
}

/// # Safety
/// As for [`crate::lpm::family::Single`], and for [`Search`].
#[inline(always)]
unsafe fn find(table: &Table, addr: Ipv6Addr, search: Search) -> Option<NextHop> {
    let addr = addr.to_bits();
    // SAFETY: the caller's promise.
    let mut at = unsafe { first_entry(table, addr) };
    while entry::leads_on(at.0) {
        // SAFETY: found since the caller pinned.
        at = unsafe { step(table, addr, at, search) };
    }
    NextHop::from_entry(at.0)
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`], and for [`Search`].
#[inline(always)]
unsafe fn find_all(
    table: &Table,
    addrs: &[Ipv6Addr],
    found: &mut [Option<NextHop>],
    search: Search,
) {
    for (addrs, found) in addrs.chunks(CHUNK).zip(found.chunks_mut(CHUNK)) {
        // SAFETY: the caller's promise.
        unsafe { chunk(table, addrs, found, search) };
    }
}

/// All addresses take a step before one takes the next, so that they wait for memory together.
///
/// # Safety
/// As for `find_all`; there are at most [`CHUNK`].
#[inline(always)]
unsafe fn chunk(table: &Table, addrs: &[Ipv6Addr], found: &mut [Option<NextHop>], search: Search) {
    let mut ways = [(0, 0); CHUNK];
    // The addresses that lead on.
    let (mut left, mut count) = ([0_u8; CHUNK], 0);
    for (i, (addr, found)) in addrs.iter().zip(&mut *found).enumerate() {
        // SAFETY: the caller's promise.
        let way = unsafe { first_entry(table, addr.to_bits()) };
        *found = NextHop::from_entry(way.0);
        ways[i] = way;
        left[count] = i as u8;
        count += usize::from(entry::leads_on(way.0));
    }
    while count > 0 {
        let before = core::mem::take(&mut count);
        for at in 0..before {
            let i = usize::from(left[at]) % CHUNK;
            // SAFETY: found since the caller pinned.
            let way = unsafe { step(table, addrs[i].to_bits(), ways[i], search) };
            found[i] = NextHop::from_entry(way.0);
            ways[i] = way;
            left[count] = i as u8;
            count += usize::from(entry::leads_on(way.0));
        }
    }
}

/// # Safety
/// As for [`crate::lpm::family::Single`].
unsafe fn single(table: &Table, addr: Ipv6Addr) -> Option<NextHop> {
    // SAFETY: the caller's promise.
    unsafe { find(table, addr, search_plain) }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
unsafe fn bulk(table: &Table, addrs: &[Ipv6Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { find_all(table, addrs, found, search_plain) }
}

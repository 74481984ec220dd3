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

/// One address of a chunk, on its way.
#[derive(Clone, Copy, Default)]
struct Way {
    high: u64,
    low: u64,
    /// The last entry, and how many bits led to it.
    entry: u32,
    depth: u8,
}

impl Way {
    /// The 32 bits of the address behind those that led to the entry.
    #[inline(always)]
    fn window(&self) -> u32 {
        let depth = self.depth;
        if depth >= 64 {
            return ((self.low << (depth & 63)) >> 32) as u32;
        }
        (((self.high << depth) | ((self.low >> 1) >> (63 - depth))) >> 32) as u32
    }

    /// # Safety
    /// As for `find_all`.
    #[inline(always)]
    unsafe fn start(table: &Table, addr: u128) -> Self {
        // SAFETY: the caller's promise.
        let (entry, depth) = unsafe { first_entry(table, addr) };
        Self { high: (addr >> 64) as u64, low: addr as u64, entry, depth }
    }

    /// # Safety
    /// As for `find_all`; and the entry is a node's.
    #[inline(always)]
    unsafe fn pass_node(&mut self, table: &Table) {
        let (at, stride) = entry::node(self.entry);
        let cell = at + NODE_HEAD + (self.window() >> (32 - u32::from(stride)));
        // SAFETY: one of the 2^stride entries of a node that was found since the caller pinned.
        self.entry = unsafe { table.link_unchecked(cell) };
        self.depth += stride;
    }

    /// # Safety
    /// As for `find_all`; and the entry is a bucket's.
    #[inline(always)]
    unsafe fn pass_bucket(&mut self, table: &Table, search: Search) {
        let (at, runs) = entry::bucket(self.entry);
        // SAFETY: a bucket that was found since the caller pinned.
        let run = unsafe { search(table, at, runs, self.window()) } - 1;
        // SAFETY: the entry of one of its runs.
        self.entry = unsafe { table.cell_unchecked(at + runs + run) };
        self.depth = self.depth.wrapping_add(BUCKET_BITS);
    }
}

/// All addresses take a step before one takes the next, so that they wait for memory together; and all
/// that are at nodes before those that are at buckets. Who goes on is written down without a branch,
/// which could not be foreseen.
///
/// # Safety
/// As for `find_all`; there are at most [`CHUNK`].
#[inline(always)]
unsafe fn chunk(table: &Table, addrs: &[Ipv6Addr], found: &mut [Option<NextHop>], search: Search) {
    let mut ways = [Way::default(); CHUNK];
    let (mut at_nodes, mut at_buckets) = ([0_u8; CHUNK], [0_u8; CHUNK]);
    let (mut nodes, mut buckets) = (0, 0);
    for (i, (addr, way)) in addrs.iter().zip(&mut ways).enumerate() {
        // SAFETY: the caller's promise.
        *way = unsafe { Way::start(table, addr.to_bits()) };
        at_nodes[nodes % CHUNK] = i as u8;
        nodes += usize::from(entry::is_node(way.entry));
        at_buckets[buckets % CHUNK] = i as u8;
        buckets += usize::from(entry::is_bucket(way.entry));
    }
    while nodes + buckets > 0 {
        while nodes > 0 {
            let before = core::mem::take(&mut nodes);
            for k in 0..before {
                let i = at_nodes[k % CHUNK];
                let way = &mut ways[usize::from(i) % CHUNK];
                // SAFETY: it is at a node.
                unsafe { way.pass_node(table) };
                at_nodes[nodes % CHUNK] = i;
                nodes += usize::from(entry::is_node(way.entry));
                at_buckets[buckets % CHUNK] = i;
                buckets += usize::from(entry::is_bucket(way.entry));
            }
        }
        let before = core::mem::take(&mut buckets);
        for k in 0..before {
            let i = at_buckets[k % CHUNK];
            let way = &mut ways[usize::from(i) % CHUNK];
            // SAFETY: it is at a bucket.
            unsafe { way.pass_bucket(table, search) };
            at_nodes[nodes % CHUNK] = i;
            nodes += usize::from(entry::is_node(way.entry));
            at_buckets[buckets % CHUNK] = i;
            buckets += usize::from(entry::is_bucket(way.entry));
        }
    }
    for (found, way) in found.iter_mut().zip(&ways) {
        *found = NextHop::from_entry(way.entry);
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

//! Looking up: one algorithm, whose search in a bucket every level does in its own way.

use super::entry::{self, NODE_HEAD, Target};
use super::runs::{BUCKET_BITS, window};
use super::{Page, WORD_LEN, word_of};
use crate::lpm::NextHop;
use crate::lpm::family::Kernels;
use crate::lpm::table::{LINE, Look};
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
type Search = unsafe fn(table: Look<'_>, at: u32, runs: u32, key: u32) -> u32;

/// By halves.
///
/// # Safety
/// As for [`Search`].
#[inline(always)]
unsafe fn search_plain(table: Look<'_>, at: u32, runs: u32, key: u32) -> u32 {
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
unsafe fn first_entry(table: Look<'_>, addr: u128) -> (u32, u8) {
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
unsafe fn step(
    table: Look<'_>,
    addr: u128,
    (entry, depth): (u32, u8),
    search: Search,
) -> (u32, u8) {
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
unsafe fn find(table: Look<'_>, addr: Ipv6Addr, search: Search) -> Option<NextHop> {
    let addr = addr.to_bits();
    // SAFETY: the caller's promise.
    let mut at = unsafe { first_entry(table, addr) };
    while entry::leads_on(at.0) {
        // SAFETY: found since the caller pinned.
        at = unsafe { step(table, addr, at, search) };
    }
    NextHop::from_entry(at.0)
}

/// Which of the entries lead to a node, and which to a bucket: a bit each.
///
/// # Safety
/// The processor has what it needs.
type Marks = unsafe fn(entries: &[u32; CHUNK]) -> Marked;

/// A bit for each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marked {
    nodes: u64,
    buckets: u64,
}

/// One by one.
#[inline(always)]
fn marks_plain(entries: &[u32; CHUNK]) -> Marked {
    let bits = |of: fn(u32) -> bool| {
        let bit = |(i, entry): (usize, &u32)| u64::from(of(*entry)) << i;
        entries.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
    };
    Marked { nodes: bits(entry::is_node), buckets: bits(entry::is_bucket) }
}

/// What levels do in ways of their own.
#[derive(Clone, Copy)]
struct Steps {
    marks: Marks,
    search: Search,
}

const PLAIN: Steps = Steps { marks: marks_plain, search: search_plain };

/// # Safety
/// As for [`crate::lpm::family::Bulk`]; and the processor has what the steps need.
#[inline(always)]
unsafe fn find_all(
    table: Look<'_>,
    addrs: &[Ipv6Addr],
    found: &mut [Option<NextHop>],
    steps: Steps,
) {
    for (addrs, found) in addrs.chunks(CHUNK).zip(found.chunks_mut(CHUNK)) {
        // SAFETY: the caller's promise.
        unsafe { chunk(table, addrs, found, steps) };
    }
}

/// The addresses of a chunk on their ways: the last entry of each, how many bits led to it, and the 32 bits
/// behind those.
struct Ways<'a> {
    table: Look<'a>,
    addrs: &'a [Ipv6Addr],
    entries: [u32; CHUNK],
    windows: [u32; CHUNK],
    depths: [u8; CHUNK],
}

impl<'a> Ways<'a> {
    /// Ways that have led nowhere yet.
    #[inline(always)]
    fn new(table: Look<'a>, addrs: &'a [Ipv6Addr]) -> Self {
        let (entries, windows, depths) = ([0; CHUNK], [0; CHUNK], [0; CHUNK]);
        Self { table, addrs, entries, windows, depths }
    }

    /// The first entries of all addresses: all words are read, and where they lead is asked for, before the first
    /// entry is.
    ///
    /// # Safety
    /// As for `find_all`; there are at most [`CHUNK`].
    #[inline(always)]
    unsafe fn start(&mut self) {
        let table = self.table;
        for (i, addr) in self.addrs.iter().enumerate() {
            let (bits, i) = ((addr.to_bits() >> 64) as u64, i % CHUNK);
            // SAFETY: there is a word for every value of that many bits.
            let page = Page::from_word(unsafe { table.word_unchecked((bits >> 48) as usize) });
            let cell = page.first + (((bits >> 32) as u32 & 0xffff) >> (page.shift & 31));
            let depth = 2 * WORD_LEN - page.shift;
            table.fetch(cell);
            self.entries[i] = cell;
            self.depths[i] = depth;
            // At most 32 bits led here: what is behind them begins in the first half.
            self.windows[i] = (bits << (depth & 63) >> 32) as u32;
        }
        for i in 0..self.addrs.len().min(CHUNK) {
            // SAFETY: a cell of the page that the word led to: it has as many as the shift leaves.
            let entry = unsafe { table.link_unchecked(self.entries[i]) };
            self.entries[i] = entry;
            fetch(table, entry);
        }
    }

    /// The 32 bits behind those that led here: as [`window`], but for the end of the address, behind
    /// which nothing leads on, so that it does not matter.
    #[inline(always)]
    fn window(&self, i: usize) -> u32 {
        let (addr, depth) = (self.addrs[i].to_bits(), u32::from(self.depths[i]));
        let (high, low) = ((addr >> 64) as u64, addr as u64);
        let (high, low) = if depth >= 64 { (low, 0) } else { (high, low) };
        let depth = depth & 63;
        (((high << depth) | (low >> 1 >> (63 - depth))) >> 32) as u32
    }

    /// # Safety
    /// As for `find_all`; and the entry is a node's.
    #[inline(always)]
    unsafe fn pass_node(&mut self, i: usize) {
        let (at, stride) = entry::node(self.entries[i]);
        let cell = at + NODE_HEAD + (self.windows[i] >> (32 - u32::from(stride)));
        // SAFETY: one of the 2^stride entries of a node that was found since the caller pinned.
        let entry = unsafe { self.table.link_unchecked(cell) };
        self.entries[i] = entry;
        self.depths[i] += stride;
        self.windows[i] = self.window(i);
        fetch(self.table, entry);
    }

    /// # Safety
    /// As for `find_all`; and the entry is a bucket's.
    #[inline(always)]
    unsafe fn pass_bucket(&mut self, i: usize, search: Search) {
        let (at, runs) = entry::bucket(self.entries[i]);
        // SAFETY: a bucket that was found since the caller pinned.
        let run = unsafe { search(self.table, at, runs, self.windows[i]) } - 1;
        // SAFETY: the entry of one of its runs.
        self.entries[i] = unsafe { self.table.cell_unchecked(at + runs + run) };
        if entry::leads_on(self.entries[i]) {
            self.depths[i] += BUCKET_BITS;
            self.windows[i] = self.window(i);
        }
    }
}

/// Has two lines of the bucket fetched that an entry leads to, if it leads on: without a branch, which could not be
/// foreseen.
#[inline(always)]
fn fetch(table: Look<'_>, entry: u32) {
    let (at, _) = entry::bucket(entry & (entry.cast_signed() >> 31).cast_unsigned());
    table.fetch(at);
    table.fetch(at + LINE);
}

/// The numbers of the bits that are set.
#[inline(always)]
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let next = (bits != 0).then_some(bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        next
    })
}

/// All addresses take a step before one takes the next, so that they wait for memory together; and all
/// that are at nodes before those that are at buckets, so that no branch depends on where one is.
///
/// # Safety
/// As for `find_all`; there are at most [`CHUNK`].
#[inline(always)]
unsafe fn chunk(
    table: Look<'_>,
    addrs: &[Ipv6Addr],
    found: &mut [Option<NextHop>],
    Steps { marks, search }: Steps,
) {
    let mut ways = Ways::new(table, addrs);
    // SAFETY: the caller's promise.
    unsafe { ways.start() };
    loop {
        // SAFETY: the caller's promise.
        let Marked { nodes, buckets } = unsafe { marks(&ways.entries) };
        if nodes | buckets == 0 {
            break;
        }
        for i in ones(nodes) {
            // SAFETY: it is at a node.
            unsafe { ways.pass_node(i) };
        }
        // SAFETY: the caller's promise.
        let Marked { buckets, .. } = unsafe { marks(&ways.entries) };
        for i in ones(buckets) {
            // SAFETY: it is at a bucket.
            unsafe { ways.pass_bucket(i, search) };
        }
    }
    for (found, entry) in found.iter_mut().zip(&ways.entries) {
        *found = NextHop::from_entry(*entry);
    }
}

/// # Safety
/// As for [`crate::lpm::family::Single`].
unsafe fn single(table: Look<'_>, addr: Ipv6Addr) -> Option<NextHop> {
    // SAFETY: the caller's promise.
    unsafe { find(table, addr, search_plain) }
}

/// # Safety
/// As for [`crate::lpm::family::Bulk`].
unsafe fn bulk(table: Look<'_>, addrs: &[Ipv6Addr], found: &mut [Option<NextHop>]) {
    // SAFETY: the caller's promise.
    unsafe { find_all(table, addrs, found, PLAIN) }
}

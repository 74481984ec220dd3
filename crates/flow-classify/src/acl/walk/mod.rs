//! Look-ups: down the trees with many keys in turn, then leaf by leaf.
//!
//! The steps of different keys do not wait for each other, so that the processor has several misses
//! of its caches under way at once. No branch depends on where one key goes.

mod plain;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::Verdict;
use super::block::Block;
use super::forest::Forest;
use super::key::{Key, LANES, Packed};
use super::node::Link;
use super::rule::{Categories, Rank};
use crate::simd::Simd;
use std::hint;

/// The levels that there is code for.
pub(super) const CODE: &[Simd] = &[Simd::Plain, Simd::Avx2, Simd::Avx512];

/// Keys that go down a tree together.
const BATCH: usize = 64;

/// What differs between levels of SIMD.
trait Isa {
    /// The bits of `word` where `mask` is set, close together.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn extract(word: u64, mask: u64) -> u64;

    /// The lanes whose masks, spans and categories match.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn compare<K: Key>(block: &Block<K>, key: &Packed<K>, categories: Categories) -> u32;

    /// [`further`], apart: it is seldom called.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn further<K: Key>(look: Look<'_, K>, found: u32, best: u64) -> u64;
}

/// What is looked up, and where.
struct Look<'a, K: Key> {
    block: &'a Block<K>,
    key: &'a Packed<K>,
    categories: Categories,
}

/// Looks keys up, as many as there are verdicts.
///
/// # Safety
/// The processor has `simd`, and nothing that the trees lead to is freed meanwhile.
pub(super) unsafe fn classify<K: Key>(
    simd: Simd,
    forest: &Forest<K>,
    categories: Categories,
    keys: &[K],
    verdicts: &mut [Verdict],
) {
    // SAFETY: what the caller says.
    unsafe {
        match simd {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => x86_64::avx512(forest, categories, keys, verdicts),
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => x86_64::avx2(forest, categories, keys, verdicts),
            _ => walk::<plain::Plain, K>(forest, categories, keys, verdicts),
        }
    }
}

/// # Safety
/// As for [`classify`], with the instructions of `I`.
#[inline(always)]
unsafe fn walk<I: Isa, K: Key>(
    forest: &Forest<K>,
    categories: Categories,
    keys: &[K],
    verdicts: &mut [Verdict],
) {
    for (keys, verdicts) in keys.chunks(BATCH).zip(verdicts.chunks_mut(BATCH)) {
        let mut packed = [Packed::<K>::default(); BATCH];
        for (packed, key) in packed.iter_mut().zip(keys) {
            *packed = key.pack();
        }
        let mut best = [Rank::NONE; BATCH];
        for root in forest.trees.iter().map(|tree| tree.root.load()) {
            if !root.is_none() {
                // SAFETY: what the caller says; the root is part of the forest.
                unsafe { down::<I, K>(root, categories, &packed, &mut best, keys.len()) };
            }
        }
        for (verdict, best) in verdicts.iter_mut().zip(best) {
            *verdict = Verdict(best as u32);
        }
    }
}

/// Takes `n` keys down one tree, and keeps for each the best rule.
///
/// # Safety
/// As for [`walk`]; the link is a root of its forest.
#[inline(always)]
unsafe fn down<I: Isa, K: Key>(
    root: Link<K>,
    categories: Categories,
    keys: &[Packed<K>; BATCH],
    best: &mut [u64; BATCH],
    n: usize,
) {
    let n = n.min(BATCH);
    let mut links = [root; BATCH];
    // Keys that are not at a leaf yet.
    let (mut active, mut left) = ([0u8; BATCH], 0);
    if !root.is_leaf() {
        for at in 0..n {
            // SAFETY: it is a node; the caller vouches for the rest.
            links[at] = unsafe { step::<I, K>(root, &keys[at]) };
            active[left] = at as u8;
            left += usize::from(!links[at].is_leaf());
        }
    }
    while left > 0 {
        let mut kept = 0;
        for at in 0..left {
            let key = usize::from(active[at]) % BATCH;
            // SAFETY: only keys that are at a node are active; the caller vouches for the rest.
            links[key] = unsafe { step::<I, K>(links[key], &keys[key]) };
            active[kept] = key as u8;
            kept += usize::from(!links[key].is_leaf());
        }
        left = kept;
    }
    for at in 0..n {
        // SAFETY: no key is active any more: all links lead to leaves, which the caller keeps alive.
        best[at] = unsafe { leaf::<I, K>(links[at].as_leaf(), categories, &keys[at], best[at]) };
    }
}

/// Where a key goes from a node.
///
/// # Safety
/// The processor has the instructions of `I`, and the link leads to a node that is not freed.
#[inline(always)]
unsafe fn step<I: Isa, K: Key>(link: Link<K>, key: &Packed<K>) -> Link<K> {
    // SAFETY: what the caller says.
    let node = unsafe { link.as_node() };
    // SAFETY: what the caller says.
    let cell = node.bits.cell(key, |word, mask| unsafe { I::extract(word, mask) });
    // SAFETY: a node has a cell for each value of its bits (`build::node`).
    unsafe { node.cells.get_unchecked(cell) }.load()
}

/// The best rule of a leaf, or `best` if that is better.
///
/// # Safety
/// The processor has the instructions of `I`.
#[inline(always)]
unsafe fn leaf<I: Isa, K: Key>(
    block: &Block<K>,
    categories: Categories,
    key: &Packed<K>,
    best: u64,
) -> u64 {
    // SAFETY: what the caller says.
    let found = unsafe { I::compare(block, key, categories) };
    if block.full.is_some() || found == 0 && block.next.is_some() {
        // SAFETY: what the caller says.
        return unsafe { I::further(Look { block, key, categories }, found, best) };
    }
    // There are eight lanes: what is read when none was found is not used.
    let rank = block.rank(found.trailing_zeros() as usize % LANES).number();
    hint::select_unpredictable(found == 0, best, rank.min(best))
}

/// The rest of a leaf that has several blocks, or rules that are compared in full.
///
/// # Safety
/// The processor has the instructions of `I`.
#[inline(always)]
unsafe fn further<I: Isa, K: Key>(look: Look<'_, K>, mut found: u32, best: u64) -> u64 {
    let Look { mut block, key, categories } = look;
    loop {
        found = block.settle(found, key);
        if found != 0 {
            return block.rank(found.trailing_zeros() as usize % LANES).number().min(best);
        }
        match block.next.as_deref() {
            Some(next) if next.rank(0).number() < best => block = next,
            _ => return best,
        }
        // SAFETY: what the caller says.
        found = unsafe { I::compare(block, key, categories) };
    }
}

//! The 256 addresses of a /24 that has longer routes: 8 words, and behind them their entries.
//!
//! A group is written once, and replaced as a whole.

use super::word::{self, SLOTS};
use crate::lpm::store::Store;

/// Words of a group.
const WORDS: usize = 8;

/// Cells of the words.
const HEAD: u32 = 2 * WORDS as u32;

/// Says that an entry is not a next hop, but the first cell of a group.
const GROUP: u32 = 1 << 31;

/// Whether an entry leads on to a group.
#[inline(always)]
pub(super) fn is_group(entry: u32) -> bool {
    entry & GROUP != 0
}

/// Where a word of the group at `entry` begins that `addr` is in.
#[inline(always)]
pub(super) fn word_cell(entry: u32, addr: u32) -> u32 {
    (entry & !GROUP) + 2 * ((addr >> 5) & 7)
}

/// Makes a group; its entry.
pub(super) fn make(store: &mut Store, entries: &[u32; WORDS * SLOTS]) -> u32 {
    let (words, _) = entries.as_chunks::<SLOTS>();
    let changes: [u32; WORDS] = core::array::from_fn(|i| word::changes(&words[i]));
    let runs = |changes: u32| changes.count_ones() + 1;
    let at = store.block(size(changes.iter().map(|it| runs(*it)).sum()));
    let mut next = at + HEAD;
    for (i, slots) in words.iter().enumerate() {
        let word = word::fill(store, next, slots, changes[i]);
        next += runs(changes[i]);
        store.table().set_cell(at + 2 * i as u32, word as u32);
        store.table().set_cell(at + 2 * i as u32 + 1, (word >> 32) as u32);
    }
    GROUP | at
}

/// Cells of a group; whole lines, so that a group of another size can take the place.
fn size(runs: u32) -> u32 {
    (HEAD + runs).next_multiple_of(HEAD)
}

/// Takes the group of an entry back, if it has one.
pub(super) fn retire(store: &mut Store, entry: u32) {
    if !is_group(entry) {
        return;
    }
    let at = entry & !GROUP;
    let runs = |i: u32| store.table().cell(at + 2 * i).count_ones() + 1;
    let runs = (0..WORDS as u32).map(runs).sum();
    store.retire(at, size(runs));
}

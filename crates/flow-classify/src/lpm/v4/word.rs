//! The unit of the IPv4 table: 32 neighbouring slots in one 64-bit word.
//!
//! | bits | |
//! |---|---|
//! | 63..32 | the cell of slot 0's entry |
//! | 30..0 | bit `i`: the entry of slot `i + 1` differs from that of slot `i`, and is in the next cell |
//!
//! So a slot's entry is in the first cell plus the number of bits set before it. A word whose slots are
//! all the same leads to a shared cell.

use crate::lpm::shared_cells::SharedCells;
use crate::lpm::store::Store;
use crate::lpm::table::Table;

pub(super) const SLOTS: usize = 32;

/// The cell of a slot's entry; `slot < 32`.
#[inline(always)]
pub(super) fn cell(word: u64, slot: u32) -> u32 {
    let before = word & ((1_u64 << slot) - 1);
    (word >> 32) as u32 + before.count_ones()
}

/// The cells of a word, if they are its own: the first, and how many.
pub(super) fn block(word: u64) -> Option<(u32, u32)> {
    let changes = word as u32;
    (changes != 0).then(|| ((word >> 32) as u32, changes.count_ones() + 1))
}

/// The entries of all slots.
pub(super) fn slots(table: &Table, word: u64) -> [u32; SLOTS] {
    let (mut cell, mut entry) = ((word >> 32) as u32, table.cell((word >> 32) as u32));
    core::array::from_fn(|slot| {
        if slot > 0 && word >> (slot - 1) & 1 != 0 {
            cell += 1;
            entry = table.cell(cell);
        }
        entry
    })
}

/// Bit `i`: slot `i + 1` differs from slot `i`.
pub(super) fn changes(slots: &[u32; SLOTS]) -> u32 {
    (1..SLOTS).fold(0, |bits, i| bits | u32::from(slots[i] != slots[i - 1]) << (i - 1))
}

/// Makes a word with these slots, in cells that nobody can reach yet.
pub(super) fn make(store: &mut Store, shared: &mut SharedCells, slots: &[u32; SLOTS]) -> u64 {
    match changes(slots) {
        0 => u64::from(shared.cell(store, slots[0])) << 32,
        changes => {
            let at = store.block(changes.count_ones() + 1);
            fill(store, at, slots, changes)
        }
    }
}

/// Writes the first entry of every run into cells from `at` on.
pub(super) fn fill(store: &Store, at: u32, slots: &[u32; SLOTS], changes: u32) -> u64 {
    store.table().set_cell(at, slots[0]);
    let (mut left, mut next) = (changes, at);
    while left != 0 {
        next += 1;
        store.table().set_cell(next, slots[left.trailing_zeros() as usize + 1]);
        left &= left - 1;
    }
    u64::from(at) << 32 | u64::from(changes)
}

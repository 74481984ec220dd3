//! One cell for every value, shared by all words that have only that value.
//!
//! Words then always lead to a cell, and a look-up needs no branch to tell them apart. What a shared
//! cell holds never changes, so that words can come and go without a count.

use super::store::Store;
use super::table::LINE;
use std::collections::HashMap;

/// Values that are kept without need, before it is worth to make the table anew.
const SPARE: usize = 1 << 12;

#[derive(Debug, Default)]
pub(super) struct SharedCells {
    cells: HashMap<u32, u32>,
    /// Cells of a line that have no value yet.
    unused: std::ops::Range<u32>,
    /// What was asked for last: neighbours are often the same.
    last: (u32, u32),
}

impl SharedCells {
    /// The cell of a value. Cell 0 is that of 0, no route.
    pub(super) fn cell(&mut self, store: &mut Store, value: u32) -> u32 {
        if value == self.last.0 {
            return self.last.1;
        }
        let cell = match self.cells.get(&value) {
            Some(cell) => *cell,
            None if value == 0 => 0,
            None => self.make(store, value),
        };
        self.last = (value, cell);
        cell
    }

    fn make(&mut self, store: &mut Store, value: u32) -> u32 {
        if self.unused.is_empty() {
            let at = store.block(LINE);
            self.unused = at..at + LINE;
        }
        let cell = self.unused.start;
        self.unused.start += 1;
        store.table().set_cell(cell, value);
        self.cells.insert(value, cell);
        cell
    }

    /// Whether there are many more values than routes can have.
    pub(super) fn is_wasteful(&self, routes: usize) -> bool {
        self.cells.len() > 2 * routes + SPARE
    }
}

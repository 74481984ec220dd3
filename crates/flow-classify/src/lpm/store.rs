//! The writer's side of a [`Table`]: who owns which cells, and when they may be used again.
//!
//! Blocks that were unlinked wait in *batches*. When a batch is sealed, after its blocks were unlinked, a
//! period of grace begins (see [`crate::grace`]); when it is over, the writer takes the cells back.

use super::table::{LINE, Table};
use crate::grace::{Grace, Guard, hurry, pin};
use crate::sync::{AtomicPtr, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

/// Blocks in a batch: one deferred function each.
const BATCH: usize = 128;

/// Blocks of more cells than this come in multiples of a line.
const SMALL: u32 = 64;

/// The least number of cells. (Models watch each: they have few.)
const LEAST: u32 = if cfg!(loom) { 2 * LINE } else { 1 << 12 };

/// What readers and the writer share.
#[derive(Debug)]
pub struct Shared {
    /// From `Box::into_raw`, never null.
    table: AtomicPtr<Table>,
}

impl Shared {
    /// The newest table.
    #[inline]
    pub(super) fn table<'a>(&'a self, _pinned: &'a Guard) -> &'a Table {
        // SAFETY: the pointer is from a box. It is freed either with `self`, which outlives 'a, or by
        // `Store` after everyone has unpinned who was pinned when another pointer took its place;
        // who loads it is pinned already, and stays so for 'a.
        // Acquire pairs with the swap of `publish`: the table is complete.
        unsafe { &*self.table.load(Ordering::Acquire) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Relaxed: `&mut self` says that nobody stores meanwhile.
        let table = self.table.load(Ordering::Relaxed);
        // SAFETY: from a box, and nobody has `self` any more, so that nobody can read it.
        drop(unsafe { Box::from_raw(table) });
    }
}

/// Cells that nobody can reach when the period is over.
#[derive(Debug)]
struct Batch {
    grace: Grace,
    blocks: Vec<(u32, u32)>,
}

#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    /// A table that readers do not see yet.
    staged: Option<Box<Table>>,
    space: Space,
    /// Unlinked, and not yet in a batch.
    unlinked: Vec<(u32, u32)>,
    batches: VecDeque<Batch>,
    tables: VecDeque<(Grace, Box<Table>)>,
}

impl Store {
    /// A table whose words are all `blank`.
    pub(super) fn new(words: usize, blank: u64) -> Self {
        let table = Box::into_raw(Box::new(Table::new(words, blank, LEAST)));
        Self {
            shared: Arc::new(Shared { table: AtomicPtr::new(table) }),
            staged: None,
            space: Space::new(LEAST),
            unlinked: Vec::new(),
            batches: VecDeque::new(),
            tables: VecDeque::new(),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The table that is written.
    pub(super) fn table(&self) -> &Table {
        match &self.staged {
            Some(table) => table,
            // SAFETY: from a box that only `self` replaces, through `&mut self`.
            // Relaxed: it was stored by this, the only writer.
            None => unsafe { &*self.shared.table.load(Ordering::Relaxed) },
        }
    }

    /// Cells that nobody can reach, for the caller to fill and link.
    pub(super) fn block(&mut self, cells: u32) -> u32 {
        if let Some(at) = self.space.take(cells) {
            return at;
        }
        self.reclaim();
        self.space.take(cells).unwrap_or_else(|| {
            self.grow(cells);
            self.space.take(cells).expect("room was made for it")
        })
    }

    /// Cells that were unlinked.
    pub(super) fn retire(&mut self, at: u32, cells: u32) {
        if self.staged.is_some() {
            return self.space.give((at, cells));
        }
        self.unlinked.push((at, cells));
        if self.unlinked.len() >= BATCH {
            self.seal();
            self.reclaim();
        }
    }

    /// Twice the room. Blocks stay where they are, so that what waits to be used again still can.
    fn grow(&mut self, cells: u32) {
        let room = self.space.end.max(cells.next_multiple_of(LINE)) * 2;
        let table = Box::new(self.table().larger(room));
        self.space.end = room;
        match &mut self.staged {
            Some(staged) => *staged = table,
            None => self.publish(table),
        }
    }

    /// Whether most of the room is unused.
    pub(super) fn is_wasteful(&self) -> bool {
        self.space.end > LEAST && self.space.live < self.space.end / 4
    }

    /// Begins an empty table, of which readers see nothing before [`Self::show`].
    pub(super) fn stage(&mut self, words: usize, blank: u64) {
        self.unlinked.clear();
        self.batches.clear();
        self.space = Space::new((self.space.live * 2).next_power_of_two().max(LEAST));
        self.staged = Some(Box::new(Table::new(words, blank, self.space.end)));
    }

    /// Shows readers what was staged.
    pub(super) fn show(&mut self) {
        if let Some(table) = self.staged.take() {
            self.publish(table);
        }
    }

    fn publish(&mut self, table: Box<Table>) {
        // AcqRel: its release pairs with the acquire of `Shared::table`.
        let old = self.shared.table.swap(Box::into_raw(table), Ordering::AcqRel);
        // SAFETY: from `Box::into_raw`; readers that still have it are pinned, and the box is not
        // dropped before they have unpinned.
        let old = unsafe { Box::from_raw(old) };
        self.tables.push_back((begin_grace(), old));
    }

    fn seal(&mut self) {
        let blocks = core::mem::take(&mut self.unlinked);
        self.batches.push_back(Batch { grace: begin_grace(), blocks });
    }

    /// Takes back what no reader can reach any more.
    pub(super) fn reclaim(&mut self) {
        while let Some(Batch { blocks, .. }) = self.batches.pop_front_if(|it| it.grace.is_over()) {
            blocks.into_iter().for_each(|block| self.space.give(block));
        }
        while self.tables.pop_front_if(|(grace, _)| grace.is_over()).is_some() {}
    }

    /// Seals what is unlinked, and takes back what it can at once: all, if no reader is pinned.
    pub(super) fn reclaim_all(&mut self) {
        if !self.unlinked.is_empty() {
            self.seal();
        }
        hurry();
        self.reclaim();
    }

    /// Bytes of the table, and bytes of it that hold routes.
    pub(super) fn memory(&self) -> (usize, usize) {
        let cells = size_of::<u32>();
        let unused = (self.space.end - self.space.live) as usize * cells;
        (self.table().memory(), self.table().memory() - unused)
    }

    /// Bytes that wait for readers.
    pub(super) fn waiting(&self) -> usize {
        let blocks = self.batches.iter().flat_map(|it| &it.blocks).chain(&self.unlinked);
        let cells: usize = blocks.map(|(_, cells)| *cells as usize * size_of::<u32>()).sum();
        cells + self.tables.iter().map(|(_, table)| table.memory()).sum::<usize>()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for (_, table) in self.tables.drain(..) {
            pin().defer(move || drop(table));
        }
    }
}

/// A period that is over when everyone has unpinned who is pinned now.
fn begin_grace() -> Grace {
    let guard = pin();
    let grace = Grace::begin(&guard);
    guard.flush();
    grace
}

/// Which cells are free.
#[derive(Debug)]
struct Space {
    /// Cells from here on were never used.
    fresh: u32,
    end: u32,
    /// Cells that are in use or wait for readers.
    live: u32,
    /// Free blocks, by size: see `class`.
    free: Vec<Vec<u32>>,
}

impl Space {
    /// Cell 0 is never given away: kernels load it where there is nothing to load.
    fn new(end: u32) -> Self {
        Self { fresh: LINE, end, live: LINE, free: Vec::new() }
    }

    fn take(&mut self, cells: u32) -> Option<u32> {
        let (class, cells) = class(cells);
        let at = match self.free.get_mut(class).and_then(Vec::pop) {
            Some(at) => at,
            None if self.end - self.fresh >= cells => {
                self.fresh += cells;
                self.fresh - cells
            }
            None => return None,
        };
        self.live += cells;
        Some(at)
    }

    fn give(&mut self, (at, cells): (u32, u32)) {
        let (class, cells) = class(cells);
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        self.free[class].push(at);
        self.live -= cells;
    }
}

/// The class of a size, and the cells of its blocks.
fn class(cells: u32) -> (usize, u32) {
    if cells <= SMALL {
        return (cells as usize, cells);
    }
    let lines = cells.div_ceil(LINE);
    ((SMALL + lines) as usize, lines * LINE)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_grow_with_the_table() {
        let mut store = Store::new(1, 0);
        let mut taken: Vec<(u32, u32)> =
            (1..300).map(|cells| (store.block(cells), cells)).collect();
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
        let last = taken[taken.len() - 1];
        assert!(last.0 + last.1 <= store.table().cells());
    }

    #[test]
    fn a_block_is_not_used_again_while_a_reader_is_pinned() {
        let mut store = Store::new(1, 0);
        let at = store.block(8);
        let pinned = pin();
        store.retire(at, 8);
        store.reclaim_all();
        assert_ne!(store.block(8), at);
        assert!(store.waiting() > 0);
        drop(pinned);
        // Other tests of this process may be pinned for a moment.
        while store.waiting() > 0 {
            store.reclaim_all();
        }
        assert_eq!(store.block(8), at);
    }

    #[test]
    fn a_table_that_was_replaced_lives_as_long_as_its_readers() {
        let mut store = Store::new(1, 0);
        let shared = Arc::clone(store.shared());
        let pinned = pin();
        let old = shared.table(&pinned);
        store.table().set_word(0, 7);
        store.grow(LEAST);
        assert_eq!(old.word(0), 7);
        store.table().set_word(0, 8);
        assert_eq!((old.word(0), shared.table(&pinned).word(0)), (7, 8));
        drop(store);
        assert_eq!(old.word(0), 7);
    }
}

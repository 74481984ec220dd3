//! What readers see: a root of words, and cells that the words lead to.
//!
//! The protocol, for both families. Every cell belongs to a *block*. The writer fills a block that no
//! reader can reach, links it by one release store (of a root word, or of a cell that links), unlinks
//! what was there by the same store, and uses the cells of the old block again only after every reader
//! that was pinned at that moment has unpinned (see [`super::store`]). A reader pins, then follows links
//! with acquire loads. So
//!
//! * what a link leads to was written before the link, and is not written again while it can be reached;
//! * every link is one aligned word that is read and written as a whole: nothing is torn;
//! * an address resolves to what its links said at the moment of the last one it followed, or, if that
//!   block had been unlinked by then, to what they said when it was. Both are at most as old as the pin.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A cache line of cells.
pub(super) const LINE: u32 = 16;

#[derive(Debug)]
#[repr(C, align(64))]
struct Line([AtomicU32; LINE as usize]);

#[derive(Debug)]
pub(super) struct Table {
    root: Box<[AtomicU64]>,
    lines: Box<[Line]>,
}

impl Table {
    /// Words that are all `blank`, and cells that are all 0. `cells` is a multiple of [`LINE`], not 0.
    pub(super) fn new(words: usize, blank: u64, cells: u32) -> Self {
        let line = || Line(core::array::from_fn(|_| AtomicU32::new(0)));
        Self {
            root: (0..words).map(|_| AtomicU64::new(blank)).collect(),
            lines: (0..cells / LINE).map(|_| line()).collect(),
        }
    }

    /// The same words and cells, with more cells behind them.
    pub(super) fn larger(&self, cells: u32) -> Self {
        let copy = Self::new(self.root.len(), 0, cells);
        for (at, word) in self.root.iter().enumerate() {
            // Relaxed: the caller is the only writer, and publishes the copy as a whole.
            copy.root[at].store(word.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for at in 0..self.cells() {
            copy.set_cell(at, self.cell(at));
        }
        copy
    }

    pub(super) fn cells(&self) -> u32 {
        self.lines.len() as u32 * LINE
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.root) + size_of_val(&*self.lines)
    }

    /// A word of the root.
    pub(super) fn word(&self, at: usize) -> u64 {
        // Relaxed: for the only writer, who wrote it.
        self.root[at].load(Ordering::Relaxed)
    }

    /// Links a block that is complete.
    pub(super) fn set_word(&self, at: usize, word: u64) {
        // Release pairs with the acquire of `word_unchecked`.
        self.root[at].store(word, Ordering::Release);
    }

    /// For look-ups.
    #[inline(always)]
    pub(super) fn look(&self) -> Look<'_> {
        Look { root: &self.root, lines: &self.lines }
    }

    pub(super) fn cell(&self, at: u32) -> u32 {
        // Relaxed: for the only writer, who wrote it.
        self.slot(at).load(Ordering::Relaxed)
    }

    /// Writes a cell that no reader can reach yet.
    pub(super) fn set_cell(&self, at: u32, value: u32) {
        // Relaxed: made visible by the release of the link that will lead to it.
        self.slot(at).store(value, Ordering::Relaxed);
    }

    /// Links a block that is complete.
    pub(super) fn set_link(&self, at: u32, value: u32) {
        // Release pairs with the acquire of `link_unchecked`.
        self.slot(at).store(value, Ordering::Release);
    }

    fn slot(&self, at: u32) -> &AtomicU32 {
        &self.lines[(at / LINE) as usize].0[(at % LINE) as usize]
    }
}

/// A table as look-ups read it: where words and cells are, to be held in registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    root: &'a [AtomicU64],
    lines: &'a [Line],
}

impl<'a> Look<'a> {
    /// A word of the root.
    ///
    /// # Safety
    /// `at` is less than the number of words.
    #[inline(always)]
    pub(super) unsafe fn word_unchecked(self, at: usize) -> u64 {
        debug_assert!(at < self.root.len());
        // SAFETY: the caller's promise.
        let word = unsafe { self.root.get_unchecked(at) };
        // Acquire pairs with the release of `set_word`: the block that it leads to is complete.
        word.load(Ordering::Acquire)
    }

    /// A cell that does not change while it can be reached.
    ///
    /// # Safety
    /// `at` is in a block that a link of this table led to, since the caller pinned.
    #[inline(always)]
    pub(super) unsafe fn cell_unchecked(self, at: u32) -> u32 {
        // Relaxed: it was written before the release of the link, which the caller acquired.
        // SAFETY: as for `cell_at`, whose condition is the caller's.
        unsafe { self.cell_at(at) }.load(Ordering::Relaxed)
    }

    /// A cell that is a link.
    ///
    /// # Safety
    /// As for `cell_unchecked`.
    #[inline(always)]
    pub(super) unsafe fn link_unchecked(self, at: u32) -> u32 {
        // Acquire pairs with the release of `set_link`: the block that it leads to is complete.
        // SAFETY: as for `cell_at`, whose condition is the caller's.
        unsafe { self.cell_at(at) }.load(Ordering::Acquire)
    }

    /// # Safety
    /// `at` is less than the number of cells, which holds for every cell of a block of this table.
    #[inline(always)]
    unsafe fn cell_at(self, at: u32) -> &'a AtomicU32 {
        debug_assert!((at / LINE) < self.lines.len() as u32);
        // SAFETY: the lines lie one behind the other, 16 cells each, and `at` is in one of them.
        unsafe { &*self.first_cell().add(at as usize) }
    }

    /// Has the line of a cell fetched, which need not exist: it is a hint.
    #[inline(always)]
    pub(super) fn fetch(self, at: u32) {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let line = self.first_cell().wrapping_add(at as usize);
            // SAFETY: every x86-64 has the instruction, and it does not fault, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// Where the words begin, for gathers.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn first_word(self) -> *const AtomicU64 {
        self.root.as_ptr()
    }

    /// Where the cells begin, for gathers.
    #[inline(always)]
    pub(super) fn first_cell(self) -> *const AtomicU32 {
        self.lines.as_ptr().cast()
    }
}

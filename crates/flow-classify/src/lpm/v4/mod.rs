//! The compiled IPv4 table.
//!
//! The root has a word of 64 bits for every /19: 4 MiB that a look-up reads once. A word tells its 32
//! slots, the /24s, apart by a bit each, and their entries lie side by side in cells, one for every run of
//! the same entry (see `word`). A /24 that has longer routes leads to a `group` of the same making.
//! Two loads find most addresses, and all that they touch of a full table is a tenth of DIR-24-8's 64 MiB.

mod group;
mod kernels;
mod word;

use super::family::{Compiled, Kernels};
use super::rib::{Rib, Route};
use super::shared_cells::SharedCells;
use super::store::Store;
use crate::simd::Simd;
use core::net::Ipv4Addr;
use word::SLOTS;

/// Bits of a word of the root.
const WORD_LEN: u8 = 19;

/// Bits of a slot.
const SLOT_LEN: u8 = 24;

/// Words of the root.
const WORDS: usize = 1 << WORD_LEN;

/// Prefixes that are shorter are painted in parts of at least this many bits.
const PART_LEN: u8 = 14;

/// The slots that one prefix covers, being painted; kept to be used again.
#[derive(Debug, Default)]
struct Canvas {
    entries: Vec<u32>,
    /// Slots that have routes of their own, in order.
    deep: Vec<usize>,
}

#[derive(Debug)]
pub struct Compiled4 {
    store: Store,
    shared: SharedCells,
    canvas: Canvas,
}

impl Compiled for Compiled4 {
    type Addr = Ipv4Addr;

    const MOST_ROUTES: usize = 1 << 24;

    const CODE: &'static [Simd] = kernels::CODE;

    fn new() -> Self {
        Self {
            store: Store::new(WORDS, 0),
            shared: SharedCells::default(),
            canvas: Canvas::default(),
        }
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    fn paint(&mut self, rib: &Rib<u32>, (key, len): (u32, u8)) {
        match len {
            25.. => self.paint_in_slot(rib, key),
            PART_LEN..=24 => self.paint_slots(rib, key, len),
            _ => self.paint_wide(rib, key, len),
        }
        self.condense(rib);
    }

    fn condense(&mut self, rib: &Rib<u32>) {
        if self.store.is_wasteful() || self.shared.is_wasteful(rib.len()) {
            self.repaint(rib);
        }
    }

    fn kernels(simd: Simd) -> Kernels<Ipv4Addr> {
        kernels::of(simd)
    }
}

impl Compiled4 {
    /// All anew, in as little room as it takes.
    fn repaint(&mut self, rib: &Rib<u32>) {
        self.store.stage(WORDS, 0);
        self.shared = SharedCells::default();
        self.paint_wide(rib, 0, 0);
        self.store.show();
    }

    /// The words of a short prefix: all the same where it has no longer routes.
    fn paint_wide(&mut self, rib: &Rib<u32>, key: u32, len: u8) {
        if len >= PART_LEN {
            return self.paint_slots(rib, key, len);
        }
        if rib.covered(key, len).any(|route| route.len > len) {
            self.paint_wide(rib, key, len + 1);
            return self.paint_wide(rib, key | 1 << (31 - len), len + 1);
        }
        let slots = [rib.best(key, len).map_or(0, |route| route.value); SLOTS];
        let first = (key >> (32 - WORD_LEN)) as usize;
        let new = word::make(&mut self.store, &mut self.shared, &slots);
        for at in first..first + (1 << (WORD_LEN - len)) {
            let old = self.store.table().word(at);
            if old != new && word::block(old).is_none() {
                self.store.table().set_word(at, new);
            } else if old != new {
                self.set(at, &slots);
            }
        }
    }

    /// The slots of a prefix that is not longer than a slot, and what is below them.
    fn paint_slots(&mut self, rib: &Rib<u32>, key: u32, len: u8) {
        self.canvas.paint(rib, key, len);
        self.make_groups(rib, key);
        let entries = core::mem::take(&mut self.canvas.entries);
        let word = (key >> (32 - WORD_LEN)) as usize;
        if len > WORD_LEN {
            let first = (key >> 8) as usize % SLOTS;
            let mut slots = self.slots(word);
            slots[first..first + entries.len()].copy_from_slice(&entries);
            self.set(word, &slots);
        } else {
            let (words, _) = entries.as_chunks::<SLOTS>();
            words.iter().enumerate().for_each(|(i, slots)| self.set(word + i, slots));
        }
        self.canvas.entries = entries;
    }

    /// The groups of all slots that have routes of their own.
    fn make_groups(&mut self, rib: &Rib<u32>, key: u32) {
        for i in 0..self.canvas.deep.len() {
            let slot = self.canvas.deep[i];
            let inherited = self.canvas.entries[slot];
            self.canvas.entries[slot] = self.group(rib, key + ((slot as u32) << 8), inherited);
        }
    }

    /// One slot, and no other of its word.
    fn paint_in_slot(&mut self, rib: &Rib<u32>, key: u32) {
        let key = key & !0xff;
        let word = (key >> (32 - WORD_LEN)) as usize;
        let mut slots = self.slots(word);
        let inherited = rib.best(key, SLOT_LEN).map_or(0, |route| route.value);
        slots[(key >> 8) as usize % SLOTS] = self.group(rib, key, inherited);
        self.set(word, &slots);
    }

    /// The entry of a slot with all that the routes below it say.
    fn group(&mut self, rib: &Rib<u32>, key: u32, inherited: u32) -> u32 {
        let mut entries = [inherited; 256];
        let mut is_deep = false;
        for Route { key, len, value } in rib.covered(key, SLOT_LEN).filter(|it| it.len > SLOT_LEN) {
            let first = key as usize & 0xff;
            entries[first..first + (1 << (32 - len))].fill(value);
            is_deep = true;
        }
        if is_deep { group::make(&mut self.store, &entries) } else { inherited }
    }

    fn slots(&self, word: usize) -> [u32; SLOTS] {
        word::slots(self.store.table(), self.store.table().word(word))
    }

    /// Gives a word these slots. Groups that no slot has any more are taken back.
    fn set(&mut self, at: usize, slots: &[u32; SLOTS]) {
        let old = self.store.table().word(at);
        let before = word::slots(self.store.table(), old);
        if before == *slots {
            return;
        }
        let new = word::make(&mut self.store, &mut self.shared, slots);
        self.store.table().set_word(at, new);
        if let Some((first, cells)) = word::block(old) {
            self.store.retire(first, cells);
        }
        // A group is of one slot alone, so that slot by slot tells whether it is still there.
        for (old, new) in before.iter().zip(slots) {
            if old != new {
                group::retire(&mut self.store, *old);
            }
        }
    }
}

impl Canvas {
    /// Paints what the routes of at most a slot's length say, the shorter first.
    fn paint(&mut self, rib: &Rib<u32>, key: u32, len: u8) {
        let inherited = rib.best(key, len).map_or(0, |route| route.value);
        self.entries.clear();
        self.entries.resize(1 << (SLOT_LEN - len), inherited);
        self.deep.clear();
        for route in rib.covered(key, len) {
            let first = ((route.key - key) >> 8) as usize;
            if route.len > SLOT_LEN {
                if self.deep.last() != Some(&first) {
                    self.deep.push(first);
                }
            } else {
                self.entries[first..first + (1 << (SLOT_LEN - route.len))].fill(route.value);
            }
        }
    }
}

//! The compiled IPv6 table.
//!
//! The root has a word for every /16, which leads to a *page*: one entry, or up to 2^16 where many routes
//! are. An entry is a next hop, or leads on: to a *bucket*, where few routes are, or to a *node*.
//!
//! * A bucket has the up to 32 places where the longest route changes, within 32 bits of the address: their
//!   keys lie in one or two cache lines, and one or two vector comparisons find the place.
//! * A node tells up to 16 bits apart, as many as it takes to leave few routes to each of its entries.
//!
//! So most addresses of today's tables take three steps. Buckets and pages are written once and replaced as
//! a whole; entries of nodes and pages are links. A node or page is made anew, as large as is good then,
//! when it has seen as many changes as it had routes.

mod build;
mod entry;
mod kernels;
mod runs;

use super::family::{Compiled, Kernels};
use super::prefix::Bits;
use super::rib::{Rib, Route};
use super::shared_cells::SharedCells;
use super::store::Store;
use crate::simd::Simd;
use core::net::Ipv6Addr;
use entry::{NODE_HEAD, Target};

/// Bits of a word of the root.
const WORD_LEN: u8 = 16;

/// Words of the root.
const WORDS: usize = 1 << WORD_LEN;

/// Changes that a node sees at least before it is made anew.
const PATIENCE: u32 = 64;

#[derive(Debug)]
pub struct Compiled6 {
    store: Store,
    shared: SharedCells,
    routes: Vec<Route<u128>>,
}

/// Where an entry is: how many bits lead to it, and its cell.
#[derive(Clone, Copy, Debug)]
struct Place {
    depth: u8,
    cell: u32,
}

/// A word of the root: a page, and how far to shift the bits behind the word's to get the entry's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    /// The cell of its first entry.
    first: u32,
    shift: u8,
}

/// Cell 0 is no route.
const NO_PAGE: Page = Page { first: 0, shift: WORD_LEN };

impl Page {
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        Self { first: (word >> 32) as u32, shift: word as u8 }
    }

    fn word(self) -> u64 {
        u64::from(self.first) << 32 | u64::from(self.shift)
    }

    /// A page without a choice is a shared cell, which no entry may be written to.
    fn is_shared(self) -> bool {
        self.shift == WORD_LEN
    }

    fn stride(self) -> u8 {
        WORD_LEN - self.shift
    }
}

impl Compiled for Compiled6 {
    type Addr = Ipv6Addr;

    const MOST_ROUTES: usize = 1 << 22;

    const CODE: &'static [Simd] = kernels::CODE;

    fn new() -> Self {
        Self {
            store: Store::new(WORDS, NO_PAGE.word()),
            shared: SharedCells::default(),
            routes: Vec::new(),
        }
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    fn paint(&mut self, rib: &Rib<u128>, (key, len): (u128, u8)) {
        if len <= WORD_LEN {
            self.paint_wide(rib, key, len);
        } else {
            self.paint_below(rib, key, len);
        }
        self.condense(rib);
    }

    fn condense(&mut self, rib: &Rib<u128>) {
        if self.store.is_wasteful() || self.shared.is_wasteful(rib.len()) {
            self.repaint(rib);
        }
    }

    fn kernels(simd: Simd) -> Kernels<Ipv6Addr> {
        kernels::of(simd)
    }
}

/// The number of an address's word.
#[inline(always)]
fn word_of(addr: u128) -> usize {
    (addr >> (128 - WORD_LEN)) as usize
}

/// The first address of a word.
fn key_of(word: usize) -> u128 {
    (word as u128) << (128 - WORD_LEN)
}

impl Compiled6 {
    /// All anew, in as little room as it takes.
    fn repaint(&mut self, rib: &Rib<u128>) {
        self.store.stage(WORDS, NO_PAGE.word());
        self.shared = SharedCells::default();
        self.paint_wide(rib, 0, 0);
        self.store.show();
    }

    /// The words of a short prefix: all the same where it has no longer routes.
    fn paint_wide(&mut self, rib: &Rib<u128>, key: u128, len: u8) {
        if len == WORD_LEN {
            return self.make_word(rib, word_of(key));
        }
        if rib.covered(key, len).any(|route| route.len > len) {
            self.paint_wide(rib, key, len + 1);
            return self.paint_wide(rib, key | 1 << (127 - len), len + 1);
        }
        let inherited = rib.best(key, len).map_or(0, |route| route.value);
        let first = word_of(key);
        for word in first..first + (1 << (WORD_LEN - len)) {
            let page = self.page(&[], inherited);
            self.set_page(word, page);
        }
    }

    /// The entries that a prefix within one word covers.
    fn paint_below(&mut self, rib: &Rib<u128>, key: u128, len: u8) {
        let word = word_of(key);
        let page = Page::from_word(self.store.table().word(word));
        if page.is_shared() || self.is_due(page.first - NODE_HEAD) {
            return self.make_word(rib, word);
        }
        let mut node = Target::Node { at: page.first - NODE_HEAD, stride: page.stride() };
        let mut depth = WORD_LEN;
        while let Target::Node { at, stride } = node {
            let below = depth + stride;
            let cell = at + NODE_HEAD + (runs::window(key, depth) >> (32 - stride));
            if len <= below {
                let entries = 1_u32 << (below - len);
                return (0..entries).for_each(|i| {
                    let place = Place { depth: below, cell: cell + i };
                    self.make_entry(rib, place, key + (u128::from(i) << (128 - below)));
                });
            }
            let entry = self.store.table().cell(cell);
            node = match entry::leads_on(entry).then(|| entry::target(entry)) {
                Some(node @ Target::Node { at, .. }) if !self.is_due(at) => node,
                _ => return self.make_entry(rib, Place { depth: below, cell }, key.first(below)),
            };
            depth = below;
        }
    }

    /// Counts a change below a node, and says whether the node is to be made anew.
    fn is_due(&self, at: u32) -> bool {
        let table = self.store.table();
        let (routes, changes) = (table.cell(at), table.cell(at + 1) + 1);
        table.set_cell(at + 1, changes);
        changes >= routes.max(PATIENCE)
    }

    /// The routes below a prefix, and what addresses find that are in none of them.
    fn below(&mut self, rib: &Rib<u128>, key: u128, depth: u8) -> (Vec<Route<u128>>, u32) {
        let mut routes = core::mem::take(&mut self.routes);
        routes.clear();
        routes.extend(rib.covered(key, depth).filter(|route| route.len > depth));
        (routes, rib.best(key, depth).map_or(0, |route| route.value))
    }

    /// Makes a word of the root anew.
    fn make_word(&mut self, rib: &Rib<u128>, number: usize) {
        let (routes, inherited) = self.below(rib, key_of(number), WORD_LEN);
        let new = self.page(&routes, inherited);
        self.routes = routes;
        self.set_page(number, new);
    }

    fn set_page(&mut self, number: usize, new: Page) {
        let old = Page::from_word(self.store.table().word(number));
        if old != new {
            self.store.table().set_word(number, new.word());
            self.retire_page(old);
        }
    }

    /// Makes an entry anew, and all below it.
    fn make_entry(&mut self, rib: &Rib<u128>, place: Place, key: u128) {
        let (routes, inherited) = self.below(rib, key, place.depth);
        let old = self.store.table().cell(place.cell);
        let new = self.entry(&routes, place.depth, inherited);
        self.routes = routes;
        if old != new {
            self.store.table().set_link(place.cell, new);
            self.retire(old);
        }
    }
}

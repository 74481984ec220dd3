//! Making pages, nodes and buckets of routes, and taking them back.

use super::entry::{self, MOST_RUNS, NODE_HEAD, STRIDES, Target};
use super::runs::{BUCKET_BITS, Find, Runs, window};
use super::{Compiled6, Page, WORD_LEN};
use crate::lpm::prefix::Bits;
use crate::lpm::rib::Route;

/// Entries of a node for every route, as a power of two.
const ROOM: u32 = 2;

/// With as many routes a page has an entry for every /32: that is what networks are given.
const MANY: usize = 512;

type Routes6 = [Route<u128>];

impl Compiled6 {
    /// A page with what these routes say, all longer than a word and in order.
    pub(super) fn page(&mut self, routes: &Routes6, inherited: u32) -> Page {
        if routes.is_empty() {
            return Page { first: self.shared.cell(&mut self.store, inherited), shift: WORD_LEN };
        }
        let stride = match routes.len() {
            MANY.. => WORD_LEN,
            few => stride(few),
        };
        let at = self.node(routes, WORD_LEN, stride, inherited);
        Page { first: at + NODE_HEAD, shift: WORD_LEN - stride }
    }

    pub(super) fn retire_page(&mut self, page: Page) {
        if !page.is_shared() {
            let at = page.first - NODE_HEAD;
            self.retire_target(Target::Node { at, stride: page.stride() });
        }
    }

    /// An entry with what these routes say, all longer than `depth` and in order.
    pub(super) fn entry(&mut self, routes: &Routes6, depth: u8, inherited: u32) -> u32 {
        if routes.is_empty() {
            return inherited;
        }
        if let Some(runs) = Runs::cut(routes, depth, inherited) {
            return self.bucket(routes, depth, &runs);
        }
        let stride = stride(routes.len()).min(128 - depth);
        let at = self.node(routes, depth, stride, inherited);
        Target::Node { at, stride }.entry()
    }

    fn bucket(&mut self, routes: &Routes6, depth: u8, runs: &[(u32, Find)]) -> u32 {
        if let [(_, Find::Entry(only))] = runs {
            return *only;
        }
        let room = runs.len().next_power_of_two().clamp(8, MOST_RUNS);
        let found = runs.iter().map(|(start, find)| match find {
            Find::Entry(entry) => (*start, *entry),
            Find::Longer(range, inherited) => {
                let longer = &routes[range.clone()];
                (*start, self.entry(longer, depth + BUCKET_BITS, *inherited))
            }
        });
        let mut found: Vec<(u32, u32)> = found.collect();
        // What is left repeats the last run: a key that is not below it counts all of them.
        found.resize(room, found[found.len() - 1]);
        let target = Target::Bucket { at: self.store.block(2 * room as u32), runs: room as u32 };
        let Target::Bucket { at, .. } = target else { return 0 };
        for (i, (key, entry)) in (at..).zip(found) {
            self.store.table().set_cell(i, key);
            self.store.table().set_cell(i + room as u32, entry);
        }
        target.entry()
    }

    /// A node; where it begins.
    fn node(&mut self, routes: &Routes6, depth: u8, stride: u8, inherited: u32) -> u32 {
        let entries = self.entries(routes, depth, stride, inherited);
        let at = self.store.block(NODE_HEAD + entries.len() as u32);
        let table = self.store.table();
        table.set_cell(at, routes.len() as u32);
        table.set_cell(at + 1, 0);
        for (cell, entry) in (at + NODE_HEAD..).zip(entries) {
            table.set_cell(cell, entry);
        }
        at
    }

    /// The entries of a node. A route comes before all that are longer and begin inside it, so that an
    /// entry says what is around its longer routes when these come.
    fn entries(&mut self, routes: &Routes6, depth: u8, stride: u8, inherited: u32) -> Vec<u32> {
        let below = depth + stride;
        let number = |key: u128| (window(key, depth) >> (32 - stride)) as usize;
        let mut entries = vec![inherited; 1 << stride];
        let mut next = 0;
        while let Some(route) = routes.get(next) {
            let first = number(route.key);
            if route.len <= below {
                entries[first..=number(route.key.last(route.len))].fill(route.value);
                next += 1;
            } else {
                let count = routes[next..].iter().take_while(|it| number(it.key) == first).count();
                entries[first] = self.entry(&routes[next..next + count], below, entries[first]);
                next += count;
            }
        }
        entries
    }

    /// Takes back what an entry leads to, and all below it.
    pub(super) fn retire(&mut self, entry: u32) {
        if entry::leads_on(entry) {
            self.retire_target(entry::target(entry));
        }
    }

    fn retire_target(&mut self, target: Target) {
        let (at, entries) = match target {
            Target::Bucket { at, runs } => (at, at + runs..at + runs + self.runs_used(at, runs)),
            Target::Node { at, stride } => (at, at + NODE_HEAD..at + NODE_HEAD + (1 << stride)),
        };
        for cell in entries {
            self.retire(self.store.table().cell(cell));
        }
        self.store.retire(at, target.cells());
    }

    /// How many runs of a bucket are not repetitions.
    fn runs_used(&self, at: u32, runs: u32) -> u32 {
        let key = |i: u32| self.store.table().cell(at + i);
        1 + (1..runs).take_while(|i| key(*i) != key(i - 1)).count() as u32
    }
}

/// How many bits a node for so many routes tells apart.
fn stride(routes: usize) -> u8 {
    ((routes.ilog2() + ROOM) as u8).clamp(*STRIDES.start(), *STRIDES.end())
}

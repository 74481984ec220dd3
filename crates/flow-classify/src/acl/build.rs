//! From rules to a tree.

use super::block::Block;
use super::choose::{Aim, Budget, choose};
use super::cube::Cube;
use super::key::{Key, LANES, Packed};
use super::node::{Bits, Cell, Link, Node};
use super::rule::{Compiled, RuleId};
use crate::sync::Watch;
use std::collections::HashMap;
use std::iter;

/// How deep a tree may be; leaves below may be long.
const DEPTH: u32 = 12;

/// Makes trees.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) aim: Aim,
    /// Rules that leaves may still take; when there are none left, the rest becomes long leaves.
    pub(super) copies: usize,
}

impl Default for Builder {
    /// One for small changes, without a limit.
    fn default() -> Self {
        Self { aim: Aim::FewCopies, copies: usize::MAX }
    }
}

impl Builder {
    /// A tree of these rules, which are in order, for the keys of the cube.
    pub(super) fn tree<K: Key>(
        &mut self,
        rules: &[&Compiled<K>],
        cube: Cube<K>,
        depth: u32,
    ) -> Link<K> {
        let stop = rules.len() <= LANES || depth >= DEPTH || self.copies == 0;
        let bits = if stop { None } else { choose(rules, &cube, self.budget(rules.len(), depth)) };
        if let Some(bits) = bits {
            return Link::node(self.node(rules, cube, bits, depth));
        }
        self.copies = self.copies.saturating_sub(rules.len());
        Link::leaf(Block::leaf(rules))
    }

    fn budget(&self, rules: usize, depth: u32) -> Budget {
        let wanted = rules.ilog2() + 2;
        let (bits, copies) = if depth == 0 { (14, 8) } else { (10, 16) };
        Budget { bits: wanted.min(bits), copies, aim: self.aim }
    }

    fn node<K: Key>(
        &mut self,
        rules: &[&Compiled<K>],
        cube: Cube<K>,
        bits: Bits,
        depth: u32,
    ) -> Box<Node<K>> {
        let mut links = vec![Link::NONE; 1 << bits.count()];
        let is_leaf = |same: &Same<'_, K>| same.rules.len() <= LANES;
        let (leaves, trees): (Vec<_>, Vec<_>) = same(rules, &cube, &bits).partition(is_leaf);
        for Same { rules, cube, cells } in trees.into_iter().chain(pack(leaves)) {
            let link = self.tree(&rules, cube, depth + 1);
            cells.into_iter().for_each(|number| links[number] = link);
        }
        Box::new(Node {
            bits,
            cells: links.into_iter().map(Cell::new).collect(),
            cube,
            watch: Watch::begin(),
        })
    }
}

/// Cells of a node that have the same rules, and lead to the same place.
struct Same<'a, K: Key> {
    rules: Vec<&'a Compiled<K>>,
    cube: Cube<K>,
    cells: Vec<usize>,
}

/// Deals rules out to the cells of a node.
fn same<'a, K: Key>(
    rules: &[&'a Compiled<K>],
    cube: &Cube<K>,
    bits: &Bits,
) -> impl Iterator<Item = Same<'a, K>> {
    let mut members = vec![Vec::new(); 1 << bits.count()];
    for (at, rule) in rules.iter().enumerate() {
        bits.cells_of(rule).for_each(|number| members[number].push(*rule));
        debug_assert!(at == 0 || rules[at - 1].rank < rule.rank, "rules come in order");
    }
    // Cells with the same rules lead to the same place.
    let mut same: HashMap<Vec<RuleId>, Same<'_, K>> = HashMap::new();
    for (number, mut rules) in members.into_iter().enumerate() {
        let cell = bits.cube(cube, number);
        keep(&mut rules, &cell);
        let ids = rules.iter().map(|rule| rule.rank.id).collect();
        let same = same.entry(ids).or_insert_with(|| Same { rules, cube: cell, cells: Vec::new() });
        same.cube = same.cube.around(&cell);
        same.cells.push(number);
    }
    same.into_values()
}

/// Leaves that others may still be put into.
const OPEN: usize = 16;

/// Puts cells together whose rules fit in one block, in which a key is compared with all of them in any case:
/// rules that cannot match the keys of some of the cells cost nothing there.
fn pack<K: Key>(mut leaves: Vec<Same<'_, K>>) -> Vec<Same<'_, K>> {
    leaves.sort_unstable_by_key(|leaf| leaf.cells.first().copied());
    let mut packed: Vec<Same<'_, K>> = Vec::new();
    for leaf in leaves {
        let open = packed.len().saturating_sub(OPEN);
        let mut open = packed[open..].iter_mut();
        match open.find_map(|other| Some((union(&other.rules, &leaf.rules)?, other))) {
            Some((rules, other)) => {
                (other.rules, other.cube) = (rules, other.cube.around(&leaf.cube));
                other.cells.extend(leaf.cells);
            }
            None => packed.push(leaf),
        }
    }
    packed
}

/// The rules of both, in order, if there are no more than fit in a block.
fn union<'a, K: Key>(
    one: &[&'a Compiled<K>],
    other: &[&'a Compiled<K>],
) -> Option<Vec<&'a Compiled<K>>> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut all = Vec::with_capacity(LANES);
    while let Some(next) = match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a.rank == b.rank => other.next().and(one.next()),
        (Some(a), Some(b)) if b.rank < a.rank => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    } {
        if all.len() == LANES {
            return None;
        }
        all.push(*next);
    }
    Some(all)
}

/// Of a cell's rules, which are in order: those that may match some of its keys, without those
/// behind others that match all its keys.
pub(super) fn keep<K: Key>(rules: &mut Vec<&Compiled<K>>, cell: &Cube<K>) {
    let mut settled = 0;
    rules.retain(|rule| {
        let stays = rule.categories.0 & !settled != 0 && cell.meets(rule);
        if stays && cell.is_within(rule) {
            settled |= rule.categories.0;
        }
        stays
    });
}

impl Bits {
    /// A rule's number of a cell, and in which bits it has one.
    fn project<K: Key>(&self, rule: &Compiled<K>) -> (u64, u64) {
        (self.cell(&rule.value, extract) as u64, self.cell(&rule.mask, extract) as u64)
    }

    /// The cells that a rule's masks lead to.
    pub(super) fn cells_of<K: Key>(&self, rule: &Compiled<K>) -> impl Iterator<Item = usize> {
        let (value, mask) = self.project(rule);
        let free = ((1 << self.count()) - 1) & !mask;
        // Counts in the bits that are free.
        let next = move |part: &u64| Some(part.wrapping_sub(free) & free).filter(|part| *part != 0);
        iter::successors(Some(0), next).map(move |part| (value | part) as usize)
    }

    /// The part of a cube in a cell.
    pub(super) fn cube<K: Key>(&self, cube: &Cube<K>, number: usize) -> Cube<K> {
        let (mut cell, mut number) = (*cube, number as u64);
        for (word, mask) in self.parts::<K>().into_iter().rev() {
            cell.fix(word, mask, deposit(number, mask));
            number >>= mask.count_ones();
        }
        cell
    }

    /// The bits of a word that are looked at already; `None` if none of that word can be.
    pub(super) fn used<K: Key>(&self, word: usize) -> Option<u64> {
        let [a, b, c] = self.masks;
        let [first, second] = self.words.map(usize::from);
        if word == Packed::<K>::WORDS - 1 {
            return Some(c);
        }
        match (a, b) {
            (0, _) => Some(0),
            _ if word == first => Some(a),
            (_, 0) => Some(0),
            _ => (word == second).then_some(b),
        }
    }

    /// Looks at one more bit; `used` has said that it can.
    pub(super) fn add<K: Key>(&mut self, word: usize, bit: u32) {
        let [a, ..] = self.masks;
        let part = match word {
            _ if word == Packed::<K>::WORDS - 1 => 2,
            _ if a == 0 || usize::from(self.words[0]) == word => 0,
            _ => 1,
        };
        self.masks[part] |= 1 << bit;
        if part < 2 {
            self.words[part] = word as u8;
        }
    }
}

/// The bits of `word` where `mask` is set, close together.
pub(super) fn extract(word: u64, mut mask: u64) -> u64 {
    let (mut bits, mut n) = (0, 0);
    while mask != 0 {
        bits |= (word >> mask.trailing_zeros() & 1) << n;
        mask &= mask - 1;
        n += 1;
    }
    bits
}

/// The reverse of [`extract`].
fn deposit(bits: u64, mut mask: u64) -> u64 {
    let (mut word, mut n) = (0, 0);
    while mask != 0 {
        word |= (bits >> n & 1) << mask.trailing_zeros();
        mask &= mask - 1;
        n += 1;
    }
    word
}

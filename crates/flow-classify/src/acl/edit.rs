//! Changes of one rule in a tree, while readers walk it.
//!
//! Nothing that readers see is changed but cells, each in one store: a leaf is copied with the rule or
//! without, the cells that led to the old one lead to the new one, and the old one is freed when no
//! reader can be looking at it. A leaf that grew too long becomes a node. A key's cells are one in each
//! tree, so that a look-up sees the rule or does not, and nothing in between.

use super::build::{Builder, keep};
use super::cube::Cube;
use super::key::Key;
use super::node::{Cell, Link, Node, Target};
use super::rule::{Compiled, RuleId};
use std::collections::HashMap;
use std::ptr;

/// Where rules are found while a tree is changed.
pub(super) trait Rules<K: Key> {
    /// The rule of that name, which is in the table.
    fn find(&self, id: RuleId) -> Option<&Compiled<K>>;

    /// All rules of the tree that is changed, without the one that is removed.
    fn of_tree(&self) -> impl Iterator<Item = &Compiled<K>>;
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a, K: Key> {
    Add(&'a Compiled<K>),
    Remove(&'a Compiled<K>),
}

impl<'a, K: Key> Change<'a, K> {
    fn rule(self) -> &'a Compiled<K> {
        match self {
            Self::Add(rule) | Self::Remove(rule) => rule,
        }
    }
}

/// The tree must be built anew: what would have to be looked for is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// One change under way.
#[derive(Debug)]
pub(super) struct Edit<'a, K: Key, R> {
    pub(super) rules: &'a R,
    pub(super) change: Change<'a, K>,
    /// What no cell leads to any more.
    pub(super) replaced: Vec<Link<K>>,
    /// Cells that had to be filled from all the rules.
    refilled: u32,
}

/// Cells that are filled from all rules, at most, before the whole tree is built instead.
const REFILLS: u32 = 32;

impl<'a, K: Key, R: Rules<K>> Edit<'a, K, R> {
    pub(super) fn new(rules: &'a R, change: Change<'a, K>) -> Self {
        Self { rules, change, replaced: Vec::new(), refilled: 0 }
    }

    /// Changes the tree below a root.
    ///
    /// # Errors
    /// [`TooMuch`]; the change is then done in part.
    ///
    /// # Safety
    /// The caller is the only writer, and has freed nothing that the root leads to.
    pub(super) unsafe fn root(&mut self, root: &Cell<K>) -> Result<(), TooMuch> {
        let (link, all) = (root.load(), Cube::all());
        let hides = Hides::of(self.change, all.is_within(self.change.rule()));
        let new = match hides {
            Hides::Perhaps => Builder::default().tree(&self.refill(&all)?, all, 0),
            // SAFETY: it is a node, and what the caller says.
            Hides::No if link.is_node() => return unsafe { self.node(link.as_node(), 1) },
            // SAFETY: what the caller says.
            Hides::No => unsafe { self.leaf(link, &all, 0) },
        };
        if new != link {
            root.store(new);
            self.replaced.push(link);
        }
        Ok(())
    }

    /// # Safety
    /// As for [`Edit::root`].
    unsafe fn node(&mut self, node: &Node<K>, depth: u32) -> Result<(), TooMuch> {
        for Cells { link, cube, hides, numbers } in affected(node, self.change) {
            let new = match hides {
                Hides::Perhaps => Builder::default().tree(&self.refill(&cube)?, cube, depth),
                Hides::No if link.is_node() => {
                    // SAFETY: it is a node, and what the caller says.
                    unsafe { self.node(link.as_node(), depth + 1) }?;
                    continue;
                }
                // SAFETY: what the caller says.
                Hides::No => unsafe { self.leaf(link, &cube, depth) },
            };
            if new == link {
                continue;
            }
            numbers.iter().for_each(|number| node.cells[*number].store(new));
            if node.cells.iter().all(|cell| cell.load() != link) {
                self.replaced.push(link);
            }
        }
        Ok(())
    }

    /// What cells of this cube shall lead to instead of a leaf; the same, if nothing changes.
    ///
    /// # Safety
    /// As for [`Edit::root`]; the link leads to a leaf or nowhere.
    unsafe fn leaf(&self, link: Link<K>, cube: &Cube<K>, depth: u32) -> Link<K> {
        // SAFETY: what the caller says.
        let old = (!link.is_none()).then(|| unsafe { link.as_leaf() });
        let ranks = old.into_iter().flat_map(|leaf| leaf.ranks());
        // Where cells share a leaf, it may still have rules that are gone, and could not match their keys;
        // others may have their names by now.
        let same = ranks.filter_map(|rank| self.rules.find(rank.id).filter(|it| it.rank == rank));
        let mut list: Vec<_> = same.collect();
        match self.change {
            Change::Add(rule) => {
                list.retain(|other| other.rank != rule.rank);
                let at = list.partition_point(|other| other.rank < rule.rank);
                list.insert(at, rule);
                keep(&mut list, cube);
                if !list.iter().any(|kept| ptr::eq(*kept, rule)) {
                    return link;
                }
            }
            Change::Remove(rule) => list.retain(|other| other.rank != rule.rank),
        }
        Builder::default().tree(&list, *cube, depth)
    }

    /// All rules for the keys of a cube: one that hid others goes.
    fn refill(&mut self, cube: &Cube<K>) -> Result<Vec<&'a Compiled<K>>, TooMuch> {
        self.refilled += 1;
        if self.refilled > REFILLS {
            return Err(TooMuch);
        }
        let mut list: Vec<_> = self.rules.of_tree().filter(|rule| cube.meets(rule)).collect();
        list.sort_unstable_by_key(|rule| rule.rank);
        keep(&mut list, cube);
        Ok(list)
    }
}

/// Whether rules were left out of some cells because of the one that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hides {
    /// They may have been: it matches all keys there.
    Perhaps,
    No,
}

impl Hides {
    fn of<K: Key>(change: Change<'_, K>, is_within: bool) -> Self {
        match change {
            Change::Remove(_) if is_within => Self::Perhaps,
            _ => Self::No,
        }
    }
}

/// Cells of a node that a rule meets, and that lead to the same place.
struct Cells<K: Key> {
    link: Link<K>,
    cube: Cube<K>,
    hides: Hides,
    numbers: Vec<usize>,
}

fn affected<K: Key>(node: &Node<K>, change: Change<'_, K>) -> impl Iterator<Item = Cells<K>> {
    let rule = change.rule();
    let mut all: HashMap<Link<K>, Cells<K>> = HashMap::new();
    for number in node.bits.cells_of(rule) {
        let cube = node.bits.cube(&node.cube, number);
        if !cube.meets(rule) {
            continue;
        }
        let link = node.cells[number].load();
        let new = || Cells { link, cube, hides: Hides::No, numbers: Vec::new() };
        let cells = all.entry(link).or_insert_with(new);
        cells.cube = cells.cube.around(&cube);
        if Hides::of(change, cube.is_within(rule)) == Hides::Perhaps {
            cells.hides = Hides::Perhaps;
        }
        cells.numbers.push(number);
    }
    all.into_values()
}

/// Whether a rule would be in more than `most` cells of the tree.
///
/// # Safety
/// The caller is the only writer, and has freed nothing that the link leads to.
pub(super) unsafe fn is_broad<K: Key>(link: Link<K>, rule: &Compiled<K>, most: usize) -> bool {
    let mut cells = 0;
    // SAFETY: what the caller says.
    unsafe { count(link, rule, most, &mut cells) };
    cells > most
}

/// # Safety
/// As for [`is_broad`].
unsafe fn count<K: Key>(link: Link<K>, rule: &Compiled<K>, most: usize, cells: &mut usize) {
    if link.is_none() {
        return;
    }
    // SAFETY: what the caller says.
    let Target::Node(node) = (unsafe { link.target() }) else { return };
    for number in node.bits.cells_of(rule) {
        *cells += 1;
        if *cells > most {
            return;
        }
        // SAFETY: what the caller says.
        unsafe { count(node.cells[number].load(), rule, most, cells) };
    }
}

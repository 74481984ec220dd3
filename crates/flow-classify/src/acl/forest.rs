//! All the trees of a table, and which rules are in which.

use super::block::Block;
use super::build::{Builder, extract};
use super::choose::Aim;
use super::cube::Cube;
use super::key::{Key, LANES, Packed};
use super::node::{Cell, Link, Target};
use super::rule::{Categories, Compiled, Rank};

/// Some trees; each key is looked up in all of them.
#[derive(Debug)]
pub(super) struct Forest<K: Key> {
    /// How rules are dealt out; [`Group`] is the index.
    pub(super) trees: [Tree<K>; Group::ALL.len()],
    pub(super) split: Split,
}

/// A tree, by its root.
#[derive(Debug)]
pub(super) struct Tree<K: Key> {
    pub(super) root: Cell<K>,
}

/// Which tree a rule is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Those with a narrow source; all, if rules are not split.
    Source,
    /// Others with a narrow destination.
    Destination,
    /// Those with neither.
    Neither,
    /// Those that came later and would be in too many leaves of the others: a leaf only.
    Late,
}

impl Group {
    pub(super) const ALL: [Self; 4] = [Self::Source, Self::Destination, Self::Neither, Self::Late];
}

/// Whether rules are dealt out to several trees.
///
/// Rules of which some say much about the source and nothing about the destination, and others the
/// reverse, multiply in one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// All in one.
    None,
    /// By whether this many bits of an address are known.
    At(u32),
}

impl Split {
    pub(super) fn group<K: Key>(self, rule: &Compiled<K>) -> Group {
        let Self::At(bits) = self else { return Group::Source };
        let [src, dst] = K::numbers(&rule.mask.addresses).map(|mask| mask.count_ones() >= bits);
        match (src, dst) {
            (true, _) => Group::Source,
            (_, true) => Group::Destination,
            _ => Group::Neither,
        }
    }
}

impl<K: Key> Forest<K> {
    pub(super) fn empty() -> Self {
        let empty = |_| Tree { root: Cell::new(Link::NONE) };
        Self { trees: Group::ALL.map(empty), split: Split::None }
    }

    /// The cheapest of several ways to deal out these rules, which are in order.
    pub(super) fn plan(rules: &[&Compiled<K>]) -> Self {
        let keys: Vec<_> = sample(rules).collect();
        let splits = K::SPLITS;
        let few = rules.len() <= LANES;
        let splits = if few { &splits[..1] } else { splits };
        let mut best: Option<(f64, Self)> = None;
        for split in splits {
            if best.as_ref().is_some_and(|(cost, _)| *cost <= CHEAP) {
                break;
            }
            let forest = Self::of(rules, *split);
            let cost = forest.cost(&keys);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, forest));
            }
        }
        best.map_or_else(Self::empty, |(_, forest)| forest)
    }

    fn of(rules: &[&Compiled<K>], split: Split) -> Self {
        let aim = if split == Split::None { Aim::ShortLeaves } else { Aim::FewCopies };
        let mut builder = Builder { aim, copies: COPIES * rules.len() };
        let trees = Group::ALL.map(|group| {
            let of_group = |rule: &&&Compiled<K>| split.group(rule) == group;
            let rules: Vec<_> = rules.iter().filter(of_group).copied().collect();
            let none = rules.is_empty();
            let root = if none { Link::NONE } else { builder.tree(&rules, Cube::all(), 0) };
            Tree { root: Cell::new(root) }
        });
        Self { trees, split }
    }

    /// What looking these keys up is guessed to cost, in cycles each.
    fn cost(&self, keys: &[Packed<K>]) -> f64 {
        let roots = self.trees.iter().map(|tree| tree.root.load());
        // SAFETY: the trees are this forest's, which nobody else has yet.
        let cost = roots.map(|root| unsafe { cost(root, keys) });
        let far = match self.bytes() {
            bytes if bytes > LARGE => 2.5,
            bytes if bytes > NEAR => 1.25,
            _ => 1.0,
        };
        cost.sum::<f64>() * far
    }

    /// Bytes of all trees.
    pub(super) fn bytes(&self) -> usize {
        let mut shape = Shape::default();
        self.measure(&mut shape);
        shape.bytes
    }

    pub(super) fn measure(&self, shape: &mut Shape) {
        for root in self.trees.iter().map(|tree| tree.root.load()).filter(|root| !root.is_none()) {
            shape.trees += 1;
            // SAFETY: what the forest leads to is there as long as it is; only the writer calls this,
            // and it does not free meanwhile.
            unsafe { shape.add(root, 0) };
        }
    }
}

impl<K: Key> Drop for Forest<K> {
    fn drop(&mut self) {
        for tree in &self.trees {
            // SAFETY: a forest owns its trees, and `&mut self` says that nobody looks at them.
            unsafe { tree.root.load().free() };
        }
    }
}

/// Copies of a rule in all leaves, on average, beyond which trees are not cut any further.
const COPIES: usize = 16;

/// Bytes beyond which a forest is slower than its shape says: it does not fit in a core's own cache.
const NEAR: usize = 1 << 20;

/// Bytes beyond which another way to split rules is taken, if there is one that is not far slower.
const LARGE: usize = 8 << 20;

/// Keys to estimate with: of some of the rules one that each matches, if others do not come first.
fn sample<K: Key>(rules: &[&Compiled<K>]) -> impl Iterator<Item = Packed<K>> {
    let step = rules.len().div_ceil(1024).max(1);
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    rules.iter().step_by(step).map(move |rule| {
        let mut key = rule.value;
        for n in 0..Packed::<K>::WORDS {
            random = random.wrapping_mul(0xD129_0D3A_2C4B_5E95).rotate_left(29) ^ 0x5851_F42D;
            *key.word_mut(n) |= random & !rule.mask.word(n);
        }
        let rest = super::key::rest(rule.sport.lo, rule.dport.lo, rule.proto.lo as u8);
        key.rest = if rule.matches(&key) { key.rest } else { rest };
        key
    })
}

/// The leaf that a key comes to, and the nodes on its way.
///
/// # Safety
/// Nothing that the link leads to is freed meanwhile; the link is not `NONE`.
unsafe fn descend<'a, K: Key>(mut link: Link<K>, key: &Packed<K>) -> (&'a Block<K>, u32) {
    let mut steps = 0;
    loop {
        // SAFETY: what the caller says; cells never lead nowhere.
        match unsafe { link.target() } {
            Target::Node(node) => link = node.cells[node.bits.cell(key, extract)].load(),
            Target::Leaf(leaf) => return (leaf, steps),
        }
        steps += 1;
    }
}

/// # Safety
/// Nothing that the root leads to is freed meanwhile.
unsafe fn cost<K: Key>(root: Link<K>, keys: &[Packed<K>]) -> f64 {
    if root.is_none() {
        return 0.0;
    }
    let (mut steps, mut blocks) = (0, 0);
    for key in keys {
        // SAFETY: what the caller says.
        let (leaf, way) = unsafe { descend(root, key) };
        let matches = |block: &Block<K>| {
            (0..LANES).any(|lane| block.matches(lane, key, Categories(u16::MAX)))
        };
        steps += way;
        blocks += leaf.blocks().take_while(|block| !matches(block)).count() as u32 + 1;
    }
    let each = |n: u32, cycles: f64| f64::from(n) * cycles / keys.len() as f64;
    TREE + each(steps, STEP) + each(blocks, BLOCK)
}

/// Cycles, as measured on one machine: only their ratios matter.
const TREE: f64 = 4.0;
const STEP: f64 = 6.0;
const BLOCK: f64 = 8.0;

/// What two trees cost at least: a forest of one that costs no more needs no other to beat it.
const CHEAP: f64 = 2.0 * (TREE + STEP / 2.0 + BLOCK);

/// What trees are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) trees: usize,
    pub(super) nodes: usize,
    pub(super) leaves: usize,
    /// Rules in all leaves.
    pub(super) copies: usize,
    pub(super) longest: usize,
    pub(super) depth: usize,
    pub(super) bytes: usize,
}

impl Shape {
    /// # Safety
    /// Nothing that the link leads to is freed meanwhile; the link is not `NONE`.
    unsafe fn add<K: Key>(&mut self, link: Link<K>, depth: usize) {
        self.depth = self.depth.max(depth);
        // SAFETY: what the caller says.
        match unsafe { link.target() } {
            Target::Node(node) => {
                self.nodes += 1;
                self.bytes += node.bytes();
                // SAFETY: what the caller says.
                node.links().into_iter().for_each(|link| unsafe { self.add(link, depth + 1) });
            }
            Target::Leaf(leaf) => {
                let rules = leaf.ranks().count();
                self.leaves += 1;
                self.copies += rules;
                self.longest = self.longest.max(rules);
                self.bytes += leaf.bytes();
            }
        }
    }
}

/// Ranks of rules that match, in all trees.
///
/// # Safety
/// Nothing that the forest leads to is freed meanwhile.
pub(super) unsafe fn matches<K: Key>(
    forest: &Forest<K>,
    key: &Packed<K>,
    categories: Categories,
) -> Vec<Rank> {
    let mut ranks = Vec::new();
    for root in forest.trees.iter().map(|tree| tree.root.load()).filter(|root| !root.is_none()) {
        // SAFETY: what the caller says.
        let (leaf, _) = unsafe { descend(root, key) };
        for block in leaf.blocks() {
            let found = (0..LANES).filter(|lane| block.matches(*lane, key, categories));
            let found = block.settle(found.fold(0, |found, lane| found | 1 << lane), key);
            let lanes = (0..LANES).filter(|lane| found >> lane & 1 == 1);
            ranks.extend(lanes.map(|lane| block.rank(lane)));
        }
    }
    ranks.sort_unstable();
    ranks
}

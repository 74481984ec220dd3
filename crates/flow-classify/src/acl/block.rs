//! Leaves: rules side by side, compared in one go.

use super::key::{Key, LANES, Packed};
use super::rule::{Categories, Compiled, Lanes, Rank, RuleId};
use crate::sync::Watch;
use std::{iter, ptr};

/// Spans of ports and protocol of [`LANES`] rules, or rather one end of them: a cache line.
///
/// The last quarter is no limit: it has halves of the rules' ids.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Limits {
    pub(super) sport: [u16; LANES],
    pub(super) dport: [u16; LANES],
    pub(super) proto: [u16; LANES],
    pub(super) id: [u16; LANES],
}

impl Limits {
    fn set(&mut self, lane: usize, [sport, dport, proto, id]: [u16; 4]) {
        self.sport[lane] = sport;
        self.dport[lane] = dport;
        self.proto[lane] = proto;
        self.id[lane] = id;
    }
}

/// Up to [`LANES`] rules, the winning ones first; with others in `next`, a leaf.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Block<K: Key> {
    pub(super) value: K::Lines,
    pub(super) mask: K::Lines,
    pub(super) lo: Limits,
    pub(super) hi: Limits,
    pub(super) priority: [u32; LANES],
    pub(super) categories: [u16; LANES],
    /// Rules that come after these.
    pub(super) next: Option<Box<Block<K>>>,
    /// The rules in full, if comparing lanes lets more through.
    pub(super) full: Option<Box<[Compiled<K>]>>,
    pub(super) watch: Watch,
}

impl<K: Key> Drop for Block<K> {
    /// One after the other: a long chain must not need a long stack.
    fn drop(&mut self) {
        self.watch.end();
        let mut next = self.next.take();
        while let Some(mut block) = next {
            next = block.next.take();
        }
    }
}

impl<K: Key> Block<K> {
    const EMPTY: Self = {
        let lo = Limits { sport: [0; _], dport: [0; _], proto: [u16::MAX; _], id: [u16::MAX; _] };
        let hi = Limits { sport: [0; _], dport: [0; _], proto: [0; _], id: [u16::MAX; _] };
        let (priority, categories) = ([u32::MAX; _], [0; _]);
        let (value, mask) = (K::EMPTY, K::EMPTY);
        Self {
            value,
            mask,
            lo,
            hi,
            priority,
            categories,
            next: None,
            full: None,
            watch: Watch::NONE,
        }
    };

    /// Bytes of a block.
    pub(super) const BYTES: usize = size_of::<Self>();

    /// A leaf of these rules, which are in order; one block at least.
    pub(super) fn leaf(rules: &[&Compiled<K>]) -> Box<Self> {
        let mut leaf = None;
        for chunk in rules.chunks(LANES).rev() {
            leaf = Some(Self::of(chunk, leaf));
        }
        leaf.unwrap_or_else(|| Box::new(Self::EMPTY))
    }

    fn of(rules: &[&Compiled<K>], next: Option<Box<Self>>) -> Box<Self> {
        let mut block = Box::new(Self::EMPTY);
        (block.next, block.watch) = (next, Watch::begin());
        for (lane, rule) in rules.iter().enumerate() {
            block.set(lane, rule);
        }
        if rules.iter().any(|rule| rule.lanes == Lanes::LetMoreThrough) {
            block.full = Some(rules.iter().map(|rule| (*rule).clone()).collect());
        }
        block
    }

    fn set(&mut self, lane: usize, rule: &Compiled<K>) {
        for (n, line) in self.value.as_mut().iter_mut().enumerate() {
            line.0[lane] = rule.value.word(n);
        }
        for (n, line) in self.mask.as_mut().iter_mut().enumerate() {
            line.0[lane] = rule.mask.word(n);
        }
        let id = rule.rank.id.0;
        self.lo.set(lane, [rule.sport.lo, rule.dport.lo, rule.proto.lo, id as u16]);
        self.hi.set(lane, [rule.sport.hi, rule.dport.hi, rule.proto.hi, (id >> 16) as u16]);
        self.priority[lane] = rule.rank.priority;
        self.categories[lane] = rule.categories.0;
    }

    /// The id in a lane.
    #[inline(always)]
    pub(super) fn id(&self, lane: usize) -> RuleId {
        RuleId(u32::from(self.hi.id[lane]) << 16 | u32::from(self.lo.id[lane]))
    }

    /// The rank in a lane.
    #[inline(always)]
    pub(super) fn rank(&self, lane: usize) -> Rank {
        Rank { priority: self.priority[lane], id: self.id(lane) }
    }

    /// The leaf's blocks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |block| block.next.as_deref())
    }

    /// The ranks of all rules of the leaf, in order.
    pub(super) fn ranks(&self) -> impl Iterator<Item = Rank> {
        let lanes = self.blocks().flat_map(|block| (0..LANES).map(|lane| block.rank(lane)));
        lanes.take_while(|rank| rank.id != RuleId(u32::MAX))
    }

    /// Bytes of the leaf.
    pub(super) fn bytes(&self) -> usize {
        let full = |block: &Self| block.full.as_deref().map_or(0, size_of_val::<[_]>);
        self.blocks().map(|block| Self::BYTES + full(block)).sum()
    }

    /// Whether the masks, spans and categories of a lane match.
    pub(super) fn matches(&self, lane: usize, key: &Packed<K>, categories: Categories) -> bool {
        let words = self.value.as_ref().iter().zip(self.mask.as_ref()).zip(key.addresses.as_ref());
        let is_within = |of: fn(&Limits) -> &[u16; LANES], value: u16| {
            of(&self.lo)[lane] <= value && value <= of(&self.hi)[lane]
        };
        self.categories[lane] & categories.0 != 0
            && words.fold(0, |differ, ((value, mask), word)| {
                differ | (word ^ value.0[lane]) & mask.0[lane]
            }) == 0
            && is_within(|limits| &limits.sport, key.sport())
            && is_within(|limits| &limits.dport, key.dport())
            && is_within(|limits| &limits.proto, key.proto().into())
    }

    /// Of the lanes in `found`, those whose rules match in full.
    pub(super) fn settle(&self, found: u32, key: &Packed<K>) -> u32 {
        let Some(full) = self.full.as_deref() else { return found };
        let lanes =
            (0..).zip(full).filter(|(lane, rule)| found >> lane & 1 == 1 && rule.matches(key));
        lanes.fold(0, |settled, (lane, _)| settled | 1 << lane)
    }
}

/// The address of a line, to load it.
#[inline(always)]
pub(super) fn at<T>(line: &T) -> *const T {
    ptr::from_ref(line)
}

//! Which bits tell rules apart best.

use super::cube::Cube;
use super::key::{Key, LANES, Packed};
use super::node::Bits;
use super::rule::Compiled;

/// What a node may spend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Bits, at most.
    pub(super) bits: u32,
    /// Copies of each rule in its cells, on average, at most.
    pub(super) copies: usize,
    pub(super) aim: Aim,
}

/// How much a long leaf is worth avoiding, at the cost of more copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// A cell costs the square of its rules: as if each were as likely to be looked up as any other.
    FewCopies,
    /// The same times the square root of its rules.
    ShortLeaves,
}

impl Aim {
    /// What a cell of so many rules costs.
    fn cost(self, rules: u64) -> u64 {
        match self {
            _ if rules <= LANES as u64 => rules,
            Self::FewCopies => rules * rules,
            Self::ShortLeaves => rules * rules * rules.isqrt(),
        }
    }
}

/// Chooses bits of a node one by one, such that its cells have few rules. `None` if none help.
///
/// What is made small is the sum of what the cells cost ([`Aim`]). Ranges count as the bits that all
/// their values share.
pub(super) fn choose<K: Key>(
    rules: &[&Compiled<K>],
    cube: &Cube<K>,
    budget: Budget,
) -> Option<Bits> {
    let mut bits = Bits::default();
    let mut cells = Cells::one(rules.len());
    let most = rules.len() * budget.copies;
    let mut cost = cells.cost(budget.aim);
    while bits.count() < budget.bits && cells.are_large() {
        let Some((word, bit, less)) = best(rules, cube, &bits, &cells, budget.aim) else { break };
        if less > cost - cost / WORTH {
            break;
        }
        cells = cells.split(rules, word, bit);
        if cells.members.len() > most && bits.count() > 0 {
            break;
        }
        cost = less;
        bits.add::<K>(word, bit);
    }
    (bits.count() > 0).then_some(bits)
}

/// A bit must make the cost less by this part of it.
const WORTH: u64 = 100;

/// Sets of rules, by their place in a slice.
struct Cells {
    members: Vec<u32>,
    ends: Vec<usize>,
}

impl Cells {
    fn one(rules: usize) -> Self {
        Self { members: (0..rules as u32).collect(), ends: vec![rules] }
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.members[start..end])
    }

    /// Whether some cell has more rules than are compared at once.
    fn are_large(&self) -> bool {
        self.iter().any(|cell| cell.len() > LANES)
    }

    fn cost(&self, aim: Aim) -> u64 {
        self.iter().map(|cell| aim.cost(cell.len() as u64)).sum()
    }

    fn split<K: Key>(&self, rules: &[&Compiled<K>], word: usize, bit: u32) -> Self {
        let mut to = Self { members: Vec::new(), ends: Vec::new() };
        for cell in self.iter() {
            for side in [0, 1] {
                to.members.extend(cell.iter().filter(|&&rule| {
                    let rule = rules[rule as usize];
                    rule.mask.word(word) >> bit & 1 == 0 || rule.value.word(word) >> bit & 1 == side
                }));
                to.ends.push(to.members.len());
            }
        }
        to
    }
}

/// The bit that makes the cost least, and that cost.
fn best<K: Key>(
    rules: &[&Compiled<K>],
    cube: &Cube<K>,
    bits: &Bits,
    cells: &Cells,
    aim: Aim,
) -> Option<(usize, u32, u64)> {
    let mut best: Option<(usize, u32, u64)> = None;
    for word in 0..Packed::<K>::WORDS {
        let Some(used) = bits.used::<K>(word) else { continue };
        let costs = costs(rules, cells, word, aim);
        let free = (0..64).filter(|bit| (used | cube.mask.word(word)) >> bit & 1 == 0);
        for bit in free {
            let cost = costs[bit as usize];
            if best.is_none_or(|(.., least)| cost < least) {
                best = Some((word, bit, cost));
            }
        }
    }
    best
}

/// For each bit of a word: the cost if cells are split by it.
fn costs<K: Key>(rules: &[&Compiled<K>], cells: &Cells, word: usize, aim: Aim) -> [u64; 64] {
    let (mut costs, mut small) = ([0; 64], 0);
    for cell in cells.iter() {
        let n = cell.len() as u64;
        if n <= LANES as u64 {
            small += n;
            continue;
        }
        let (mut zeros, mut ones) = (Tally::default(), Tally::default());
        for &rule in cell {
            let (value, mask) =
                (rules[rule as usize].value.word(word), rules[rule as usize].mask.word(word));
            ones.add(value);
            zeros.add(mask & !value);
        }
        let (zeros, ones) = (zeros.sums(), ones.sums());
        for bit in 0..64 {
            let sides = [zeros[bit], ones[bit]].map(|other| aim.cost(n - u64::from(other)));
            costs[bit] += sides[0] + sides[1];
        }
    }
    costs.map(|cost| cost + small)
}

/// Counts how often each bit is set, eight of them in a word.
struct Tally {
    sums: [u32; 64],
    /// Eight counters of a byte each, for every byte of the words that are added.
    bytes: [u64; 8],
    added: u8,
}

impl Default for Tally {
    fn default() -> Self {
        Self { sums: [0; 64], bytes: [0; 8], added: 0 }
    }
}

/// A byte's bits, each in a byte of its own.
const SPREAD: [u64; 256] = {
    let mut spread = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            spread[byte] |= (byte as u64 >> bit & 1) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    spread
};

impl Tally {
    fn add(&mut self, word: u64) {
        for (counters, byte) in self.bytes.iter_mut().zip(word.to_le_bytes()) {
            *counters += SPREAD[usize::from(byte)];
        }
        self.added += 1;
        if self.added == u8::MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for (sums, counters) in self.sums.as_chunks_mut::<8>().0.iter_mut().zip(self.bytes) {
            for (sum, count) in sums.iter_mut().zip(counters.to_le_bytes()) {
                *sum += u32::from(count);
            }
        }
        self.bytes = [0; 8];
        self.added = 0;
    }

    fn sums(mut self) -> [u32; 64] {
        self.flush();
        self.sums
    }
}

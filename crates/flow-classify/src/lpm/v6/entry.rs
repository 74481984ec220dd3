//! What a cell of the IPv6 table says: a next hop, or where to go on.
//!
//! | bits | |
//! |---|---|
//! | 31 | 0: the rest is a next hop, or 0; 1: it leads on |
//! | 30..27 | 0, 1, 2: to a bucket of 8, 16, 32 runs; `s - 1`: to a node of `2^s` entries |
//! | 26..0 | the line where that begins |

use crate::lpm::table::LINE;

pub(super) const LEADS_ON: u32 = 1 << 31;
pub(super) const KIND_SHIFT: u32 = 27;
const LINES: u32 = (1 << KIND_SHIFT) - 1;

/// The kinds below this are buckets.
pub(super) const BUCKETS: u32 = 3;

/// Runs of the largest bucket.
pub(super) const MOST_RUNS: usize = 32;

/// Bits that a node can tell apart, at least and at most.
pub(super) const STRIDES: core::ops::RangeInclusive<u8> = 4..=16;

/// Cells before a node's entries, for the writer's own counts.
pub(super) const NODE_HEAD: u32 = LINE;

/// Where an entry leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To `runs` keys, and behind them as many entries.
    Bucket { at: u32, runs: u32 },
    /// To `2^stride` entries, behind [`NODE_HEAD`].
    Node { at: u32, stride: u8 },
}

#[inline(always)]
pub(super) fn leads_on(entry: u32) -> bool {
    entry & LEADS_ON != 0
}

#[inline(always)]
pub(super) fn is_node(entry: u32) -> bool {
    entry >= LEADS_ON | (BUCKETS << KIND_SHIFT)
}

#[inline(always)]
pub(super) fn is_bucket(entry: u32) -> bool {
    leads_on(entry) && !is_node(entry)
}

/// The first cell and the stride of the node that an entry leads to.
#[inline(always)]
pub(super) fn node(entry: u32) -> (u32, u8) {
    ((entry & LINES) * LINE, ((entry >> KIND_SHIFT) & 15) as u8 + 1)
}

/// The first cell of the bucket that an entry leads to, and its runs.
#[inline(always)]
pub(super) fn bucket(entry: u32) -> (u32, u32) {
    ((entry & LINES) * LINE, 8 << ((entry >> KIND_SHIFT) & 3))
}

/// Where an entry leads that leads on.
#[inline(always)]
pub(super) fn target(entry: u32) -> Target {
    if is_node(entry) {
        let (at, stride) = node(entry);
        Target::Node { at, stride }
    } else {
        let (at, runs) = bucket(entry);
        Target::Bucket { at, runs }
    }
}

impl Target {
    /// The entry that leads here.
    pub(super) fn entry(self) -> u32 {
        let (kind, at) = match self {
            Self::Bucket { at, runs } => (runs.trailing_zeros() - 3, at),
            Self::Node { at, stride } => (u32::from(stride) - 1, at),
        };
        LEADS_ON | (kind << KIND_SHIFT) | (at / LINE)
    }

    /// How many cells it has.
    pub(super) fn cells(self) -> u32 {
        match self {
            Self::Bucket { runs, .. } => 2 * runs,
            Self::Node { stride, .. } => NODE_HEAD + (1 << stride),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_leads_where_it_was_made_to() {
        let at = 5 * LINE;
        let buckets = [8, 16, 32].map(|runs| Target::Bucket { at, runs });
        let nodes = STRIDES.map(|stride| Target::Node { at, stride });
        for it in nodes.chain(buckets) {
            assert!(leads_on(it.entry()));
            assert_eq!(target(it.entry()), it);
            assert_eq!(it.cells() % LINE, 0);
        }
        assert!(!leads_on(0) && !leads_on(LEADS_ON - 1));
    }
}

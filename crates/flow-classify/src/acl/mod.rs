//! Wildcard rules: any field of a flow key by prefix, mask or range; the best of those that match.
//!
//! # How
//! A key goes down a few trees. A node looks at up to 14 bits of the key, chosen to tell its rules
//! apart, and gathers them into the number of a cell (one `pext` instruction a word). A leaf has its rules
//! side by side, eight to a block of five cache lines, and compares a key with all of them at once. Keys go
//! down in turn, so that their cache misses overlap.
//!
//! Rules that say much about the source only, and others about the destination only, would multiply
//! in one tree. Building tries one tree and several ways to split rules over three, estimates what
//! look-ups in each cost, and takes the cheapest: [`Acl::cost`] says what came of it. A table of up to
//! eight rules is one block.
//!
//! # Changes
//! [`Acl::insert`] and [`Acl::remove`] copy the leaves that a rule is in, and swap one pointer for each cell.
//! A leaf that grows too long becomes a node. A rule that would be in very many leaves goes to a leaf
//! of its own instead, which every look-up passes; when that is full, or when rules have doubled or
//! halved, all trees are built anew, beside the old ones.
//!
//! Readers pin an epoch (`crossbeam-epoch`) once a call and never wait; what was replaced goes back to the writer
//! when no reader can see it, which frees it with its next change.

mod block;
mod book;
mod build;
mod choose;
mod cube;
mod edit;
mod error;
mod forest;
mod garbage;
mod key;
mod node;
mod rule;
mod table;
mod walk;

pub use error::Error;
pub use key::Key;
pub use rule::{AclRule, Categories, Reach, RuleId};
pub use table::{Acl, AclReader};

use crate::simd::Path;

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Verdict(u32);

impl Verdict {
    /// No rule matched.
    pub const NONE: Self = Self(u32::MAX);
    const NONE_ID: RuleId = RuleId(u32::MAX);

    /// The rule that matched best, if any did.
    #[inline]
    pub fn rule(self) -> Option<RuleId> {
        (self != Self::NONE).then_some(RuleId(self.0))
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a table is made of, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Rules.
    pub rules: usize,
    /// Trees that each key goes down.
    pub trees: usize,
    /// Inner nodes.
    pub nodes: usize,
    /// Leaves.
    pub leaves: usize,
    /// Rules in all leaves: one is in each leaf that some of its keys come to.
    pub copies: usize,
    /// Rules in the longest leaf.
    pub longest: usize,
    /// Nodes on the longest way to a leaf.
    pub depth: usize,
    /// Bytes that look-ups may touch.
    pub bytes: usize,
    /// Bytes of the writer's own copy of the rules.
    pub control_bytes: usize,
    /// Bytes that were replaced and wait for readers.
    pub waiting_bytes: usize,
    /// Which instructions look-ups use, and why.
    pub path: Path,
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

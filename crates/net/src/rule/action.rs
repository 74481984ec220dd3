//! What becomes of the packets of a rule.

use alloc::vec::Vec;

use crate::rss::{RssKey, RssTypes};

/// The index of a receive queue within its port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueIndex(pub u16);

/// One thing to do with a packet.
///
/// A rule has exactly one *fate*: where the packet goes. `Mark` and `Count` go beside it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Fate: to one queue.
    Queue(QueueIndex),
    /// Fate: spread over queues.
    Rss(RssAction),
    /// Fate: dropped.
    Drop,
    /// Fate: to another port.
    Port(u16),
    /// Fate: to the rules of another group, of a higher number.
    Jump(u32),
    /// Fate: on, as if the rule were not there; for rules that only mark or count.
    PassThrough,
    /// Carries this number with the packet.
    Mark(u32),
    /// Counts packets and bytes.
    Count,
}

/// How packets are spread over queues.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RssAction {
    /// The queues; one that is listed twice gets twice the share.
    pub queues: Vec<QueueIndex>,
    /// What is hashed.
    pub types: RssTypes,
    /// The key; `None` for the port's.
    pub key: Option<RssKey>,
}

impl Action {
    /// Whether the action decides where the packet goes.
    pub const fn is_fate(&self) -> bool {
        !matches!(self, Self::Mark(_) | Self::Count)
    }

    /// The action's name, as errors give it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Rss(_) => "rss",
            Self::Drop => "drop",
            Self::Port(_) => "port",
            Self::Jump(_) => "jump",
            Self::PassThrough => "pass-through",
            Self::Mark(_) => "mark",
            Self::Count => "count",
        }
    }
}

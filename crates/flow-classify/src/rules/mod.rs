//! Rules to verdicts: `linecard-net`'s [`Rule`] compiled into tables, with counters.
//!
//! A [`RuleTable`] takes rules one by one or as a whole set, while [`RuleReader`]s (one for each thread)
//! say what becomes of packets. What a rule means is what [`Rule::matches`] says: of each group the rule of
//! the lowest priority number wins, [`Action::Jump`] goes to another group, and [`Action::PassThrough`] marks or counts
//! and leaves the packet to the next rule that matches. The first mark stays. Of rules of one
//! priority that match the same packet, one wins and goes on winning; which one is not said:
//! [`Overlaps::Refused`] keeps them out.
//!
//! Every rule counts its packets and bytes, each thread for itself, whether or not it has an [`Action::Count`].
//!
//! # How
//! Addresses, ports and protocol of a rule's outermost headers go to a wildcard table
//! ([`crate::acl`]) of its group and IP version; what a rule asks beside them is looked at where it
//! matched there. Rules that match frames without IP are also in a list, which only such frames are compared with.
//!
//! ```
//! use linecard_flow_classify::rules::{Fate, Packet, RuleTable};
//! use linecard_net::rule::{Action, Item, Match, PortsItem, Rule};
//! use linecard_net::{FrameBuilder, MacAddr};
//! use std::net::Ipv4Addr;
//!
//! let mut table = RuleTable::default();
//! let dns = PortsItem { dport: Match::Exact(53), ..Default::default() };
//! let name = table.insert(Rule::builder().item(Item::Udp(dns)).action(Action::Drop).build()?)?;
//!
//! let mut frame = [0; 60];
//! FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]))
//!     .ipv4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2))
//!     .udp(1024, 53)
//!     .frame_len(60)
//!     .write_to(&mut frame)?;
//! let mut reader = table.reader();
//! let decision = reader.decide(&Packet::new(&frame), 1);
//! assert_eq!((decision.fate, decision.rule), (Fate::Drop, Some(name)));
//! assert_eq!(table.query(name).map(|count| (count.packets, count.bytes)), Some((1, 60)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod count;
mod overlap;
mod project;
mod reader;
mod segments;
mod split;
mod table;
pub mod text;

pub use count::RuleCount;
pub use overlap::may_overlap;
pub use reader::RuleReader;
pub use split::{Kept, Split, split};
pub use table::RuleTable;

use linecard_net::parse::{Parsed, parse};
use linecard_net::rule::{Action, QueueIndex, Rule, RuleError};

/// The name of a rule in a table: never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(pub u64);

/// A packet with what the parser found in it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The frame.
    pub frame: &'a [u8],
    /// What [`parse()`] found in it.
    pub parsed: Parsed,
    /// Bytes that count, if the frame goes on in other buffers.
    pub len: usize,
}

impl<'a> Packet<'a> {
    /// A packet that is all in one piece.
    pub fn new(frame: &'a [u8]) -> Self {
        Self { frame, parsed: parse(frame), len: frame.len() }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Where it goes.
    pub fate: Fate,
    /// What it is marked with.
    pub mark: Option<u32>,
    /// The rule that said where it goes.
    pub rule: Option<RuleName>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Where it would go without rules.
    #[default]
    Pass,
    /// Nowhere.
    Drop,
    /// To a queue; also what a rule that spreads over queues comes to.
    Queue(QueueIndex),
    /// To a port.
    Port(u16),
}

/// What a table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Queues that rules may name: 0 to one below this.
    pub queues: u16,
    /// Ports that rules may name: 0 to one below this.
    pub ports: u16,
    /// Rules of one priority that may match the same packet.
    pub overlaps: Overlaps,
}

impl Default for Limits {
    /// Takes everything.
    fn default() -> Self {
        Self { queues: u16::MAX, ports: u16::MAX, overlaps: Overlaps::Taken }
    }
}

/// What is done with a rule that may match packets that another one of its group and priority matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlaps {
    /// Taken: one of them wins.
    Taken,
    /// Refused.
    Refused,
}

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It makes no sense in itself.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// It names a queue or a port that there is not.
    #[error("{action} {value}: there are {limit}, from 0 on")]
    OutOfRange {
        /// The action.
        action: &'static str,
        /// What it names.
        value: u16,
        /// How many there are.
        limit: u16,
    },
    /// It may match what another rule matches.
    #[error("may match what rule {} matches, also of priority {priority}: give one of them another", .with.0)]
    Overlap {
        /// The other rule.
        with: RuleName,
        /// The priority of both.
        priority: u32,
    },
    /// The table cannot have more.
    #[error("the table is full: {0} rules are the limit")]
    Full(u32),
}

/// Checks a rule against what a table takes.
fn check(rule: &Rule, limits: &Limits) -> Result<(), Error> {
    rule.validate()?;
    let within = |action: &Action, value: u16, limit: u16| {
        let error = Error::OutOfRange { action: action.name(), value, limit };
        (value < limit).then_some(()).ok_or(error)
    };
    rule.actions.iter().try_for_each(|action| match action {
        Action::Queue(queue) => within(action, queue.0, limits.queues),
        Action::Port(port) => within(action, *port, limits.ports),
        Action::Rss(rss) => {
            rss.queues.iter().try_for_each(|queue| within(action, queue.0, limits.queues))
        }
        _ => Ok(()),
    })
}

#[cfg(all(test, not(loom)))]
mod tests;

//! The rule vocabulary: which packets, and what becomes of them.
//!
//! A [`Rule`] is plain data, made for two readers: a NIC's flow offload and a software classifier.
//! [`Rule::matches`] says what a rule means, slowly and plainly: it is the reference that both are
//! tested against.
//!
//! # What a pattern means
//! Items name layers from the outside in. A layer that no item names may be anything, VLAN tags
//! and labels included; the n-th [`Item::Vlan`] is the n-th tag, the n-th [`Item::Mpls`] the n-th
//! label. Items after a tunnel item are about the packet inside. Transport items match whole
//! packets only: no fragment has all of a transport header. [`Item::Raw`] is about the frame itself,
//! wherever it stands. An empty pattern matches everything.

mod action;
mod error;
mod field;
mod item;
mod matching;
mod validate;

use alloc::vec::Vec;

pub use action::{Action, QueueIndex, RssAction};
pub use error::{ItemFault, RuleError};
pub use field::{Field, Match};
pub use item::{
    ArpItem, EthItem, FragmentMatch, GeneveItem, GreItem, GtpuItem, IcmpItem, Ipv4Item, Ipv6Item,
    Item, MplsItem, PortsItem, RawItem, TcpItem, VlanItem, VxlanItem,
};

/// An ordered list of items, from the outermost layer inwards.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pattern {
    /// The items.
    pub items: Vec<Item>,
}

impl<const N: usize> From<[Item; N]> for Pattern {
    fn from(items: [Item; N]) -> Self {
        Self { items: items.into() }
    }
}

/// What to do with the packets of a pattern.
///
/// ```
/// use linecard_net::rule::{Action, Ipv4Item, Item, Match, PortsItem, QueueIndex, Rule};
///
/// let rule = Rule::builder()
///     .item(Ipv4Item { dst: Match::prefix([192, 0, 2, 0].into(), 24), ..Default::default() })
///     .item(Item::Udp(PortsItem { dport: Match::Range { lo: 53, hi: 53 }, ..Default::default() }))
///     .action(Action::Queue(QueueIndex(3)))
///     .build()?;
/// assert_eq!(rule.priority, 0);
/// # Ok::<(), linecard_net::rule::RuleError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rule {
    /// Which packets.
    pub pattern: Pattern,
    /// What becomes of them: exactly one fate, and marks or counts beside it.
    pub actions: Vec<Action>,
    /// Among the rules of a group that match, the one with the lowest number wins.
    pub priority: u32,
    /// Rules of group 0 are looked at first; those of others when an [`Action::Jump`] leads there.
    pub group: u32,
}

impl Rule {
    /// Begins a rule, of priority 0 and group 0, that matches everything and does nothing yet.
    pub fn builder() -> RuleBuilder {
        RuleBuilder { rule: Self::default() }
    }

    /// The action that decides where the packet goes.
    pub fn fate(&self) -> Option<&Action> {
        self.actions.iter().find(|action| action.is_fate())
    }
}

/// Puts a [`Rule`] together; [`RuleBuilder::build`] validates it.
#[derive(Clone, Debug)]
#[must_use]
pub struct RuleBuilder {
    rule: Rule,
}

impl RuleBuilder {
    /// Adds an item, inside those already there.
    pub fn item(mut self, item: impl Into<Item>) -> Self {
        self.rule.pattern.items.push(item.into());
        self
    }

    /// Adds an action.
    pub fn action(mut self, action: Action) -> Self {
        self.rule.actions.push(action);
        self
    }

    /// Sets the priority; 0 is the highest.
    pub fn priority(mut self, priority: u32) -> Self {
        self.rule.priority = priority;
        self
    }

    /// Sets the group.
    pub fn group(mut self, group: u32) -> Self {
        self.rule.group = group;
        self
    }

    /// The rule, if it makes sense.
    ///
    /// # Errors
    /// Those of [`Rule::validate`].
    pub fn build(self) -> Result<Rule, RuleError> {
        self.rule.validate()?;
        Ok(self.rule)
    }
}

#[cfg(test)]
mod tests;

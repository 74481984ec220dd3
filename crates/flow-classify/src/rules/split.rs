//! Which rules run in a port, and which in software.

use super::overlap::projections_meet;
use super::project::Projection;
use linecard_net::rule::{Action, Rule};
use std::collections::BTreeMap;
use std::fmt;

/// What became of a set of rules; rules are named by their place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<T> {
    /// Rules that run in the port, with what it calls them.
    pub port: BTreeMap<usize, T>,
    /// Rules that run in software, with the reason.
    pub software: BTreeMap<usize, Kept>,
}

/// Why a rule runs in software.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The port said no.
    Port(String),
    /// It is not in group 0, or leads to another group.
    Group,
    /// Another rule, by its place, must be looked at before it and runs in software.
    Behind(usize),
    /// Another rule, by its place, comes behind it in software, and would match its packets once more.
    Before(usize),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(reason) => f.write_str(reason),
            Self::Group => f.write_str("ports have no groups"),
            Self::Behind(rule) => write!(f, "rule {rule} comes before it, and runs in software"),
            Self::Before(rule) => {
                write!(f, "rule {rule} in software would match its packets once more")
            }
        }
    }
}

/// Gives a port what rules it can run, such that every packet meets the same fate as if all ran in
/// software. The software must run those that are left, and only those.
///
/// `create` asks the port to run a rule, and says why it does not; `destroy` takes one back. A rule that may
/// match what one of higher priority matches stays behind it, in software; so does one that does not drop
/// packets, if a rule of lower priority in software may match them after it.
pub fn split<T>(
    rules: &[Rule],
    mut create: impl FnMut(&Rule) -> Result<T, String>,
    mut destroy: impl FnMut(T),
) -> Split<T> {
    let projections: Vec<_> = rules.iter().map(Projection::of).collect();
    let mut order: Vec<_> = (0..rules.len()).collect();
    order.sort_by_key(|at| rules[*at].priority);
    let mut split = Split { port: BTreeMap::new(), software: BTreeMap::new() };
    let meet = |one: usize, other: usize| {
        one != other && projections_meet(&projections[one], &projections[other])
    };
    for &at in &order {
        let behind = split.software.keys().copied().find(|other| meet(*other, at));
        let created = match behind {
            _ if has_groups(&rules[at]) => Err(Kept::Group),
            Some(other) => Err(Kept::Behind(other)),
            None => create(&rules[at]).map_err(Kept::Port),
        };
        match created {
            Ok(flow) => _ = split.port.insert(at, flow),
            Err(kept) => _ = split.software.insert(at, kept),
        }
    }
    // What is taken back may be in the way of others in turn.
    while let Some((at, kept)) = wrong(rules, &split, meet) {
        if let Some(flow) = split.port.remove(&at) {
            destroy(flow);
        }
        let _ = split.software.insert(at, kept);
    }
    split
}

fn has_groups(rule: &Rule) -> bool {
    rule.group != 0 || matches!(rule.fate(), Some(Action::Jump(_)))
}

/// A rule that must not run in the port, beside those that run in software now.
fn wrong<T>(
    rules: &[Rule],
    split: &Split<T>,
    meet: impl Fn(usize, usize) -> bool,
) -> Option<(usize, Kept)> {
    split.port.keys().find_map(|&at| {
        let mut others = split.software.keys().copied().filter(|other| meet(at, *other));
        let drops = rules[at].fate() == Some(&Action::Drop);
        others.find_map(|other| {
            // Of equal priority either may win.
            let is_before = rules[other].priority < rules[at].priority;
            let kept = if is_before { Kept::Behind(other) } else { Kept::Before(other) };
            (is_before || !drops).then_some((at, kept))
        })
    })
}

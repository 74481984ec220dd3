//! Flow rules that run in the port.
//!
//! The rule is `linecard-net`'s: the same value that a software classifier takes. A port says up
//! front which items and actions it knows, so that what it cannot do is told apart without trial.

/// Which flow rules a port can run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowCapabilities {
    /// The most rules at once; 0 for none at all.
    pub rules: usize,
    /// What it can match, in words a user would search for.
    pub items: Vec<&'static str>,
    /// What it can do with what matches.
    pub actions: Vec<&'static str>,
}

/// A rule that runs in a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// What a rule has matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCount {
    /// Packets; `None` if the port does not count them.
    pub packets: Option<u64>,
    /// Bytes; `None` if the port does not count them.
    pub bytes: Option<u64>,
}

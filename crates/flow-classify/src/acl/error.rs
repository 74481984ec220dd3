//! Why a rule is refused.

use super::RuleId;

/// Why a wildcard table refuses a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A range begins after its end.
    #[error("the range of {field} is empty: its lo is above its hi")]
    EmptyRange {
        /// The field.
        field: &'static str,
    },
    /// A prefix is longer than its field.
    #[error("the prefix of {field} has {len} bits: the limit is {limit}")]
    PrefixTooLong {
        /// The field.
        field: &'static str,
        /// The prefix's length.
        len: u8,
        /// The field's width.
        limit: u32,
    },
    /// A rule is in no category: no look-up would see it.
    #[error("the rule is in no category: set at least one bit of categories")]
    NoCategory,
    /// Another rule has this id.
    #[error("rule {} is there already: delete it first, or take another id", .0.0)]
    Taken(RuleId),
    /// The id means that there is no match.
    #[error("rule id {} means no match: ids end below it", u32::MAX)]
    ReservedId,
}

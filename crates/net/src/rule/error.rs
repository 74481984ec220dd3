//! Why a rule makes no sense. Apart from the crate's `Error`: it names an item or an action.

/// Why a rule makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// An item is wrong, in itself or after those before it.
    #[error("item {at} ({name}): {fault}")]
    Item {
        /// The item's place in the pattern, from 0.
        at: usize,
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        fault: ItemFault,
    },
    /// No action says where the packet goes.
    #[error("no fate: add one of queue, rss, drop, port, jump or pass-through")]
    NoFate,
    /// Two actions say where the packet goes.
    #[error("two fates, {first} and {second}: a rule has one, remove the other")]
    TwoFates {
        /// The first fate.
        first: &'static str,
        /// The second.
        second: &'static str,
    },
    /// An action is there twice.
    #[error("{0} is there twice: once is the limit")]
    Twice(&'static str),
    /// An RSS action has no queue.
    #[error("rss over no queue: list at least one")]
    NoQueue,
    /// A jump leads back.
    #[error("a jump from group {from} to {to}: only groups of a higher number can be jumped to")]
    JumpBack {
        /// The rule's group.
        from: u32,
        /// The group jumped to.
        to: u32,
    },
}

/// What is wrong with an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemFault {
    /// It cannot come after what precedes it.
    #[error(
        "cannot follow {after}: list layers from the outside in, a tunnel item between two packets"
    )]
    OutOfOrder {
        /// The item before it.
        after: &'static str,
    },
    /// An earlier item demands another protocol here.
    #[error("cannot match: {field} of {of} demands another protocol")]
    Contradiction {
        /// The field.
        field: &'static str,
        /// The item that has it.
        of: &'static str,
    },
    /// There are more of its kind than the parser follows.
    #[error("one too many: the parser follows {limit}")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A range begins after its end.
    #[error("the range of {field} is empty: its lo is above its hi")]
    EmptyRange {
        /// The field.
        field: &'static str,
    },
    /// A prefix is longer than the field.
    #[error("the prefix of {field} has {len} bits: the limit is {limit}")]
    PrefixTooLong {
        /// The field.
        field: &'static str,
        /// The prefix's length.
        len: u8,
        /// The field's width.
        limit: u32,
    },
    /// A value does not fit in the field.
    #[error("a value of {field} does not fit: the field has {bits} bits")]
    ValueTooLarge {
        /// The field.
        field: &'static str,
        /// The field's width.
        bits: u32,
    },
}

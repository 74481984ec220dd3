//! What can be done to a ring.

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_oneof};

/// One call. Numbers go beyond the largest capacity, so that refusals are drawn too.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Enqueue,
    EnqueueBulk(usize),
    EnqueueBurst(usize),
    /// Through the ring instead of a handle, where the side allows it.
    EnqueueShared(usize),
    ReserveBulk(Reserve),
    ReserveBurst(Reserve),
    Dequeue,
    DequeueBulk(Room),
    DequeueBurst(Room),
    DequeueShared(usize),
    PeekBulk(Peek),
    PeekBurst(Peek),
    /// Drops both handles and makes new ones.
    NewHandles,
}

/// How many slots to reserve, and what becomes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserve {
    pub(crate) n: usize,
    pub(crate) end: ReserveEnd,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ReserveEnd {
    /// By `fill`, from so many elements.
    Fill(usize),
    /// Written in place and committed, up to so many.
    Commit(usize),
    Abort,
}

/// How many to dequeue, and how much room there is for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) n: usize,
    pub(crate) room: usize,
}

/// How many to look at, and what becomes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peek {
    pub(crate) n: usize,
    pub(crate) end: PeekEnd,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum PeekEnd {
    /// Up to so many are moved out.
    Take(usize),
    /// Up to so many are dropped.
    Commit(usize),
    Abort,
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 1..60)
}

fn number() -> impl Strategy<Value = usize> {
    prop_oneof![0..5usize, 0..80usize]
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    use proptest::prelude::Just;
    let reserve = || (number(), reserve_end()).prop_map(|(n, end)| Reserve { n, end });
    let room = || (number(), number()).prop_map(|(n, room)| Room { n, room });
    let peek = || (number(), peek_end()).prop_map(|(n, end)| Peek { n, end });
    prop_oneof![
        2 => Just(Enqueue),
        2 => number().prop_map(EnqueueBulk),
        3 => number().prop_map(EnqueueBurst),
        1 => number().prop_map(EnqueueShared),
        1 => reserve().prop_map(ReserveBulk),
        2 => reserve().prop_map(ReserveBurst),
        2 => Just(Dequeue),
        2 => room().prop_map(DequeueBulk),
        3 => room().prop_map(DequeueBurst),
        1 => number().prop_map(DequeueShared),
        1 => peek().prop_map(PeekBulk),
        2 => peek().prop_map(PeekBurst),
        1 => Just(NewHandles),
    ]
}

fn reserve_end() -> impl Strategy<Value = ReserveEnd> {
    prop_oneof![
        3 => number().prop_map(ReserveEnd::Fill),
        3 => number().prop_map(ReserveEnd::Commit),
        1 => proptest::prelude::Just(ReserveEnd::Abort),
    ]
}

fn peek_end() -> impl Strategy<Value = PeekEnd> {
    prop_oneof![
        3 => number().prop_map(PeekEnd::Take),
        3 => number().prop_map(PeekEnd::Commit),
        1 => proptest::prelude::Just(PeekEnd::Abort),
    ]
}

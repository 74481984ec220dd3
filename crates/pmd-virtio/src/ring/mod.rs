//! Virtqueues, the driver's side: modules that move memory around very carefully.
//!
//! A ring is memory that the device reads and writes at any time. So each ring here has
//!
//! * **cells**: atomics in shared memory, at places that were checked when the ring was made;
//! * **a shadow**, private: which buffer was given away under which number, how long, how many
//!   descriptors it took. Nothing that the device writes becomes an address or an index: a number is
//!   looked up in the shadow, and a count is compared with what is outstanding;
//! * **a [`Lie`]**, once the device has said something impossible: the ring then gives nothing and
//!   takes nothing, until it is made anew.
//!
//! Four rings: split and packed, each receiving (a descriptor a buffer) and sending (chains). Each
//! in two [`Order`]s: in any order, numbers of buffers come from a queue of free ones (split) or are positions, as
//! long as those are free (packed), and are looked up; in order (`IN_ORDER`), numbers are positions, and one used
//! entry may stand for all before it.

mod cells;
mod control;
#[cfg(any(test, feature = "harness"))]
pub mod harness;
mod ids;
mod lie;
mod packed;
mod packed_rx;
mod packed_tx;
mod shadow;
mod split;
mod split_rx;
mod split_tx;

pub(crate) use control::{Answer, ControlRing, MOST_PARTS};
pub(crate) use lie::Lie;
pub(crate) use packed::PackedMemory;
pub(crate) use packed_rx::PackedRx;
pub(crate) use packed_tx::PackedTx;
pub(crate) use split::SplitMemory;
pub(crate) use split_rx::SplitRx;
pub(crate) use split_tx::SplitTx;

use core::ptr::NonNull;
use linecard_mempool::Object;

/// In which order the device gives buffers back.
pub(crate) trait Order: Send + 'static {
    /// In that in which it got them (`IN_ORDER`).
    const IN_ORDER: bool;
}

/// Any order.
pub(crate) struct AnyOrder;
/// In order.
pub(crate) struct InOrder;

impl Order for AnyOrder {
    const IN_ORDER: bool = false;
}
impl Order for InOrder {
    const IN_ORDER: bool = true;
}

/// How each side tells when it wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// By a flag.
    Flag,
    /// By an index (`EVENT_IDX`).
    Index,
}

/// A buffer that the device has filled.
#[derive(Clone, Copy)]
pub(crate) struct Filled {
    pub(crate) object: Object,
    /// Bytes that the device says it wrote: no more than were posted.
    pub(crate) len: u32,
}

/// A buffer to be posted.
#[derive(Clone, Copy)]
pub(crate) struct Empty {
    pub(crate) object: Object,
    pub(crate) addr: u64,
}

/// A part of what is to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) addr: u64,
    pub(crate) len: u32,
}

/// A packet that was given away, as an address.
pub(crate) type Token = NonNull<u8>;

/// What all rings have.
pub(crate) trait Ring: Send {
    /// Whether the device wants to be told of what was published since the last time this was asked.
    fn wants_doorbell(&mut self) -> bool;
    /// Where the next buffer will be put, as the device may be told with it (§2.9).
    fn place(&self) -> u16;
    /// Asks the device to tell when it has used something.
    fn wake(&mut self);
    /// Asks the device to be quiet.
    fn quiet(&mut self);
    /// What the device said that cannot be.
    fn lie(&self) -> Option<Lie>;
    /// Says that the device said something that cannot be: the ring is at its end.
    fn accuse(&mut self, lie: Lie);
    /// Starts anew, with nothing in it: all was recalled, and no device looks.
    fn reset(&mut self);
    /// Where a device goes on that finds the ring as it is, as vhost-user has it: all that an earlier one
    /// had used has been taken.
    fn base(&self) -> u32;
}

/// A ring of buffers to be filled: a descriptor each, all of one length.
pub(crate) trait RxRing: Ring {
    /// Descriptors that are free.
    fn free(&self) -> usize;
    /// Gives buffers to the device; there are as many free descriptors.
    fn post(&mut self, buffers: &[Empty]);
    /// Takes filled buffers, oldest first; says how many.
    fn take(&mut self, into: &mut [Filled]) -> usize;
    /// How many wait to be taken, at most `limit`.
    fn waiting(&self, limit: usize) -> usize;
    /// Takes all buffers back, filled or not: the device has been stopped.
    fn recall(&mut self) -> Vec<Object>;
}

/// A ring of packets to be sent.
pub(crate) trait TxRing: Ring {
    /// Descriptors that are free.
    fn free(&self) -> usize;
    /// Puts a packet of one part into the ring; there is a free descriptor.
    fn push(&mut self, part: Part, token: Token);
    /// Puts a packet of several parts into the ring; there are as many free descriptors.
    fn push_chain(&mut self, parts: &[Part], token: Token);
    /// Puts a packet whose parts are in a table at `table` into the ring (`INDIRECT_DESC`).
    fn push_indirect(&mut self, table: Part, token: Token);
    /// Which entry of a table of tables or headers the next packet may use: as many as descriptors.
    fn next_slot(&self) -> u16;
    /// Descriptors in all.
    fn size(&self) -> usize;
    /// Shows the device what was put into the ring.
    fn publish(&mut self);
    /// Whether the device has nothing but packets of [`push`](TxRing::push).
    fn is_plain(&self) -> bool;
    /// Takes packets that the device is done with; says how many.
    fn done(&mut self, into: &mut [Token]) -> usize;
    /// Takes all packets back: the device has been stopped. Oldest first.
    fn recall(&mut self) -> Vec<Token>;
}

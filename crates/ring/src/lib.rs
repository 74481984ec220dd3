//! Lock-free bounded queues with bulk and burst operations, for any thread layout.
//!
//! * **What never happens:** no allocation after creation, no system call, no lock. A full or empty
//!   ring is a value, never an error or a wait.
//! * **Who may call is a type:** [`Single`] sides have one handle, moved but not cloned, and are
//!   wait-free; [`Multi`], [`Rts`] and [`Hts`] sides are shared, and say what a stalled thread costs.
//! * **Any `T: Send`** is moved in and out; what is left when the last handle goes is dropped.
//! * **Bulk** calls move all or nothing, **burst** calls as many as fit, and sides that are
//!   [`Exclusive`] read and write in place across the wrap ([`WriteChunk`], [`ReadChunk`]).
//! * **Anywhere:** on the heap, or in memory that you supply, such as huge pages or memory shared
//!   with another process ([`Ring::create_in`], [`Ring::attach`]).
//!
//! ```
//! let (mut tx, mut rx) = linecard_ring::spsc(4)?;
//! assert!(tx.enqueue_bulk(&mut vec!["to", "be", "or"]));     // all three
//! let mut more = vec!["not", "to", "be"];
//! assert!(!tx.enqueue_bulk(&mut more));                      // three do not fit: none is moved
//! assert_eq!(tx.enqueue_burst(&mut more), 1);                // as many as fit, from the front
//! assert_eq!(more, ["to", "be"]);                            // the rest is still yours
//!
//! let mut line = Vec::with_capacity(8);
//! assert_eq!(rx.dequeue_burst(&mut line, 8), 4);
//! assert_eq!(line, ["to", "be", "or", "not"]);
//! drop(tx);
//! assert!(rx.dequeue().is_none() && rx.is_closed());
//! # Ok::<(), linecard_ring::Error>(())
//! ```
//!
//! # Modules
//!
//! [`Ring`] makes and places; [`Producer`] and [`Consumer`] are its ends; [`Side`] says which
//! protocols there are and which edge orders what; [`Source`] and [`Sink`] are where elements come
//! from and go.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod batch;
mod chunk;
#[cfg(doctest)]
mod contracts;
mod error;
mod handle;
mod place;
mod ring;
mod side;
mod slots;
mod sync;
mod view;

pub use batch::{Fill, Sink, Source};
pub use chunk::{ReadChunk, WriteChunk};
pub use error::{Error, Full, MAX_CAPACITY};
pub use handle::{Consumer, Producer};
pub use place::{Memory, Plain, RawMemory};
pub use ring::Ring;
pub use side::{Concurrent, Exclusive, Hts, Multi, Rts, Side, Single};
#[cfg(not(loom))]
pub use slots::copy_run;

/// The two ends of a new ring.
pub type Ends<T, P, C> = (Producer<T, P, C>, Consumer<T, P, C>);

/// A ring for one producer and one consumer. Both ends are wait-free.
///
/// # Errors
/// [`Error::Capacity`] for zero or more than 2³⁰.
pub fn spsc<T: Send>(capacity: usize) -> Result<Ends<T, Single, Single>, Error> {
    Ring::new(capacity)?.split()
}

/// A ring for many producers and one consumer.
///
/// # Errors
/// [`Error::Capacity`] for zero or more than 2³⁰.
pub fn mpsc<T: Send>(capacity: usize) -> Result<Ends<T, Multi, Single>, Error> {
    Ring::new(capacity)?.split()
}

/// A ring for one producer and many consumers.
///
/// # Errors
/// [`Error::Capacity`] for zero or more than 2³⁰.
pub fn spmc<T: Send>(capacity: usize) -> Result<Ends<T, Single, Multi>, Error> {
    Ring::new(capacity)?.split()
}

/// A ring for many producers and many consumers.
///
/// # Errors
/// [`Error::Capacity`] for zero or more than 2³⁰.
pub fn mpmc<T: Send>(capacity: usize) -> Result<Ends<T, Multi, Multi>, Error> {
    Ring::new(capacity)?.split()
}

//! Exact match: a flow table.
//!
//! * **Readers never wait**, allocate, or write to memory that others use. Any number of them, each a
//!   [`Reader`] of one thread. What one finds stays whole and in place as long as its [`View`].
//! * **One [`Writer`]**, or several threads by turns ([`SharedWriter`]). It never waits for readers; what
//!   they may still look at is dropped later, and a full table is an error that gives the value back.
//! * **A position for every entry** ([`Position`]), from its insertion to its removal, for arrays
//!   beside the table; a value of any type beside every key of 4 to 64 bytes.
//! * **Full means full**: as many entries as were asked for always fit, whatever their hashes. At 95 % of
//!   the slots practically none is outside of its two buckets; what finds no slot goes to lists.
//! * **Absent keys cost no more than present ones**: mostly one cache line, against two.
//! * **The hash is keyed** by a secret of the table's: nobody can prepare keys that collide.
//!
//! ```
//! use linecard_flow_classify::exact::{FlowTable, Refused, Why};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut writer = FlowTable::<[u8; 16], u32>::builder(2).build()?;
//! let mut reader = writer.reader();
//! writer.insert([1; 16], 100)?;
//! writer.insert([2; 16], 200)?;
//!
//! // A view a burst: many keys at once, or one.
//! let view = reader.view();
//! let mut found = [None; 3];
//! view.get_bulk(&[[2; 16], [3; 16], [1; 16]], &mut found);
//! assert_eq!(found.map(|found| found.map(|found| *found.value())), [Some(200), None, Some(100)]);
//!
//! // There is room for two.
//! let why = Why::Full { capacity: 2 };
//! assert_eq!(writer.insert([3; 16], 300), Err(Refused { value: 300, why }));
//!
//! // What is removed is gone for new look-ups, and stays for who has found it already.
//! writer.remove(&[1; 16]);
//! assert!(view.get(&[1; 16]).is_none());
//! assert_eq!(found[2].map(|found| *found.value()), Some(100));
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//! A bucket is one cache line: fifteen slots, each a tag of the hash and the position of an entry in one
//! word, and a word on entries that belong here and live elsewhere. One vector comparison looks
//! at all slots. A key has two buckets; when both are full, entries move to their other ones.
//! Look-ups in bulk go in three passes, so that they wait for memory together ([`View::get_bulk`]).
//! What is removed is reclaimed by quiescent states (see [`crate::quiesce`]).
//!
//! Memory: 5.3 bytes of buckets, 4 of lists and 34 of entries for each entry with a key of 16 and a value
//! of 8 bytes. In huge pages it is faster: see [`crate::memory`].
//!
//! Idle time-outs: [`Aging`].

mod aging;
mod array;
mod bucket;
mod build;
mod bulk;
mod displace;
mod entry;
mod error;
mod key;
mod paths;
mod positions;
mod read;
mod scan;
mod several;
mod shared;
mod write;

pub use aging::{Aging, Progress};
pub use build::Builder;
pub use entry::{Found, Position};
pub use error::{Error, Refused, Why};
pub use key::{Hash, Key, Seed};
pub use read::{FlowTable, Reader, View};
pub use several::{SharedWriter, Turn};
pub use write::{Inserted, Writer};

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

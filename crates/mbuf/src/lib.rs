//! Packet buffers: owned, one pointer wide, with headroom, chains and sharing.
//!
//! * **[`Mbuf`] is the packet.** Moving it moves the packet, dropping it returns the buffer to its
//!   pool. A double free or a use after free does not compile; a leak takes `mem::forget`.
//! * **[`Burst`]** is a batch of them on the stack, what queues fill and empty.
//! * **[`SharedMbuf`]** is a packet that several have: counted, read-only. [`SharedMbuf::alias`]
//!   makes an `Mbuf` of it that copies before it is written to.
//! * Nothing allocates after [`MbufPool`] is made, but for attaching external memory. Room that is
//!   not there is a value ([`NoRoom`]), and so is an empty pool (`None`).
//!
//! ```
//! use linecard_mbuf::MbufPool;
//!
//! let pool = MbufPool::builder("packets").size(64).build()?;
//! let mut packet = pool.alloc().expect("64 are free");
//! packet.append(4)?.copy_from_slice(b"data");
//! packet.prepend(2)?.copy_from_slice(b"h:");
//! assert_eq!(packet.data(), b"h:data");
//! packet.adjust(2)?;                                  // off with the header
//! assert_eq!(packet.data(), b"data");
//! assert!(packet.append(usize::MAX).is_err());        // more than there is room for
//! drop(packet);
//! assert_eq!(pool.available(), 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! `header` is the layout, byte by byte; `mbuf` is the owned handle with its edits; `meta` what
//! receive says and transmit is asked; `chain` packets of several buffers; `shared` and `external`
//! buffers that are not only ours; `burst` batches; `pool` where they come from; [`driver`] what
//! only drivers need.

mod burst;
mod chain;
pub mod driver;
mod error;
mod external;
mod free;
pub mod header;
mod mbuf;
mod meta;
mod pool;
mod shared;

pub use burst::Drain;
pub use burst::{BURST, Burst};
pub use chain::Segments;
pub use error::{Error, NoRoom};
pub use external::ExternalBuffer;
pub use free::free_bulk;
pub use header::{Header, MAX_SEGMENTS};
pub use mbuf::Mbuf;
pub use meta::{ChecksumStatus, Flags, L4Checksum, Segmentation, TxRequest, USER_BYTES};
pub use pool::{DATA_ROOM, HEADROOM, MbufPool, MbufPoolBuilder};
pub use shared::SharedMbuf;

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

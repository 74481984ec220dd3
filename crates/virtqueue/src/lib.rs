//! Virtqueues, split and packed, and the virtio-net header: what both sides of virtio share.
//!
//! * **Layouts** ([`split`], [`packed`]) as data: descriptors, rings, event fields, their sizes and
//!   offsets, asserted at compile time, with their sections of virtio 1.2. No access to memory: a
//!   driver and a device have different reasons to mistrust it.
//! * **Names** for what is negotiated ([`Features`], [`Status`]), said in the configuration space and
//!   asked over the control queue ([`net`]).
//! * **Messages** of the vhost-user protocol ([`vhost_user`]), and sending and receiving one.
//! * **Meaning** ([`offload`]): between the virtio-net header and a packet's metadata, in both
//!   directions: checksums, segmentation. TAP and AF_PACKET have the same header, and use it too.
//!
//! ```
//! use linecard_virtqueue::{Features, packed, split};
//!
//! let layout = split::Layout::new(256, 64).expect("a power of two");
//! assert_eq!(layout.avail(), 4096..4096 + 6 + 512);
//! assert!(split::Layout::new(100, 64).is_none() && packed::Layout::new(100, 64).is_some());
//!
//! // A descriptor that is made available in the first round, and used in it.
//! let flags = packed::available(true);
//! assert!(packed::is_available(flags, true) && !packed::is_used(flags, true));
//!
//! let agreed = Features::VERSION_1 | Features::MRG_RXBUF;
//! assert_eq!(agreed.header_len(), 12);
//! // TSO needs checksums.
//! assert_eq!((agreed | Features::HOST_TSO4).consistent(), agreed);
//! ```

mod feature;
pub mod net;
pub mod offload;
pub mod packed;
pub mod split;
pub mod vhost_user;

pub use feature::{Features, Status};
pub use split::DescFlags;

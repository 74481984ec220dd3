//! virtio-net ports: the driver's side, over vhost-user.
//!
//! * **Rings**: split and packed, in any order and in order, with mergeable buffers, indirect
//!   descriptors and event indices, as negotiated; [`RingOptions`] insists or does without.
//!   `RxQueue::path` says what it came to.
//! * **Zero copy**: a device reads and writes packets where they lie. Buffers of the port's pools are
//!   shared with it by descriptor; packets from elsewhere are refused.
//! * **The device is not trusted** with anything but the packets themselves: indices, numbers and
//!   lengths that it writes are compared with a private shadow. A device that lies ends its queue
//!   (`RxQueue::is_finished`, `path` says why), and nothing else.
//! * **Nothing waits**: no system call between `receive` and `send`, but for a notification that the
//!   device asked for. A queue can be slept on (`RxQueue::arm`).
//! * **A back-end that goes away** is waited for: the link goes down, and comes up again with the next
//!   one; what it had not acknowledged is sent again.
//!
//! ```no_run
//! use linecard_mbuf::{Burst, MbufPool};
//! use linecard_pmd_core::{Port, PortConfig};
//! use linecard_pmd_virtio::{UserOptions, VirtioPort};
//!
//! let pool = MbufPool::builder("packets").build()?;
//! let port = Port::open(VirtioPort::user(UserOptions::new("virtio0", "/run/vhost.sock"))?);
//! let (_port, mut queues) = port.configure(PortConfig::new(&pool))?.start()?;
//! println!("{}", queues.rx[0].path());        // split-in-order (as negotiated: mergeable; …)
//! let mut burst = Burst::new();
//! loop {
//!     queues.rx[0].receive(&mut burst);
//!     queues.tx[0].send(&mut burst);
//!     burst.clear();                          // what could not be sent is dropped
//! }
//! # #[expect(unreachable_code, reason = "the loop has no end")]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! `ring` moves memory around very carefully: the four rings, and their shadows. `rx` and `tx` are
//! the queues over them, `tables` headers and indirect tables, `latch` keeps control and data apart.
//! `port` is what all ways to a device have in common, `transport` what they differ in; `negotiate`
//! decides on features, `layout` on memory. `user` is vhost-user.

mod bell;
mod latch;
mod layout;
mod negotiate;
mod options;
mod port;
mod queues;
mod ring;
mod rx;
mod tables;
mod transport;
mod tx;
mod user;

pub use options::{Choice, RingOptions, Role, UserOptions};
pub use port::VirtioPort;
#[cfg(any(test, feature = "harness"))]
#[doc(hidden)]
pub use ring::harness;

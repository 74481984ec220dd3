//! virtio-net ports: the driver's side, over PCI, vhost-user and the kernel's vhost.
//!
//! * **Rings**: split and packed, in any order and in order, with mergeable buffers, indirect
//!   descriptors and event indices, as negotiated; [`RingOptions`] insists or does without.
//!   `RxQueue::path` says what it came to.
//! * **Zero copy**: a device reads and writes packets where they lie. Buffers of the port's pools are
//!   shared with it by descriptor; packets from elsewhere are refused.
//! * **What the device says is not trusted**: indices, numbers and lengths that it writes are compared
//!   with a private shadow. A device that lies ends its queue
//!   (`RxQueue::is_finished`, `path` says why), and nothing else.
//! * **Nothing waits**: no system call between `receive` and `send`, but for a notification that the
//!   device asked for. A queue can be slept on (`RxQueue::arm`).
//! * **The control queue** of a device on the bus is behind the port's verbs: addresses, receive modes,
//!   VLANs, RSS. Each command is waited for within bounds, and all is said again at a start.
//! * **A back-end that goes away** is waited for: the link goes down, and comes up again with the next
//!   one; what it had not acknowledged is sent again.
//! * **The kernel is a back-end too**: [`VirtioPort::kernel`] is `/dev/vhost-net` with a TAP behind it.
//!
//! # What a back-end is trusted with
//!
//! Sharing memory is trust. A back-end maps all of the port's pools, and nothing in software keeps it
//! from writing anywhere in them, at any time:
//!
//! * **A received packet lies in memory that the back-end may still write.** Its length and its place
//!   are ours and fixed; its bytes are only as steady as the back-end is honest. Who must not be
//!   fooled between a check and a use copies what was checked first.
//! * **"Stop" is the back-end's word.** A port that stops disables its rings and asks each for its
//!   base (`GET_VRING_BASE`): a back-end that answers says that it is done, and buffers go home to
//!   their pools. One that does not answer in time, or went away, has its socket closed, and by the
//!   protocol looks at memory no more. Buffers then go home at once: a back-end that goes on writing
//!   after its socket was closed corrupts packets of whoever has them next, and what a pool keeps
//!   beside them. So does one that writes where it was never told to.
//! * **With a back-end that is not trusted so far**, give the port pools of its own, and copy.
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
//! decides on features, `layout` on memory, `start` puts both to use; `filters` is what the port was
//! told, `control` the queue that tells the device. `user` is vhost-user, `kernel` `/dev/vhost-net` with a
//! TAP, `pci` the bus.

mod bell;
mod control;
mod filters;
mod kernel;
mod latch;
mod layout;
mod negotiate;
mod options;
mod pci;
mod port;
mod queues;
mod ring;
mod rx;
mod start;
mod tables;
mod transport;
mod tx;
mod user;

pub use options::{Choice, KernelOptions, RingOptions, Role, TapInterface, UserOptions};
pub use pci::{Interface, PciOptions, is_net};
pub use port::VirtioPort;
#[cfg(any(test, feature = "harness"))]
#[doc(hidden)]
pub use ring::harness;

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

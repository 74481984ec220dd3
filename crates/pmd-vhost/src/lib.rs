//! The device side of vhost-user: ports that face virtual machines, and programs with a virtio-user
//! port.
//!
//! * **A guest is not trusted.** Every descriptor is copied once and checked: index, address, length,
//!   direction, loops. A guest that breaks the rules loses its queue ([`Fault`]), never the process;
//!   what a front-end is trusted with is in [`Shrinking`] and, of descriptors that ring, in the README.
//! * **A queue takes no lock and never waits.** Control shuts its door between two bursts to change
//!   memory and rings, and a queue that finds it shut has received nothing.
//! * **Both ring layouts**, with everything that a driver may negotiate, any number of queue pairs that
//!   come and go, front-ends that go and come again.
//! * **No copy more than one** each way; no allocation, no system call but to tell a guest that wants
//!   to be told.
//!
//! ```
//! use linecard_mbuf::{Burst, MbufPool};
//! use linecard_pmd_core::{Port, PortConfig};
//! use linecard_pmd_vhost::{VhostOptions, VhostPort};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("guest.sock");
//! let pool = MbufPool::builder("packets").size(1023).build()?;
//! let port = Port::open(VhostPort::open(VhostOptions::new("vhost0", &path).queues(2))?);
//! let config = PortConfig::new(&pool).rx_queues(2).tx_queues(2);
//! let (mut port, mut queues) = port.configure(config)?.start()?;
//! assert!(path.exists());                                  // a front-end may connect now
//!
//! let mut burst = Burst::new();
//! assert_eq!(queues.rx[0].receive(&mut burst), 0);         // nobody has yet
//! assert!(!port.link()?.is_up());
//! drop((port, queues));
//! assert!(!path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! `port` is the port and its queues (`rx`, `tx`); `control` the thread that listens, `session` what one
//! connection has said, `request` its messages; `memory` the guest's memory, its translations and its
//! log; `ring` both layouts, and the door between queue and control; `inflight` what outlives us;
//! `bell` where a queue sleeps.

mod bell;
mod control;
mod device;
mod fault;
#[cfg(any(test, feature = "harness"))]
#[doc(hidden)]
pub mod harness;
mod inflight;
mod memory;
mod options;
mod port;
mod request;
mod ring;
mod session;

pub use fault::Fault;
pub use memory::Shrinking;
pub use options::{Iommu, Mode, VhostOptions};
pub use port::VhostPort;

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Packets at line rate in user space: every linecard crate behind one name.
//!
//! Take this crate for a whole forwarder, or the crates below one by one: [`ring`] and [`net`] stand
//! on nothing, the others on what is under them.
//!
//! ```
//! use linecard::mbuf::{Burst, MbufPool};
//! use linecard::pmd::{Port, PortConfig};
//! use linecard::soft::{NullOptions, NullPort};
//!
//! let pool = MbufPool::builder("packets").size(4095).build()?;
//! let port = Port::open(NullPort::open(NullOptions::new("null0"))?);
//! let (port, mut queues) = port.configure(PortConfig::new(&pool))?.start()?;
//!
//! let mut burst = Burst::new();
//! for _ in 0..1000 {
//!     queues.rx[0].receive(&mut burst);
//!     queues.tx[0].send(&mut burst);      // takes what it can; what is left is still ours
//! }
//! assert_eq!(port.stats().tx_packets, 32_000);
//! drop((queues, port));
//! assert_eq!(pool.in_use(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use linecard_eal as eal;
pub use linecard_flow_classify as classify;
pub use linecard_mbuf as mbuf;
pub use linecard_mempool as mempool;
pub use linecard_net as net;
pub use linecard_pmd_core as pmd;
#[cfg(feature = "ixgbe")]
pub use linecard_pmd_ixgbe as ixgbe;
#[cfg(feature = "kernel")]
pub use linecard_pmd_kernel as kernel;
#[cfg(feature = "soft")]
pub use linecard_pmd_soft as soft;
#[cfg(feature = "vhost")]
pub use linecard_pmd_vhost as vhost;
#[cfg(feature = "virtio")]
pub use linecard_pmd_virtio as virtio;
pub use linecard_ring as ring;

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

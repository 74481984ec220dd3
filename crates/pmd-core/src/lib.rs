//! Ports, queues, capabilities, offloads, statistics: what every driver implements.
//!
//! * **Order is a type.** A [`Port`] is opened, then configured, then started; a call out of order
//!   does not compile. Bad configuration is an error that names the limit, found before the driver
//!   is touched, and gives the port back.
//! * **A queue is a value.** [`RxQueue`] and [`TxQueue`] are owned, go to the thread that drives
//!   them, and are called through `&mut`: two threads on one queue do not compile, and the hot call
//!   takes no port or queue number.
//! * **Nothing is lost in silence.** [`TxQueue::send`] takes what it can and leaves the rest in the
//!   burst; what a port drops, it counts.
//! * **What a port can do is said up front** ([`Capabilities`]), and what it cannot is an
//!   [`Error::Unsupported`], never a panic or a quiet no.
//!
//! ```
//! use linecard_mbuf::{Burst, MbufPool};
//! use linecard_pmd_core::{Port, PortConfig};
//! # use linecard_pmd_core::testing::Echo;
//!
//! let pool = MbufPool::builder("packets").size(1023).build()?;
//! let port = Port::open(Echo::new("echo0"));               // any driver
//! let config = PortConfig::new(&pool).rx_queues(1).tx_queues(1);
//! let (port, mut queues) = port.configure(config)?.start()?;
//!
//! let mut burst = Burst::new();
//! assert!(pool.alloc_bulk(&mut burst, 4));
//! assert_eq!(queues.tx[0].send(&mut burst), 4);            // taken out of the burst
//! assert!(burst.is_empty());
//! assert_eq!(queues.rx[0].receive(&mut burst), 4);         // this port gives back what it gets
//! assert_eq!(port.stats().tx_packets, 4);
//! let port = port.stop()?;                                 // may be configured or started again
//! # drop(port);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! `port` is the life cycle; `driver` what a driver implements, and `queue` what its queues do;
//! `capability` and `config` what can be had and what is asked; `control` link, addresses, VLAN, RSS;
//! `device` pauses, rates, memories, lamps and clocks of devices;
//! `stats` the counters; `flow` rules that run in the port; `tap` a look at what passes; `conformance`
//! (a feature) the suite that every driver passes.

mod capability;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod control;
mod device;
mod driver;
mod error;
mod flow;
mod port;
mod queue;
mod stats;
mod tap;
#[doc(hidden)]
pub mod testing;

pub use capability::{
    Capabilities, Controls, Descriptors, RssCapabilities, RxOffloads, Step, TxOffloads,
};
pub use config::{PortConfig, RssConfig, RssHash};
pub use control::{
    AllMulticast, Direction, Duplex, Event, Link, LinkState, Promiscuous, QueueState, VlanFilter,
    VlanStrip,
};
pub use device::{
    Adjust, FlowControl, Led, Module, ModuleKind, Pause, RegisterValue, TimeSync, TxRate,
};
pub use driver::{Driver, PortInfo};
pub use error::Error;
pub use flow::{FlowCapabilities, FlowCount, FlowId};
pub use port::{Configured, Opened, Port, Refused, Started, State};
pub use queue::{Gate, Path, Queues, RxQueue, TxQueue, WakeUp};
pub use stats::{Counter, PortStats, QueueStats, RxCounters, TxCounters};
pub use tap::{TapCounters, TapPoint, Tapped, tap};

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Ports on the Intel 82599, X520, X540 and X550.
//!
//! The driver takes any [`Device`](linecard_eal::device::Device): a card through VFIO or UIO, a model
//! of one in the same process, or one in another process. No physical card was at hand when it was
//! written: what is proven is proven on a model that Linux's and DPDK's drivers accept as an 82599.
//!
//! ```no_run
//! use linecard_mbuf::{Burst, MbufPool};
//! use linecard_pmd_core::{Port, PortConfig};
//! use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
//!
//! # fn card() -> Box<dyn linecard_eal::device::Device> { unimplemented!() }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = MbufPool::builder("packets").size(8191).build()?;
//! let port = Port::open(IxgbePort::open(card(), IxgbeOptions::new())?);
//! let (port, mut queues) = port.configure(PortConfig::new(&pool))?.start()?;
//!
//! let mut burst = Burst::new();
//! while port.mtu() == 1500 {
//!     queues.rx[0].receive(&mut burst);
//!     queues.tx[0].send(&mut burst); // back to where they came from
//!     burst.clear();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`IxgbeVfPort`] is a port on a virtual function, as a guest or a container has it: its queues are
//! driven by the same code, and for the rest it asks the driver of the physical function.
//!
//! # Guarantees
//!
//! * no wait without a limit; what did not happen in time is an error that names the register;
//! * on the hot path no system call, no lock, no allocation, no copy; one write of a tail a burst;
//! * nothing that the card writes becomes an address, and a length is checked against what was
//!   posted: a card that lies costs itself its queue ([`is_finished`]), not the process;
//! * memory goes only after the card has been stopped from using it; what could not be stopped is
//!   kept until the card is reset.
//!
//! [`is_finished`]: linecard_pmd_core::RxQueue::is_finished
//!
#![doc = include_str!("beside_others.md")]
//!
//! # Map
//!
//! `registers` access and waiting, `hardware` reset and semaphores, `init` §4.6 section by section
//! with every [`Departure`] from it, `eeprom`, `mailbox` to an X550's firmware, `link`, `function` what outlives queues, `engine` pools and queues, `queue` rings and how they stop, `rx` (by the loops of
//! [`ReceivePath`]), `tx`, `fetch` thresholds,
//! `rss`, `filters`, `flows` rules in filters and in the flow director, `interrupts`, `stats`, `inspect` a look
//! inside (`i2c` the module), `pause` flow control, `rate` limits of queues, `classes` what more than 64 transmit queues need, `clock` PTP, `open` taking a card over, and `port`, which puts them together. `vf` is a port on a
//! virtual function, by the same `engine`.

mod classes;
mod clock;
mod eeprom;
mod engine;
mod fetch;
mod filters;
mod flows;
mod function;
mod hardware;
mod i2c;
mod ids;
mod init;
mod inspect;
mod interrupts;
mod known;
mod link;
mod mailbox;
mod open;
mod pause;
mod port;
mod queue;
mod rate;
mod registers;
mod rss;
mod rx;
mod spi;
mod start;
mod stats;
mod trouble;
mod tx;
mod vf;

pub use eeprom::EepromAccess;
pub use fetch::Fetch;
pub use flows::{DirectorMemory, FlowDirector};
pub use ids::{Family, Media, family, virtual_family};
pub use init::{DEPARTURES, Departure};
pub use open::IxgbeOptions;
pub use port::IxgbePort;
pub use rx::ReceivePath;
pub use vf::{IxgbeVfOptions, IxgbeVfPort};

//! An Intel 82599 in software, for tests of drivers.
//!
//! [`Device`] is the card: registers with their side effects, EEPROM, SFP+ module, rings, filters,
//! offloads, statistics and interrupts. What is outside of it are three traits: [`Dma`],
//! [`Interrupts`] and [`Wire`]. Three thin front ends connect it to a driver:
//!
//! * in this process: call [`Device`] (unit tests);
//! * [`front::qemu`]: a guest of a stock QEMU, by its `x-pci-proxy-dev` link;
//! * [`front::vfio_user`]: another process, by the vfio-user protocol.
//!
//! ```
//! use linecard_ixgbe_model::{Bar, Device, Host, Identity, Unplugged, in_process::Memory};
//! use linecard_ixgbe_model::in_process::Recorder;
//! use linecard_ixgbe_regs::registers::{LINKS, links};
//!
//! let memory = Memory::new(1 << 20);
//! let interrupts = Recorder::default();
//! let host = Host {
//!     dma: Box::new(memory.clone()),
//!     interrupts: Box::new(interrupts.clone()),
//!     wire: Box::new(Unplugged),
//! };
//! let mut card = Device::new(Identity::default(), host);
//! let word = card.read(Bar::Registers, LINKS.offset().into(), 4) as u32;
//! assert_eq!(links::SPEED.of(word), 3, "10 Gb/s");
//! ```
//!
//! # Virtual functions
//!
//! [`Device::attach`] adds one, with a requester and interrupts of its own; [`Device::function`] is what its
//! driver sees. On the bus, virtual functions come and go with the SR-IOV capability of the physical one,
//! which is in the extended configuration space that is not modelled: here they are there from `attach` on,
//! with a configuration space as a hypervisor shows it.
//!
//! # Guarantees
//!
//! * It touches no memory but by [`Dma`], and none while bus mastering is off; what was refused is
//!   in the [`Journal`], so that a test can ask for "no access after".
//! * It does what it does at once, in the call: no thread, no clock of its own ([`Device::tick`]
//!   tells it the time). [`Faults`] make it late, wrong or absent when asked to.
//! * It trusts nothing that a driver writes: it does not panic on any sequence of accesses.
//!
//! # Who says that it is faithful
//!
//! Linux's `ixgbe` and its self test, and DPDK's `net_ixgbe`, in guests (`tests/guest_*.rs`). Of virtual functions:
//! Linux's `ixgbevf`, with DPDK's driver as the physical function's.
//!
//! # What it does not have
//!
//! Arbitration between traffic classes, the SR-IOV capability, mirrors of pools, RSS keys for each pool
//! (X550), IPsec, MACsec, FCoE, wake on LAN, of the firmware's mailbox all but the EEPROM, timing of the
//! bus, DCA (ignored).

mod access;
mod bus;
mod checksum;
mod config_space;
mod device;
mod effect;
mod family;
mod fault;
mod file;
mod flow_director;
pub mod front;
pub mod in_process;
mod interrupt;
mod journal;
mod link;
mod memory_access;
mod nonvolatile;
mod parse;
mod phy;
mod rx;
pub mod setup;
mod time;
mod tx;
mod vectors;
mod virtualization;
pub mod wire;

pub use bus::{Direction, Dma, DmaFault, Host, Interrupts, Level, Light, Message, Unplugged, Wire};
pub use config_space::ConfigSpace;
pub use device::{Bar, Device, Identity};
pub use fault::{Faults, Garbage, MailboxFault, Presence};
pub use journal::{Access, Breach, Journal};
pub use link::Carrier;
pub use vectors::Table;
pub use virtualization::{Function, FunctionHost};

//! The platform under a packet processor: huge pages, NUMA, pinned workers, time, barriers,
//! registers, events. What DPDK's EAL is, as values that you make and drop.
//!
//! ```
//! use linecard_eal::lcore::{Idle, Idler, Launcher, LcoreMap, Topology};
//! use linecard_eal::mem::{Node, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let topology = Topology::discover();
//! let cpu = topology.allowed().next().ok_or("no cpu")?.id;
//! let map: LcoreMap = format!("0@{cpu}").parse()?;
//!
//! let mut launcher = Launcher::new(&topology).name("example");
//! for lcore in map.lcores() {
//!     launcher.add(lcore.clone(), |context| {
//!         // Memory on the worker's own node; the best pages there are, and a report of why.
//!         let node = context.node().map_or(Node::Any, Node::Prefer);
//!         let memory = Request::new(1 << 16).node(node).map().expect("64 KiB");
//!         let mut idler = Idler::new(Idle::Pause).expect("pausing needs nothing");
//!         while !context.is_stopped() {
//!             idler.polled(0).expect("pausing cannot fail");
//!         }
//!         memory.report().to_string()
//!     });
//! }
//! let workers = launcher.start()?; // all of them, or an error and none
//! workers.stop();
//! for outcome in workers.join() {
//!     println!("lcore {}: {}", outcome.lcore.id, outcome.result?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! * **No global state.** Nothing is initialised once; any number of everything lives in one
//!   process and goes away when dropped. The only statics are a serial number for file names and
//!   what std keeps.
//! * **Nothing is left behind**, not by a drop, a panic or `kill -9`: memory has no name on disk,
//!   workers do not outlive their handle. Proven on the host by `tests/host_hugepages.rs`.
//! * **No printing, no exit, no signal handler, no argv**, and no change to the calling thread's
//!   affinity.
//! * **No panic on what comes from outside.** A file of the kernel that is absent, cut or
//!   nonsense is a machine without that feature, or an error. The panics there are (a constant
//!   register offset beyond its window, 2^32 timers) are documented where they are.
//! * **No silent fallback**: memory has a report, the clock tells its source and rate, dozing is
//!   refused where the processor cannot.
//! * **Errors say what to do**: how many pages are free and the command that makes more, which
//!   cpus are allowed, at which column a map is wrong.
//!
//! # Modules
//!
//! | module | gives | unsafe |
//! |---|---|---|
//! | [`mem`] | segments of huge pages on a node, their physical and device addresses, discovery | mapping, system calls |
//! | [`numa`] | nodes, their cpus, memory and distances | – |
//! | [`lcore`] | topology, `--lcores` maps, pinned workers, idling, jitter, warnings | pinning, `TPAUSE` |
//! | [`clock`] | cycles, and conversion to nanoseconds without a division | reading counters |
//! | [`timer`] | deadlines for a polling loop: a wheel | – |
//! | [`alarm`], [`event`] | deadlines and signals for a waiting thread: timerfd, eventfd, epoll | system calls |
//! | [`barrier`] | ordering towards devices, named by purpose | one instruction each |
//! | [`device`] | what a driver asks of a device: config space, BARs, DMA, interrupts | – |
//! | [`pci`] | the scan of the buses, binding to drivers and back, configuration space, BARs | listing addresses |
//! | [`vfio`] | devices through VFIO: registers, DMA and interrupts behind an IOMMU, unprivileged | ioctls, mapping |
//! | [`uio`] | devices through `uio_pci_generic`: physical addresses, one interrupt line | locking a file |
//! | [`vfio_user`] | devices in another process: software models | passing descriptors, mapping |
//! | [`mmio`] | device registers, volatile and in bounds, never behind a reference | volatile access |
//!
//! Everything that is discovered is read below a [`Root`], so that any machine can be made up in
//! a test.
//!
//! # Platforms
//!
//! 64-bit Linux. x86-64 is tested; aarch64 compiles and has its own barriers and counter; others
//! compile with the strongest fence and the kernel's clock. Kernels before 5.14 lack the check
//! that [`mem`] describes; 6.1 and later can merge pages of a memfd.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("linecard-eal is for 64-bit Linux");

pub mod alarm;
pub mod barrier;
pub mod clock;
mod cpulist;
pub mod device;
pub mod event;
pub mod lcore;
pub mod mem;
pub mod mmio;
pub mod numa;
pub mod pci;
mod root;
pub mod timer;
pub mod uio;
pub mod vfio;
pub mod vfio_user;

pub use root::Root;

/// The README's examples, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

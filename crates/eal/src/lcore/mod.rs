//! Workers: one named thread per lcore, pinned, polling, and accounted for.
//!
//! ```
//! use linecard_eal::lcore::{Launcher, LcoreMap, Topology};
//!
//! # fn main() -> Result<(), linecard_eal::lcore::LcoreError> {
//! let topology = Topology::discover();
//! let map = LcoreMap::of_cpus(topology.allowed().map(|cpu| cpu.id).take(1)).unwrap();
//!
//! let mut launcher = Launcher::new(&topology);
//! for lcore in map.lcores() {
//!     launcher.add(lcore.clone(), |context| {
//!         let mut polls = 0;
//!         while !context.is_stopped() && polls < 1000 {
//!             polls += 1;
//!         }
//!         polls
//!     });
//! }
//! for outcome in launcher.start()?.join() {
//!     assert_eq!(outcome.result.unwrap(), 1000);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! * The calling thread's affinity is not touched; any number of launchers may be at work.
//! * All workers start, or none: a cpu that is not allowed is an error that names those that are.
//! * A panic of one worker is its outcome, with the message, and does not touch the others.
//! * Workers do not outlive their [`Workers`]: dropping it stops and joins them.
//! * Lcore numbers are any numbers: there is no table that they index, and no limit on cpus.

mod affinity;
mod cgroup;
mod error;
mod idle;
mod jitter;
mod launch;
mod map;
mod parse;
mod topology;
#[cfg_attr(not(target_arch = "x86_64"), path = "umwait/absent.rs")]
mod umwait;
mod warning;
mod worker;

pub use error::LcoreError;
pub use idle::{Idle, Idler};
pub use jitter::{Jitter, Verdict};
pub use launch::{Launcher, Outcome, Panicked, Workers};
pub use map::{Lcore, LcoreMap, MapError, Wrong};
pub use topology::{Cpu, CpuState, Topology};
pub use warning::Warning;
pub use worker::{StopFlag, Usage, WorkerContext};

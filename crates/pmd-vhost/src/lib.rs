//! The device side of vhost-user: ports that face virtual machines.

mod bell;
mod control;
mod device;
mod fault;
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

//! virtio ports on the PCI bus against a device in this process: honest ones, those that lack
//! something, and those that lie or die.

mod bed;
mod conformance;
mod control;
mod device;
mod faults;
mod life;

//! virtio-user ports against a device in this process.

mod conformance;
mod device;
mod frames;
mod peers;

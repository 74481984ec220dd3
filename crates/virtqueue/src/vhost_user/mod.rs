//! The vhost-user protocol: how the driver's side tells the device's side of its memory and its
//! rings, over a Unix socket (QEMU `docs/interop/vhost-user.rst`; sections named here are of it).
//!
//! [`message`] are the layouts, [`socket`] connects, [`wire`] sends and receives one message with its descriptors. Which
//! message is meant when is the business of the two sides. The *front-end* is the driver's side, the
//! *back-end* the device's.
//!
//! rust-vmm's `vhost` has most of these messages, but neither `SET_STATUS`, `GET_STATUS` and
//! `NET_SET_MTU` nor ring bases of packed rings, and no way to add to its endpoints.

pub mod message;
pub mod socket;
pub mod wire;

pub use message::{BackendRequest, Header, MessageFlags, ProtocolFeatures, Request};
pub use wire::{Connection, Message, WireError};

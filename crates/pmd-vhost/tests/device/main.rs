//! The device against a guest's driver that was made for it: what every port does, traffic of all
//! kinds, the protocol message by message, and a guest that misbehaves.

mod conformance;
mod guest;
mod hostile;
mod protocol;
mod refusals;
mod traffic;

//! TAP and AF_PACKET ports: the way into and out of the Linux kernel.

pub mod af_packet;
pub mod tap;

pub use af_packet::{AfPacketOptions, AfPacketPort, Fanout, Qdisc, RxRing};
pub use tap::{Existing, Interface, TapOptions, TapPort};

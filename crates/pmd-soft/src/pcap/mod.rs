//! Ports over capture files.

mod pcapng;
mod port;
mod read;
mod rx;
mod tx;
mod write;

pub use port::{Pace, PcapOptions, PcapPort, Repeat};
pub use read::PcapError;

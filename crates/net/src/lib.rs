//! Packet headers, a parser to flow keys, checksums, Toeplitz and a rule vocabulary.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

mod addr;
pub mod checksum;
mod error;
pub mod flow;
pub mod frame;
pub mod header;
pub mod packet_type;
pub mod parse;
pub mod rss;
#[cfg(feature = "alloc")]
pub mod rule;

pub use addr::MacAddr;
pub use error::Error;
pub use flow::FlowKey;
pub use frame::FrameBuilder;
pub use packet_type::PacketType;
pub use parse::{Parsed, parse};

//! Packet headers, a parser to flow keys, checksums, Toeplitz and a rule vocabulary.
#![no_std]
#![cfg_attr(not(all(target_arch = "x86_64", feature = "std")), forbid(unsafe_code))]
#![deny(unsafe_code)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(all(target_arch = "x86_64", feature = "std"), test))]
extern crate std;

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

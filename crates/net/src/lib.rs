//! Wire formats: packet headers, a parser to flow keys, checksums, Toeplitz and a rule vocabulary.
//!
//! * **Never panics** on the bytes of a packet, and does bounded work on any of them: the parser
//!   says how far it got and why it stopped ([`parse::Stop`]).
//! * **Never allocates** while parsing, hashing, matching or filling checksums. `no_std`; rules and
//!   `FrameBuilder::to_vec` need `alloc` (feature `alloc`, on by default).
//! * **Never copies** a packet: headers are read and written where they lie, at any alignment.
//! * **No unsafe code** but one call, of the checksum loop compiled for AVX2; without the feature
//!   `std`, and off x86-64, the crate forbids it. Header layouts are checked by `zerocopy`.
//!
//! # Example
//! A router's work on one frame: find the flow, take a hop off, mend the checksum without reading
//! the packet again.
//!
//! ```
//! use linecard_net::checksum::{Status, verify_ipv4};
//! use linecard_net::header::Ipv4;
//! use linecard_net::{FlowKey, FrameBuilder, MacAddr, parse};
//!
//! # fn main() -> Result<(), linecard_net::Error> {
//! let mut frame = [0; 64];
//! let len = FrameBuilder::new(MacAddr::BROADCAST, "02:00:00:00:00:01".parse()?)
//!     .ipv4([192, 0, 2, 1].into(), [198, 51, 100, 7].into())
//!     .udp(4321, 53)
//!     .write_to(&mut frame)?;
//! let frame = &mut frame[..len];
//!
//! let layers = parse(frame).outer;
//! let Some(FlowKey::V4 { dst, dport: 53, .. }) = layers.flow else { panic!("not DNS") };
//! assert_eq!(dst.octets(), [198, 51, 100, 7]);
//!
//! let (ip, _) = Ipv4::mut_from_prefix(&mut frame[usize::from(layers.l3_offset)..]).unwrap();
//! assert!(ip.decrement_ttl(), "at 0 or 1 it would stay, and the packet would be dropped");
//! assert_eq!((ip.ttl, verify_ipv4(frame, &layers)), (63, Status::Good));
//!
//! // A frame cut short is no error: what was read stays.
//! let cut = parse(&frame[..30]);
//! assert_eq!((cut.flow(), cut.outer.stop), (None, linecard_net::parse::Stop::Truncated));
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//! | module | what it is for |
//! |---|---|
//! | [`header`] | a type for each header, to read and write in place |
//! | [`mod@parse`] | bytes to layers: types, offsets, VLAN tags, fragments, tunnels |
//! | [`packet_type`] | what a packet is, in one 32-bit word |
//! | [`flow`] | flow keys, and their compact forms for hash tables |
//! | [`checksum`] | RFC 1071 in bulk, RFC 1624 updates, CRC32c; verify and fill whole frames |
//! | [`rss`] | the Toeplitz hash as NICs compute it |
#![cfg_attr(feature = "alloc", doc = "| [`rule`] | patterns and actions, and what they mean |")]
//! | [`frame`] | building frames for generators and tests |
//!
//! # Features
//! `alloc`: rules and `FrameBuilder::to_vec`. `std`: looking for AVX2 at run time. Both are on by
//! default, and nothing else depends on them.
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

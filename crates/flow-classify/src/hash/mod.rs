//! Hashes that others compute too: CRC32c, and Toeplitz as NICs do; and what follows from the latter.
//!
//! Flow tables need neither: they have a hash of their own, faster and keyed by a secret
//! ([`crate::exact::Seed`]). These are for agreeing with somebody: with a NIC on the queue of a packet,
//! with another program on a number.
//!
//! ```
//! use linecard_flow_classify::hash::{Port, Steering, crc32c};
//! use linecard_net::FlowKey;
//! use linecard_net::rss::{RssKey, RssTypes};
//!
//! assert_eq!(crc32c(b"123456789"), 0xe306_9283);
//!
//! // A NAT wants the answers to come in by queue 3: which of its ports do that?
//! let steering = Steering::round_robin(&RssKey::MICROSOFT, RssTypes::all(), 8)?;
//! let (src, dst) = ([198, 51, 100, 7].into(), [192, 0, 2, 1].into());
//! let answer = FlowKey::V4 { src, dst, sport: 443, dport: 0, proto: 6 };
//! let port = steering.ports_to(3, answer, Port::Destination, 1024..=65535).next().unwrap();
//! let answer = FlowKey::V4 { src, dst, sport: 443, dport: port, proto: 6 };
//! assert_eq!(steering.queue(&answer), Some(3));
//! # Ok::<(), linecard_flow_classify::hash::NoTable>(())
//! ```

mod crc;
mod steering;
mod toeplitz;

pub use crc::{Crc32c, crc32c};
pub use steering::{NoTable, Port, Steering};
pub use toeplitz::Toeplitz;

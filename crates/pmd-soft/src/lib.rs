//! Null, ring and pcap ports: ports without a device.
//!
//! * [`NullPort`] makes frames out of nothing and swallows what it is sent: the cost of everything
//!   but a device.
//! * [`RingPort`] is one end of a cable between threads, or a loop back to itself.
//! * [`PcapPort`] receives from a capture file and sends into one.
//!
//! All need no privilege, and pass the conformance suite of `linecard-pmd-core`.
//!
//! ```
//! use linecard_mbuf::{Burst, MbufPool};
//! use linecard_pmd_core::{Port, PortConfig};
//! use linecard_pmd_soft::RingPort;
//!
//! let pool = MbufPool::builder("packets").size(255).build()?;
//! let (left, right) = RingPort::pair("left", "right");
//! let start = |port| -> Result<_, linecard_pmd_core::Error> {
//!     Ok(Port::open(port).configure(PortConfig::new(&pool))?.start()?)
//! };
//! let ((_left, mut from), (_right, mut to)) = (start(left)?, start(right)?);
//!
//! let mut burst = Burst::new();
//! let mut packet = pool.alloc().expect("255 are free");
//! packet.append(5)?.copy_from_slice(b"hello");
//! burst.push(packet).expect("an empty burst has room");
//! from.tx[0].send(&mut burst);
//! assert_eq!(to.rx[0].receive(&mut burst), 1);
//! assert_eq!(burst[0].data(), b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! One a kind: `null`, `ring`, `pcap` (with `pcap::read`, the index of a capture, and
//! `pcap::write`).

mod null;
mod pcap;
mod ring;

pub use null::{Frames, NullOptions, NullPort};
pub use pcap::{Pace, PcapError, PcapOptions, PcapPort, Repeat};
pub use ring::{RingOptions, RingPort};

use linecard_net::MacAddr;

/// A local address of its own for a port without a device, from its name.
pub(crate) fn mac_for(name: &str) -> MacAddr {
    // FNV-1a: any spread will do; the first byte says "local, one station".
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_le_bytes();
    MacAddr([0x02, a, b, c, d, e])
}

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! TAP, AF_PACKET and AF_XDP ports: the way into and out of the Linux kernel.
//!
//! * **[`TapPort`]** makes an interface: what the kernel sends on it is received, and what is sent is
//!   received by the kernel.
//! * **[`AfPacketPort`]** sits on an interface that is there, a NIC's or a `veth`'s.
//! * **[`AfXdpPort`]** takes an interface's frames before the kernel's stack sees them, into packets
//!   of the port's own pool.
//! * **Frames are as a wire would carry them**, unless you ask for less: checksums that the kernel has
//!   left out are filled in, large frames are cut, VLAN tags are put back. Asked for
//!   [`L4_CHECKSUM`], [`LRO`] or [`LARGE_UDP`], packets come as the kernel has them, and say what is left to do; a
//!   port that sends them on does it, or has the kernel do it. (Not AF_XDP: see [`af_xdp`].)
//! * **Nothing is left behind**, not by `kill -9`: interfaces, promiscuous mode and addresses go with
//!   the process.
//! * The kernel is not trusted with memory: what it writes into a ring is checked against its bounds.
//!
//! ```no_run
//! use linecard_mbuf::{Burst, MbufPool};
//! use linecard_pmd_core::{Port, PortConfig};
//! use linecard_pmd_kernel::{AfPacketOptions, AfPacketPort, TapOptions, TapPort};
//!
//! // What comes in at veth0 goes to the kernel through lc0, and the other way round.
//! let pool = MbufPool::builder("packets").build()?;
//! let tap = Port::open(TapPort::open(TapOptions::new("lc0"))?);
//! let wire = Port::open(AfPacketPort::open(AfPacketOptions::new("veth0"))?);
//! let (_tap, mut tap) = tap.configure(PortConfig::new(&pool))?.start()?;
//! let (_wire, mut wire) = wire.configure(PortConfig::new(&pool))?.start()?;
//! let mut burst = Burst::new();
//! loop {
//!     wire.rx[0].receive(&mut burst);
//!     tap.tx[0].send(&mut burst);
//!     burst.clear();                              // what could not be sent is dropped
//!     tap.rx[0].receive(&mut burst);
//!     wire.tx[0].send(&mut burst);
//!     burst.clear();
//! }
//! # #[expect(unreachable_code, reason = "the loop has no end")]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! [`tap`], [`af_packet`] and [`af_xdp`] are the ports; `linecard-virtqueue` translates between the
//! kernel's `virtio_net_hdr` and packets' metadata, and cuts large frames; `station` is an interface
//! that a port sits on, and `netlink` tells what happens to it; `sys` is the system calls. All `unsafe`
//! is there, and where AF_XDP lends buffers to the kernel.
//!
//! [`L4_CHECKSUM`]: linecard_pmd_core::RxOffloads::L4_CHECKSUM
//! [`LRO`]: linecard_pmd_core::RxOffloads::LRO
//! [`LARGE_UDP`]: linecard_pmd_core::RxOffloads::LARGE_UDP

pub mod af_packet;
pub mod af_xdp;
mod gather;
mod netlink;
mod station;
mod sys;
pub mod tap;

pub use af_packet::{AfPacketOptions, AfPacketPort, Fanout, Qdisc, RxRing};
pub use af_xdp::{AfXdpOptions, AfXdpPort, XdpHook};
pub use tap::{Existing, Interface, TapOptions, TapPort};

use linecard_pmd_core::{Error, PortConfig, RxOffloads};
use linecard_virtqueue::offload::Unfinished;

/// An Ethernet header and two tags.
const OVERHEAD: usize = 14 + 8;

/// Every receive buffer holds a frame of this MTU, unless frames are scattered over several. The MTU
/// is the interface's own, which the configuration need not name.
fn check_buffers(port: &str, config: &PortConfig, mtu: usize) -> Result<(), Error> {
    let frame = mtu + OVERHEAD;
    let scattered = config.rx_offloads_asked().contains(RxOffloads::SCATTER);
    let rooms = (0..config.rx_queue_count()).map(|queue| config.pool(queue).data_room());
    match rooms.min().filter(|room| !scattered && *room < frame) {
        Some(room) => Err(Error::Buffers { port: port.into(), room, frame, needed: frame }),
        None => Ok(()),
    }
}

/// What frames may be left with, if these offloads were asked for.
fn unfinished(asked: RxOffloads) -> Unfinished {
    let mut left = Unfinished::empty();
    left.set(Unfinished::CHECKSUM, asked.contains(RxOffloads::L4_CHECKSUM));
    left.set(Unfinished::LARGE_TCP, asked.contains(RxOffloads::LRO));
    left.set(Unfinished::LARGE_UDP, asked.contains(RxOffloads::LARGE_UDP));
    left
}

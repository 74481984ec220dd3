//! TAP and AF_PACKET ports: the way into and out of the Linux kernel.

pub mod af_packet;
mod gather;
mod netlink;
mod offload;
mod sys;
pub mod tap;
mod vnet;

pub use af_packet::{AfPacketOptions, AfPacketPort, Fanout, Qdisc, RxRing};
pub use tap::{Existing, Interface, TapOptions, TapPort};

use linecard_pmd_core::{Error, PortConfig, RxOffloads};

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

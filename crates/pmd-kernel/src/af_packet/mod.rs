//! AF_PACKET: a port on an interface of the kernel's.
//!
//! Every frame that the interface receives is received here too (the kernel's own stack sees it as
//! well), and what is sent goes out of it. Works on any Ethernet interface, without a change to it.
//!
//! Frames are copied, once each way: out of the ring that the kernel fills, and into the one that it
//! empties. There is one system call a transmit burst, and none to receive.
//!
//! What frames of this machine lack is made good: checksums are completed, large TCP and UDP frames
//! are cut, VLAN tags are put back, unless the port was asked for the offload that leaves it to
//! whoever sends the packet on.

mod arrived;
mod blocks;
mod direct;
mod frames;
mod init;
mod options;
mod queue;
mod rx;
mod slots;
mod stats;
#[cfg(test)]
mod tests;
mod tx;

pub use options::{AfPacketOptions, Fanout, Qdisc, RxRing};

use crate::station::{Station, pass_to_station};
use crate::sys::{Filter, PacketSocket};
use linecard_net::MacAddr;
use linecard_pmd_core::{
    AllMulticast, Driver, Error, Event, Gate, Link, LinkState, PortConfig, PortInfo, Promiscuous,
    QueueStats, Queues, VlanStrip,
};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most queues: as many as a fanout group has had since there are any.
const MAX_QUEUES: usize = 256;

/// An AF_PACKET port.
#[derive(Debug)]
pub struct AfPacketPort {
    info: PortInfo,
    stats: QueueStats,
    config: Option<PortConfig>,
    gate: Gate,
    station: Station,
    receivers: Vec<Arc<PacketSocket>>,
    strip: Arc<AtomicBool>,
    options: AfPacketOptions,
}

impl AfPacketPort {
    /// Opens a port on an interface. It must be started in the network namespace it is opened in.
    ///
    /// # Errors
    /// Why it cannot be opened, and what to do.
    pub fn open(options: AfPacketOptions) -> Result<AfPacketPort, Error> {
        init::open(options)
    }

    /// Has the sockets receive nothing more, wherever their queues are.
    fn silence(&mut self) {
        self.gate.close();
        for socket in self.receivers.drain(..) {
            // It cannot fail for want of anything but memory, and then the ring fills and stays so.
            let _ = socket.filter(Filter::Drop);
        }
    }
}

impl Driver for AfPacketPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn queue_stats(&self) -> &QueueStats {
        for (socket, counters) in self.receivers.iter().zip(&self.stats.rx) {
            stats::collect(socket, counters);
        }
        &self.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        self.station.counters()
    }

    pass_to_station!(crate::check_buffers);

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        if let Some(config) = &self.config {
            crate::check_buffers(&self.info.name, config, mtu)?;
        }
        self.station.set_mtu(mtu)
    }

    fn set_vlan_strip(&mut self, strip: VlanStrip) -> Result<(), Error> {
        // Relaxed: a switch, as the queues read it.
        self.strip.store(strip == VlanStrip::On, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for AfPacketPort {
    fn drop(&mut self) {
        self.silence();
    }
}

//! AF_XDP: a port on an interface whose frames the kernel's stack does not see.
//!
//! A program of five instructions hands the frames of the port's queues to its sockets. The kernel
//! writes them into buffers of the port's pool, and sends packets from where they lie: it copies each
//! once, between a buffer and its own memory. There is one system call a transmit burst, and none to
//! receive. When the port stops, or its process ends in whatever way, the program goes and the
//! kernel's stack has the interface again.
//!
//! * **A pool is the memory of its queue's socket**: of one segment, with buffers of 2048 to 4096
//!   bytes (headroom included), of which a frame has all but 256. Packets of other pools, and of
//!   several buffers, are copied once more.
//! * **Frames come as the program sees them**: what a `veth`'s other end left unfinished (checksums,
//!   large frames) is so still, and nothing says so. Have the other end finish its frames:
//!   `ethtool -K IFACE tx off`.
//! * Zero-copy drivers are not asked for zero copy: none was at hand to prove it on.

mod buffers;
mod init;
mod options;
mod ring;
mod rx;
mod tx;

pub use options::{AfXdpOptions, XdpHook};

use crate::station::{Station, pass_to_station};
use crate::sys::{Redirection, XdpStatistics};
use buffers::Umem;
use linecard_net::MacAddr;
use linecard_pmd_core::{
    AllMulticast, Driver, Error, Event, Gate, Link, LinkState, PortConfig, PortInfo, Promiscuous,
    QueueStats, Queues,
};
use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// An AF_XDP port.
#[derive(Debug)]
pub struct AfXdpPort {
    info: PortInfo,
    stats: QueueStats,
    config: Option<PortConfig>,
    gate: Gate,
    /// The program, while the port runs.
    redirection: Option<Redirection>,
    sockets: Vec<Socket>,
    /// Bytes of the longest frame that is sent.
    longest: Arc<AtomicUsize>,
    station: Station,
    options: AfXdpOptions,
}

/// A queue's socket, as long as the queue lives.
#[derive(Debug)]
struct Socket {
    umem: Weak<Umem>,
    /// Frames that were missed when it was last asked.
    missed: Cell<u64>,
}

impl Socket {
    fn statistics(&self) -> Option<XdpStatistics> {
        self.umem.upgrade()?.socket.statistics().ok()
    }
}

impl AfXdpPort {
    /// Opens a port on an interface. It must be started in the network namespace it is opened in.
    ///
    /// # Errors
    /// Why it cannot be opened, and what to do.
    pub fn open(options: AfXdpOptions) -> Result<AfXdpPort, Error> {
        init::open(options)
    }

    /// Sends frames of this MTU from now on.
    fn send_up_to(&self, mtu: usize) {
        // Relaxed: a limit, and nothing else hangs on it.
        self.longest.store(mtu + crate::OVERHEAD, Ordering::Relaxed);
    }

    /// Gives the interface back to the kernel's stack.
    fn silence(&mut self) {
        self.gate.close();
        self.redirection = None;
    }
}

impl Driver for AfXdpPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn queue_stats(&self) -> &QueueStats {
        for (socket, counters) in self.sockets.iter().zip(&self.stats.rx) {
            if let Some(now) = socket.statistics() {
                let missed = now.rx_dropped + now.rx_ring_full;
                counters.missed.add(missed - socket.missed.replace(missed).min(missed));
            }
        }
        &self.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        let mut stats = self.station.counters();
        for (queue, socket) in self.sockets.iter().enumerate() {
            let Some(now) = socket.statistics() else { continue };
            let named = |name: &str, value| (format!("q{queue}_{name}"), value);
            stats.extend([
                named("rx_invalid_descriptors", now.rx_invalid),
                named("rx_fill_ring_empty", now.rx_fill_ring_empty),
                named("tx_invalid_descriptors", now.tx_invalid),
            ]);
        }
        stats
    }

    pass_to_station!(init::check_buffers);

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        if let Some(config) = &self.config {
            init::check_buffers(&self.info.name, config, mtu)?;
        }
        self.station.set_mtu(mtu)?;
        self.send_up_to(mtu);
        Ok(())
    }
}

impl Drop for AfXdpPort {
    fn drop(&mut self) {
        self.silence();
    }
}

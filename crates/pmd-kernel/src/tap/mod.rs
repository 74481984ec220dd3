//! TAP: an interface of the kernel's whose other end is a port.
//!
//! What the kernel sends on the interface is received, and what is sent appears to the kernel as
//! received on it: the way into and out of its stack. The interface goes when the port and its queues
//! are gone, `kill -9` included, unless it was there before.
//!
//! A frame costs one system call, `read` or `write`: the kernel offers no other way to a TAP without a
//! `vhost` thread of its own. That call copies the frame straight into or out of the packet's buffer,
//! with the kernel's 10-byte header in the headroom before it. An empty poll costs a call too.

mod init;
mod options;
mod queue;
mod rx;
mod tx;

pub use options::{Existing, Interface, TapOptions};

use crate::netlink::Watch;
use crate::sys::{self, refusal};
use linecard_net::MacAddr;
use linecard_pmd_core::{
    AllMulticast, Driver, Error, Event, Gate, Link, LinkState, PortConfig, PortInfo, Promiscuous,
    QueueStats, Queues, RxOffloads,
};
use linecard_virtqueue::net::VNET;
use queue::Slot;
use rx::TapRx;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use tx::TapTx;

/// The most queues that the kernel gives a TAP.
const MAX_QUEUES: usize = 256;

/// A TAP port.
#[derive(Debug)]
pub struct TapPort {
    info: PortInfo,
    stats: QueueStats,
    config: Option<PortConfig>,
    gate: Gate,
    interface: sys::Interface,
    watch: Watch,
    slots: Vec<Slot>,
    on_start: Interface,
}

impl TapPort {
    /// Makes the interface, or attaches to it.
    ///
    /// # Errors
    /// What is wrong with the options, or why the kernel refused, and what to do.
    pub fn open(options: TapOptions) -> Result<TapPort, Error> {
        init::open(options)
    }

    /// Whether the interface is there, though not where it is listened for: it was moved to another
    /// network namespace. Its queues work on; what changes there is not told of.
    fn has_moved(&self) -> bool {
        self.slots.first().is_some_and(|slot| slot.file().attached().is_ok())
    }

    fn told<'a>(&self, doing: &'a str) -> impl Fn(io::Error) -> Error + use<'a> {
        let name = self.info.name.clone();
        move |error| refusal(&name, doing, error)
    }

    fn change_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        // What was heard before is older than this.
        let heard = self.watch.hear(&self.interface);
        heard.and_then(|()| self.interface.set_mtu(mtu)).map_err(self.told("setting the MTU"))?;
        self.watch.changed_mtu(mtu);
        Ok(())
    }

    fn change_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let heard = self.watch.hear(&self.interface);
        heard
            .and_then(|()| self.interface.set_mac(mac))
            .map_err(self.told("setting its address"))?;
        self.watch.changed_mac(mac);
        self.info.mac = mac;
        Ok(())
    }

    /// The kernel's header is read into the headroom.
    fn check_headroom(&self, config: &PortConfig) -> Result<(), Error> {
        let rooms = (0..config.rx_queue_count()).map(|queue| config.pool(queue).headroom());
        let Some(room) = rooms.min().filter(|room| *room < VNET) else { return Ok(()) };
        let what = format!("buffers with {room} bytes of headroom: a TAP needs {VNET}");
        Err(Error::Refused { port: self.info.name.clone(), what })
    }

    /// Plugs the cable in or out, and brings the interface up if that is asked.
    fn change_link(&mut self, state: LinkState) -> Result<(), Error> {
        let told = self.told("listening for events");
        self.watch.hear(&self.interface).map_err(told)?;
        let carrier = libc::c_int::from(state == LinkState::Up);
        let set = self.slots[0].file().set_carrier(carrier);
        set.map_err(self.told("setting its carrier"))?;
        if state == LinkState::Up && self.on_start == Interface::BringUp {
            let up = self.interface.set_state(LinkState::Up);
            up.map_err(self.told("bringing the interface up"))?;
        }
        self.watch.changed_link(&self.interface).map_err(self.told("asking for its link"))
    }

    /// Has as many queues in the interface as there are to be received from.
    fn join(&mut self, count: usize) -> Result<(), Error> {
        let name = self.interface.name().map_err(self.told("asking for its name"))?;
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let done = if i < count { slot.join(&name) } else { slot.leave() };
            done.map_err(|error| refusal(&self.info.name, "attaching its queues", error))?;
        }
        Ok(())
    }

    fn ready(&mut self, config: &PortConfig) -> Result<(), Error> {
        self.join(config.rx_queue_count().max(1))?;
        let first = self.slots[0].file();
        let offload = unfinished(config.rx_offloads_asked());
        first.set_offload(offload).map_err(self.told("setting offloads"))?;
        self.set_queue_length(config.rx_descriptor_count(&self.info.capabilities))?;
        self.slots.iter().for_each(Slot::drain);
        self.change_link(LinkState::Up)
    }

    /// As many frames wait in the kernel as there are descriptors; whoever may not say so, as the user
    /// of a TAP that was made beforehand, has as many as it was made with.
    fn set_queue_length(&self, frames: usize) -> Result<(), Error> {
        match self.interface.set_queue_length(frames) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result.map_err(self.told("setting the length of its queues")),
        }
    }

    fn queues(&self, config: &PortConfig) -> Queues {
        let file = |i: usize| Arc::clone(self.slots[i].file());
        let (rx, tx) = (config.rx_queue_count(), config.tx_queue_count());
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        for i in 0..rx {
            let counters = Arc::clone(&self.stats.rx[i]);
            let rx = TapRx::new(file(i), config, i, self.mtu(), counters, self.gate.clone());
            queues.rx.push(Box::new(rx));
        }
        for i in 0..tx {
            let counters = Arc::clone(&self.stats.tx[i]);
            // More senders than queues in the interface share their files: `write` allows it.
            let tx = TapTx::new(file(i % rx.max(1)), counters, self.gate.clone());
            queues.tx.push(Box::new(tx));
        }
        queues
    }
}

/// What the kernel may leave undone.
fn unfinished(asked: RxOffloads) -> libc::c_uint {
    let each = [
        (RxOffloads::L4_CHECKSUM, libc::TUN_F_CSUM),
        (RxOffloads::LRO, init::LARGE_TCP),
        (RxOffloads::LARGE_UDP, init::LARGE_UDP),
    ];
    let wanted = each.iter().filter(|(offload, _)| asked.contains(*offload));
    wanted.fold(0, |all, (_, flags)| all | flags)
}

impl Driver for TapPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        let mtu = config.mtu_asked().unwrap_or(self.watch.mtu());
        crate::check_buffers(&self.info.name, &config, mtu)?;
        self.check_headroom(&config)?;
        if mtu != self.watch.mtu() {
            self.change_mtu(mtu)?;
        }
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let Some(config) = self.config.clone() else {
            return Err(self.cannot("start unconfigured"));
        };
        self.ready(&config)?;
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        self.gate = Gate::new();
        Ok(self.queues(&config))
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.gate.close();
        // An interface that is gone is stopped.
        match self.change_link(LinkState::Down) {
            Err(Error::Gone { .. }) => Ok(()),
            result => result,
        }
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        self.watch.counters()
    }

    fn link(&mut self) -> Result<Link, Error> {
        self.watch.link(&self.interface).map_err(self.told("asking for its link"))
    }

    fn set_link(&mut self, state: LinkState) -> Result<(), Error> {
        self.change_link(state)
    }

    fn mtu(&self) -> usize {
        self.interface.mtu().unwrap_or(self.watch.mtu())
    }

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        if let Some(config) = &self.config {
            crate::check_buffers(&self.info.name, config, mtu)?;
        }
        self.change_mtu(mtu)
    }

    fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        self.change_mac(mac)
    }

    fn set_promiscuous(&mut self, promiscuous: Promiscuous) -> Result<(), Error> {
        match promiscuous {
            Promiscuous::On => Ok(()),
            Promiscuous::Off => {
                Err(self.cannot("leave out frames: it sees all that the kernel sends"))
            }
        }
    }

    fn set_all_multicast(&mut self, all: AllMulticast) -> Result<(), Error> {
        match all {
            AllMulticast::On => Ok(()),
            AllMulticast::Off => {
                Err(self.cannot("leave out frames: it sees all that the kernel sends"))
            }
        }
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.watch.as_fd())
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let next = self.watch.next(&self.interface);
        let event = next.map_err(self.told("listening for events"))?;
        if event == Some(Event::Gone) && self.has_moved() {
            return self.next_event();
        }
        if let Some(Event::Mac(mac)) = event {
            self.info.mac = mac;
        }
        Ok(event)
    }
}

impl Drop for TapPort {
    fn drop(&mut self) {
        self.gate.close();
    }
}

//! Opening a port on an interface, and starting its queues.

use super::filters::{Filters, MAX_MACS};
use super::options::AfPacketOptions;
use super::queue::{self, Receiver};
use super::rx::Sink;
use super::tx::PacketTx;
use super::{AfPacketPort, MAX_QUEUES};
use crate::netlink::Watch;
use crate::sys::{Filter, Interface, PacketSocket, refusal};
use linecard_pmd_core::{
    Capabilities, Descriptors, Error, Gate, PortConfig, PortInfo, QueueStats, Queues, RxOffloads,
    TxOffloads,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn open(options: AfPacketOptions) -> Result<AfPacketPort, Error> {
    check(&options)?;
    let name = options.interface.clone();
    let interface = Interface::by_name(&name).map_err(|error| missing(&name, error))?;
    let control = PacketSocket::open().map_err(|error| refuse(&name, error))?;
    let told = |doing: &'static str| {
        let name = name.clone();
        move |error| refusal(&name, doing, error)
    };
    if !interface.is_ethernet().map_err(told("asking for its type"))? {
        let what = "an interface without Ethernet headers cannot be a port".into();
        return Err(Error::Refused { port: name, what });
    }
    let mac = interface.mac().map_err(told("asking for its address"))?;
    let watch = Watch::start(&interface).map_err(told("watching the interface"))?;
    let capabilities = capabilities(options.queues);
    let promiscuous = options.promiscuous;
    let info = PortInfo { name, kind: "af-packet", mac, node: None, capabilities };
    let mut port = AfPacketPort {
        info,
        stats: QueueStats::default(),
        config: None,
        gate: Gate::default(),
        interface: Arc::new(interface),
        watch,
        control,
        receivers: Vec::new(),
        strip: Arc::new(AtomicBool::new(false)),
        filters: Filters::default(),
        options,
    };
    port.ask_promiscuous(promiscuous)?;
    Ok(port)
}

fn check(options: &AfPacketOptions) -> Result<(), Error> {
    let (port, asked) = (options.interface.clone(), options.queues);
    if (1..=MAX_QUEUES).contains(&asked) {
        return Ok(());
    }
    let hint = String::new();
    Err(Error::Range { port, what: "queues", asked, min: 1, max: MAX_QUEUES, hint })
}

fn missing(port: &str, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENODEV) => {
            let hint = "there is no such interface in this network namespace: see ip link";
            Error::system_hint(port, "looking for the interface", error, hint)
        }
        Some(libc::ENAMETOOLONG) => {
            let hint = "an interface's name has up to 15 bytes";
            Error::system_hint(port, "looking for the interface", error, hint)
        }
        _ => Error::system(port, "looking for the interface", error),
    }
}

fn refuse(port: &str, error: io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "take root or CAP_NET_RAW: setcap cap_net_raw,cap_net_admin+ep PROGRAM"
        }
        Some(libc::EAFNOSUPPORT) => "the kernel has no packet sockets: CONFIG_PACKET",
        _ => return Error::system(port, "opening a packet socket", error),
    };
    Error::system_hint(port, "opening a packet socket", error, hint)
}

fn capabilities(queues: usize) -> Capabilities {
    Capabilities {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: Descriptors::up_to(32_768, 1024),
        tx_descriptors: Descriptors::up_to(32_768, 512),
        mtu: 68..=65_535,
        rx_offloads: RxOffloads::L4_CHECKSUM
            | RxOffloads::VLAN_STRIP
            | RxOffloads::SCATTER
            | RxOffloads::LRO
            | RxOffloads::TIMESTAMP,
        tx_offloads: TxOffloads::IP_CHECKSUM
            | TxOffloads::TCP_CHECKSUM
            | TxOffloads::UDP_CHECKSUM
            | TxOffloads::TCP_SEGMENTATION
            | TxOffloads::UDP_SEGMENTATION
            | TxOffloads::VLAN_INSERT
            | TxOffloads::MULTI_SEGMENT,
        extra_macs: MAX_MACS,
        rx_wake_up: true,
        events: true,
        ..Capabilities::default()
    }
}

impl AfPacketPort {
    /// Makes the queues; nothing is received before all of them are there.
    pub(super) fn launch(&mut self, config: &PortConfig) -> Result<Queues, Error> {
        self.same_namespace()?;
        let mtu = self.interface.mtu().map_err(self.told("asking for its MTU"))?;
        let stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        let gate = Gate::new();
        let receivers = self.receivers(config, mtu)?;
        let tx = self.senders(config, mtu, &stats, &gate)?;
        let strip = config.rx_offloads_asked().contains(RxOffloads::VLAN_STRIP);
        // Relaxed: the queues are handed to their threads after this.
        self.strip.store(strip, Ordering::Relaxed);
        self.receivers = receivers.iter().map(|r| Arc::clone(&r.socket)).collect();
        for socket in &self.receivers {
            socket.filter(Filter::Pass).map_err(self.told("letting frames through"))?;
        }
        let sinks = receivers.into_iter().enumerate().map(|(i, receiver)| {
            let sink = self.sink(config, i, &receiver, &stats);
            receiver.into_queue(sink, gate.clone())
        });
        let rx = sinks.collect();
        (self.stats, self.gate) = (stats, gate);
        Ok(Queues { rx, tx })
    }

    /// Sockets belong to the network namespace of the thread that makes them.
    fn same_namespace(&self) -> Result<(), Error> {
        let here = PacketSocket::open().map_err(|error| refuse(&self.info.name, error))?;
        if here.namespace() == self.control.namespace() {
            return Ok(());
        }
        let what = "start it in the network namespace that it was opened in".into();
        Err(Error::Refused { port: self.info.name.clone(), what })
    }

    fn receivers(&self, config: &PortConfig, mtu: usize) -> Result<Vec<Receiver>, Error> {
        let frames = config.rx_descriptor_count(&self.info.capabilities);
        let one = |_| Receiver::open(&self.options, &self.interface, frames, mtu);
        let all: io::Result<Vec<_>> = (0..config.rx_queue_count()).map(one).collect();
        let all = all.map_err(self.told("making a receive ring"))?;
        queue::spread(&all, self.options.fanout).map_err(self.told("joining a fanout group"))?;
        Ok(all)
    }

    fn sink(
        &self,
        config: &PortConfig,
        queue: usize,
        receiver: &Receiver,
        stats: &QueueStats,
    ) -> Sink {
        Sink::new(
            Arc::clone(&receiver.socket),
            config.pool(queue).clone(),
            Arc::clone(&stats.rx[queue]),
            config.rx_offloads_asked(),
            Arc::clone(&self.strip),
            config.number(),
        )
    }

    fn senders(
        &self,
        config: &PortConfig,
        mtu: usize,
        stats: &QueueStats,
        gate: &Gate,
    ) -> Result<Vec<Box<dyn linecard_pmd_core::TxQueue>>, Error> {
        let frames = config.tx_descriptor_count(&self.info.capabilities);
        let mut all: Vec<Box<dyn linecard_pmd_core::TxQueue>> = Vec::new();
        for counters in &stats.tx {
            let made = queue::sender(&self.options, &self.interface, frames, mtu);
            let (ring, sockets) = made.map_err(self.told("making a transmit ring"))?;
            let (interface, counters) = (Arc::clone(&self.interface), Arc::clone(counters));
            let tx = PacketTx::new(ring, sockets, interface, mtu, counters, gate.clone());
            all.push(Box::new(tx));
        }
        Ok(all)
    }
}

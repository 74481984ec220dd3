//! Opening a port on an interface, and starting its queues.

use super::options::AfPacketOptions;
use super::queue::{self, Receiver};
use super::rx::Sink;
use super::tx::PacketTx;
use super::{AfPacketPort, MAX_QUEUES};
use crate::station::{MAX_MACS, Station};
use crate::sys::Filter;
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
    let station = Station::open(&name, options.promiscuous)?;
    let (mac, capabilities) = (station.mac(), capabilities(options.queues));
    let info = PortInfo { name, kind: "af-packet", mac, node: None, capabilities };
    Ok(AfPacketPort {
        info,
        stats: QueueStats::default(),
        config: None,
        gate: Gate::default(),
        station,
        receivers: Vec::new(),
        strip: Arc::new(AtomicBool::new(false)),
        options,
    })
}

fn check(options: &AfPacketOptions) -> Result<(), Error> {
    let (port, asked) = (options.interface.clone(), options.queues);
    if (1..=MAX_QUEUES).contains(&asked) {
        return Ok(());
    }
    let hint = String::new();
    Err(Error::Range { port, what: "queues", asked, min: 1, max: MAX_QUEUES, hint })
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
            | RxOffloads::LARGE_UDP
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
        self.station.same_namespace()?;
        let mtu = self.station.ask_mtu()?;
        let stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        let gate = Gate::new();
        let receivers = self.receivers(config, mtu)?;
        let tx = self.senders(config, mtu, &stats, &gate)?;
        let strip = config.rx_offloads_asked().contains(RxOffloads::VLAN_STRIP);
        // Relaxed: the queues are handed to their threads after this.
        self.strip.store(strip, Ordering::Relaxed);
        self.receivers = receivers.iter().map(|r| Arc::clone(&r.socket)).collect();
        for socket in &self.receivers {
            socket.filter(Filter::Pass).map_err(self.station.told("letting frames through"))?;
        }
        let sinks = receivers.into_iter().enumerate().map(|(i, receiver)| {
            let sink = self.sink(config, i, &receiver, &stats);
            receiver.into_queue(sink, gate.clone())
        });
        let rx = sinks.collect();
        (self.stats, self.gate) = (stats, gate);
        Ok(Queues { rx, tx })
    }

    fn receivers(&self, config: &PortConfig, mtu: usize) -> Result<Vec<Receiver>, Error> {
        let frames = config.rx_descriptor_count(&self.info.capabilities);
        let one = |_| Receiver::open(&self.options, &self.station.interface, frames, mtu);
        let all: io::Result<Vec<_>> = (0..config.rx_queue_count()).map(one).collect();
        let all = all.map_err(self.station.told("making a receive ring"))?;
        queue::spread(&all, self.options.fanout)
            .map_err(self.station.told("joining a fanout group"))?;
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
            let made = queue::sender(&self.options, &self.station.interface, frames, mtu);
            let (ring, sockets) = made.map_err(self.station.told("making a transmit ring"))?;
            let (interface, counters) = (Arc::clone(&self.station.interface), Arc::clone(counters));
            let tx = PacketTx::new(ring, sockets, interface, mtu, counters, gate.clone());
            all.push(Box::new(tx));
        }
        Ok(all)
    }
}

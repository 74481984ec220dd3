//! A cable between threads.

use crate::mac_for;
use linecard_mbuf::{Burst, Mbuf};
use linecard_pmd_core::{
    Capabilities, Descriptors, Driver, Error, Gate, Path, PortConfig, PortInfo, QueueStats, Queues,
    RxCounters, RxQueue, TxCounters, TxQueue,
};
use linecard_ring::{Consumer, Producer, Ring, Single};
use std::sync::{Arc, Mutex, PoisonError};

type Wire = Ring<Mbuf, Single, Single>;

/// How a cable is to be.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Queues each way.
    pub queues: usize,
    /// Packets that a queue's wire holds.
    pub capacity: usize,
}

impl Default for RingOptions {
    fn default() -> Self {
        RingOptions { queues: 16, capacity: 1024 }
    }
}

/// The wires of one direction, a queue each.
type Wires = Arc<Mutex<Vec<Wire>>>;

/// One end of a cable: what it sends, the other end receives on the queue of the same number. Packets
/// move; nothing is copied.
#[derive(Debug)]
pub struct RingPort {
    info: PortInfo,
    incoming: Wires,
    outgoing: Wires,
    config: Option<PortConfig>,
    stats: QueueStats,
    gate: Gate,
}

impl RingPort {
    /// The two ends of a cable.
    pub fn pair(left: impl Into<String>, right: impl Into<String>) -> (RingPort, RingPort) {
        Self::pair_with(left, right, RingOptions::default()).expect("the default is within limits")
    }

    /// The two ends of a cable of these options.
    ///
    /// # Errors
    /// If a wire's capacity is 0 or too large for a ring, or there are no queues.
    pub fn pair_with(
        left: impl Into<String>,
        right: impl Into<String>,
        options: RingOptions,
    ) -> Result<(RingPort, RingPort), Error> {
        let (left, right) = (left.into(), right.into());
        let (there, back) = (wires(&left, options)?, wires(&left, options)?);
        let one = RingPort::new(left, options, Arc::clone(&back), Arc::clone(&there));
        Ok((one, RingPort::new(right, options, there, back)))
    }

    /// A port that receives what it sends.
    pub fn looped(name: impl Into<String>) -> RingPort {
        Self::looped_with(name, RingOptions::default()).expect("the default is within limits")
    }

    /// A port of these options that receives what it sends.
    ///
    /// # Errors
    /// If a wire's capacity is 0 or too large for a ring, or there are no queues.
    pub fn looped_with(name: impl Into<String>, options: RingOptions) -> Result<RingPort, Error> {
        let name = name.into();
        let wires = wires(&name, options)?;
        Ok(RingPort::new(name, options, Arc::clone(&wires), wires))
    }

    fn new(name: String, options: RingOptions, incoming: Wires, outgoing: Wires) -> Self {
        let descriptors = Descriptors::up_to(options.capacity, options.capacity);
        let capabilities = Capabilities {
            rx_queues: options.queues,
            tx_queues: options.queues,
            rx_descriptors: descriptors,
            tx_descriptors: descriptors,
            mtu: 68..=65_000,
            ..Capabilities::default()
        };
        let mac = mac_for(&name);
        let info = PortInfo { name, kind: "ring", mac, node: None, capabilities };
        let (stats, gate) = (QueueStats::default(), Gate::default());
        RingPort { info, incoming, outgoing, config: None, stats, gate }
    }

    /// A wire of an earlier start is still held by its queue.
    fn taken(&self, queue: usize) -> Error {
        let what = format!(
            "queue {queue} of the last start is still there: drop the queues of a stopped port before \
             it is started again"
        );
        Error::Refused { port: self.info.name.clone(), what }
    }
}

fn wires(port: &str, options: RingOptions) -> Result<Wires, Error> {
    let range = |what, asked, max| Error::Range {
        port: port.into(),
        what,
        asked,
        min: 1,
        max,
        hint: String::new(),
    };
    if !(1..=1024).contains(&options.queues) {
        return Err(range("queues", options.queues, 1024));
    }
    let wire = |_| {
        Wire::new(options.capacity)
            .map_err(|_| range("capacity", options.capacity, linecard_ring::MAX_CAPACITY))
    };
    let wires: Result<Vec<_>, _> = (0..options.queues).map(wire).collect();
    Ok(Arc::new(Mutex::new(wires?)))
}

fn lock(wires: &Wires) -> std::sync::MutexGuard<'_, Vec<Wire>> {
    wires.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver for RingPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        let Some(config) = &self.config else { return Ok(queues) };
        let (rx, tx) = (config.rx_queue_count(), config.tx_queue_count());
        let stats = QueueStats::new(rx, tx);
        let (gate, number) = (Gate::new(), config.number());
        for (i, counters) in stats.rx.iter().enumerate() {
            let ring = lock(&self.incoming)[i].consumer().map_err(|_| self.taken(i))?;
            let (gate, counters) = (gate.clone(), Arc::clone(counters));
            queues.rx.push(Box::new(RingRx { ring, gate, counters, number }));
        }
        for (i, counters) in stats.tx.iter().enumerate() {
            let ring = lock(&self.outgoing)[i].producer().map_err(|_| self.taken(i))?;
            let (gate, counters) = (gate.clone(), Arc::clone(counters));
            queues.tx.push(Box::new(RingTx { ring, gate, counters }));
        }
        (self.stats, self.gate) = (stats, gate);
        Ok(queues)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.gate.close();
        Ok(())
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    fn mtu(&self) -> usize {
        self.config.as_ref().and_then(PortConfig::mtu_asked).unwrap_or(1500)
    }
}

impl Drop for RingPort {
    fn drop(&mut self) {
        self.gate.close();
    }
}

struct RingRx {
    ring: Consumer<Mbuf, Single, Single>,
    gate: Gate,
    counters: Arc<RxCounters>,
    number: u16,
}

impl RxQueue for RingRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let (before, room) = (burst.len(), burst.spare());
        let n = self.ring.dequeue_burst(burst, room);
        let mut bytes = 0;
        for packet in &mut burst[before..] {
            packet.set_port(self.number);
            bytes += packet.len() as u64;
        }
        self.counters.received(n, bytes);
        n
    }

    fn path(&self) -> Path {
        Path::only("ring")
    }

    fn is_finished(&self) -> bool {
        !self.gate.is_open()
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        Some(self.ring.len().min(limit))
    }
}

struct RingTx {
    ring: Producer<Mbuf, Single, Single>,
    gate: Gate,
    counters: Arc<TxCounters>,
}

impl TxQueue for RingTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let all = burst.bytes();
        let n = self.ring.enqueue_burst(burst);
        self.counters.sent(n, all - burst.bytes(), burst.len());
        n
    }

    fn path(&self) -> Path {
        Path::only("ring")
    }

    fn room(&self, limit: usize) -> Option<usize> {
        Some((self.ring.capacity() - self.ring.len()).min(limit))
    }
}

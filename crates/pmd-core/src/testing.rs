//! The smallest driver there can be: for the examples of this crate and tests of what uses ports.

use crate::capability::Capabilities;
use crate::config::PortConfig;
use crate::driver::{Driver, PortInfo};
use crate::error::Error;
use crate::queue::{Gate, Path, Queues, RxQueue, TxQueue};
use crate::stats::{QueueStats, RxCounters, TxCounters};
use linecard_mbuf::{Burst, Mbuf};
use linecard_net::MacAddr;
use linecard_ring::{Consumer, Producer, Single};
use std::sync::Arc;

/// A port that receives what it sends.
#[derive(Debug)]
pub struct Echo {
    info: PortInfo,
    stats: QueueStats,
    config: Option<PortConfig>,
    gate: Gate,
}

impl Echo {
    /// A port of this name.
    pub fn new(name: &str) -> Self {
        let info = PortInfo {
            name: name.into(),
            kind: "echo",
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            node: None,
            capabilities: Capabilities { rx_queues: 4, tx_queues: 4, ..Capabilities::default() },
        };
        Echo { info, stats: QueueStats::default(), config: None, gate: Gate::default() }
    }
}

impl Driver for Echo {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        if config.rx_queue_count() != config.tx_queue_count() {
            let what = "as many receive as transmit queues, since each echoes into one".into();
            return Err(Error::Refused { port: self.info.name.clone(), what });
        }
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let n = self.config.as_ref().map_or(0, PortConfig::rx_queue_count);
        self.stats = QueueStats::new(n, n);
        self.gate = Gate::new();
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        for i in 0..n {
            let (tx, rx) = linecard_ring::spsc(512).expect("512 is within limits");
            let (gate, counters) = (self.gate.clone(), Arc::clone(&self.stats.rx[i]));
            queues.rx.push(Box::new(EchoRx { ring: rx, counters, gate }));
            let (gate, counters) = (self.gate.clone(), Arc::clone(&self.stats.tx[i]));
            queues.tx.push(Box::new(EchoTx { ring: tx, counters, gate }));
        }
        Ok(queues)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.gate.close();
        Ok(())
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }
}

struct EchoRx {
    ring: Consumer<Mbuf, Single, Single>,
    counters: Arc<RxCounters>,
    gate: Gate,
}

impl RxQueue for EchoRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let (before, room) = (burst.len(), burst.spare());
        let n = self.ring.dequeue_burst(burst, room);
        let bytes = burst[before..].iter().map(|p| p.len() as u64).sum();
        self.counters.received(n, bytes);
        n
    }

    fn path(&self) -> Path {
        Path::only("ring")
    }
}

struct EchoTx {
    ring: Producer<Mbuf, Single, Single>,
    counters: Arc<TxCounters>,
    gate: Gate,
}

impl TxQueue for EchoTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let fits = (self.ring.capacity() - self.ring.len()).min(burst.len());
        let bytes = burst[..fits].iter().map(|p| p.len() as u64).sum();
        let n = self.ring.enqueue_burst(burst);
        self.counters.sent(n, bytes, burst.len());
        n
    }

    fn path(&self) -> Path {
        Path::only("ring")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.gate.close();
    }
}

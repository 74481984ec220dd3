//! Counters: written by the thread that drives a queue, read by any.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer: adding is a load, an addition and a store, no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only one thread may, at a time.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        // Relaxed: one writer; readers want a recent figure and nothing else with it.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The figure now.
    #[inline]
    pub fn read(&self) -> u64 {
        // Relaxed: as in `add`.
        self.0.load(Ordering::Relaxed)
    }
}

/// What a receive queue counts. On a line of its own: nobody else writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RxCounters {
    /// Packets received.
    pub packets: Counter,
    /// Bytes of them.
    pub bytes: Counter,
    /// Packets that arrived and found no descriptor or room.
    pub missed: Counter,
    /// Packets that were wrong in themselves.
    pub errors: Counter,
    /// Times that the pool had no buffer.
    pub no_buffer: Counter,
}

/// What a transmit queue counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct TxCounters {
    /// Packets taken for sending.
    pub packets: Counter,
    /// Bytes of them.
    pub bytes: Counter,
    /// Packets that were offered and left in the burst, each time.
    pub unsent: Counter,
    /// Packets that the device took and did not send.
    pub errors: Counter,
}

impl RxCounters {
    /// Counts a burst.
    #[inline(always)]
    pub fn received(&self, packets: usize, bytes: u64) {
        self.packets.add(packets as u64);
        self.bytes.add(bytes);
    }
}

impl TxCounters {
    /// Counts a burst of which `unsent` stayed behind.
    #[inline(always)]
    pub fn sent(&self, packets: usize, bytes: u64, unsent: usize) {
        self.packets.add(packets as u64);
        self.bytes.add(bytes);
        self.unsent.add(unsent as u64);
    }
}

/// The counters of a port's queues, as the port and its queues share them.
#[derive(Debug, Default, Clone)]
pub struct QueueStats {
    /// Of receive queues.
    pub rx: Vec<Arc<RxCounters>>,
    /// Of transmit queues.
    pub tx: Vec<Arc<TxCounters>>,
}

impl QueueStats {
    /// Counters at zero for so many queues.
    pub fn new(rx: usize, tx: usize) -> Self {
        QueueStats {
            rx: (0..rx).map(|_| Arc::default()).collect(),
            tx: (0..tx).map(|_| Arc::default()).collect(),
        }
    }

    /// Their sum.
    pub fn sum(&self) -> PortStats {
        let mut sum = PortStats::default();
        for rx in &self.rx {
            sum.rx_packets += rx.packets.read();
            sum.rx_bytes += rx.bytes.read();
            sum.rx_missed += rx.missed.read();
            sum.rx_errors += rx.errors.read();
            sum.rx_no_buffer += rx.no_buffer.read();
        }
        for tx in &self.tx {
            sum.tx_packets += tx.packets.read();
            sum.tx_bytes += tx.bytes.read();
            sum.tx_unsent += tx.unsent.read();
            sum.tx_errors += tx.errors.read();
        }
        sum
    }

    /// By name, as DPDK names them: `rx_good_packets`, `rx_q0_packets` …
    pub fn extended(&self) -> Vec<(String, u64)> {
        let sum = self.sum();
        let mut all = vec![
            ("rx_good_packets".to_owned(), sum.rx_packets),
            ("tx_good_packets".to_owned(), sum.tx_packets),
            ("rx_good_bytes".to_owned(), sum.rx_bytes),
            ("tx_good_bytes".to_owned(), sum.tx_bytes),
            ("rx_missed_errors".to_owned(), sum.rx_missed),
            ("rx_errors".to_owned(), sum.rx_errors),
            ("tx_errors".to_owned(), sum.tx_errors),
            ("rx_mbuf_allocation_errors".to_owned(), sum.rx_no_buffer),
            ("tx_unsent_packets".to_owned(), sum.tx_unsent),
        ];
        for (q, rx) in self.rx.iter().enumerate() {
            all.push((format!("rx_q{q}_packets"), rx.packets.read()));
            all.push((format!("rx_q{q}_bytes"), rx.bytes.read()));
            all.push((format!("rx_q{q}_errors"), rx.errors.read()));
        }
        for (q, tx) in self.tx.iter().enumerate() {
            all.push((format!("tx_q{q}_packets"), tx.packets.read()));
            all.push((format!("tx_q{q}_bytes"), tx.bytes.read()));
        }
        all
    }
}

/// What a port has counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Packets that arrived and found no room.
    pub rx_missed: u64,
    /// Packets that were wrong in themselves.
    pub rx_errors: u64,
    /// Times that a pool had no buffer.
    pub rx_no_buffer: u64,
    /// Packets taken for sending.
    pub tx_packets: u64,
    /// Bytes of them.
    pub tx_bytes: u64,
    /// Packets offered that stayed in the burst, each time.
    pub tx_unsent: u64,
    /// Packets that the device took and did not send.
    pub tx_errors: u64,
}

impl PortStats {
    /// What came since `before`.
    pub fn since(&self, before: &PortStats) -> PortStats {
        PortStats {
            rx_packets: self.rx_packets - before.rx_packets,
            rx_bytes: self.rx_bytes - before.rx_bytes,
            rx_missed: self.rx_missed - before.rx_missed,
            rx_errors: self.rx_errors - before.rx_errors,
            rx_no_buffer: self.rx_no_buffer - before.rx_no_buffer,
            tx_packets: self.tx_packets - before.tx_packets,
            tx_bytes: self.tx_bytes - before.tx_bytes,
            tx_unsent: self.tx_unsent - before.tx_unsent,
            tx_errors: self.tx_errors - before.tx_errors,
        }
    }
}

//! Sending into a capture.

use super::write::Writer;
use linecard_mbuf::Burst;
use linecard_pmd_core::{Gate, Path, TxCounters, TxQueue};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct PcapTx {
    pub(super) writer: Arc<Mutex<Writer>>,
    pub(super) gate: Gate,
    pub(super) counters: Arc<TxCounters>,
}

impl TxQueue for PcapTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() || burst.is_empty() {
            return 0;
        }
        // Held by nobody else but the port as it stops.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (n, bytes) = (burst.len(), burst.bytes());
        let failed = burst.iter().filter(|packet| !writer.write(packet)).count();
        self.counters.errors.add(failed as u64);
        self.counters.sent(n, bytes, 0);
        burst.clear();
        n
    }

    fn path(&self) -> Path {
        Path::only("file")
    }

    fn room(&self, limit: usize) -> Option<usize> {
        Some(limit)
    }
}

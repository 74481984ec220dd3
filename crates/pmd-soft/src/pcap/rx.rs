//! Receiving from a capture.

use super::port::{Pace, Repeat};
use super::read::Capture;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{Gate, Path, RxCounters, RxQueue};
use std::sync::Arc;
use std::time::Instant;

pub(super) struct PcapRx {
    pub(super) capture: Arc<Capture>,
    pub(super) pool: MbufPool,
    pub(super) number: u16,
    pub(super) gate: Gate,
    pub(super) counters: Arc<RxCounters>,
    pub(super) left: Repeat,
    pub(super) pace: Pace,
    pub(super) next: usize,
    /// When the first packet of this round was received.
    pub(super) started: Option<Instant>,
}

impl PcapRx {
    /// How many packets, of up to `most`, may be received now.
    fn due(&mut self, most: usize) -> usize {
        let left = self.capture.records.len() - self.next;
        let most = most.min(left);
        match self.pace {
            Pace::AtSpeed => most,
            Pace::AsCaptured if most == 0 => 0,
            Pace::AsCaptured => {
                let started = *self.started.get_or_insert_with(Instant::now);
                let elapsed = started.elapsed().as_nanos() as u64;
                let records = &self.capture.records;
                let first = records[0].time;
                let due = |i: &usize| records[*i].time.saturating_sub(first) <= elapsed;
                (self.next..self.next + most).take_while(due).count()
            }
        }
    }

    fn packet(&self, index: usize) -> Option<Mbuf> {
        let record = self.capture.records[index];
        let mut packet = self.pool.alloc()?;
        packet.extend(&self.pool, self.capture.packet(&record))?;
        packet.set_port(self.number);
        packet.set_timestamp(record.time);
        Some(packet)
    }

    /// Begins the capture again at its end, if it is to be repeated.
    fn wind(&mut self) {
        if self.next == self.capture.records.len() && self.next > 0 && self.left.again() {
            self.next = 0;
            self.started = None;
        }
    }
}

impl RxQueue for PcapRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        self.wind();
        let (mut n, mut bytes) = (0, 0);
        for _ in 0..self.due(burst.spare()) {
            let Some(packet) = self.packet(self.next) else {
                self.counters.no_buffer.add(1);
                break;
            };
            bytes += packet.len() as u64;
            // `due` asked for no more than there is room for.
            let _ = burst.push(packet);
            (self.next, n) = (self.next + 1, n + 1);
        }
        self.counters.received(n, bytes);
        n
    }

    fn path(&self) -> Path {
        Path::only("copy")
    }

    fn is_finished(&self) -> bool {
        let last = !matches!(self.left, Repeat::Forever | Repeat::Times(2..));
        let empty = self.capture.records.is_empty();
        empty || (last && self.next == self.capture.records.len())
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        Some((self.capture.records.len() - self.next).min(limit))
    }
}

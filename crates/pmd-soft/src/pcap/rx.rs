//! Receiving from a capture.

use super::port::{Pace, Repeat};
use super::read::Capture;
use linecard_mbuf::driver::{buffer, receive_with};
use linecard_mbuf::header::RxFields;
use linecard_mbuf::{Burst, Flags, MbufPool};
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

    /// How many of the next `n` packets fit into one buffer each, counted from the first.
    fn plain(&self, n: usize) -> usize {
        let room = self.pool.data_room();
        let next = &self.capture.records[self.next..self.next + n];
        next.iter().take_while(|record| record.len as usize <= room).count()
    }

    /// Receives `n` packets that fit into one buffer each; all, or none if the pool has fewer.
    fn receive_plain(&mut self, burst: &mut Burst, n: usize) -> bool {
        let (before, rearm) = (burst.len(), self.pool.rearm(self.number));
        let (capture, headroom) = (&self.capture, self.pool.headroom());
        let mut records = capture.records[self.next..self.next + n].iter();
        // SAFETY: each buffer is filled with as many bytes as its fields say, which fit behind the
        // headroom, as `plain` found; there is a record for each of the `n`.
        let done = unsafe {
            receive_with(&self.pool, burst, n, |object| {
                let record = records.next().copied().unwrap_or_default();
                let bytes = capture.packet(&record);
                let to = buffer(object, headroom).address;
                to.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                let (data_len, packet_len) = (record.len as u16, record.len);
                let fields = RxFields { data_len, packet_len, ..RxFields::default() };
                (rearm, Flags::empty(), fields)
            })
        };
        if done {
            let times = capture.records[self.next..].iter().map(|record| record.time);
            burst[before..].iter_mut().zip(times).for_each(|(p, time)| p.set_timestamp(time));
            self.next += n;
        }
        done
    }

    /// Receives a packet that takes several buffers, or one when the pool is all but empty.
    fn receive_one(&mut self, burst: &mut Burst) -> bool {
        let record = self.capture.records[self.next];
        let packet = self.pool.alloc().and_then(|mut packet| {
            packet.extend(&self.pool, self.capture.packet(&record))?;
            Some(packet)
        });
        let Some(mut packet) = packet else { return false };
        packet.set_port(self.number);
        packet.set_timestamp(record.time);
        self.next += 1;
        burst.push(packet).is_ok()
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
        let before = burst.len();
        let end = self.next + self.due(burst.spare());
        while self.next < end {
            let plain = self.plain(end - self.next);
            let in_bulk = plain > 0 && self.receive_plain(burst, plain);
            if !in_bulk && !self.receive_one(burst) {
                self.counters.no_buffer.add(1);
                break;
            }
        }
        let new = &burst[before..];
        self.counters.received(new.len(), new.iter().map(|packet| packet.len() as u64).sum());
        new.len()
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

//! One lcore's loop: its streams, run to completion.

use super::detour::Detour;
use super::modes::Context;
use super::rules::Filter;
use linecard::eal::clock::Clock;
use linecard::eal::lcore::{Idle, Idler, WorkerContext};
use linecard::mbuf::Burst;
use linecard::pmd::{Counter, RxQueue, TxQueue};
use std::sync::Arc;

/// A receive queue, what is done with its packets, and the transmit queue that they leave by.
pub(crate) struct Stream {
    pub(crate) rx: Box<dyn RxQueue>,
    pub(crate) tx: Box<dyn TxQueue>,
    /// What rules do with packets first, if there are some.
    pub(crate) filter: Option<Filter>,
    pub(crate) context: Context,
    /// The way of packets to and from other queues of the same port, if it has several.
    pub(crate) detour: Option<Detour>,
    /// Packets under way: what could not be sent waits here, and less is received meanwhile.
    pub(crate) burst: Burst,
    /// Which port sends, to count what is left over at the end.
    pub(crate) tx_port: usize,
}

impl Stream {
    /// One round: receive, work, send. Says how many packets moved.
    #[inline]
    fn step(&mut self) -> usize {
        let waiting = self.burst.len();
        let n = if waiting < self.burst.limit() { self.rx.receive(&mut self.burst) } else { 0 };
        if let Some(filter) = &mut self.filter {
            filter.apply(&mut self.burst, waiting);
        }
        self.context.apply(&mut self.burst, waiting);
        let mut sent = if self.burst.is_empty() { 0 } else { self.tx.send(&mut self.burst) };
        if let Some(detour) = &mut self.detour {
            sent += detour.step(&mut self.burst, &mut *self.tx);
        }
        if n == 0 && sent == 0 {
            self.tx.reclaim();
        }
        n.max(sent)
    }

    /// Whether there is nothing more to come and nothing under way.
    fn is_finished(&self) -> bool {
        self.waiting() == 0 && self.rx.is_finished()
    }

    /// Packets under way.
    fn waiting(&self) -> usize {
        self.burst.len() + self.detour.as_ref().map_or(0, Detour::waiting)
    }
}

/// What an lcore has done; read while it runs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Progress {
    pub(crate) packets: Counter,
    /// Rounds of a stream that moved packets.
    pub(crate) bursts: Counter,
}

/// What an lcore leaves behind.
pub(crate) struct Left {
    /// Packets that were never sent, by port.
    pub(crate) unsent: Vec<(usize, u64)>,
    /// Why it ended early, if it did.
    pub(crate) error: Option<String>,
}

/// Runs streams until told to stop, or until all of them are finished.
pub(crate) fn run(
    context: &WorkerContext,
    mut streams: Vec<Stream>,
    idle: Idle,
    progress: &Arc<Progress>,
    clock: Clock,
) -> Left {
    let mut idler = match Idler::new(idle) {
        Ok(idler) => idler,
        Err(error) => return Left { unsent: Vec::new(), error: Some(error.to_string()) },
    };
    let mut error = None;
    let mut last = clock.cycles();
    let mut empty = 0u32;
    while !context.is_stopped() {
        let (mut packets, mut bursts) = (0, 0);
        for stream in &mut streams {
            let n = stream.step();
            packets += n;
            bursts += usize::from(n > 0);
        }
        let now = clock.cycles();
        if packets > 0 {
            progress.packets.add(packets as u64);
            progress.bursts.add(bursts as u64);
            context.busy(now - last);
            empty = 0;
        } else {
            context.idle(now - last);
            empty += 1;
            // Asked now and then only: most ports never finish.
            if empty.is_multiple_of(64) && streams.iter().all(Stream::is_finished) {
                break;
            }
        }
        last = now;
        if let Err(failed) = idler.polled(packets) {
            error = Some(failed.to_string());
            break;
        }
    }
    let unsent = streams.iter().map(|s| (s.tx_port, s.waiting() as u64)).collect();
    Left { unsent, error }
}

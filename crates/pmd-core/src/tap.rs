//! A look at what passes through a queue: for capture, without the driver's knowing.
//!
//! A [`Tapped`] queue copies each packet (up to a length) into a pool of the tap's own and puts the
//! copy into a ring, where another thread takes it. When pool or ring are exhausted the copy is
//! dropped and counted, and the packet passes all the same. Switched off, a tap costs a load and a
//! branch a burst.

use crate::queue::{Path, RxQueue, TxQueue, WakeUp};
use crate::stats::Counter;
use core::fmt;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_ring::{Consumer, Error, Producer, Single};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a tap has done; shared by both of its ends.
#[derive(Debug, Default)]
pub struct TapCounters {
    /// Copies handed over.
    pub copied: Counter,
    /// Copies that found no buffer or no room.
    pub dropped: Counter,
    on: AtomicBool,
}

impl TapCounters {
    /// Starts or stops copying.
    pub fn switch(&self, on: bool) {
        // Relaxed: a switch; packets a moment earlier or later do not matter.
        self.on.store(on, Ordering::Relaxed);
    }
}

/// The end of a tap that a queue feeds.
pub struct TapPoint {
    pool: MbufPool,
    most: usize,
    ring: Producer<Mbuf, Single, Single>,
    counters: Arc<TapCounters>,
}

/// A tap: what to wrap a queue with, where the copies come out, and its switch. Copies have up to
/// `most` bytes; up to `waiting` of them wait to be taken.
///
/// # Errors
/// If `waiting` is 0 or too large for a ring.
#[expect(clippy::type_complexity, reason = "three ends of one thing")]
pub fn tap(
    pool: &MbufPool,
    most: usize,
    waiting: usize,
) -> Result<(TapPoint, Consumer<Mbuf, Single, Single>, Arc<TapCounters>), Error> {
    let (ring, out) = linecard_ring::spsc(waiting)?;
    let counters = Arc::new(TapCounters::default());
    counters.switch(true);
    let point = TapPoint { pool: pool.clone(), most, ring, counters: Arc::clone(&counters) };
    Ok((point, out, counters))
}

impl TapPoint {
    fn is_on(&self) -> bool {
        // Relaxed: as in `switch`.
        self.counters.on.load(Ordering::Relaxed)
    }

    fn see(&mut self, packets: &[Mbuf]) {
        for packet in packets {
            let copy = packet.copy(&self.pool).and_then(|mut copy| {
                let over = copy.len().saturating_sub(self.most);
                copy.trim(over).ok()?;
                self.ring.enqueue(copy).ok()
            });
            match copy {
                Some(()) => self.counters.copied.add(1),
                None => self.counters.dropped.add(1),
            }
        }
    }
}

impl fmt::Debug for TapPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TapPoint(up to {} bytes)", self.most)
    }
}

/// A queue with a tap on it.
#[derive(Debug)]
pub struct Tapped<Q> {
    queue: Q,
    point: TapPoint,
}

impl<Q> Tapped<Q> {
    /// Taps a queue.
    pub fn new(queue: Q, point: TapPoint) -> Self {
        Tapped { queue, point }
    }

    /// The queue without its tap.
    pub fn into_inner(self) -> Q {
        self.queue
    }
}

impl RxQueue for Tapped<Box<dyn RxQueue>> {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        let before = burst.len();
        let n = self.queue.receive(burst);
        if n > 0 && self.point.is_on() {
            self.point.see(&burst[before..]);
        }
        n
    }

    fn path(&self) -> Path {
        self.queue.path()
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        self.queue.waiting(limit)
    }

    fn is_finished(&self) -> bool {
        self.queue.is_finished()
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        self.queue.arm()
    }
}

impl TxQueue for Tapped<Box<dyn TxQueue>> {
    /// The tap sees what is offered just before it is sent; what is left over is seen again when it
    /// is offered again, so only as many as there is known to be room for are shown.
    fn send(&mut self, burst: &mut Burst) -> usize {
        if self.point.is_on() {
            let room = self.queue.room(burst.len()).unwrap_or(burst.len()).min(burst.len());
            self.point.see(&burst[..room]);
        }
        self.queue.send(burst)
    }

    fn reclaim(&mut self) -> usize {
        self.queue.reclaim()
    }

    fn path(&self) -> Path {
        self.queue.path()
    }

    fn room(&self, limit: usize) -> Option<usize> {
        self.queue.room(limit)
    }
}

//! Receive: filled buffers become packets, and others take their place.

use super::buffers::{Lent, Umem};
use super::ring::{Desc, FromKernel, ToKernel};
use linecard_mbuf::{BURST, Burst};
use linecard_mempool::Object;
use linecard_pmd_core::{Gate, Path, RxCounters, RxQueue, WakeUp};
use std::os::fd::AsFd;
use std::sync::Arc;

/// Buffers that are taken from the pool, and shown to the kernel, at once.
const BATCH: usize = BURST;

/// A receive queue.
pub(super) struct XdpRx {
    received: FromKernel<Desc>,
    fill: ToKernel<u64>,
    lent: Lent,
    /// Buffers that may be out at once.
    most: usize,
    counters: Arc<RxCounters>,
    port: u16,
    path: Path,
    gate: Gate,
}

impl XdpRx {
    /// Over the rings of a socket. Buffers are out as soon as it is made.
    pub(super) fn new(
        umem: Arc<Umem>,
        (received, fill): (FromKernel<Desc>, ToKernel<u64>),
        most: usize,
        counters: Arc<RxCounters>,
        (port, path, gate): (u16, Path, Gate),
    ) -> Self {
        let lent = Lent::new(umem);
        let mut queue = XdpRx { received, fill, lent, most, counters, port, path, gate };
        queue.refill();
        queue
    }

    /// Lends buffers in whole batches, as many as the pool has and the ring takes.
    fn refill(&mut self) {
        while self.lent.count() + BATCH.min(self.most) <= self.most {
            let n = BATCH.min(self.most);
            if self.fill.room(n) < n || !self.lend(n) {
                return;
            }
        }
    }

    fn lend(&mut self, n: usize) -> bool {
        let pool = self.lent.umem().pool.raw().clone();
        let mut objects = [pool.filler(); BATCH];
        if !pool.take_bulk(&mut objects[..n]) {
            self.counters.no_buffer.add(1);
            return false;
        }
        let mut written = 0;
        for object in objects[..n].iter().copied() {
            written += usize::from(self.show(written, object));
        }
        self.fill.publish(written);
        true
    }

    fn show(&mut self, ahead: usize, object: Object) -> bool {
        let place = self.lent.lend_empty(object);
        place.inspect(|place| self.fill.write(ahead, place)).is_some()
    }

    fn take(&mut self, n: usize, burst: &mut Burst) -> (usize, u64) {
        let (mut packets, mut bytes) = (0, 0);
        for i in 0..n {
            let desc = self.received.read(i);
            let packet = desc.and_then(|desc| self.lent.filled(desc, self.port));
            let Some(packet) = packet else {
                self.counters.errors.add(1);
                continue;
            };
            bytes += packet.len() as u64;
            packets += usize::from(burst.push(packet).is_ok());
        }
        (packets, bytes)
    }
}

impl RxQueue for XdpRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let n = self.received.waiting().min(burst.spare());
        let (packets, bytes) = self.take(n, burst);
        if n > 0 {
            self.received.release(n);
            self.counters.received(packets, bytes);
        }
        self.refill();
        packets
    }

    fn path(&self) -> Path {
        self.path.clone()
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        Some(self.received.waiting().min(limit))
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        Some(WakeUp(self.lent.umem().socket.as_fd()))
    }
}

//! Transmit: packets are lent where they lie, with one `send` a burst.

use super::buffers::{Lent, Umem};
use super::ring::{Desc, FromKernel, ToKernel};
use linecard_mbuf::driver::is_plain;
use linecard_mbuf::{Burst, Mbuf};
use linecard_pmd_core::{Gate, Path, TxCounters, TxQueue};
use linecard_virtqueue::offload::is_simple;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The shortest frame that has a header.
const SHORTEST: usize = 14;

/// A transmit queue.
pub(super) struct XdpTx {
    sending: ToKernel<Desc>,
    sent: FromKernel<u64>,
    lent: Lent,
    /// Bytes of the longest frame, which the port may change while it runs.
    longest: Arc<AtomicUsize>,
    counters: Arc<TxCounters>,
    path: Path,
    gate: Gate,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is lent as it is.
    Lend,
    /// It is copied into a buffer of the socket's pool.
    Copy,
    /// It cannot be sent, ever.
    Drop,
}

impl XdpTx {
    /// Over the rings of a socket.
    pub(super) fn new(
        umem: Arc<Umem>,
        (sending, sent): (ToKernel<Desc>, FromKernel<u64>),
        longest: Arc<AtomicUsize>,
        counters: Arc<TxCounters>,
        (path, gate): (Path, Gate),
    ) -> Self {
        XdpTx { sending, sent, lent: Lent::new(umem), longest, counters, path, gate }
    }

    fn way(&self, packet: &Mbuf) -> Way {
        // Relaxed: frames a moment earlier or later do not matter.
        let (len, longest) = (packet.len(), self.longest.load(Ordering::Relaxed));
        if !is_simple(packet) || !(SHORTEST..=longest).contains(&len) {
            return Way::Drop;
        }
        let ours = packet.home() == self.lent.umem().pool.raw().home();
        if ours && is_plain(packet) { Way::Lend } else { Way::Copy }
    }

    /// Fills `copies` for those of the first `n` packets that need one; says how many packets can be
    /// taken: fewer, if the pool has no buffers for all.
    fn reserve(&self, burst: &Burst, n: usize, copies: &mut Burst) -> usize {
        for (i, packet) in burst[..n].iter().enumerate() {
            if self.way(packet) != Way::Copy {
                continue;
            }
            let Some(mut copy) = self.lent.umem().pool.alloc() else { return i };
            let Ok(room) = copy.append(packet.len()) else { return i };
            packet.copy_to(0, room);
            if copies.push(copy).is_err() {
                return i;
            }
        }
        n
    }

    /// Puts the first `n` packets into the ring, which has room for them; says how many bytes those
    /// had, and how many could not be sent.
    fn put(&mut self, burst: &mut Burst, n: usize, copies: &mut Burst) -> (u64, u64) {
        let (mut bytes, mut errors, mut written) = (0, 0, 0);
        let mut copies = copies.drain(n);
        for packet in burst.drain(n) {
            bytes += packet.len() as u64;
            let packet = match self.way(&packet) {
                Way::Lend => Some(packet),
                Way::Copy => copies.next(),
                Way::Drop => None,
            };
            match packet.map(|packet| self.lent.lend_packet(packet)) {
                Some(Ok(desc)) => {
                    self.sending.write(written, &desc);
                    written += 1;
                }
                _ => errors += 1,
            }
        }
        self.sending.publish(written);
        (bytes, errors)
    }

    /// Has the kernel send what is in the ring. It stops after some frames of its own accord, and is
    /// asked again as long as it took any.
    fn kick(&mut self) {
        let mut waiting = self.sending.waiting();
        while waiting > 0 {
            let refused = self.lent.umem().socket.kick().is_err_and(|error| !is_partial(&error));
            let left = self.sending.waiting();
            if refused || left >= waiting {
                return;
            }
            waiting = left;
        }
    }

    /// Takes back what has been sent.
    fn collect(&mut self) -> usize {
        let mut back = Burst::with_limit(Burst::new().limit().max(64));
        let mut collected = 0;
        loop {
            let n = self.sent.waiting().min(back.limit());
            if n == 0 {
                return collected;
            }
            for i in 0..n {
                match self.sent.read(i).and_then(|addr| self.lent.sent(addr)) {
                    // It has room for all.
                    Some(packet) => drop(back.push(packet)),
                    None => self.counters.errors.add(1),
                }
            }
            self.sent.release(n);
            collected += back.len();
            back.clear();
        }
    }
}

/// Whether the kernel sent a part and wants to be called again.
fn is_partial(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS))
}

impl TxQueue for XdpTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        self.collect();
        let room = self.sending.room(burst.len()).min(burst.len());
        let mut copies = Burst::with_limit(burst.len().max(1));
        let n = self.reserve(burst, room, &mut copies);
        let (bytes, errors) = self.put(burst, n, &mut copies);
        self.kick();
        self.counters.sent(n, bytes, burst.len());
        if errors > 0 {
            self.counters.errors.add(errors);
        }
        n
    }

    fn reclaim(&mut self) -> usize {
        if self.gate.is_open() {
            self.kick();
        }
        self.collect()
    }

    fn path(&self) -> Path {
        self.path.clone()
    }
}

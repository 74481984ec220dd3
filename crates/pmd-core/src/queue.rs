//! The hot path: what the queues of every port do.

use core::fmt;
use linecard_mbuf::Burst;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A receive queue: owned by the thread that polls it.
///
/// Once its port is stopped, or gone, a queue receives nothing.
pub trait RxQueue: Send {
    /// Adds to `burst` what has arrived, up to the burst's limit; says how many packets that was.
    /// Never waits. Bursts of any size are served, one packet included.
    fn receive(&mut self, burst: &mut Burst) -> usize;

    /// Which way it receives, and why that one.
    fn path(&self) -> Path;

    /// Packets known to wait; at most `limit` are counted. `None` if it cannot tell.
    fn waiting(&self, limit: usize) -> Option<usize> {
        let _ = limit;
        None
    }

    /// Whether nothing will ever be received again: the end of a capture, a closed cable.
    fn is_finished(&self) -> bool {
        false
    }

    /// Makes the queue tell when something arrives. `None` if it cannot.
    ///
    /// Arm, poll once more, then sleep: what arrived before arming is not told of. It is the same
    /// file each time, so that it can be put into an epoll set once.
    fn arm(&mut self) -> Option<WakeUp<'_>> {
        None
    }
}

/// A transmit queue: owned by the thread that sends on it.
///
/// Once its port is stopped, or gone, a queue takes nothing.
pub trait TxQueue: Send {
    /// Takes from the front of `burst` what can be queued for sending, and leaves the rest there;
    /// says how many it took. Never waits. What is left is still the caller's: to offer again, or to
    /// drop, which is then the caller's choice.
    ///
    /// A packet that can never be sent (too long, from a pool that the device was not told of, asking
    /// for an offload that was not configured and that the port cannot do in software) would block
    /// all behind it: it is taken, dropped, and counted in `tx_errors`.
    fn send(&mut self, burst: &mut Burst) -> usize;

    /// Returns buffers that the device has sent to their pools; says how many. `send` does it too, in
    /// bulk, when it needs room: this is for loops that have nothing to send.
    fn reclaim(&mut self) -> usize {
        0
    }

    /// Which way it sends, and why that one.
    fn path(&self) -> Path;

    /// Packets that it would take now; at most `limit` are counted. `None` if it cannot tell.
    fn room(&self, limit: usize) -> Option<usize> {
        let _ = limit;
        None
    }
}

/// Which way a queue goes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its name: `scalar`, `sse`, `mmap` …
    pub name: &'static str,
    /// Why this one and not a faster one.
    pub reason: String,
}

impl Path {
    /// The only way there is.
    pub fn only(name: &'static str) -> Self {
        Path { name, reason: "the only one".into() }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.reason)
    }
}

/// A file to sleep on: readable once something has arrived.
#[derive(Debug)]
pub struct WakeUp<'a>(pub BorrowedFd<'a>);

/// The queues of a port that has just been started.
pub struct Queues {
    /// Receive queues, by number.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// Transmit queues, by number.
    pub tx: Vec<Box<dyn TxQueue>>,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues")
            .field("rx", &self.rx.iter().map(|q| q.path()).collect::<Vec<_>>())
            .field("tx", &self.tx.iter().map(|q| q.path()).collect::<Vec<_>>())
            .finish()
    }
}

/// Tells the queues of a port in software that it has been stopped: the port holds one end, each
/// queue a clone. A port on a device needs more: its queues disable their rings in the device before
/// their memory goes, and it refuses to start while queues of the last start live.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Gate(Arc::new(AtomicBool::new(true)))
    }

    /// Stops the queues: within one call of theirs.
    pub fn close(&self) {
        // Relaxed: a queue that is in the middle of a call may finish it; nothing else hangs on it.
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the port runs.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        // Relaxed: as in `close`.
        self.0.load(Ordering::Relaxed)
    }
}

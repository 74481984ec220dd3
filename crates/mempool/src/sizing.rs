//! How many objects a system can hold back at once.
//!
//! A pool starves when all its objects wait somewhere (in receive descriptors, in transmit rings, in
//! the caches of other threads, in the application) and none is left to post for what arrives. The
//! sum below counts every place that may hold some.

use crate::cache::most;

/// What may hold objects of a pool at the same time, term by term.
///
/// ```
/// use linecard_mempool::Needs;
///
/// let needs = Needs::new().rx_descriptors(2 * 512).tx_descriptors(2 * 512).bursts(4 * 32).threads(2);
/// assert_eq!(needs.total(256), 1024 + 1024 + 128 + 2 * 384);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    rx_descriptors: usize,
    tx_descriptors: usize,
    bursts: usize,
    threads: usize,
    rings: usize,
    held: usize,
}

impl Needs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Receive descriptors of all queues: each has a buffer posted.
    pub fn rx_descriptors(mut self, n: usize) -> Self {
        self.rx_descriptors = n;
        self
    }

    /// Transmit descriptors of all queues: each may hold a buffer until it is reclaimed.
    pub fn tx_descriptors(mut self, n: usize) -> Self {
        self.tx_descriptors = n;
        self
    }

    /// Bursts in hand at once, in buffers: one a loop is the least.
    pub fn bursts(mut self, n: usize) -> Self {
        self.bursts = n;
        self
    }

    /// Threads that take or return objects: each has a cache.
    pub fn threads(mut self, n: usize) -> Self {
        self.threads = n;
        self
    }

    /// Capacity of the rings between threads.
    pub fn rings(mut self, n: usize) -> Self {
        self.rings = n;
        self
    }

    /// What the application keeps: reassembly, retransmission, shaping.
    pub fn held(mut self, n: usize) -> Self {
        self.held = n;
        self
    }

    /// The sum, with caches of `cache` objects a thread: so many, and receiving can always go on.
    pub fn total(&self, cache: usize) -> usize {
        self.list(cache).iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// The sum in words.
    pub(crate) fn terms(&self, cache: usize) -> String {
        let terms = self.list(cache);
        let terms = terms.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}"));
        terms.collect::<Vec<_>>().join(" + ")
    }

    fn list(&self, cache: usize) -> [(&'static str, usize); 6] {
        [
            ("in receive descriptors", self.rx_descriptors),
            ("in transmit descriptors", self.tx_descriptors),
            ("in bursts", self.bursts),
            ("in thread caches", self.threads.saturating_mul(most(cache))),
            ("in rings", self.rings),
            ("held by the application", self.held),
        ]
    }
}

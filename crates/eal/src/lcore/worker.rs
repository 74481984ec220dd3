//! What a worker has at hand, and what others can see of it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::map::Lcore;

/// Asks workers to end. Any clone of it sets it for all; it cannot be taken back.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks. May be called from a signal handler.
    pub fn stop(&self) {
        // Release: pairs with the Acquire in `is_stopped`, so that a worker that sees the flag
        // sees what was written before it was set.
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was asked. As cheap as a load can be: the line stays shared until it is set.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        // Acquire: pairs with the Release in `stop`.
        self.0.load(Ordering::Acquire)
    }
}

/// Cycles that a worker spent, on a cache line of its own. Written by the worker alone, read by
/// anyone at any time; the two counts may be a moment apart.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Usage {
    busy: AtomicU64,
    idle: AtomicU64,
}

static_assertions::const_assert_eq!(size_of::<Usage>(), 128);

impl Usage {
    /// Cycles in which there was something to do.
    pub fn busy(&self) -> u64 {
        // Relaxed: a statistic; nothing else is read by way of it.
        self.busy.load(Ordering::Relaxed)
    }

    /// Cycles in which there was nothing to do.
    pub fn idle(&self) -> u64 {
        // Relaxed: as in `busy`.
        self.idle.load(Ordering::Relaxed)
    }

    /// The busy part of all accounted cycles, 0 to 1; 0 before there are any.
    pub fn share(&self) -> f64 {
        let (busy, idle) = (self.busy() as f64, self.idle() as f64);
        if busy + idle > 0.0 { busy / (busy + idle) } else { 0.0 }
    }

    /// A load and a store, not a locked addition: there is only one writer.
    #[inline(always)]
    fn add(count: &AtomicU64, cycles: u64) {
        // Relaxed: only this worker writes, and readers want no more than the number.
        count.store(count.load(Ordering::Relaxed).wrapping_add(cycles), Ordering::Relaxed);
    }
}

/// A worker's view of itself. Not `Sync`: it belongs to its thread.
#[derive(Debug)]
pub struct WorkerContext {
    pub(super) lcore: Lcore,
    pub(super) node: Option<u32>,
    pub(super) name: String,
    pub(super) stop: StopFlag,
    pub(super) usage: Arc<Usage>,
    pub(super) here: PhantomData<Cell<()>>,
}

static_assertions::assert_not_impl_any!(WorkerContext: Sync);

impl WorkerContext {
    /// The lcore's number.
    pub fn lcore(&self) -> u32 {
        self.lcore.id
    }

    /// The cpus that the thread may run on.
    pub fn cpus(&self) -> &[u32] {
        &self.lcore.cpus
    }

    /// The NUMA node of its cpus, if it is the same for all: where its memory should be.
    pub fn node(&self) -> Option<u32> {
        self.node
    }

    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the worker should return. Ask it once per poll or burst.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    /// The flag itself, to give on or to end all workers from within one.
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// Accounts for cycles in which there was something to do.
    #[inline(always)]
    pub fn busy(&self, cycles: u64) {
        Usage::add(&self.usage.busy, cycles);
    }

    /// Accounts for cycles in which there was nothing to do.
    #[inline(always)]
    pub fn idle(&self, cycles: u64) {
        Usage::add(&self.usage.idle, cycles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_a_share_of_what_was_accounted() {
        let usage = Usage::default();
        assert_eq!(usage.share(), 0.0);
        Usage::add(&usage.busy, 30);
        Usage::add(&usage.idle, 10);
        assert_eq!((usage.busy(), usage.idle(), usage.share()), (30, 10, 0.75));
    }

    #[test]
    fn any_clone_of_a_flag_stops_all() {
        let flag = StopFlag::default();
        let clone = flag.clone();
        assert!(!flag.is_stopped());
        clone.stop();
        assert!(flag.is_stopped());
    }
}

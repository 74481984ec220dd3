//! When what readers may still look at can be used again: a quiescent-state scheme.
//!
//! Every reader announces the last epoch that it has seen, at a moment when it holds nothing: at
//! the beginning of a burst. A writer unlinks an entry, then moves the epoch on; once every
//! reader has announced the new epoch, nobody can hold the entry any more.
//!
//! A burst thus costs a reader one load of a line that seldom changes, and a store to its own
//! line when the epoch has moved. There is no fence: a reader is always online. The other side of
//! the coin is that a reader that rests holds back what is freed. It never blocks a writer,
//! which finds its room used up instead; drop a reader that has nothing to do.
//!
//! # Why not `crossbeam-epoch`
//! `cargo bench -p linecard-benches --bench quiesce`, AMD EPYC at 2.6 GHz: the beginning of a burst is
//! 0.55 ns, 2.1 ns when the epoch has moved; pinning and unpinning an epoch is 2.3 ns. In bursts of 32
//! either is below a fifth of a cycle a key; a single look-up of a flow table, 27 cycles, would cost a
//! sixth more. The other reason: what is freed goes back to its one writer, in order and without
//! allocation, so that the positions of entries can be used again.

use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use std::sync::Arc;

/// What readers and writers of one structure share.
#[derive(Debug)]
pub struct Domain {
    epoch: Line,
    readers: Mutex<Vec<Arc<Line>>>,
}

/// A number on a cache line of its own, and the line that is fetched with it.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Default for Domain {
    fn default() -> Self {
        Self { epoch: Line(AtomicU64::new(0)), readers: Mutex::new(Vec::new()) }
    }
}

impl Domain {
    /// A new reader, which holds nothing.
    pub fn announcer(self: &Arc<Self>) -> Announcer {
        let mut readers = lock(&self.readers);
        // Relaxed: the lock orders it. A writer that took the lock before sees no reader, but
        // this reader sees all that the writer did before; one that takes it later sees the reader.
        let seen = self.epoch.0.load(Ordering::Relaxed);
        let line = Arc::new(Line(AtomicU64::new(seen)));
        readers.push(Arc::clone(&line));
        drop(readers);
        Announcer { domain: Arc::clone(self), line, seen }
    }

    /// Ends the epoch in which something was unlinked and returns it: when [`Domain::oldest`] is
    /// more, nobody holds what was unlinked before this call.
    pub fn advance(&self) -> u64 {
        // Release pairs with the Acquire of `Announcer::quiesce`: who sees the new epoch sees what
        // was unlinked before. Only writers, one at a time, write it.
        self.epoch.0.fetch_add(1, Ordering::Release)
    }

    /// The oldest epoch that a reader may still be in; the newest if there is no reader.
    pub fn oldest(&self) -> u64 {
        let readers = lock(&self.readers);
        // Relaxed: this is the writer's own value.
        let newest = self.epoch.0.load(Ordering::Relaxed);
        // Acquire pairs with the Release of `Announcer::quiesce`: the reader's accesses before are done.
        let oldest = readers.iter().map(|line| line.0.load(Ordering::Acquire)).min();
        oldest.unwrap_or(newest)
    }
}

/// A reader's side of a [`Domain`].
#[derive(Debug)]
pub struct Announcer {
    domain: Arc<Domain>,
    line: Arc<Line>,
    seen: u64,
}

impl Announcer {
    /// Says that this reader holds nothing of what it has seen so far.
    ///
    /// The caller has to see to that being true: the `&mut` of the structure's own reader does.
    #[inline]
    pub fn quiesce(&mut self) {
        // Acquire pairs with the Release of `Domain::advance`.
        let epoch = self.domain.epoch.0.load(Ordering::Acquire);
        if epoch != self.seen {
            // Release pairs with the Acquire of `Domain::oldest`: earlier accesses stay before it.
            self.line.0.store(epoch, Ordering::Release);
            self.seen = epoch;
        }
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        // The lock orders this reader's accesses before those of a writer that finds it gone.
        lock(&self.domain.readers).retain(|line| !Arc::ptr_eq(line, &self.line));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_readers_an_epoch_is_over_at_once() {
        let domain = Arc::new(Domain::default());
        let ended = domain.advance();
        assert!(domain.oldest() > ended);
    }

    #[test]
    fn the_slowest_reader_holds_an_epoch_open() {
        let domain = Arc::new(Domain::default());
        let (mut quick, mut slow) = (domain.announcer(), domain.announcer());
        let ended = domain.advance();
        quick.quiesce();
        assert!(domain.oldest() <= ended);
        slow.quiesce();
        assert!(domain.oldest() > ended);
    }

    #[test]
    fn a_reader_that_is_gone_or_came_later_holds_nothing() {
        let domain = Arc::new(Domain::default());
        let gone = domain.announcer();
        let ended = domain.advance();
        let _late = domain.announcer();
        assert!(domain.oldest() <= ended);
        drop(gone);
        assert!(domain.oldest() > ended);
    }
}

//! What rules have matched: counted by each reader for itself, added up when asked for.

use super::segments::Segments;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

/// What a rule has matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// When it matched last, in the time that readers were given.
    pub last_seen: Option<u64>,
}

/// One rule's counters of one reader.
#[derive(Debug, Default)]
struct Counter {
    packets: AtomicU64,
    bytes: AtomicU64,
    last: AtomicU64,
}

/// The counters of one reader, which alone writes them.
#[derive(Debug, Default)]
pub(super) struct Shard {
    counters: Segments<Counter>,
}

impl Shard {
    /// Counts a packet; only the shard's reader calls this.
    #[inline]
    pub(super) fn add(&self, slot: u32, bytes: u64, now: u64) {
        let Some(counter) = self.counters.place(slot) else { return };
        // Relaxed: one writer; whoever reads wants numbers and nothing behind them.
        let add = |to: &AtomicU64, n| to.store(to.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        add(&counter.packets, 1);
        add(&counter.bytes, bytes);
        // Relaxed: see above.
        counter.last.store(now, Ordering::Relaxed);
    }

    fn sum(&self, slot: u32) -> RuleCount {
        // Relaxed: see `add`.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Some(counter) = self.counters.find(slot) else { return RuleCount::default() };
        let packets = read(&counter.packets);
        let last_seen = (packets > 0).then(|| read(&counter.last));
        RuleCount { packets, bytes: read(&counter.bytes), last_seen }
    }
}

/// The counters of all readers.
#[derive(Debug, Default)]
pub(super) struct Shards {
    shards: Mutex<Vec<Arc<Shard>>>,
}

impl Shards {
    /// A shard for one more reader. Those of readers that are gone keep what they counted, and serve anew.
    pub(super) fn open(&self) -> Arc<Shard> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = shards.iter().find(|shard| Arc::strong_count(shard) == 1) {
            // Acquire pairs with the release with which the last reader let go of it: what that one
            // has counted is what the next one adds to.
            fence(Ordering::Acquire);
            return Arc::clone(free);
        }
        let shard = Arc::<Shard>::default();
        shards.push(Arc::clone(&shard));
        shard
    }

    /// What all readers have counted in a slot, since it had counted `before`.
    pub(super) fn since(&self, before: RuleCount, slot: u32) -> RuleCount {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let add = |a: RuleCount, b: RuleCount| RuleCount {
            packets: a.packets + b.packets,
            bytes: a.bytes + b.bytes,
            last_seen: a.last_seen.max(b.last_seen),
        };
        let all = shards.iter().map(|shard| shard.sum(slot)).fold(RuleCount::default(), add);
        let packets = all.packets.saturating_sub(before.packets);
        let last_seen = all.last_seen.filter(|_| packets > 0);
        RuleCount { packets, bytes: all.bytes.saturating_sub(before.bytes), last_seen }
    }
}

//! Heavy hitters: the flows that have most packets or bytes, in memory that does not grow with flows.
//!
//! *Space-saving* (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data
//! streams, 2005), for any weights. With `k` counters and a weight of `n` in all,
//!
//! * every flow of more than `n / k` has a counter;
//! * a counter is never below what its flow really has, and at most `n / k` above it; each says how much
//!   it may be ([`Heavy::at_least`]);
//! * what has no counter has at most [`HeavyHitters::floor`], which is at most `n / k`.
//!
//! [`HeavyHitters::add`] looks a counter up by the flow's hash, which is keyed, and moves it in a heap whose root is the
//! least: at most as many steps as the heap has levels, five for a thousand counters. It never allocates. What one
//! thread has counted and what others have is put together by [`combined`].
//!
//! ```
//! use linecard_flow_classify::heavy::HeavyHitters;
//!
//! let mut bytes = HeavyHitters::<[u8; 4]>::new(100)?;
//! (0..10_000_u32).for_each(|flow| bytes.add(&flow.to_be_bytes(), 64));
//! (0..1000).for_each(|_| bytes.add(&[192, 0, 2, 1], 1500));
//! let most = bytes.top(1)[0];
//! assert_eq!(most.key, [192, 0, 2, 1]);
//! assert!(most.at_least <= 1_500_000 && most.at_most >= 1_500_000);
//! # Ok::<(), linecard_flow_classify::heavy::Error>(())
//! ```

mod heap;
mod index;

use crate::exact::{Key, Seed};
use heap::Heap;
use index::Index;
use std::collections::HashMap;

/// The most counters.
const LIMIT: usize = 1 << 24;

/// A number of counters that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} counters: 1 to {limit} are possible")]
pub struct Error {
    /// What was asked for.
    pub asked: usize,
    /// The most there can be.
    pub limit: usize,
}

/// A flow that has much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heavy<K> {
    /// Its key.
    pub key: K,
    /// It has no less than this.
    pub at_least: u64,
    /// It has no more than this.
    pub at_most: u64,
}

/// A counter, but for the count itself, which is in the heap.
#[derive(Clone, Copy, Debug)]
struct Counter<K> {
    key: K,
    hash: u32,
    /// What of the count may be of flows that had the counter before.
    inherited: u64,
}

/// Counters for the heaviest flows. One thread counts.
#[derive(Debug)]
pub struct HeavyHitters<K> {
    counters: Vec<Counter<K>>,
    heap: Heap,
    index: Index,
    seed: Seed,
    total: u64,
    room: usize,
}

impl<K: Key> HeavyHitters<K> {
    /// With so many counters.
    ///
    /// # Errors
    /// [`Error`] if there would be none, or too many.
    pub fn new(counters: usize) -> Result<Self, Error> {
        if !(1..=LIMIT).contains(&counters) {
            return Err(Error { asked: counters, limit: LIMIT });
        }
        Ok(Self {
            counters: Vec::with_capacity(counters),
            heap: Heap::with_room(counters),
            index: Index::with_room(counters),
            seed: Seed::random(),
            total: 0,
            room: counters,
        })
    }

    /// Counts `weight` (1, or the bytes of a packet) for a flow. Counts end at 2^64 - 1.
    #[inline]
    pub fn add(&mut self, key: &K, weight: u64) {
        self.total = self.total.saturating_add(weight);
        let hash = self.seed.hash(key).get();
        let counters = &self.counters;
        let is_it = |counter: u32| counters[counter as usize].key.as_bytes() == key.as_bytes();
        match self.index.find(hash, is_it) {
            Some(counter) => self.heap.add(counter, weight),
            None if self.counters.len() < self.room => self.begin(key, hash, weight),
            None => self.take_over(key, hash, weight),
        }
    }

    fn begin(&mut self, key: &K, hash: u32, weight: u64) {
        let counter = self.counters.len() as u32;
        self.counters.push(Counter { key: *key, hash, inherited: 0 });
        self.index.insert(hash, counter);
        self.heap.push(counter, weight);
    }

    /// The flow gets the least counter, and what that has counted.
    fn take_over(&mut self, key: &K, hash: u32, weight: u64) {
        let (counter, inherited) = self.heap.least();
        let old = std::mem::replace(
            &mut self.counters[counter as usize],
            Counter { key: *key, hash, inherited },
        );
        self.index.remove(old.hash, counter);
        self.index.insert(hash, counter);
        self.heap.add(counter, weight);
    }

    /// All weights together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// No flow without a counter has more than this: 0 until all counters are taken.
    pub fn floor(&self) -> u64 {
        if self.counters.len() < self.room { 0 } else { self.heap.least().1 }
    }

    /// How many flows have a counter.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// What is known of a flow, also of one without a counter.
    pub fn get(&self, key: &K) -> Heavy<K> {
        let is_it = |counter: u32| self.counters[counter as usize].key.as_bytes() == key.as_bytes();
        match self.index.find(self.seed.hash(key).get(), is_it) {
            Some(counter) => self.heavy(counter as usize),
            None => Heavy { key: *key, at_least: 0, at_most: self.floor() },
        }
    }

    /// All flows that have a counter, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Heavy<K>> {
        (0..self.counters.len()).map(|counter| self.heavy(counter))
    }

    /// Up to `most` flows, those first that may have most.
    pub fn top(&self, most: usize) -> Vec<Heavy<K>> {
        first(self.iter().collect(), most)
    }

    /// Begins anew; the counters are there again.
    pub fn clear(&mut self) {
        self.counters.clear();
        self.heap.clear();
        self.index.clear();
        self.total = 0;
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        let counters = self.counters.capacity() * size_of::<Counter<K>>();
        counters + self.heap.memory() + self.index.memory()
    }

    fn heavy(&self, counter: usize) -> Heavy<K> {
        let Counter { key, inherited, .. } = self.counters[counter];
        let at_most = self.heap.count(counter as u32);
        Heavy { key, at_least: at_most - inherited, at_most }
    }
}

/// Up to `most` flows of what several threads have counted, those first that may have most.
///
/// The bounds of a flow are the sums of its bounds in each.
pub fn combined<K: Key>(parts: &[&HeavyHitters<K>], most: usize) -> Vec<Heavy<K>> {
    let keys = parts.iter().flat_map(|part| part.iter());
    // Keys are equal when their bytes are.
    let keys: HashMap<Vec<u8>, K> =
        keys.map(|heavy| (heavy.key.as_bytes().to_vec(), heavy.key)).collect();
    let sum = |key: K| {
        let none = Heavy { key, at_least: 0, at_most: 0 };
        parts.iter().map(|part| part.get(&key)).fold(none, |sum, heavy| Heavy {
            key,
            at_least: sum.at_least.saturating_add(heavy.at_least),
            at_most: sum.at_most.saturating_add(heavy.at_most),
        })
    };
    first(keys.into_values().map(sum).collect(), most)
}

fn first<K>(mut all: Vec<Heavy<K>>, most: usize) -> Vec<Heavy<K>> {
    all.sort_by_key(|heavy| std::cmp::Reverse((heavy.at_most, heavy.at_least)));
    all.truncate(most);
    all
}

#[cfg(all(test, not(loom)))]
mod tests;

//! What readers and writers share, and how a key is looked for.
//!
//! # Moving an entry under readers
//!
//! An entry is in its home bucket, in its other bucket, or in the overflow. Only a writer, one at a
//! time, moves it from one bucket to the other (what is in the overflow stays there), in three steps,
//! before which it leaves a trace in the home's `Meta` if it goes from home:
//!
//! * **M0** the new slot is written, **M1** `moves` is counted up, **M2** the old slot is emptied.
//!
//! A reader could look at the new place too early and at the old one too late. So it believes that a
//! key is absent only if `moves` was the same before and after (R0, R1). If it saw the old slot empty (M2),
//! R1 is not older than M1. If R0 was not either, all that it looked at is not older than
//! M0: it has seen the entry in its new place, or at least the trace that leads there, and looked again.
//!
//! What does not move needs no such care: its slot stays as it is, and so does its trace.

use super::array::Array;
use super::bucket::{Bucket, Geometry, Word};
use super::entry::{Entries, Entry};
use super::key::{Hash, Key, Seed, same};
use super::scan::Scan;
use crate::quiesce::Domain;
use crate::simd::Path;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering};
use std::sync::Arc;

pub(super) struct Shared<K: Key, V> {
    pub(super) geometry: Geometry,
    pub(super) seed: Seed,
    pub(super) path: Path,
    pub(super) buckets: Array<Bucket>,
    pub(super) entries: Entries<K, V>,
    /// A bit for every position that has an entry.
    pub(super) live: Array<AtomicU64>,
    pub(super) overflow: Overflow,
    /// Entries there may be, and positions for them.
    pub(super) capacity: u32,
    pub(super) positions: u32,
    pub(super) len: AtomicU32,
    pub(super) moves: Moves,
    pub(super) domain: Arc<Domain>,
    /// What the writer had removed when it went, to be dropped with the table.
    pub(super) left_over: Mutex<Vec<u32>>,
}

/// How often an entry has moved, on a line of its own: readers look at it all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Moves(AtomicU64);

impl Moves {
    /// R0, R1.
    #[inline(always)]
    pub(super) fn seen(&self) -> u64 {
        // Acquire pairs with `count`: what is looked at afterwards is not older than M0.
        self.0.load(Ordering::Acquire)
    }

    /// M1.
    pub(super) fn count(&self) {
        // Release pairs with `seen`. Only one writer at a time adds.
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Lists of entries that found no slot: one more than the position of the first, and of the next.
#[derive(Debug)]
pub(super) struct Overflow {
    pub(super) heads: Array<AtomicU32>,
    pub(super) next: Array<AtomicU32>,
}

impl Overflow {
    #[inline]
    pub(super) fn head(&self, hash: Hash) -> &AtomicU32 {
        &self.heads[hash.0.wrapping_mul(0x85eb_ca6b) as usize % self.heads.len()]
    }
}

impl<K: Key, V> Shared<K, V> {
    /// The bucket at `index`, which comes from the geometry.
    #[inline(always)]
    pub(super) fn bucket(&self, index: usize) -> &Bucket {
        debug_assert!(index < self.buckets.len());
        // SAFETY: `Geometry` gives numbers below its count of buckets, which is the array's length.
        unsafe { self.buckets.get_unchecked(index) }
    }

    /// The entry of `key`, or `None` if there was none at some moment of the call.
    ///
    /// # Safety
    /// The processor has `S`'s instructions, and the caller is the writer or a reader that has not
    /// announced a newer epoch while the reference lives.
    #[inline(always)]
    pub(super) unsafe fn find<S: Scan>(&self, hash: Hash, key: &K) -> Option<&Entry<K, V>> {
        let before = self.moves.seen();
        let bucket = self.bucket(self.geometry.home(hash));
        // SAFETY: as promised to this function.
        unsafe {
            match self.find_in::<S>(bucket, self.geometry.tag(hash), key) {
                Some(entry) => Some(entry),
                None if !bucket.meta().may_be_elsewhere(hash) && self.moves.seen() == before => {
                    None
                }
                None => self.find_anywhere::<S>(hash, key),
            }
        }
    }

    /// # Safety
    /// As for [`Shared::find`].
    #[inline(always)]
    unsafe fn find_in<S: Scan>(&self, bucket: &Bucket, tag: Word, key: &K) -> Option<&Entry<K, V>> {
        let geometry = self.geometry;
        // SAFETY: the caller has the instructions.
        let mut slots = unsafe { S::scan(bucket, tag, geometry.index_mask) };
        while slots != 0 {
            let word = bucket.word(slots.trailing_zeros() as usize);
            slots &= slots - 1;
            if geometry.has_tag(word, tag) {
                // SAFETY: a slot with a tag has the position of an entry that was written before
                // (Acquire), and that is not dropped before the caller's epoch is over.
                let entry = unsafe { self.entries.entry(geometry.index(word)) };
                if same(&entry.key, key) {
                    return Some(entry);
                }
            }
        }
        None
    }

    /// In all places, until nothing has moved meanwhile.
    ///
    /// # Safety
    /// As for [`Shared::find`].
    #[inline(never)]
    pub(super) unsafe fn find_anywhere<S: Scan>(
        &self,
        hash: Hash,
        key: &K,
    ) -> Option<&Entry<K, V>> {
        let (home, tag) = (self.geometry.home(hash), self.geometry.tag(hash));
        let bucket = self.bucket(home);
        let other = self.bucket(self.geometry.other(home, tag));
        loop {
            let before = self.moves.seen();
            // SAFETY: as promised to this function.
            let mut found = unsafe { self.find_in::<S>(bucket, tag, key) };
            if found.is_none() && bucket.meta().may_be_elsewhere(hash) {
                // SAFETY: as promised to this function.
                found = unsafe { self.find_in::<S>(other, tag, key) };
                found = found.or_else(|| self.find_in_overflow(hash, key));
            }
            if found.is_some() || self.moves.seen() == before {
                return found;
            }
            std::hint::spin_loop();
        }
    }

    fn find_in_overflow(&self, hash: Hash, key: &K) -> Option<&Entry<K, V>> {
        // Acquire pairs with the Release that linked the entry.
        let mut next = self.overflow.head(hash).load(Ordering::Acquire);
        while let Some(index) = next.checked_sub(1) {
            // SAFETY: as in `find_in`: what is linked was written before, and what was
            // unlinked meanwhile is neither dropped nor linked anew before the caller's epoch is over.
            let entry = unsafe { self.entries.entry(index as usize) };
            if same(&entry.key, key) {
                return Some(entry);
            }
            // Acquire pairs with the Release that linked the next one.
            next = self.overflow.next[index as usize].load(Ordering::Acquire);
        }
        None
    }

    /// Whether there is an entry at a position. Then it may be used as one that was found.
    pub(super) fn is_live(&self, index: usize) -> bool {
        // Acquire pairs with the Release of `set_live`: the entry was written before.
        let word = self.live.get(index / 64).map_or(0, |word| word.load(Ordering::Acquire));
        word >> (index % 64) & 1 != 0
    }

    /// All positions that have an entry, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = usize> {
        (0..).zip(self.live.iter()).flat_map(|(nth, word): (usize, &AtomicU64)| {
            // Acquire pairs with the Release of `set_live`.
            let mut bits = word.load(Ordering::Acquire);
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                (bit < 64).then_some(nth * 64 + bit)
            })
        })
    }
}

impl<K: Key, V> Drop for Shared<K, V> {
    fn drop(&mut self) {
        let mut rest: Vec<usize> = self.live().collect();
        let left_over = crate::sync::lock(&self.left_over);
        rest.extend(left_over.iter().map(|index| *index as usize));
        for index in rest {
            // SAFETY: a live entry, or one that was removed and not dropped; nobody else is left.
            unsafe { self.entries.drop_entry(index) };
        }
    }
}

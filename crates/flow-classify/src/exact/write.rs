//! The handle that writes.

use super::bucket::{Bucket, Word};
use super::displace::Search;
use super::entry::{Entry, Found, Position};
use super::error::{Refused, Why};
use super::key::{Hash, Key, same};
use super::positions::Positions;
use super::read::{FlowTable, Reader};
use super::shared::Shared;
use crate::sync::{AtomicU32, Ordering, lock};
use std::fmt;
use std::sync::Arc;

/// The one writer of a table. It never waits for readers, nor they for it.
///
/// For several writing threads see [`Writer::share`].
pub struct Writer<K: Key, V> {
    pub(super) shared: Arc<Shared<K, V>>,
    positions: Positions,
    search: Search,
}

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The key is new.
    New(Position),
    /// The key was there, and this is its new entry.
    Replaced(Position),
}

impl Inserted {
    /// Where the entry is.
    pub fn position(self) -> Position {
        match self {
            Self::New(position) | Self::Replaced(position) => position,
        }
    }
}

/// Where the writer finds an entry.
#[derive(Clone, Copy)]
enum Spot {
    /// In a slot of its home.
    Home { bucket: usize, slot: usize },
    /// In a slot of its other bucket.
    Other { bucket: usize, slot: usize },
    /// In the list of its hash, after another entry or at the head.
    Overflow { after: Option<u32> },
}

impl<K: Key, V> Writer<K, V> {
    pub(super) fn new(shared: Arc<Shared<K, V>>) -> Self {
        let positions = Positions::new(shared.positions, Arc::clone(&shared.domain));
        Self { shared, positions, search: Search::default() }
    }

    /// The table, to make readers of on other threads.
    pub fn table(&self) -> FlowTable<K, V> {
        FlowTable(Arc::clone(&self.shared))
    }

    /// A reader.
    pub fn reader(&self) -> Reader<K, V> {
        self.table().reader()
    }

    /// Entries that there are.
    pub fn len(&self) -> usize {
        // Relaxed: only this writer changes it.
        self.shared.len.load(Ordering::Relaxed) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash of `key` in this table.
    #[inline]
    pub fn hash(&self, key: &K) -> Hash {
        self.shared.seed.hash(key)
    }

    /// Inserts an entry, or replaces the one of this key.
    ///
    /// # Errors
    /// [`Refused`] when the table is full, with the value. Nothing has changed then.
    pub fn insert(&mut self, key: K, value: V) -> Result<Inserted, Refused<V>> {
        self.insert_hashed(self.hash(&key), key, value)
    }

    /// As [`Writer::insert`], of a key whose hash is known.
    ///
    /// # Errors
    /// [`Refused`] when the table is full, with the value. Nothing has changed then.
    pub fn insert_hashed(&mut self, hash: Hash, key: K, value: V) -> Result<Inserted, Refused<V>> {
        let old = self.find(hash, &key);
        let is_full = old.is_none() && self.len() >= self.shared.capacity as usize;
        let index = match self.take_position() {
            Some(index) if !is_full => index,
            taken => {
                self.positions.give_back(taken);
                return Err(Refused { value, why: self.why_refused(is_full) });
            }
        };
        let entry = Entry { key, hash, seen: AtomicU32::new(0), value };
        // SAFETY: a position that was just taken has no entry, and no reader looks at it.
        unsafe { self.shared.entries.write(index as usize, entry) };
        let word = self.shared.geometry.word(self.shared.geometry.tag(hash), index);
        match old {
            Some((spot, old)) => self.replace(hash, spot, old, word, index),
            None => self.place(hash, word, index),
        }
        self.set_live(index, Live::Yes);
        if old.is_some() {
            return Ok(Inserted::Replaced(Position(index)));
        }
        self.count(1);
        Ok(Inserted::New(Position(index)))
    }

    /// Removes the entry of `key` and shows it once more; its value is dropped when no reader
    /// can hold it any more.
    pub fn remove(&mut self, key: &K) -> Option<Found<'_, K, V>> {
        self.remove_hashed(self.hash(key), key)
    }

    /// As [`Writer::remove`], of a key whose hash is known.
    pub fn remove_hashed(&mut self, hash: Hash, key: &K) -> Option<Found<'_, K, V>> {
        let (spot, index) = self.find(hash, key)?;
        self.unlink(hash, spot, index);
        self.retire(index);
        self.count(u32::MAX);
        // SAFETY: what is retired is dropped by this writer only, which the result borrows.
        Some(Found(unsafe { self.shared.entries.entry(index as usize) }))
    }

    /// Removes what is at a position.
    pub fn remove_at(&mut self, position: Position) -> Option<Found<'_, K, V>> {
        let found = self.at(position)?;
        let (hash, key) = (found.hash(), *found.key());
        self.remove_hashed(hash, &key)
    }

    /// Removes all entries for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(Found<'_, K, V>) -> bool) {
        for index in 0..self.shared.positions {
            if self.at(Position(index)).is_some_and(|found| !keep(found)) {
                self.remove_at(Position(index));
            }
        }
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// The entry of `key`.
    #[inline]
    pub fn get(&self, key: &K) -> Option<Found<'_, K, V>> {
        // SAFETY: nobody but this writer, which the result borrows, drops an entry.
        unsafe { self.shared.find_on_path(self.hash(key), key) }.map(Found)
    }

    /// What is at a position, if there is an entry.
    pub fn at(&self, position: Position) -> Option<Found<'_, K, V>> {
        let shared = &*self.shared;
        let is_live = shared.is_live(position.index());
        // SAFETY: a live entry, which nobody but this writer, which the result borrows, drops.
        is_live.then(|| Found(unsafe { shared.entries.entry(position.index()) }))
    }

    /// All entries, in the order of their positions.
    pub fn iter(&self) -> impl Iterator<Item = Found<'_, K, V>> {
        self.shared.live().filter_map(|index| self.at(Position(index as u32)))
    }

    /// Drops the values of what was removed, as far as no reader can hold them. Insertions do so
    /// by and by; this is for who wants the memory behind values back sooner.
    ///
    /// Returns how many are still held.
    pub fn reclaim(&mut self) -> usize {
        let freed = self.positions.reclaim();
        self.drop_entries(freed);
        self.positions.held()
    }

    pub(super) fn count_generations(&mut self) {
        self.positions.count_generations();
    }

    pub(super) fn generation(&self, position: Position) -> u32 {
        self.positions.generation(position.index())
    }

    fn take_position(&mut self) -> Option<u32> {
        if self.positions.is_out() {
            self.reclaim();
        }
        self.positions.take()
    }

    fn why_refused(&self, is_full: bool) -> Why {
        if is_full {
            return Why::Full { capacity: self.shared.capacity as usize };
        }
        Why::Held { removed: self.positions.held() }
    }

    fn count(&mut self, more: u32) {
        // Relaxed: only this writer changes it, and nobody reads anything after it.
        let len = self.shared.len.load(Ordering::Relaxed);
        // Relaxed: as above.
        self.shared.len.store(len.wrapping_add(more), Ordering::Relaxed);
    }

    /// Of what was unlinked. It is not dropped in this call.
    fn retire(&mut self, index: u32) {
        if self.positions.is_due() {
            self.reclaim();
        }
        self.set_live(index, Live::No);
        self.positions.retire(index);
    }

    fn drop_entries(&self, freed: usize) {
        if std::mem::needs_drop::<V>() || cfg!(loom) {
            for index in self.positions.last_freed(freed) {
                // SAFETY: removed by this writer, and no reader is left from before that.
                unsafe { self.shared.entries.drop_entry(*index as usize) };
            }
        }
    }

    fn set_live(&self, index: u32, live: Live) {
        let word = &self.shared.live[index as usize / 64];
        let bit = 1 << (index % 64);
        // Relaxed: only this writer changes it.
        let bits = word.load(Ordering::Relaxed);
        let bits = if live == Live::Yes { bits | bit } else { bits & !bit };
        // Release pairs with the Acquire of `Shared::live`: the entry was written before.
        word.store(bits, Ordering::Release);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Live {
    Yes,
    No,
}

/// Finding and placing.
impl<K: Key, V> Writer<K, V> {
    #[inline]
    fn find(&self, hash: Hash, key: &K) -> Option<(Spot, u32)> {
        let shared = &*self.shared;
        let (bucket, tag) = (shared.geometry.home(hash), shared.geometry.tag(hash));
        if let Some((slot, index)) = self.find_in(shared.bucket(bucket), tag, key) {
            return Some((Spot::Home { bucket, slot }, index));
        }
        if !shared.bucket(bucket).meta().may_be_elsewhere(hash) {
            return None;
        }
        let bucket = shared.geometry.other(bucket, tag);
        match self.find_in(shared.bucket(bucket), tag, key) {
            Some((slot, index)) => Some((Spot::Other { bucket, slot }, index)),
            None => self.find_in_overflow(hash, key),
        }
    }

    #[inline]
    fn find_in(&self, bucket: &Bucket, tag: Word, key: &K) -> Option<(usize, u32)> {
        let shared = &*self.shared;
        let mut slots = shared.scan(bucket, tag);
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let index = shared.geometry.index(bucket.word(slot));
            // SAFETY: what this writer has in a slot has an entry, and only it takes it away.
            if same(&unsafe { shared.entries.entry(index) }.key, key) {
                return Some((slot, index as u32));
            }
        }
        None
    }

    fn find_in_overflow(&self, hash: Hash, key: &K) -> Option<(Spot, u32)> {
        let mut after = None;
        loop {
            // Relaxed: only this writer changes links.
            let index = self.link(hash, after).load(Ordering::Relaxed).checked_sub(1)?;
            // SAFETY: what this writer has linked has an entry, and only it takes it away.
            if same(&unsafe { self.shared.entries.entry(index as usize) }.key, key) {
                return Some((Spot::Overflow { after }, index));
            }
            after = Some(index);
        }
    }

    /// The link from an entry to the next, or from the head to the first.
    fn link(&self, hash: Hash, after: Option<u32>) -> &AtomicU32 {
        let overflow = &self.shared.overflow;
        after.map_or_else(|| overflow.head(hash), |index| &overflow.next[index as usize])
    }

    /// Puts the entry of a new key somewhere.
    #[inline]
    fn place(&mut self, hash: Hash, word: Word, index: u32) {
        let shared = &*self.shared;
        let home = shared.geometry.home(hash);
        let bucket = shared.bucket(home);
        let empty = shared.scan(bucket, Word::EMPTY);
        if empty != 0 {
            return bucket.set(empty.trailing_zeros() as usize, word);
        }
        self.place_elsewhere(hash, home, word, index);
    }

    #[inline(never)]
    fn place_elsewhere(&mut self, hash: Hash, home: usize, word: Word, index: u32) {
        let shared = &*self.shared;
        let other = shared.geometry.other(home, word);
        let (bucket, trace) = (shared.bucket(home), shared.bucket(home).meta().left(hash));
        let empty = shared.scan(shared.bucket(other), Word::EMPTY);
        if empty != 0 {
            bucket.set_meta(trace);
            return shared.bucket(other).set(empty.trailing_zeros() as usize, word);
        }
        match self.search.make_room(shared, [home, other]) {
            Some((at, slot)) if at == home => bucket.set(slot, word),
            Some((at, slot)) => {
                bucket.set_meta(bucket.meta().left(hash));
                shared.bucket(at).set(slot, word);
            }
            None => {
                bucket.set_meta(bucket.meta().left(hash));
                self.push_overflow(hash, index);
            }
        }
    }

    fn push_overflow(&self, hash: Hash, index: u32) {
        let head = self.shared.overflow.head(hash);
        // Relaxed: only this writer changes links; nobody follows this one before the next line.
        let first = head.load(Ordering::Relaxed);
        // Relaxed: as above.
        self.link(hash, Some(index)).store(first, Ordering::Relaxed);
        // Release pairs with the Acquire of readers: the entry and its link were written before.
        head.store(index + 1, Ordering::Release);
    }

    /// Puts another entry in the place of one with the same key.
    fn replace(&mut self, hash: Hash, spot: Spot, old: u32, word: Word, index: u32) {
        match spot {
            Spot::Home { bucket, slot } | Spot::Other { bucket, slot } => {
                self.shared.bucket(bucket).set(slot, word);
            }
            Spot::Overflow { after } => {
                // Relaxed: only this writer changes links; nobody follows this one yet.
                let next = self.link(hash, Some(old)).load(Ordering::Relaxed);
                // Relaxed: as above.
                self.link(hash, Some(index)).store(next, Ordering::Relaxed);
                // Release pairs with the Acquire of readers: entry and link were written before.
                self.link(hash, after).store(index + 1, Ordering::Release);
            }
        }
        self.retire(old);
    }

    /// Takes an entry out of wherever it is.
    #[inline]
    fn unlink(&self, hash: Hash, spot: Spot, index: u32) {
        let shared = &*self.shared;
        let home = shared.bucket(shared.geometry.home(hash));
        match spot {
            Spot::Home { bucket, slot } => shared.bucket(bucket).set(slot, Word::EMPTY),
            Spot::Other { bucket, slot } => {
                shared.bucket(bucket).set(slot, Word::EMPTY);
                home.set_meta(home.meta().came_back());
            }
            Spot::Overflow { after } => {
                // Relaxed: only this writer changes links.
                let next = self.link(hash, Some(index)).load(Ordering::Relaxed);
                // Release pairs with the Acquire of readers: what is after was linked before.
                self.link(hash, after).store(next, Ordering::Release);
                home.set_meta(home.meta().came_back());
            }
        }
    }
}

impl<K: Key, V> Drop for Writer<K, V> {
    fn drop(&mut self) {
        // Readers may be left: the last of all drops what was removed.
        lock(&self.shared.left_over).extend(self.positions.drain_held());
    }
}

impl<K: Key, V> fmt::Debug for Writer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writer").field(&self.table()).finish()
    }
}

//! Handles that read.

use super::entry::{Found, Position};
use super::key::{Hash, Key};
use super::shared::Shared;
use crate::quiesce::Announcer;
use crate::simd::Path;
use crate::sync::Ordering;
use std::fmt;
use std::sync::Arc;

/// The table as anybody may hold it: makes readers, tells sizes. Cheap to clone.
pub struct FlowTable<K: Key, V>(pub(super) Arc<Shared<K, V>>);

impl<K: Key, V> Clone for FlowTable<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key, V> FlowTable<K, V> {
    /// A reader, for one thread at a time. It takes a lock, and holds back what is removed from
    /// now on until its next view, or its end.
    pub fn reader(&self) -> Reader<K, V> {
        let announcer = self.0.domain.announcer();
        Reader { shared: Arc::clone(&self.0), announcer }
    }

    /// Entries that there are, as the writer last said.
    pub fn len(&self) -> usize {
        // Relaxed: a figure, which nothing is read after.
        self.0.len.load(Ordering::Relaxed) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that there may be.
    pub fn capacity(&self) -> usize {
        self.0.capacity as usize
    }

    /// One more than the highest [`Position`] there can be: more than the capacity, because what is
    /// removed keeps its position until no reader can hold it.
    pub fn positions(&self) -> usize {
        self.0.positions as usize
    }

    /// Bytes of buckets, entries and lists.
    pub fn memory(&self) -> usize {
        let Shared { buckets, entries, live, overflow, .. } = &*self.0;
        let lists = overflow.heads.bytes() + overflow.next.bytes();
        buckets.bytes() + entries.bytes() + live.bytes() + lists
    }

    /// The instructions that look-ups use, and why.
    pub fn path(&self) -> Path {
        self.0.path
    }

    /// The hash of `key` in this table.
    #[inline]
    pub fn hash(&self, key: &K) -> Hash {
        self.0.seed.hash(key)
    }
}

impl<K: Key, V> fmt::Debug for FlowTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity, path) = (self.len(), self.capacity(), self.path());
        let mut table = f.debug_struct("FlowTable");
        table.field("len", &len).field("capacity", &capacity).field("path", &path).finish()
    }
}

/// A reader. It never waits, allocates or writes to memory that other readers use.
pub struct Reader<K: Key, V> {
    pub(super) shared: Arc<Shared<K, V>>,
    announcer: Announcer,
}

impl<K: Key, V> Reader<K, V> {
    /// Begins a burst: what was found in the view before is given up (its borrow has ended), and
    /// what was removed since can be reclaimed.
    #[inline]
    pub fn view(&mut self) -> View<'_, K, V> {
        self.announcer.quiesce();
        View { shared: &self.shared }
    }

    /// The table.
    pub fn table(&self) -> FlowTable<K, V> {
        FlowTable(Arc::clone(&self.shared))
    }

    /// The hash of `key` in this table.
    #[inline]
    pub fn hash(&self, key: &K) -> Hash {
        self.shared.seed.hash(key)
    }
}

impl<K: Key, V> fmt::Debug for Reader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.table()).finish()
    }
}

/// The table during one burst. What is found stays valid as long as the view.
///
/// Every look-up sees every entry whose insertion was complete before it, and whose removal had not
/// begun. An entry that is replaced is found, the old or the new one.
pub struct View<'r, K: Key, V> {
    pub(super) shared: &'r Shared<K, V>,
}

impl<K: Key, V> Clone for View<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Key, V> Copy for View<'_, K, V> {}

impl<'r, K: Key, V> View<'r, K, V> {
    /// Looks for one key.
    #[inline]
    pub fn get(self, key: &K) -> Option<Found<'r, K, V>> {
        self.get_hashed(self.shared.seed.hash(key), key)
    }

    /// Looks for one key whose hash is known.
    #[inline]
    pub fn get_hashed(self, hash: Hash, key: &K) -> Option<Found<'r, K, V>> {
        // SAFETY: the view borrows its reader, which cannot announce an epoch meanwhile.
        unsafe { self.shared.find_on_path(hash, key) }.map(Found)
    }

    /// What is at a position, if there is an entry.
    pub fn at(self, position: Position) -> Option<Found<'r, K, V>> {
        self.shared.is_live(position.index()).then(|| self.entry(position.index()))
    }

    /// Where an entry is.
    #[inline]
    pub fn position(self, found: Found<'r, K, V>) -> Position {
        Position(self.shared.entries.index_of(found.0) as u32)
    }

    /// All entries, in the order of their positions: each that is there throughout, once; of those
    /// that come, go or are replaced meanwhile, any.
    pub fn iter(self) -> impl Iterator<Item = Found<'r, K, V>> {
        self.shared.live().map(move |index| self.entry(index))
    }

    /// Entries that there are.
    pub fn len(self) -> usize {
        // Relaxed: a figure, which nothing is read after.
        self.shared.len.load(Ordering::Relaxed) as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn entry(self, index: usize) -> Found<'r, K, V> {
        // SAFETY: the position was seen live in this view, so that the entry was written before and
        // is not dropped before the view ends.
        Found(unsafe { self.shared.entries.entry(index) })
    }
}

impl<K: Key, V> fmt::Debug for View<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("len", &self.len()).finish_non_exhaustive()
    }
}

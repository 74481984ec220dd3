//! Entries, each at a position that it keeps.

use super::array::Place;
use super::key::{Hash, Key};
use crate::sync::{AtomicU32, Ordering};
use std::fmt;

/// What is behind a position. `seen` is for readers to write, the rest stays as it is.
#[repr(C)]
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) hash: Hash,
    pub(super) seen: AtomicU32,
    pub(super) value: V,
}

/// Where an entry is, from its insertion to its removal: a number below
/// [`FlowTable::positions`](super::FlowTable::positions), for arrays of one's own beside the table.
///
/// A value that is replaced is another entry, at another position. The position of what was
/// removed is used again, once no reader can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(super) u32);

impl Position {
    /// As an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An entry of a table. It stays valid, whatever writers do, as long as the view that it is from.
pub struct Found<'v, K, V>(pub(super) &'v Entry<K, V>);

impl<K, V> Clone for Found<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Found<'_, K, V> {}

impl<'v, K: Key, V> Found<'v, K, V> {
    /// The key.
    #[inline]
    pub fn key(self) -> &'v K {
        &self.0.key
    }

    /// The value. What is to change in it while it is in the table are atomics.
    #[inline]
    pub fn value(self) -> &'v V {
        &self.0.value
    }

    /// The hash under which it was inserted.
    #[inline]
    pub fn hash(self) -> Hash {
        self.0.hash
    }

    /// Notes that the entry was in use at `now`, for [`Aging`](super::Aging). The line is written only
    /// when `now` is another than the last time: take a coarse clock.
    #[inline]
    pub fn touch(self, now: u32) {
        // Relaxed: a hint, which nothing is read after.
        if self.last_seen() != now {
            self.0.seen.store(now, Ordering::Relaxed);
        }
    }

    /// When it was last in use; 0 unless [`Found::touch`] was called.
    #[inline]
    pub fn last_seen(self) -> u32 {
        // Relaxed: as above.
        self.0.seen.load(Ordering::Relaxed)
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Found<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { key, hash, value, .. } = self.0;
        f.debug_struct("Found").field("key", key).field("hash", hash).field("value", value).finish()
    }
}

#[cfg(not(loom))]
pub(super) use packed::Entries;
#[cfg(loom)]
pub(super) use watched::Entries;

/// Entries in plain memory.
#[cfg(not(loom))]
mod packed {
    use super::{Entry, Place};
    use crate::memory::Memory;
    use std::marker::PhantomData;
    use std::ptr::NonNull;

    /// Room for entries; which of them there are is known elsewhere.
    pub(in super::super) struct Entries<K, V> {
        base: NonNull<u8>,
        positions: u32,
        _memory: Box<dyn Memory>,
        entries: PhantomData<Entry<K, V>>,
    }

    // SAFETY: owned memory with entries, which may be sent if keys and values may.
    unsafe impl<K: Send, V: Send> Send for Entries<K, V> {}
    // SAFETY: `&Entries` gives `&Entry`; what takes a value out or puts one in is unsafe.
    unsafe impl<K: Sync, V: Sync> Sync for Entries<K, V> {}

    impl<K, V> Entries<K, V> {
        /// From one entry to the next, so that none lies in more cache lines than it has to.
        const STRIDE: usize = {
            let size = size_of::<Entry<K, V>>();
            assert!(align_of::<Entry<K, V>>() <= 64, "values are aligned to 64 at most");
            if size <= 64 { size.next_power_of_two() } else { size.next_multiple_of(64) }
        };

        /// Room for `positions`; otherwise the bytes that could not be had.
        pub(in super::super) fn new(positions: u32, place: Place<'_>) -> Result<Self, usize> {
            let bytes = (positions as usize).saturating_mul(Self::STRIDE);
            let memory = place(bytes).filter(|memory| memory.len() >= bytes).ok_or(bytes)?;
            Ok(Self { base: memory.base(), positions, _memory: memory, entries: PhantomData })
        }

        pub(in super::super) fn bytes(&self) -> usize {
            self.positions as usize * Self::STRIDE
        }

        /// Where an entry is or would be. Only an index below `positions` leads to this memory.
        #[inline(always)]
        pub(in super::super) fn pointer(&self, index: usize) -> *mut Entry<K, V> {
            Self::beyond(self.base.as_ptr().cast(), index)
        }

        /// So many entries behind the first.
        #[inline(always)]
        pub(in super::super) fn beyond(first: *mut Entry<K, V>, index: usize) -> *mut Entry<K, V> {
            first.wrapping_byte_add(index * Self::STRIDE)
        }

        /// # Safety
        /// There is an entry at `index`, and nobody writes or drops it while the reference lives.
        #[inline(always)]
        pub(in super::super) unsafe fn entry(&self, index: usize) -> &Entry<K, V> {
            // SAFETY: as the caller promises; the stride keeps the alignment.
            unsafe { &*self.pointer(index) }
        }

        /// # Safety
        /// `index` is below `positions`, no entry is there, and nobody else uses it.
        #[inline(always)]
        pub(in super::super) unsafe fn write(&self, index: usize, entry: Entry<K, V>) {
            // SAFETY: as the caller promises.
            unsafe { self.pointer(index).write(entry) };
        }

        /// # Safety
        /// There is an entry at `index`, and nobody uses it any more.
        pub(in super::super) unsafe fn drop_entry(&self, index: usize) {
            if std::mem::needs_drop::<V>() {
                // SAFETY: as the caller promises.
                unsafe { self.pointer(index).drop_in_place() };
            }
        }

        /// Where `entry`, one of these, is.
        #[inline]
        pub(in super::super) fn index_of(&self, entry: &Entry<K, V>) -> usize {
            (std::ptr::from_ref(entry) as usize - self.base.as_ptr() as usize) / Self::STRIDE
        }
    }
}

/// Entries that loom watches.
#[cfg(loom)]
mod watched {
    use super::{Entry, Place};
    use loom::cell::UnsafeCell;
    use std::mem::MaybeUninit;

    pub(in super::super) struct Entries<K, V> {
        cells: Vec<UnsafeCell<MaybeUninit<Entry<K, V>>>>,
    }

    // SAFETY: as for the packed form.
    unsafe impl<K: Send, V: Send> Send for Entries<K, V> {}
    // SAFETY: as for the packed form.
    unsafe impl<K: Sync, V: Sync> Sync for Entries<K, V> {}

    impl<K, V> Entries<K, V> {
        pub(in super::super) fn new(positions: u32, _place: Place<'_>) -> Result<Self, usize> {
            let cells = (0..positions).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
            Ok(Self { cells })
        }

        pub(in super::super) fn bytes(&self) -> usize {
            self.cells.len() * size_of::<Entry<K, V>>()
        }

        pub(in super::super) fn pointer(&self, _index: usize) -> *mut Entry<K, V> {
            std::ptr::null_mut()
        }

        pub(in super::super) fn beyond(first: *mut Entry<K, V>, _index: usize) -> *mut Entry<K, V> {
            first
        }

        /// # Safety
        /// As for the packed form.
        pub(in super::super) unsafe fn entry(&self, index: usize) -> &Entry<K, V> {
            // SAFETY: as the caller promises; loom checks that no write is concurrent.
            self.cells[index].with(|cell| unsafe { (*cell).assume_init_ref() })
        }

        /// # Safety
        /// As for the packed form.
        pub(in super::super) unsafe fn write(&self, index: usize, entry: Entry<K, V>) {
            // SAFETY: as the caller promises; loom checks it.
            self.cells[index].with_mut(|cell| unsafe {
                (*cell).write(entry);
            });
        }

        /// # Safety
        /// As for the packed form.
        pub(in super::super) unsafe fn drop_entry(&self, index: usize) {
            // SAFETY: as the caller promises; loom checks it.
            self.cells[index].with_mut(|cell| unsafe { (*cell).assume_init_drop() });
        }

        pub(in super::super) fn index_of(&self, entry: &Entry<K, V>) -> usize {
            let is_it = |cell: &UnsafeCell<MaybeUninit<Entry<K, V>>>| {
                cell.with(|cell| std::ptr::eq(cell.cast(), entry))
            };
            self.cells.iter().position(is_it).unwrap_or(usize::MAX)
        }
    }
}

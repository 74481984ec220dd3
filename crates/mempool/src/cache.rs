//! A thread's own stock of a pool's objects: last in, first out, so that what was used last, and is
//! still in the CPU's cache, is used next.
//!
//! A cache of size *s* holds up to 1½ *s* objects. When more would come back, the coldest are handed
//! to the shared store and half of *s*, the warmest, stay; when it runs dry, it fetches what is
//! asked for and half of *s* more. So a thread that takes and returns in turn meets the shared store
//! once in *s* objects at the most, in whatever pattern it does so.

use crate::backend::Store;
use crate::object::Object;
use core::cell::Cell;
use linecard_ring::{Sink, copy_run};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Objects that a cache of size `size` holds at the most.
pub(crate) const fn most(size: usize) -> usize {
    size.saturating_add(size / 2)
}

/// One thread's objects of one pool. Only that thread touches it, but for [`Cache::len`]; and only
/// through shared references, so that others may count while it is at work.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Objects in `objects`. Atomic since other threads read it to count; only the owner writes.
    len: AtomicUsize,
    size: usize,
    most: usize,
    lines: Box<[Line]>,
}

/// A cache line of objects, so that full lines are copied as such.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
struct Line([Cell<Object>; 8]);

const _: () = assert!(size_of::<Line>() == 8 * size_of::<Object>());

impl Cache {
    /// An empty cache. `filler` is any object of the pool; the array wants a value.
    pub(crate) fn new(size: usize, filler: Object) -> Self {
        let line = Line(core::array::from_fn(|_| Cell::new(filler)));
        let lines = vec![line; most(size).div_ceil(8)].into_boxed_slice();
        Cache { len: AtomicUsize::new(0), size, most: most(size), lines }
    }

    /// Where objects are kept; the first `len` are there.
    #[inline(always)]
    fn objects(&self) -> &[Cell<Object>] {
        // SAFETY: lines are arrays of eight without padding, and there are enough for `most`.
        unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast(), self.most) }
    }

    /// Objects in it.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        // Relaxed: a count; it publishes nothing.
        self.len.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set_len(&self, len: usize) {
        // Relaxed: as in `len`.
        self.len.store(len, Ordering::Relaxed);
    }

    /// Takes `objects` in, handing cold ones to `store` if there are too many; says whether it did.
    #[inline(always)]
    #[must_use]
    pub(crate) fn put(&self, store: &Store, objects: &[Object]) -> bool {
        let len = self.len();
        let end = len + objects.len();
        match self.objects().get(len..end) {
            Some(room) => {
                copy(objects, room);
                self.set_len(end);
                false
            }
            None => {
                self.overflow(store, objects);
                true
            }
        }
    }

    /// Takes `objects` in when they do not fit: the coldest go to `store`.
    #[cold]
    #[inline(never)]
    fn overflow(&self, store: &Store, objects: &[Object]) {
        let keep = (self.size / 2).min(self.len());
        if keep + objects.len() > self.objects().len() {
            store.put(objects);
            return;
        }
        let cold = self.len() - keep;
        store.put(plain(&self.objects()[..cold]));
        for i in 0..keep {
            self.objects()[i].set(self.objects()[cold + i].get());
        }
        copy(objects, &self.objects()[keep..keep + objects.len()]);
        self.set_len(keep + objects.len());
    }

    /// Gives `n` objects, fetching more from `store` if there are too few. All or nothing.
    ///
    /// # Safety
    /// `into` is writable for `n` objects.
    #[inline(always)]
    pub(crate) unsafe fn take(&self, store: &Store, into: *mut Object, n: usize) -> bool {
        match self.len().checked_sub(n) {
            Some(left) => {
                // SAFETY: objects `left..left + n` are in the cache; `into` has room for `n` and is
                // other memory.
                unsafe { copy_run(self.objects().as_ptr().cast::<Object>().add(left), into, n) };
                self.set_len(left);
                true
            }
            // SAFETY: the caller's promise.
            None => unsafe { self.refill(store, into, n) },
        }
    }

    /// Fills up from `store`, then gives `n` objects.
    ///
    /// # Safety
    /// As [`take`](Self::take).
    #[cold]
    #[inline(never)]
    unsafe fn refill(&self, store: &Store, into: *mut Object, n: usize) -> bool {
        let missing = n - self.len();
        let room = self.objects().len() - self.len();
        let more = (missing + self.size / 2).min(room);
        let fetched = more >= missing && (self.fetch(store, more) || self.fetch(store, missing));
        // SAFETY: the caller's promise.
        unsafe {
            if fetched { self.take(store, into, n) } else { self.take_apart(store, into, missing) }
        }
    }

    /// Adds `n` objects from `store`, or none.
    fn fetch(&self, store: &Store, n: usize) -> bool {
        store.take(&mut Spare(self), n)
    }

    /// A request larger than the cache: straight from `store` what is missing, and all that is here.
    ///
    /// # Safety
    /// `into` is writable for `missing` objects and all of the cache.
    unsafe fn take_apart(&self, store: &Store, into: *mut Object, missing: usize) -> bool {
        if !store.take(&mut Room(into, missing), missing) {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { copy_run(self.objects().as_ptr().cast(), into.add(missing), self.len()) };
        self.set_len(0);
        true
    }

    /// Gives everything to `store`.
    pub(crate) fn flush(&self, store: &Store) {
        let len = self.len();
        if len > 0 {
            store.put(plain(&self.objects()[..len]));
            self.set_len(0);
        }
    }

    /// Forgets everything; says how many objects that was.
    pub(crate) fn empty(&self) -> usize {
        let len = self.len();
        self.set_len(0);
        len
    }
}

/// Cells as what is in them, for as long as nobody sets them.
#[inline(always)]
fn plain(cells: &[Cell<Object>]) -> &[Object] {
    // SAFETY: a cell has the layout of what is in it. Only the thread that is here sets cells of its
    // cache, and every use of the result ends before it does.
    unsafe { &*(core::ptr::from_ref(cells) as *const [Object]) }
}

/// Copies a run of objects into cells, a short one without a call to `memcpy`.
#[inline(always)]
fn copy(from: &[Object], to: &[Cell<Object>]) {
    assert_eq!(from.len(), to.len());
    // SAFETY: both are as long; cells may be written through a shared reference by the thread that
    // has them; what comes back is never a part of the cache that it comes back to.
    unsafe { copy_run(from.as_ptr(), to.as_ptr() as *mut Object, from.len()) }
}

/// Memory for so many objects.
pub(crate) struct Room(pub(crate) *mut Object, pub(crate) usize);

// SAFETY: whoever makes a `Room` vouches for the memory; what is put there is theirs.
unsafe impl Sink<Object> for Room {
    fn room(&mut self) -> (*mut Object, usize) {
        (self.0, self.1)
    }

    unsafe fn gave(&mut self, _: usize) {}
}

/// The room above a cache's objects.
struct Spare<'a>(&'a Cache);

// SAFETY: `room` is the part of the array behind `len`, and `gave` makes its first `n` part of it.
unsafe impl Sink<Object> for Spare<'_> {
    fn room(&mut self) -> (*mut Object, usize) {
        let room = &self.0.objects()[self.0.len()..];
        (room.as_ptr() as *mut Object, room.len())
    }

    unsafe fn gave(&mut self, n: usize) {
        self.0.set_len(self.0.len() + n);
    }
}

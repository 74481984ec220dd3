//! What all handles, thread caches and objects of a pool share, and how it ends.
//!
//! # The end of a pool
//!
//! Handles, objects in use and thread caches go away in any order, on any thread. The memory must
//! outlive the last object and should not outlive it by much; counting references object by object
//! would cost a locked instruction a packet. So nothing is counted until the last handle goes. Then
//! the pool is *closed*: the last handle takes what lies in the store and counts it as `returned`,
//! and from then on whoever returns an object counts it there instead of storing it. Who counts the
//! last one frees the memory.
//!
//! Returner and closer race: the one stores an object and then looks whether the pool is closed, the
//! other closes it and then looks for objects. [`Fence`] makes sure that at least one of them sees
//! the other, at the closer's expense.
//!
//! The shared part itself ([`Core`], not the objects' memory) is held by the handles, by every cache
//! and by the objects as a whole. A thread that returns an object must have a share beyond it, to
//! look at the pool when others may have counted the object: through its cache; or, where it has
//! none (a pool without caches, a thread that is ending), one that it takes for the call.
//!
//! Objects in the cache of a thread that lives on are returned when that thread ends, or makes a
//! cache of another pool, or touches this one again; so long the memory stays.

use crate::backend::Store;
use crate::cache::{Cache, Room};
use crate::checks::Watch;
use crate::layout::Places;
use crate::object::Object;
use crate::thread;
use core::ptr::NonNull;
use linecard_eal::barrier::Asymmetric;
use linecard_eal::mem::Segment;
use linecard_ring::Fill;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The shared part of a pool.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) cache_size: usize,
    pub(crate) size: usize,
    pub(crate) places: Places,
    pub(crate) watch: Watch,
    pub(crate) filler: Object,
    pub(crate) name: Box<str>,
    fence: Asymmetric,
    closed: AtomicBool,
    handles: AtomicUsize,
    returned: AtomicUsize,
    memory: Mutex<Vec<Segment>>,
    retire: Option<Retire>,
    /// The caches of all threads, to count what they hold.
    caches: Mutex<Vec<CacheRef>>,
}

/// A thread's cache, known to the pool while it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheRef(pub(crate) *const Cache);
// SAFETY: only the length behind it is read by other threads, and that is atomic.
unsafe impl Send for CacheRef {}

/// Ends the value in an object; called once, when all have come back.
pub(crate) type Retire = unsafe fn(*mut u8);

/// What a pool is made of.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) store: Store,
    pub(crate) cache_size: usize,
    pub(crate) places: Places,
    pub(crate) watch: Watch,
    pub(crate) memory: Vec<Segment>,
    pub(crate) retire: Option<Retire>,
}

impl Core {
    /// A pool with one handle, all objects in the store.
    pub(crate) fn new(parts: Parts) -> Arc<Core> {
        let Parts { name, store, cache_size, places, watch, memory, retire } = parts;
        let objects = places
            .addresses()
            .map(|a| Object::new(NonNull::new(a as *mut u8).expect("segments are not at zero")));
        let objects: Vec<Object> = objects.collect();
        objects.chunks(256).for_each(|some| store.put(some));
        let core = Arc::new(Core {
            store,
            cache_size,
            size: objects.len(),
            places,
            watch,
            filler: objects[0],
            name: name.into(),
            fence: Asymmetric::new(),
            closed: AtomicBool::new(false),
            handles: AtomicUsize::new(1),
            returned: AtomicUsize::new(0),
            memory: Mutex::new(memory),
            retire,
            caches: Mutex::new(Vec::new()),
        });
        // The objects' own share: given up by who counts the last of them in `count_returned`.
        let _ = Arc::into_raw(Arc::clone(&core)).expose_provenance();
        core
    }

    /// Whether the last handle is gone.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: a hint on the way in; where it matters, `fence` stands before it.
        self.closed.load(Ordering::Relaxed)
    }

    /// Puts `n` objects into `into`, or none.
    ///
    /// # Safety
    /// `into` is writable for `n` objects.
    #[inline(always)]
    pub(crate) unsafe fn take(&self, into: *mut Object, n: usize) -> bool {
        // SAFETY: the caller's promise; the cache is let go before anything could remove it; what
        // was taken is initialised.
        unsafe {
            let done = match thread::cache_of(self) {
                Some(cache) => cache.take(&self.store, into, n),
                None => self.store.take(&mut Room(into, n), n),
            };
            if done {
                self.watch.taken(&self.places, core::slice::from_raw_parts(into, n));
            }
            done
        }
    }

    /// Takes objects back. By address, since with the last object of a closed pool `this` goes too.
    ///
    /// # Safety
    /// They are objects of this pool, in use, and nobody uses them any more.
    #[inline(always)]
    pub(crate) unsafe fn put(this: NonNull<Core>, objects: &[Object]) {
        // SAFETY: until the objects are stored, the objects' share holds the core; from then on that
        // of this thread's cache does; the cache is let go before anything could remove it.
        unsafe {
            let core = this.as_ref();
            core.watch.returned(&core.places, objects);
            match thread::cache_of(core) {
                Some(cache) if !core.is_closed() => {
                    if cache.put(&core.store, objects) && core.stored_late() {
                        Core::give_up_share(this);
                    }
                }
                _ => Core::put_shared(this, objects),
            }
        }
    }

    /// Takes objects back without this thread's cache, and so without a share that the thread has:
    /// once the objects are stored, another thread may count them as the last and end the pool.
    ///
    /// # Safety
    /// As [`put`](Self::put).
    #[inline]
    unsafe fn put_shared(this: NonNull<Core>, objects: &[Object]) {
        // SAFETY: the objects are in use, so that there is a share to make another from.
        let core = unsafe { this.as_ref().share() };
        core.settle(core.stored_last(objects));
    }

    /// A share of its own for a caller who reached the pool by its address.
    ///
    /// # Safety
    /// The pool was made by [`new`](Self::new), and somebody has a share for the time of this call.
    pub(crate) unsafe fn share(&self) -> Arc<Core> {
        let whole = self.whole();
        // SAFETY: the caller's promise.
        unsafe {
            Arc::increment_strong_count(whole);
            Arc::from_raw(whole)
        }
    }

    /// Its address as that of all of its allocation, counts included: `new` exposed that one.
    fn whole(&self) -> *const Core {
        core::ptr::with_exposed_provenance(core::ptr::from_ref(self).addr())
    }

    /// Stores objects, or counts them if the pool is closed; says whether those were the last.
    #[inline]
    fn stored_last(&self, objects: &[Object]) -> bool {
        if self.is_closed() {
            return self.count_returned(objects.len() + self.empty_own_cache());
        }
        self.store.put(objects);
        self.stored_late()
    }

    /// After storing: if the pool was closed meanwhile, its closer may have missed what was stored.
    /// Says whether that was the last.
    #[inline]
    fn stored_late(&self) -> bool {
        self.fence.light();
        self.is_closed() && self.reap()
    }

    /// Counts what lies in the store of a closed pool as returned; says whether that was the last.
    #[cold]
    fn reap(&self) -> bool {
        let mut reaped = 0;
        let mut one = [self.filler];
        while self.store.take(&mut Fill::new(&mut one), 1) {
            reaped += 1;
        }
        self.count_returned(reaped)
    }

    /// What this thread has cached of a closed pool comes back too.
    #[cold]
    fn empty_own_cache(&self) -> usize {
        // SAFETY: the cache is let go before anything could remove it.
        unsafe { thread::cache_of(self) }.map_or(0, Cache::empty)
    }

    /// Counts objects of a closed pool as returned. With the last of them the memory goes, and the
    /// caller is told to give up the objects' share.
    #[cold]
    #[must_use]
    fn count_returned(&self, n: usize) -> bool {
        // AcqRel pairs with itself: who counts the last object sees all that others did with theirs.
        let before = self.returned.fetch_add(n, Ordering::AcqRel);
        let last = n > 0 && before + n == self.size;
        if last {
            self.retire_all();
            drop(core::mem::take(&mut *lock(&self.memory)));
        }
        last
    }

    /// Ends the values in the objects, all of which have come back.
    fn retire_all(&self) {
        if let Some(retire) = self.retire {
            for address in self.places.addresses() {
                // SAFETY: `Parts::retire` is for what lies in every object, and is called once.
                unsafe { retire(address as *mut u8) };
            }
        }
    }

    /// Gives up the share that `new` forgot for the objects.
    ///
    /// # Safety
    /// `count_returned` just said that the last one came back; that happens once.
    #[cold]
    unsafe fn give_up_share(this: NonNull<Core>) {
        // SAFETY: the share exists, and goes once.
        unsafe { Arc::decrement_strong_count(this.as_ref().whole()) };
    }

    /// For a caller that holds a share of its own.
    fn settle(&self, last: bool) {
        if last {
            // SAFETY: `last` is what `count_returned` said; the caller's share keeps `self`.
            unsafe { Core::give_up_share(NonNull::from(self)) };
        }
    }

    pub(crate) fn add_handle(&self) {
        // Relaxed: the count grows from a live handle only.
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// A handle goes; the last one closes the pool.
    pub(crate) fn drop_handle(&self) {
        // AcqRel pairs with the other handles' decrements: the last one sees what they did.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Relaxed: ordered by the fence below, whose partner is `light` in `stored_late`.
            self.closed.store(true, Ordering::Relaxed);
            self.fence.heavy();
            let cached = self.empty_own_cache();
            self.settle(self.count_returned(cached));
            self.settle(self.reap());
        }
    }

    /// Objects that nobody uses: in the store and in the caches of all threads.
    pub(crate) fn available(&self) -> usize {
        let caches = lock(&self.caches);
        // SAFETY: a cache deregisters itself under this lock before it goes away; it is only ever
        // used through shared references, and its length is atomic.
        let cached: usize = caches.iter().map(|c| unsafe { (*c.0).len() }).sum();
        self.store.len() + cached
    }

    /// Makes a thread's cache count.
    pub(crate) fn register(&self, cache: CacheRef) {
        lock(&self.caches).push(cache);
    }

    /// A thread's cache is about to go: what it holds comes back.
    pub(crate) fn deregister(&self, cache: &Cache) {
        let mut caches = lock(&self.caches);
        caches.retain(|c| *c != CacheRef(cache));
        if self.is_closed() {
            drop(caches);
            return self.settle(self.count_returned(cache.empty()));
        }
        // Under the lock, so that who counts finds the objects in one place or the other.
        cache.flush(&self.store);
        drop(caches);
        self.settle(self.stored_late());
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Vec<Segment>> {
        lock(&self.memory)
    }
}

/// Nothing under these locks can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

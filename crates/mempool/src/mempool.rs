//! The raw pool: addresses of objects out, addresses of objects in.

use crate::builder::Builder;
use crate::core::Core;
use crate::error::Fault;
use crate::layout::Layout;
use crate::object::Object;
use core::fmt;
use core::ptr::NonNull;
use linecard_eal::mem::Report;
use std::sync::Arc;

/// A handle to a pool of raw objects. Cloning gives another handle.
///
/// Taking objects is safe, since a taken address does nothing by itself; returning one is not, since
/// nothing stops a caller from returning it twice. [`Pool`](crate::Pool) and packet buffers put
/// types around that.
pub struct Mempool {
    core: Arc<Core>,
}

/// Where an object came from, and so where it goes back to: what an object keeps of its pool.
///
/// A plain address. It is valid as long as an object of the pool is in use, and longer with a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Home(NonNull<Core>);

// SAFETY: an address of something that is `Sync`.
unsafe impl Send for Home {}
// SAFETY: as above.
unsafe impl Sync for Home {}

impl Home {
    /// Takes objects back into their pool.
    ///
    /// # Safety
    /// `objects` are objects of the pool that this is the home of; they are in use, and nobody uses
    /// them any more.
    #[inline(always)]
    pub unsafe fn put_bulk(self, objects: &[Object]) {
        // SAFETY: the caller's promise.
        unsafe { Core::put(self.0, objects) }
    }
}

impl Mempool {
    /// Starts to describe a pool.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    pub(crate) fn over(core: Arc<Core>) -> Self {
        Mempool { core }
    }

    /// Fills `into` with the addresses of as many objects, or leaves it as it is and says `false`.
    ///
    /// Objects hold whatever was last in them (in debug builds, poison).
    #[inline(always)]
    pub fn take_bulk(&self, into: &mut [Object]) -> bool {
        // SAFETY: a slice is writable over its length.
        unsafe { self.core.take(into.as_mut_ptr(), into.len()) }
    }

    /// As [`take_bulk`](Self::take_bulk), into memory that holds nothing yet.
    ///
    /// # Safety
    /// `into` is writable for `n` objects.
    #[inline(always)]
    pub unsafe fn take_into(&self, into: *mut Object, n: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.core.take(into, n) }
    }

    /// The address of one object, if there is one.
    #[inline(always)]
    pub fn take(&self) -> Option<Object> {
        let mut one = [self.core.filler];
        self.take_bulk(&mut one).then(|| one[0])
    }

    /// Takes objects back.
    ///
    /// # Safety
    /// They are objects of this pool, in use, and nobody uses them any more.
    #[inline(always)]
    pub unsafe fn put_bulk(&self, objects: &[Object]) {
        // SAFETY: the caller's promise.
        unsafe { Core::put(NonNull::from(&*self.core), objects) }
    }

    /// Where objects of this pool go back to.
    #[inline]
    pub fn home(&self) -> Home {
        Home(NonNull::from(&*self.core))
    }

    /// An address that is an object of this pool: a filler for arrays that wait for objects.
    #[inline]
    pub fn filler(&self) -> Object {
        self.core.filler
    }

    /// The name given to it.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Objects in all.
    pub fn size(&self) -> usize {
        self.core.size
    }

    /// Objects that nobody uses. Exact while no thread takes or returns; else within what they are
    /// about to.
    pub fn available(&self) -> usize {
        self.core.available()
    }

    /// Objects in use.
    pub fn in_use(&self) -> usize {
        self.size().saturating_sub(self.available())
    }

    /// The size of each thread's cache; 0 if there are none. A thread may hold half as many again.
    pub fn cache_size(&self) -> usize {
        self.core.cache_size
    }

    /// How objects lie.
    pub fn layout(&self) -> Layout {
        self.core.places.layout()
    }

    /// What the kernel gave for each segment, and why nothing better.
    pub fn memory(&self) -> Vec<Report> {
        self.core.memory().iter().map(|segment| segment.report().clone()).collect()
    }

    /// Calls `each` with the memory of the pool: to map it for a device, or to share it. Until it
    /// returns, [`memory`](Self::memory) and this wait, on this thread for ever.
    pub fn with_segments<R>(&self, each: impl FnOnce(&[linecard_eal::mem::Segment]) -> R) -> R {
        each(&self.core.memory())
    }

    /// The addresses of all objects, free or in use, in order.
    pub fn walk(&self) -> impl Iterator<Item = Object> + '_ {
        // Addresses of segments are not null.
        self.core.places.addresses().filter_map(|a| NonNull::new(a as *mut u8)).map(Object::new)
    }

    /// Which object starts at this address, if one does.
    pub fn index_of(&self, object: Object) -> Option<usize> {
        self.core.places.index_of(object.as_ptr() as usize)
    }

    /// Looks at every object's end and at the counts. Finds overflows only where checks are compiled
    /// in (debug builds, feature `checks`).
    pub fn audit(&self) -> Vec<Fault> {
        let mut faults = self.core.watch.audit(&self.core.places);
        let (available, size) = (self.available(), self.size());
        if available > size {
            faults.push(Fault::TooMany { available, size });
        }
        faults
    }
}

impl Clone for Mempool {
    fn clone(&self) -> Self {
        self.core.add_handle();
        Mempool { core: Arc::clone(&self.core) }
    }
}

impl Drop for Mempool {
    fn drop(&mut self) {
        self.core.drop_handle();
    }
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mempool")
            .field("name", &self.name())
            .field("size", &self.size())
            .field("available", &self.available())
            .field("layout", &self.layout())
            .finish_non_exhaustive()
    }
}

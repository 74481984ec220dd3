//! What debug builds watch: the end of every object, the inside of free ones, and who is free.

use crate::error::Fault;
use crate::layout::{Layout, Places};
use crate::object::Object;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the checks are compiled in.
pub(crate) const ON: bool = cfg!(any(debug_assertions, feature = "checks"));

/// What stands behind every object.
const CANARY: u64 = 0xC0DE_FEED_5AFE_B0B5;
/// What fills the watched part of free objects.
const POISON: u8 = 0x6B;

/// The watch over a pool's objects; empty where checks are compiled out.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Which objects are in use.
    in_use: Vec<AtomicBool>,
    /// Which bytes of a free object nobody may change.
    poisoned: Range<usize>,
}

impl Watch {
    /// # Safety
    /// The objects at `places` are writable and nobody else's yet.
    pub(crate) unsafe fn new(places: &Places, poisoned: Range<usize>) -> Self {
        let mut in_use = Vec::new();
        if ON {
            for address in places.addresses() {
                in_use.push(AtomicBool::new(false));
                let end = address + places.layout().object;
                // SAFETY: the caller's promise; the range lies within the object by the builder's
                // check, and the layout has room for the canary behind it.
                unsafe {
                    poison(address as *mut u8, &poisoned);
                    (end as *mut u64).write_unaligned(CANARY);
                }
            }
        }
        Watch { in_use, poisoned }
    }

    /// Objects go into use.
    ///
    /// # Panics
    /// If one was written while it was free.
    #[inline(always)]
    pub(crate) fn taken(&self, places: &Places, objects: &[Object]) {
        if ON {
            objects.iter().for_each(|o| self.taken_one(places, *o));
        }
    }

    /// Objects come back.
    ///
    /// # Panics
    /// If one is no object of the pool, is free already, or was written past its end.
    #[inline(always)]
    pub(crate) fn returned(&self, places: &Places, objects: &[Object]) {
        if ON {
            objects.iter().for_each(|o| self.returned_one(places, *o));
        }
    }

    fn taken_one(&self, places: &Places, object: Object) {
        let index = self.index(places, object);
        if let Some(fault) = self.inspect_free(index, object) {
            panic!("{fault}");
        }
        // Relaxed: whoever returned it handed it over through the store, which orders this.
        let was = self.in_use[index].swap(true, Ordering::Relaxed);
        assert!(!was, "object {index} was handed out twice");
    }

    fn returned_one(&self, places: &Places, object: Object) {
        let index = self.index(places, object);
        // Relaxed: as in `taken_one`.
        let was = self.in_use[index].swap(false, Ordering::Relaxed);
        assert!(was, "object {index} was returned twice");
        if let Some(fault) = inspect_end(index, object, places.layout()) {
            panic!("{fault}");
        }
        // SAFETY: the object has come back, so nobody else has it; the range lies within it.
        unsafe { poison(object.as_ptr(), &self.poisoned) };
    }

    fn index(&self, places: &Places, object: Object) -> usize {
        places
            .index_of(object.as_ptr() as usize)
            .expect("no object of this pool was returned to it")
    }

    fn inspect_free(&self, index: usize, object: Object) -> Option<Fault> {
        let watched = self.poisoned.clone();
        // SAFETY: the object is free and in the hands of the caller, so nobody writes to it.
        let bytes = unsafe {
            let from = object.as_ptr().add(watched.start);
            core::slice::from_raw_parts(from, watched.len())
        };
        let changed = bytes.iter().position(|b| *b != POISON)?;
        Some(Fault::UseAfterFree { index, offset: watched.start + changed })
    }

    /// Looks at every object's end.
    pub(crate) fn audit(&self, places: &Places) -> Vec<Fault> {
        if !ON {
            return Vec::new();
        }
        let object =
            |address| Object::new(core::ptr::NonNull::new(address as *mut u8).expect("an address"));
        let ends = places.addresses().enumerate();
        ends.filter_map(|(i, a)| inspect_end(i, object(a), places.layout())).collect()
    }
}

/// # Safety
/// `base` is an object that is nobody else's, and `bytes` lie within it.
unsafe fn poison(base: *mut u8, bytes: &Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe { base.add(bytes.start).write_bytes(POISON, bytes.len()) };
}

fn inspect_end(index: usize, object: Object, layout: Layout) -> Option<Fault> {
    // SAFETY: the canary lies behind the object, in its stride. It was written once, before anybody
    // knew the object; only a fault writes there again.
    let found = unsafe { object.as_ptr().add(layout.object).cast::<u64>().read_unaligned() };
    (found != CANARY).then_some(Fault::Overflow { index, found })
}

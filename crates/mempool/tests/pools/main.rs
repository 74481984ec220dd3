//! What a pool promises, a file a subject.

mod counts;
mod ends;
#[cfg(any(debug_assertions, feature = "checks"))]
mod faults;
mod limits;
mod order;
mod places;
mod values;

use linecard_eal::mem::PagePolicy;
use linecard_mempool::{Backend, Builder, Mempool, Object};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every backend.
const BACKENDS: [Backend; 4] =
    [Backend::Fifo, Backend::FifoRelaxed, Backend::FifoSerial, Backend::Lifo];

/// A small pool in small pages, under a name that no other test uses.
fn small(what: &str, size: usize, cache: usize) -> Builder {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: only uniqueness matters.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let name = format!("{what}-{serial}.");
    Mempool::builder(name).size(size).cache(cache).object_size(64).pages(PagePolicy::Small)
}

/// As many objects, or none.
fn take(pool: &Mempool, n: usize) -> Option<Vec<Object>> {
    let mut objects = vec![pool.filler(); n];
    pool.take_bulk(&mut objects).then_some(objects)
}

/// Takes objects back.
fn put(pool: &Mempool, objects: &[Object]) {
    // SAFETY: tests return what they took from this pool, once, and look at it no more; those that
    // return twice do so to see the check that stops them.
    unsafe { pool.put_bulk(objects) }
}

//! What all threads of a pool share: the objects that no thread holds.

use crate::object::Object;
use linecard_ring::{Concurrent, Hts, MAX_CAPACITY, Multi, Ring, Rts, Sink, Source};
use std::sync::Mutex;

/// In which order objects come back, and what a stalled thread costs the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// First in, first out, over a ring of [`Multi`] sides: the fastest with a thread a core.
    #[default]
    Fifo,
    /// First in, first out, over a ring of [`Rts`] sides: for more threads than cores.
    FifoRelaxed,
    /// First in, first out, over a ring of [`Hts`] sides: serialised.
    FifoSerial,
    /// Last in, first out, under a lock that sleeps: the warmest object first, for threads that have
    /// no cache or seldom use the pool.
    Lifo,
}

/// The objects, in the chosen order.
#[derive(Debug)]
pub(crate) enum Store {
    Fifo(Ring<Object, Multi, Multi>),
    FifoRelaxed(Ring<Object, Rts, Rts>),
    FifoSerial(Ring<Object, Hts, Hts>),
    Lifo(Mutex<Vec<Object>>),
}

impl Store {
    /// An empty store for `size` objects; `size` is within what a ring can hold.
    pub(crate) fn new(backend: Backend, size: usize) -> Self {
        fn ring<S: Concurrent>(size: usize) -> Ring<Object, S, S> {
            Ring::new(size).expect("the builder checked the size")
        }
        match backend {
            Backend::Fifo => Store::Fifo(ring(size)),
            // Twice the room: see `put_relaxed`.
            Backend::FifoRelaxed => Store::FifoRelaxed(ring((2 * size).min(MAX_CAPACITY))),
            Backend::FifoSerial => Store::FifoSerial(ring(size)),
            Backend::Lifo => Store::Lifo(Mutex::new(Vec::with_capacity(size))),
        }
    }

    /// Takes all of `objects` in: there is room for every object of the pool.
    #[inline(always)]
    pub(crate) fn put(&self, mut objects: &[Object]) {
        let done = match self {
            Store::Fifo(ring) => ring.enqueue_bulk(&mut objects),
            _ => self.put_otherwise(objects),
        };
        debug_assert!(done, "more objects came back than there are");
    }

    /// All but the commonest.
    #[inline(never)]
    fn put_otherwise(&self, mut objects: &[Object]) -> bool {
        let source = &mut objects;
        match self {
            Store::Fifo(ring) => ring.enqueue_bulk(source),
            Store::FifoRelaxed(ring) => put_relaxed(ring, source),
            Store::FifoSerial(ring) => ring.enqueue_bulk(source),
            Store::Lifo(stack) => push(stack, source.items()),
        }
    }

    /// Gives `n` objects, or none.
    #[inline(always)]
    pub(crate) fn take(&self, into: &mut impl Sink<Object>, n: usize) -> bool {
        match self {
            Store::Fifo(ring) => ring.dequeue_bulk(into, n),
            _ => self.take_otherwise(into, n),
        }
    }

    /// All but the commonest.
    #[inline(never)]
    fn take_otherwise(&self, into: &mut impl Sink<Object>, n: usize) -> bool {
        match self {
            Store::Fifo(ring) => ring.dequeue_bulk(into, n),
            Store::FifoRelaxed(ring) => ring.dequeue_bulk(into, n),
            Store::FifoSerial(ring) => ring.dequeue_bulk(into, n),
            Store::Lifo(stack) => pop(stack, into, n),
        }
    }

    /// Objects in it now.
    pub(crate) fn len(&self) -> usize {
        match self {
            Store::Fifo(ring) => ring.len(),
            Store::FifoRelaxed(ring) => ring.len(),
            Store::FifoSerial(ring) => ring.len(),
            Store::Lifo(stack) => lock(stack).len(),
        }
    }
}

/// Takes all of `objects` in. A relaxed consumer that sleeps between claim and publishing keeps from
/// view what those after it took out, so that the ring may look full while it is not. Room for as
/// many again makes that rare; then we wait until that consumer has run.
fn put_relaxed(ring: &Ring<Object, Rts, Rts>, objects: &mut &[Object]) -> bool {
    while !ring.enqueue_bulk(objects) {
        std::thread::yield_now();
    }
    true
}

/// The stack; a thread that panicked while it held the lock was between two complete states.
fn lock(stack: &Mutex<Vec<Object>>) -> std::sync::MutexGuard<'_, Vec<Object>> {
    stack.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn push(stack: &Mutex<Vec<Object>>, objects: &[Object]) -> bool {
    let mut stack = lock(stack);
    let fits = stack.capacity() - stack.len() >= objects.len();
    stack.extend_from_slice(objects);
    fits
}

fn pop(stack: &Mutex<Vec<Object>>, into: &mut impl Sink<Object>, n: usize) -> bool {
    let mut stack = lock(stack);
    let (room, most) = into.room();
    let Some(left) = stack.len().checked_sub(n) else { return false };
    if n > most {
        return false;
    }
    // SAFETY: `n` objects lie at the top of the stack and `n` fit into the room; `Object` is `Copy`,
    // and the stack is shortened so that each is in one place.
    unsafe {
        core::ptr::copy_nonoverlapping(stack.as_ptr().add(left), room, n);
        into.gave(n);
    }
    stack.truncate(left);
    true
}

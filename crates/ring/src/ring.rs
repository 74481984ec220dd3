//! A ring as such: made on the heap or in memory that the caller supplies, and split into handles.

use crate::batch::{Sink, Source};
use crate::error::{Error, Full, MAX_CAPACITY};
use crate::handle::{Consumer, Producer};
use crate::place::Keep;
#[cfg(not(any(loom, shuttle)))]
use crate::place::{Memory, Plain, offset_of_slots};
#[cfg(not(any(loom, shuttle)))]
use crate::side::End;
use crate::side::{Concurrent, How, Side};
use crate::sync::Arc;
#[cfg(not(any(loom, shuttle)))]
use crate::sync::{AtomicU64, Ordering};
#[cfg(not(any(loom, shuttle)))]
use crate::view::Control;
use crate::view::{Head, Heap, View};
use core::any::TypeId;
use core::fmt;
#[cfg(not(any(loom, shuttle)))]
use core::ptr::NonNull;

/// A bounded queue of `T` with producers of kind `P` and consumers of kind `C`.
///
/// Either [`split`](Ring::split) it into one handle a side, ask for handles one by one
/// ([`producer`](Ring::producer), [`consumer`](Ring::consumer)), or, where both sides are
/// [`Concurrent`], use it through a shared reference. Cloning gives another name for the same ring;
/// its memory goes with the last name and handle, and what is left in it is dropped then.
pub struct Ring<T, P: Side, C: Side> {
    view: View<T, P, C>,
    keep: Arc<Keep<T, P, C>>,
}

// SAFETY: a ring hands elements from thread to thread (`T: Send`) and never a reference to one; its
// control block is atomic, its slots are touched by who claimed them alone.
unsafe impl<T: Send, P: Side, C: Side> Send for Ring<T, P, C> {}
// SAFETY: as above; `&Ring` offers calls on concurrent sides only.
unsafe impl<T: Send, P: Side, C: Side> Sync for Ring<T, P, C> {}

impl<T, P: Side, C: Side> Clone for Ring<T, P, C> {
    fn clone(&self) -> Self {
        Ring { view: self.view, keep: Arc::clone(&self.keep) }
    }
}

impl<T, P: Side, C: Side> fmt::Debug for Ring<T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T: Send, P: Side, C: Side> Ring<T, P, C> {
    /// A ring on the heap that holds exactly `capacity` elements. A power of two wastes no memory;
    /// another capacity takes the slots of the next one.
    ///
    /// # Errors
    /// [`Error::Capacity`] for zero or more than 2³⁰; [`Error::NoMemory`].
    pub fn new(capacity: usize) -> Result<Self, Error> {
        let heap = Heap::new(head_of::<T, P, C>(capacity)?).ok_or(Error::NoMemory)?;
        // SAFETY: the heap block lives in `keep`, next to every copy of the view; it was made for
        // this capacity just now and nobody else knows it.
        let view = unsafe { View::new(heap.control, heap.slots, capacity as u32) };
        Ok(Ring { view, keep: Arc::new(Keep::Heap { view, _heap: heap }) })
    }

    /// The only producer and the only consumer handle made so far.
    ///
    /// # Errors
    /// [`Error::Taken`] if a single side has its handle already.
    pub fn split(self) -> Result<crate::Ends<T, P, C>, Error> {
        Ok((self.producer()?, self.consumer()?))
    }

    /// A producer's handle.
    ///
    /// # Errors
    /// [`Error::Taken`] if the side is [`Single`](crate::Single) and its handle exists.
    pub fn producer(&self) -> Result<Producer<T, P, C>, Error> {
        Producer::new(self.view, &self.keep)
    }

    /// A consumer's handle.
    ///
    /// # Errors
    /// [`Error::Taken`] if the side is [`Single`](crate::Single) and its handle exists.
    pub fn consumer(&self) -> Result<Consumer<T, P, C>, Error> {
        Consumer::new(self.view, &self.keep)
    }
}

#[cfg(not(any(loom, shuttle)))]
impl<T: Plain, P: Side, C: Side> Ring<T, P, C> {
    /// Bytes that [`create_in`](Ring::create_in) needs for a ring of this capacity.
    ///
    /// # Errors
    /// [`Error::Capacity`] for zero or more than 2³⁰.
    pub fn bytes_for(capacity: usize) -> Result<usize, Error> {
        let head = head_of::<T, P, C>(capacity)?;
        let count = head.capacity.next_power_of_two() as usize;
        // Saturating: what no address space holds, no memory is large enough for.
        Ok(count.saturating_mul(size_of::<T>()).saturating_add(offset_of_slots::<T>()))
    }

    /// Makes a ring in the caller's memory: huge pages, or memory shared with another process.
    ///
    /// # Errors
    /// What is wrong with the capacity or the memory.
    pub fn create_in(memory: impl Memory, capacity: usize) -> Result<Self, Error> {
        let head = head_of::<T, P, C>(capacity)?;
        let base = crate::place::fit(&memory, Self::bytes_for(capacity)?)?;
        let control = base.cast::<Control>();
        let unfinished = Head { magic: 0, ..head };
        // SAFETY: `fit` checked alignment and size, and a `Memory` is ours to write.
        unsafe {
            control.write(Control {
                head: unfinished,
                producers: End::new(),
                consumers: End::new(),
            });
            // Release pairs with the Acquire in `attach`: who finds the magic finds all the rest.
            magic(control).store(head.magic, Ordering::Release);
        }
        Ok(Self::over(memory, head.capacity))
    }

    /// Attaches to a ring that [`create_in`](Ring::create_in) made in the same memory, perhaps in
    /// another process and at another address. May be tried again and again until it is made, in
    /// memory that held no ring before.
    ///
    /// # Errors
    /// [`Error::NotThisRing`] if there is none, or one of other types; [`Error::MemoryTooSmall`] if
    /// it does not fit into this memory.
    pub fn attach(memory: impl Memory) -> Result<Self, Error> {
        let base = crate::place::fit(&memory, size_of::<Control>())?;
        // SAFETY: `fit` checked alignment and size.
        // Acquire pairs with the Release in `create_in`.
        if unsafe { magic(base.cast()) }.load(Ordering::Acquire) != MAGIC {
            return Err(Error::NotThisRing);
        }
        // SAFETY: as above; every bit pattern is a `Head`, and nobody writes it after its magic.
        let head = unsafe { base.cast::<Head>().read() };
        let wanted = head_of::<T, P, C>((head.capacity as usize).clamp(1, MAX_CAPACITY))?;
        if head != wanted {
            return Err(Error::NotThisRing);
        }
        crate::place::fit(&memory, Self::bytes_for(head.capacity as usize)?)?;
        Ok(Self::over(memory, head.capacity))
    }

    /// A ring over memory that holds one of this capacity.
    fn over(memory: impl Memory, capacity: u32) -> Self {
        let base = memory.base();
        // SAFETY: the callers checked that control block and slots fit; `keep` holds the memory
        // next to every copy of the view; only rings touch it, as `Memory` promises.
        let view = unsafe {
            let slots = base.byte_add(offset_of_slots::<T>()).cast();
            View::new(base.cast(), slots, capacity)
        };
        Ring { view, keep: Arc::new(Keep::foreign(memory)) }
    }
}

/// What a finished ring in memory begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"lc-ring1");

/// The magic of a ring in memory, as what it is published by.
///
/// # Safety
/// `control` is aligned, and readable and writable for as long as the reference is used.
#[cfg(not(any(loom, shuttle)))]
unsafe fn magic<'a>(control: NonNull<Control>) -> &'a AtomicU64 {
    // SAFETY: the caller's promise; after creation it is only read.
    unsafe { AtomicU64::from_ptr(&raw mut (*control.as_ptr()).head.magic) }
}

/// What the control block of such a ring begins with.
fn head_of<T, P: Side, C: Side>(capacity: usize) -> Result<Head, Error> {
    if capacity == 0 || capacity > MAX_CAPACITY {
        return Err(Error::Capacity { asked: capacity });
    }
    Ok(Head {
        magic: MAGIC,
        capacity: capacity as u32,
        element_size: size_of::<T>() as u32,
        element_align: align_of::<T>() as u32,
        sides: kind::<P>() << 8 | kind::<C>(),
    })
}

/// A number for a side, the same in every process.
fn kind<S: Side>() -> u32 {
    use crate::side::{Hts, Multi, Rts, Single};
    let known = [TypeId::of::<Single>(), TypeId::of::<Multi>(), TypeId::of::<Rts>()];
    debug_assert!(TypeId::of::<S>() == TypeId::of::<Hts>() || known.contains(&TypeId::of::<S>()));
    known.iter().position(|k| *k == TypeId::of::<S>()).unwrap_or(known.len()) as u32
}

impl<T, P: Side, C: Side> Ring<T, P, C> {
    /// Elements that it can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.view.capacity()
    }

    /// Elements in it now; other threads may change that at once.
    #[inline]
    pub fn len(&self) -> usize {
        self.view.len()
    }

    /// Whether there is none now.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room now.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
}

impl<T: Send, P: Concurrent, C: Side> Ring<T, P, C> {
    /// Adds one element.
    ///
    /// # Errors
    /// [`Full`] gives it back.
    #[inline]
    pub fn enqueue(&self, item: T) -> Result<(), Full<T>> {
        self.view.push_one(&mut (), item).map_err(Full)
    }

    /// Adds all elements of `source`, or none if they do not all fit; says whether it did.
    #[inline]
    pub fn enqueue_bulk(&self, source: &mut impl Source<T>) -> bool {
        let n = source.items().len();
        self.view.push(&mut (), source, n, How::Bulk) == n
    }

    /// Adds as many elements from the front of `source` as fit; says how many.
    #[inline]
    pub fn enqueue_burst(&self, source: &mut impl Source<T>) -> usize {
        let n = source.items().len();
        self.view.push(&mut (), source, n, How::Burst)
    }
}

impl<T: Send, P: Side, C: Concurrent> Ring<T, P, C> {
    /// Takes one element.
    #[inline]
    pub fn dequeue(&self) -> Option<T> {
        self.view.pull_one(&mut ())
    }

    /// Takes `n` elements, or none if there are fewer or `sink` has less room; says whether it did.
    #[inline]
    pub fn dequeue_bulk(&self, sink: &mut impl Sink<T>, n: usize) -> bool {
        self.view.pull(&mut (), sink, n, How::Bulk) == n
    }

    /// Takes up to `n` elements, as many as there are and `sink` has room for; says how many.
    #[inline]
    pub fn dequeue_burst(&self, sink: &mut impl Sink<T>, n: usize) -> usize {
        self.view.pull(&mut (), sink, n, How::Burst)
    }
}

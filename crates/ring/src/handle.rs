//! The two ends of a ring, as owned values.

use crate::batch::{Sink, Source};
use crate::error::{Error, Full};
use crate::place::Keep;
use crate::side::{Concurrent, End, How, Side};
use crate::sync::{Arc, Ordering};
use crate::view::View;
use core::fmt;
use core::ptr;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $side:ident, $own:ident, $peer:ident) => {
        $(#[$doc])*
        pub struct $name<T, P: Side, C: Side> {
            pub(crate) view: View<T, P, C>,
            pub(crate) local: $side::Local,
            keep: Arc<Keep<T, P, C>>,
        }

        // SAFETY: a handle moves elements between threads (`T: Send`) and never shares one; what it
        // keeps to itself moves with it.
        unsafe impl<T: Send, P: Side, C: Side> Send for $name<T, P, C> {}

        impl<T, P: Side, C: Side> $name<T, P, C> {
            pub(crate) fn new(
                view: View<T, P, C>,
                keep: &Arc<Keep<T, P, C>>,
            ) -> Result<Self, Error> {
                count_in::<$side>(view.$own())?;
                let local = $side::local(view.$own(), view.$peer());
                Ok($name { view, local, keep: Arc::clone(keep) })
            }

            /// Elements that the ring can hold.
            #[inline]
            pub fn capacity(&self) -> usize {
                self.view.capacity()
            }

            /// Elements in the ring now; other threads may change that at once.
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

            /// Whether every handle of the other side is gone (or none was made yet). Rings used
            /// through `&Ring` have no handles and never look open.
            ///
            /// To know that nothing more will come ask this first, and then whether the ring is
            /// empty: the other way round an element may slip in between.
            #[inline]
            pub fn is_closed(&self) -> bool {
                // Acquire pairs with the Release of `count_out`: what the other side did before it
                // closed is visible, so "closed and empty" is final.
                self.view.$peer().handles().load(Ordering::Acquire) == 0
            }
        }

        impl<T, P: Side, C: Side> Clone for $name<T, P, C>
        where
            $side: Concurrent,
        {
            fn clone(&self) -> Self {
                // Relaxed: the count only grows from a live handle; nothing is read through it.
                self.view.$own().handles().fetch_add(1, Ordering::Relaxed);
                $name { view: self.view, local: (), keep: Arc::clone(&self.keep) }
            }
        }

        impl<T, P: Side, C: Side> Drop for $name<T, P, C> {
            fn drop(&mut self) {
                // Release pairs with the Acquire in `is_closed`.
                self.view.$own().handles().fetch_sub(1, Ordering::Release);
            }
        }

        impl<T, P: Side, C: Side> fmt::Debug for $name<T, P, C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("capacity", &self.capacity())
                    .field("len", &self.len())
                    .finish_non_exhaustive()
            }
        }
    };
}

handle! {
    /// A producer's end of a ring. Only where its side is concurrent can it be cloned.
    Producer, P, producers, consumers
}
handle! {
    /// A consumer's end of a ring. Only where its side is concurrent can it be cloned.
    Consumer, C, consumers, producers
}

/// Counts a handle in, if the side may have another.
fn count_in<S: Side>(end: &End) -> Result<(), Error> {
    // Acquire pairs with the Release of `count_out`: the next owner of a single side sees all that
    // the last one did. Relaxed on failure: nothing is read through it.
    end.handles()
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |n| {
            (n < S::MOST_HANDLES).then_some(n + 1)
        })
        .map(drop)
        .map_err(|_| Error::Taken)
}

impl<T: Send, P: Side, C: Side> Producer<T, P, C> {
    /// Adds one element.
    ///
    /// # Errors
    /// [`Full`] gives it back.
    #[inline(always)]
    pub fn enqueue(&mut self, item: T) -> Result<(), Full<T>> {
        self.view.push_one(&mut self.local, item).map_err(Full)
    }

    /// Adds all elements of `source`, or none if they do not all fit; says whether it did.
    #[inline(always)]
    pub fn enqueue_bulk(&mut self, source: &mut impl Source<T>) -> bool {
        let n = source.items().len();
        self.view.push(&mut self.local, source, n, How::Bulk) == n
    }

    /// Adds as many elements from the front of `source` as fit; says how many.
    #[inline(always)]
    pub fn enqueue_burst(&mut self, source: &mut impl Source<T>) -> usize {
        let n = source.items().len();
        self.view.push(&mut self.local, source, n, How::Burst)
    }

    /// Whether `consumer` is the other end of the same ring.
    pub fn feeds(&self, consumer: &Consumer<T, P, C>) -> bool {
        ptr::eq(self.view.producers(), consumer.view.producers())
    }
}

impl<T: Send, P: Side, C: Side> Consumer<T, P, C> {
    /// Takes one element.
    #[inline(always)]
    pub fn dequeue(&mut self) -> Option<T> {
        self.view.pull_one(&mut self.local)
    }

    /// Takes `n` elements, or none if there are fewer or `sink` has less room; says whether it did.
    #[inline(always)]
    pub fn dequeue_bulk(&mut self, sink: &mut impl Sink<T>, n: usize) -> bool {
        self.view.pull(&mut self.local, sink, n, How::Bulk) == n
    }

    /// Takes up to `n` elements, as many as there are and `sink` has room for; says how many.
    #[inline(always)]
    pub fn dequeue_burst(&mut self, sink: &mut impl Sink<T>, n: usize) -> usize {
        self.view.pull(&mut self.local, sink, n, How::Burst)
    }
}

//! Who may be at a queue: the thread that drives it, or the control side while it is paused.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use linecard_eal::barrier::Asymmetric;
use std::sync::{Mutex, PoisonError};

/// A queue that one thread drives, call by call, and that the control side may pause.
///
/// Entering is two stores and a load of the driving thread's own line; pausing is dear.
#[repr(align(128))]
pub(crate) struct Latch<C> {
    core: UnsafeCell<C>,
    /// Whether the driving thread is inside. Written by it alone.
    busy: AtomicBool,
    /// Whether it may enter. Written by the control side, under `control`.
    open: AtomicBool,
    fence: Asymmetric,
    control: Mutex<()>,
}

// SAFETY: `core` is reached by one thread at a time: see `enter` and `paused`.
unsafe impl<C: Send> Sync for Latch<C> {}

impl<C> Latch<C> {
    /// A queue that is paused.
    pub(crate) fn new(core: C) -> Self {
        Latch {
            core: UnsafeCell::new(core),
            busy: AtomicBool::new(false),
            open: AtomicBool::new(false),
            fence: Asymmetric::new(),
            control: Mutex::new(()),
        }
    }

    /// Does something at the queue, unless it is paused.
    ///
    /// # Safety
    /// One thread at a time calls this, and not from within.
    #[inline(always)]
    pub(crate) unsafe fn enter<R>(&self, act: impl FnOnce(&mut C) -> R) -> Option<R> {
        // Relaxed: the fence orders it before the look at `open`.
        self.busy.store(true, Ordering::Relaxed);
        let inside = Inside(&self.busy);
        self.fence.light();
        // Acquire pairs with the release in `resume`: what the control side did at the core.
        let open = self.open.load(Ordering::Acquire);
        // SAFETY: `busy` was stored before `open` was seen: `pause` sees it and waits. Only one
        // thread enters, by the caller's promise.
        let done = open.then(|| act(unsafe { &mut *self.core.get() }));
        drop(inside);
        done
    }

    /// Keeps the driving thread out: it is not inside when this returns. It stays out.
    pub(crate) fn pause(&self) {
        let _control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        self.shut();
    }

    fn shut(&self) {
        // Relaxed: the fence orders it before the look at `busy`.
        self.open.store(false, Ordering::Relaxed);
        self.fence.heavy();
        // Acquire pairs with the release in `Inside`'s drop: what the driving thread did.
        while self.busy.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    /// Does something at the queue while the driving thread is kept out.
    pub(crate) fn paused<R>(&self, act: impl FnOnce(&mut C) -> R) -> R {
        let _control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: written under `control` only.
        let was_open = self.open.load(Ordering::Relaxed);
        self.shut();
        // SAFETY: the driving thread is out, and the control side is here alone, by the lock.
        let done = act(unsafe { &mut *self.core.get() });
        // Release pairs with the acquire in `enter`.
        self.open.store(was_open, Ordering::Release);
        done
    }

    /// Lets the driving thread in again.
    pub(crate) fn resume(&self) {
        let _control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        // Release pairs with the acquire in `enter`.
        self.open.store(true, Ordering::Release);
    }
}

/// Marks that the driving thread is inside, until it leaves, be it by a panic.
struct Inside<'a>(&'a AtomicBool);

impl Drop for Inside<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release pairs with the acquire in `shut`.
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_queue_is_not_entered() {
        let latch = Latch::new(1);
        // SAFETY: one thread.
        unsafe {
            assert_eq!(latch.enter(|n| *n), None);
            latch.resume();
            assert_eq!(latch.enter(|n| *n), Some(1));
            latch.paused(|n| *n = 2);
            assert_eq!(latch.enter(|n| *n), Some(2));
            latch.pause();
            assert_eq!(latch.enter(|n| *n), None);
        }
    }

    #[test]
    fn control_and_data_never_meet() {
        let latch = Latch::new((0u64, 0u64));
        latch.resume();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200_000 {
                    // SAFETY: this thread alone.
                    unsafe {
                        latch.enter(|(a, b)| {
                            *a += 1;
                            *b += 1;
                        })
                    };
                }
            });
            for _ in 0..200 {
                let (a, b) = latch.paused(|pair| *pair);
                assert_eq!(a, b);
            }
        });
    }
}

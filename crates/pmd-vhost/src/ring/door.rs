//! How control gets at what a queue works on, without a lock on the queue's way.
//!
//! A queue goes in for one burst and out again. Control shuts the door, waits until the queue is out
//! (a burst at most), changes what is inside (memory, rings, features), and opens it. A queue that
//! finds the door shut does not wait: it has received nothing, and taken nothing.
//!
//! Both say what they want before they look at the other's word, so that at least one of them sees
//! the other: Dekker's way, with the queue giving in. The fence between the two is control's to pay.

use linecard_eal::barrier::Asymmetric;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Something that one queue works on, and control changes between its bursts.
#[derive(Debug)]
pub(crate) struct Door<T> {
    inside: Line<AtomicBool>,
    shut: Line<AtomicBool>,
    fence: Asymmetric,
    /// One control at a time: never touched by the queue.
    control: Mutex<()>,
    value: UnsafeCell<T>,
}

/// On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Line<T>(T);

// SAFETY: `value` is reached through `Inside` and `Alone` only, of which there is never more than one
// at a time; whoever gets one sees what the last one did.
unsafe impl<T: Send> Sync for Door<T> {}

impl<T> Door<T> {
    /// An open door.
    pub(crate) fn new(value: T) -> Self {
        let [inside, shut] = [0, 1].map(|_| Line(AtomicBool::new(false)));
        let (fence, control) = (Asymmetric::new(), Mutex::new(()));
        Door { inside, shut, fence, control, value: UnsafeCell::new(value) }
    }

    /// Goes in, if the door is open.
    ///
    /// # Safety
    /// There is one queue: no two threads enter at the same time, nor one twice.
    #[inline(always)]
    pub(crate) unsafe fn enter(&self) -> Option<Inside<'_, T>> {
        // Relaxed: the fence pairs with that in `alone`, so that one of the two sees the other.
        self.inside.0.store(true, Ordering::Relaxed);
        self.fence.light();
        // Acquire pairs with the release of `Alone::drop`: what control did before it opened.
        if self.shut.0.load(Ordering::Acquire) {
            // Release pairs with control's look in `alone`: nothing was touched here, but control may
            // see this store instead of the last one of `Inside::drop`, and then has to see what the
            // queue did before that all the same.
            self.inside.0.store(false, Ordering::Release);
            return None;
        }
        Some(Inside { door: self })
    }

    /// Shuts the door, waits until the queue is out, and goes in alone. Opens it when dropped.
    pub(crate) fn alone(&self) -> Alone<'_, T> {
        let guard = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: the fence pairs with that in `enter`.
        self.shut.0.store(true, Ordering::Relaxed);
        self.fence.heavy();
        let mut looks = 0u32;
        // Acquire pairs with the release of `Inside::drop`: what the queue did before it went out.
        while self.inside.0.load(Ordering::Acquire) {
            looks += 1;
            if looks < 100 {
                thread::yield_now();
            } else {
                thread::sleep(Duration::from_micros(50));
            }
        }
        Alone { door: self, _guard: guard }
    }
}

/// The queue, inside.
pub(crate) struct Inside<'a, T> {
    door: &'a Door<T>,
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the one queue is inside, and control does not come in while it is.
        unsafe { &*self.door.value.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.door.value.get() }
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release pairs with control's look in `alone`: it sees what the queue did.
        self.door.inside.0.store(false, Ordering::Release);
    }
}

/// Control, inside, with the queue outside.
pub(crate) struct Alone<'a, T> {
    door: &'a Door<T>,
    _guard: std::sync::MutexGuard<'a, ()>,
}

impl<T> Deref for Alone<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the door is shut and the queue was seen outside; the mutex keeps others of control out.
        unsafe { &*self.door.value.get() }
    }
}

impl<T> DerefMut for Alone<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.door.value.get() }
    }
}

impl<T> Drop for Alone<'_, T> {
    fn drop(&mut self) {
        // Release pairs with the queue's look in `enter`: it sees what control did.
        self.door.shut.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_never_waits_and_finds_nothing_while_control_is_inside() {
        let door = Door::new(1);
        let mut alone = door.alone();
        // SAFETY: the only queue.
        assert!(unsafe { door.enter() }.is_none());
        *alone = 2;
        drop(alone);
        // SAFETY: the only queue.
        assert_eq!(unsafe { door.enter() }.as_deref(), Some(&2));
    }

    #[test]
    fn control_comes_in_between_two_bursts_and_both_see_each_other() {
        let door = Door::new((0u64, 0u64));
        let stop = AtomicBool::new(false);
        let turns = thread::scope(|scope| {
            let queue = scope.spawn(|| {
                let mut turns = 0;
                // Relaxed: only tells when to end.
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: this is the one queue.
                    if let Some(mut pair) = unsafe { door.enter() } {
                        pair.0 += 1;
                        pair.1 += 1;
                        turns += 1;
                    }
                }
                turns
            });
            for _ in 0..1000 {
                let mut pair = door.alone();
                assert_eq!(pair.0, pair.1, "half a burst was seen");
                pair.0 += 1;
                pair.1 += 1;
            }
            // Relaxed: as above.
            stop.store(true, Ordering::Relaxed);
            queue.join().expect("it does not panic")
        });
        assert_eq!(*door.alone(), (turns + 1000, turns + 1000));
    }
}

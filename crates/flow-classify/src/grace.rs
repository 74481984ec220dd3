//! Grace periods of `crossbeam-epoch`: when nobody can see any more what was unlinked.
//!
//! Who reads pins, and so does who unlinks. A [`Grace`] that began after something was unlinked is over when
//! everyone has unpinned who was pinned at its beginning; then it belongs to the writer again.
//!
//! Readers may be the ones who move epochs on, as `crossbeam-epoch` has it. All that they run of ours then is
//! to store a flag: what was unlinked is freed by the writer, with its next change.

use crate::sync::{AtomicBool, Ordering};
use std::sync::Arc;

#[cfg(not(loom))]
pub(crate) use crossbeam_epoch::{Guard, pin};
#[cfg(loom)]
pub(crate) use model::{Guard, pin};

/// A grace period, and whether it is over.
#[derive(Debug)]
pub(crate) struct Grace(Arc<AtomicBool>);

impl Grace {
    /// Begins now.
    pub(crate) fn begin(guard: &Guard) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        guard.defer(move || {
            // Release pairs with the acquire of `is_over`: the readers' last loads are before what
            // the writer does then.
            flag.store(true, Ordering::Release);
        });
        Self(over)
    }

    /// Whether everyone has unpinned who was pinned when it began.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire pairs with the release of `begin`.
        self.0.load(Ordering::Acquire)
    }
}

/// Ends periods that nobody holds open.
pub(crate) fn hurry() {
    // An epoch passes at each flush unless someone is pinned in an older one; it takes two.
    for _ in 0..4 {
        pin().flush();
    }
}

/// What `crossbeam-epoch` promises, and no more, for loom.
#[cfg(loom)]
mod model {
    use crate::sync::{Mutex, lock};

    type Deferred = Box<dyn FnOnce() + Send>;

    #[derive(Default)]
    struct World {
        next: u32,
        pinned: Vec<u32>,
        /// What is to be run, when these have unpinned.
        waiting: Vec<(Vec<u32>, Deferred)>,
    }

    loom::lazy_static! {
        static ref WORLD: Mutex<World> = Mutex::new(World::default());
    }

    #[derive(Debug)]
    pub(crate) struct Guard(u32);

    pub(crate) fn pin() -> Guard {
        let mut world = lock(&WORLD);
        world.next += 1;
        let id = world.next;
        world.pinned.push(id);
        Guard(id)
    }

    impl Guard {
        pub(crate) fn defer<R>(&self, run: impl FnOnce() -> R + Send + 'static) {
            let mut world = lock(&WORLD);
            let pinned = world.pinned.clone();
            world.waiting.push((pinned, Box::new(move || drop(run()))));
        }

        pub(crate) fn flush(&self) {}
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let mut world = lock(&WORLD);
            world.pinned.retain(|id| *id != self.0);
            world.waiting.iter_mut().for_each(|(pinned, _)| pinned.retain(|id| *id != self.0));
            let waiting = std::mem::take(&mut world.waiting);
            let (over, open): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(pinned, _)| pinned.is_empty());
            world.waiting = open;
            drop(world);
            over.into_iter().for_each(|(_, run)| run());
        }
    }
}

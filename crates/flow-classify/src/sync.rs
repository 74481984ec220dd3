//! The one door to atomics and locks, so that the models of loom see every access.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

pub(crate) use imp::*;

use std::sync::PoisonError;

/// Takes a lock whose contents stay whole even if a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that models watch: who looks at it when it may be gone, or ends it while someone may look, fails
/// the model. Elsewhere it is nothing.
#[derive(Debug)]
pub(crate) struct Watch {
    #[cfg(loom)]
    cell: Option<Box<loom::cell::UnsafeCell<()>>>,
}

impl Watch {
    /// Not watched.
    pub(crate) const NONE: Self = Self {
        #[cfg(loom)]
        cell: None,
    };

    /// Watched from now on.
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(loom)]
            cell: Some(Box::default()),
        }
    }

    /// A reader looks.
    #[inline(always)]
    pub(crate) fn look(&self) {
        #[cfg(loom)]
        if let Some(cell) = &self.cell {
            cell.with(|_| ());
        }
    }

    /// It ends.
    #[inline(always)]
    pub(crate) fn end(&self) {
        #[cfg(loom)]
        if let Some(cell) = &self.cell {
            cell.with_mut(|_| ());
        }
    }
}

impl Clone for Watch {
    /// A copy is another thing.
    fn clone(&self) -> Self {
        Self::begin()
    }
}

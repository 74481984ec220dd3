//! The one door to atomics, so that the models of loom and shuttle see every access.
//!
//! Loom checks the orderings (C11, without out-of-thin-air and without load buffering) and, through
//! its `UnsafeCell`, that no slot is touched by two threads at once. Shuttle explores longer random
//! schedules under sequential consistency only.

#[cfg(not(any(loom, shuttle)))]
mod imp {
    pub(crate) use alloc::sync::Arc;
    pub(crate) use core::hint::spin_loop;
    pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

#[cfg(all(shuttle, not(loom)))]
mod imp {
    pub(crate) use shuttle::hint::spin_loop;
    pub(crate) use shuttle::sync::Arc;
    pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

pub(crate) use imp::*;

//! Virtqueues as a device sees them: read with mistrust, and handed over between queue and control.

mod chain;
mod door;
mod packed;
mod setup;
mod split;
mod words;
mod work;

pub(crate) use door::{Alone, Door, Inside};
pub(crate) use setup::{Base, Layout, SPEAKING, Setup};
pub(crate) use work::{Counters, Work};

use crate::fault::Trouble;
use linecard_eal::event::EventFd;
use linecard_pmd_core::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// A virtqueue of a device: there from the start, whether the guest uses it or not.
#[derive(Debug)]
pub(crate) struct Vring {
    pub(crate) door: Door<Work>,
    pub(crate) counters: Arc<Counters>,
    /// 0 none, 1 split, 2 packed: as of the last time that control looked.
    layout: AtomicU8,
    /// Somebody drives it.
    taken: AtomicBool,
    /// Wakes control.
    attention: Arc<EventFd>,
}

impl Vring {
    pub(crate) fn new(work: Work, attention: Arc<EventFd>) -> Self {
        let counters = Arc::clone(&work.counters);
        let (layout, taken) = (AtomicU8::new(0), AtomicBool::new(false));
        Vring { door: Door::new(work), counters, layout, taken, attention }
    }

    /// Makes the caller the one that drives it, unless there is one.
    pub(crate) fn drive(self: &Arc<Self>) -> Option<Driven> {
        // Acquire pairs with the release of the last one's drop.
        let was = self.taken.swap(true, Ordering::Acquire);
        (!was).then(|| Driven(Arc::clone(self)))
    }

    /// Whether somebody drives it.
    pub(crate) fn is_driven(&self) -> bool {
        // Relaxed: asked by control before it calls `drive`.
        self.taken.load(Ordering::Relaxed)
    }

    /// Notes which layout the ring has.
    pub(crate) fn set_layout(&self, layout: Option<Layout>) {
        // Relaxed: a name to be told.
        self.layout.store(layout.map_or(0, |layout| layout as u8), Ordering::Relaxed);
    }

    /// Control's way in.
    pub(crate) fn alone(&self) -> Alone<'_, Work> {
        self.door.alone()
    }
}

/// The right to drive a virtqueue: there is one at a time.
#[derive(Debug)]
pub(crate) struct Driven(Arc<Vring>);

impl Driven {
    /// Goes in for a burst; `None` while control is inside, or nothing is to be done.
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> Option<Inside<'_, Work>> {
        // SAFETY: there is one `Driven` of a ring, and it is borrowed mutably while inside.
        let work = unsafe { self.0.door.enter() }?;
        work.is_on().then_some(work)
    }

    /// The same for a ring that is not on.
    pub(crate) fn enter_any(&mut self) -> Option<Inside<'_, Work>> {
        // SAFETY: as in `enter`.
        unsafe { self.0.door.enter() }
    }

    /// Tells control that something is wrong, or missing. Not on the usual way.
    #[cold]
    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        if let Some(mut work) = self.enter_any()
            && !work.note(trouble)
        {
            return;
        }
        // It is an eventfd of ours: it takes this.
        let _ = self.0.attention.signal();
    }

    /// Which way packets go, and why.
    pub(crate) fn path(&self) -> Path {
        let why = "copied between guest and buffers: what a guest can write is read once";
        // Relaxed: a name to be told.
        let (name, ring) = match self.0.layout.load(Ordering::Relaxed) {
            1 => ("split", "the guest's choice"),
            2 => ("packed", "the guest's choice"),
            _ => ("none", "no guest has set the ring up yet"),
        };
        Path { name, reason: format!("{ring}; {why}") }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // Release pairs with the acquire of the next one in `drive`.
        self.0.taken.store(false, Ordering::Release);
    }
}

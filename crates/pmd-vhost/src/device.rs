//! What a port, its queues and its control thread share.

use crate::bell::Bell;
use crate::memory::{Access, Shrinking};
use crate::ring::{Vring, Work};
use linecard_eal::event::EventFd;
use linecard_pmd_core::Event;
use linecard_virtqueue::Features;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Events that nobody asks for are kept up to this number; then the oldest go.
const MOST_EVENTS: usize = 1024;

/// What a front-end is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) features: Features,
    pub(crate) pairs: usize,
}

/// A device: its virtqueues, used or not.
#[derive(Debug)]
pub(crate) struct Device {
    /// Two a pair: the guest's receive ring, then its transmit ring.
    pub(crate) vrings: Vec<Arc<Vring>>,
    /// One a pair.
    pub(crate) bells: Vec<Arc<Bell>>,
    /// Wakes control, for a queue that is in trouble.
    pub(crate) attention: Arc<EventFd>,
    pub(crate) events: Events,
    pub(crate) shrinking: Shrinking,
    up: AtomicBool,
    pub(crate) tallies: Tallies,
}

/// What control counts.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pub(crate) connections: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// One more.
pub(crate) fn count(tally: &AtomicU64) {
    // Relaxed: a figure to be read now and then.
    tally.fetch_add(1, Ordering::Relaxed);
}

impl Device {
    pub(crate) fn new(pairs: usize, shrinking: Shrinking) -> io::Result<Self> {
        let attention = Arc::new(EventFd::new()?);
        let access =
            |ring: usize| if ring.is_multiple_of(2) { Access::Write } else { Access::Read };
        let vring = |i| Arc::new(Vring::new(Work::new(access(i)), Arc::clone(&attention)));
        let bells = (0..pairs).map(|_| Bell::new().map(Arc::new)).collect::<io::Result<_>>()?;
        Ok(Device {
            vrings: (0..2 * pairs).map(vring).collect(),
            bells,
            events: Events::new()?,
            attention,
            shrinking,
            up: AtomicBool::new(false),
            tallies: Tallies::default(),
        })
    }

    /// Whether packets pass.
    pub(crate) fn is_up(&self) -> bool {
        // Relaxed: a state to be told; nothing else hangs on it.
        self.up.load(Ordering::Relaxed)
    }

    /// Says whether packets pass; whether that is new.
    pub(crate) fn set_up(&self, up: bool) -> bool {
        // Relaxed: as in `is_up`.
        self.up.swap(up, Ordering::Relaxed) != up
    }

    /// Counters by name.
    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        // Relaxed: as in `count`.
        let read = |tally: &AtomicU64| tally.load(Ordering::Relaxed);
        let tallies = &self.tallies;
        let mut all = vec![
            ("vhost_connections".to_owned(), read(&tallies.connections)),
            ("vhost_messages".to_owned(), read(&tallies.messages)),
            ("vhost_refused_messages".to_owned(), read(&tallies.refused)),
        ];
        for (i, vring) in self.vrings.iter().enumerate() {
            let counters = &vring.counters;
            for (what, counter) in [
                ("chains", &counters.chains),
                ("calls", &counters.calls),
                ("misses", &counters.misses),
                ("faults", &counters.faults),
                ("cut", &counters.cut),
            ] {
                all.push((format!("vring{i}_{what}"), counter.read()));
            }
        }
        all
    }
}

/// What has happened, until it is asked for.
#[derive(Debug)]
pub(crate) struct Events {
    list: Mutex<VecDeque<Event>>,
    bell: EventFd,
}

impl Events {
    fn new() -> io::Result<Self> {
        Ok(Events { list: Mutex::default(), bell: EventFd::new()? })
    }

    pub(crate) fn push(&self, event: Event) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() == MOST_EVENTS {
            list.pop_front();
        }
        list.push_back(event);
        // An eventfd of ours takes this.
        let _ = self.bell.signal();
    }

    pub(crate) fn next(&self) -> io::Result<Option<Event>> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let event = list.pop_front();
        if list.is_empty() {
            self.bell.take()?;
        }
        Ok(event)
    }

    pub(crate) fn bell(&self) -> &EventFd {
        &self.bell
    }
}

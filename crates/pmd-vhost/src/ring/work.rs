//! What a queue works on, inside the door.

use super::chain::{Parcel, Parcels};
use super::setup::{Base, Layout, Ring, Setup};
use crate::fault::{Fault, Trouble};
use crate::inflight::Kept;
use crate::memory::{Access, View};
use linecard_eal::event::EventFd;
use linecard_pmd_core::Counter;
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::message::VringAddr;
use std::sync::Arc;

/// What a virtqueue counts, besides packets. One writer: its queue, or control with the door shut.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Chains given back.
    pub(crate) chains: Counter,
    /// Times that the guest was told.
    pub(crate) calls: Counter,
    /// Translations that were missing.
    pub(crate) misses: Counter,
    /// Times that it went out of use.
    pub(crate) faults: Counter,
    /// Large packets that were cut for a guest that takes none.
    pub(crate) cut: Counter,
}

/// A virtqueue's state.
#[derive(Debug)]
pub(crate) struct Work {
    on: bool,
    pub(crate) access: Access,
    pub(crate) header: usize,
    pub(crate) features: Features,
    pub(crate) view: View,
    ring: Option<Ring>,
    pub(crate) parcels: Parcels,
    pub(crate) call: Option<EventFd>,
    pub(crate) counters: Arc<Counters>,
    /// Whether what is written to the ring itself is logged: where it lies. The address that a front-end
    /// gives for it is the guest's IOMMU's behind one, and, QEMU's, that of the device's event area in a
    /// packed ring.
    logged: bool,
    setup: Option<Setup>,
    base: Base,
    enabled: bool,
    listening: bool,
    broken: Option<Fault>,
    /// It is broken for want of memory that its parts are in: there may be other memory yet.
    lost: bool,
    missing: Option<(u64, u8)>,
    /// Where its place is kept, if it is.
    kept: Option<Kept>,
    /// An address to announce, as if the guest had.
    pub(crate) rarp: Option<[u8; 6]>,
}

impl Work {
    pub(crate) fn new(access: Access) -> Self {
        let features = Features::empty();
        Work {
            on: false,
            access,
            header: features.header_len(),
            features,
            view: View::default(),
            ring: None,
            parcels: Parcels::new(),
            call: None,
            counters: Arc::default(),
            logged: false,
            setup: None,
            base: Base::start(features),
            enabled: false,
            listening: false,
            broken: None,
            lost: false,
            missing: None,
            kept: None,
            rarp: None,
        }
    }

    /// Whether packets pass.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    fn settle(&mut self) {
        self.on = self.ring.is_some() && self.enabled && self.broken.is_none();
    }

    /// As it was at first; only counters stay.
    pub(crate) fn reset(&mut self) {
        let (parcels, counters) =
            (std::mem::replace(&mut self.parcels, Parcels::new()), Arc::clone(&self.counters));
        let listening = self.listening;
        *self = Work { parcels, counters, listening, ..Work::new(self.access) };
    }

    pub(crate) fn set_features(&mut self, features: Features) {
        self.stop_in_place();
        let packed = Features::RING_PACKED;
        if self.features.contains(packed) != features.contains(packed) {
            self.base = Base::start(features);
        }
        (self.features, self.header) = (features, features.header_len());
    }

    pub(crate) fn set_base(&mut self, base: Base) {
        self.base = base;
    }

    /// Sets the ring up; it is found, and found again, by [`find`](Work::find).
    pub(crate) fn start(&mut self, setup: Setup, kept: Option<Kept>) {
        self.stop_in_place();
        self.kept = kept;
        self.logged = setup.address.flags & VRING_LOG != 0;
        (self.setup, self.broken, self.lost) = (Some(setup), None, false);
    }

    /// Ends work; says how far it went.
    pub(crate) fn stop(&mut self) -> Base {
        if let Some(kept) = self.kept.take() {
            kept.end();
        }
        self.stop_in_place();
        (self.setup, self.missing, self.broken, self.lost) = (None, None, None, false);
        self.base
    }

    fn stop_in_place(&mut self) {
        if let Some(ring) = self.ring.take() {
            self.base = ring.base();
        }
        self.settle();
    }

    /// Changes how addresses become ours. The ring must be found again, also one that was not found.
    pub(crate) fn set_view(&mut self, change: impl FnOnce(&mut View)) {
        self.stop_in_place();
        change(&mut self.view);
        self.view.forget();
        if std::mem::take(&mut self.lost) {
            self.broken = None;
        }
    }

    /// Lets packets pass once the ring is found, or not.
    pub(crate) fn enable(&mut self, on: bool) {
        self.enabled = on;
        self.settle();
    }

    /// Finds the ring in memory, if it has been set up and was not found yet; says whether this
    /// changed anything.
    pub(crate) fn find(&mut self) -> Result<bool, Trouble> {
        let (Some(setup), None) = (&self.setup, &self.ring) else { return Ok(false) };
        let found = Ring::find(setup, self.base, &self.view, self.features);
        if let Err(Trouble::Fault(_)) = found {
            self.lost |= self.broken.is_none();
        }
        let mut ring = found?;
        if let Some(kept) = &self.kept {
            ring.recover(kept.clone());
        }
        match &mut ring {
            Ring::Split(ring) => ring.listen(self.listening),
            Ring::Packed(ring) => ring.listen(self.listening),
        }
        self.ring = Some(ring);
        self.settle();
        self.tell_anyway();
        Ok(true)
    }

    /// A fault or a miss of the queue's; says whether control need be told.
    pub(crate) fn note(&mut self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Fault(fault) => {
                let new = self.broken.is_none();
                self.broken = Some(fault);
                self.counters.faults.add(u64::from(new));
                self.settle();
                new
            }
            Trouble::Miss(iova, access) => {
                let new = self.missing != Some((iova, access));
                self.missing = Some((iova, access));
                self.counters.misses.add(u64::from(new));
                new
            }
        }
    }

    /// What is wrong with the ring.
    pub(crate) fn broken(&self) -> Option<Fault> {
        self.broken
    }

    /// The translation that it waits for.
    pub(crate) fn missing(&self) -> Option<(u64, u8)> {
        self.missing
    }

    /// The translation has come, or is to be asked for again.
    pub(crate) fn forget_missing(&mut self) {
        self.missing = None;
    }

    /// Begins a burst: gathers up to `want` chains.
    #[inline(always)]
    pub(crate) fn begin(&mut self, want: usize) -> Result<usize, Trouble> {
        self.parcels.clear();
        self.more(want)
    }

    /// Gathers up to `want` chains more; says how many there are now. A chain that has to wait for
    /// a translation ends the burst before it.
    #[inline(always)]
    pub(crate) fn more(&mut self, want: usize) -> Result<usize, Trouble> {
        let (view, parcels, access) = (&mut self.view, &mut self.parcels, self.access);
        match &mut self.ring {
            Some(Ring::Split(ring)) => ring.gather(view, parcels, access, want)?,
            Some(Ring::Packed(ring)) => ring.gather(view, parcels, access, want)?,
            None => {}
        }
        Ok(self.parcels.len())
    }

    /// Ends a burst: gives back the first `n` chains, and tells the driver if it wants to be told.
    #[inline(always)]
    pub(crate) fn commit(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        let parcels: &[Parcel] = &self.parcels.list()[..n];
        let (view, logged) = (&self.view, self.logged);
        let tell = match &mut self.ring {
            Some(Ring::Split(ring)) => {
                ring.commit(view, logged, parcels);
                ring.should_tell()
            }
            Some(Ring::Packed(ring)) => {
                if ring.in_order && self.access == Access::Read {
                    ring.commit_in_order(view, logged, parcels);
                } else {
                    ring.commit(view, logged, parcels);
                }
                ring.should_tell()
            }
            None => false,
        };
        self.counters.chains.add(n as u64);
        if tell {
            self.tell_anyway();
        }
    }

    fn tell_anyway(&mut self) {
        if let Some(call) = &self.call {
            // An eventfd: one that is full has been heard long ago.
            let _ = call.signal();
            self.counters.calls.add(1);
        }
    }

    /// Asks the driver to tell us of what it makes available, or not to.
    pub(crate) fn listen(&mut self, on: bool) {
        self.listening = on;
        match &mut self.ring {
            Some(Ring::Split(ring)) => ring.listen(on),
            Some(Ring::Packed(ring)) => ring.listen(on),
            None => {}
        }
    }

    /// Whether the driver has been asked to tell.
    #[inline(always)]
    pub(crate) fn is_listening(&self) -> bool {
        self.listening
    }

    /// Descriptors of the ring.
    pub(crate) fn size(&self) -> u16 {
        self.setup.map_or(0, |setup| setup.size)
    }

    /// What kind of ring it is.
    pub(crate) fn layout(&self) -> Option<Layout> {
        self.ring.as_ref().map(|ring| match ring {
            Ring::Split(_) => Layout::Split,
            Ring::Packed(_) => Layout::Packed,
        })
    }
}

/// The bit of [`VringAddr::flags`] that asks for a log of the used ring.
const VRING_LOG: u32 = 1;
const _: () = assert!(size_of::<VringAddr>() == 40);

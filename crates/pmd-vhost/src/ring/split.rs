//! The device's side of a split ring (virtio 1.2 §2.7).

use super::chain::{Descriptor, Parcel, Parcels, Walk};
use super::words::{Touch, Words, prefetch};
use crate::fault::{Fault, Trouble};
use crate::memory::{Access, View};
use linecard_eal::barrier;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::split::{
    AVAIL_NO_INTERRUPT, FLAGS, IDX, RING, USED_NO_NOTIFY, avail_event, passes, used_event,
};

/// As many heads as are looked at in one go.
const AHEAD: usize = 64;

/// A ring, and how far we are in it. All indices run freely.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) table: Words,
    pub(crate) avail: Words,
    pub(crate) used: Words,
    pub(crate) size: u16,
    /// The next entry to take from the available ring.
    pub(crate) next_avail: u16,
    /// The next entry to write in the used ring.
    pub(crate) next_used: u16,
    /// `used` as of the last look at whether the driver wants to be told.
    pub(crate) told: u16,
    pub(crate) event_idx: bool,
    pub(crate) indirect: bool,
    pub(crate) touch: Touch,
}

impl Split {
    #[inline(always)]
    fn mask(&self, index: u16) -> usize {
        usize::from(index & (self.size - 1))
    }

    /// Entries of the available ring behind those that have been taken.
    #[inline(always)]
    pub(crate) fn waiting(&self) -> Result<u16, Fault> {
        let waiting = self.avail.load_acquire(IDX).wrapping_sub(self.next_avail);
        if waiting > self.size { Err(Fault::AvailableIndex) } else { Ok(waiting) }
    }

    /// Adds up to `want` chains to `parcels`, behind those that are there already.
    #[inline]
    pub(crate) fn gather(
        &mut self,
        view: &mut View,
        parcels: &mut Parcels,
        access: Access,
        want: usize,
    ) -> Result<(), Trouble> {
        let have = parcels.len();
        let n = usize::from(self.waiting()?).saturating_sub(have).min(want).min(AHEAD);
        let from = self.next_avail.wrapping_add(have as u16);
        let mut heads = [0u16; AHEAD];
        for (i, head) in heads[..n].iter_mut().enumerate() {
            let slot = self.mask(from.wrapping_add(i as u16));
            *head = self.avail.load(RING + 2 * slot);
            if *head >= self.size {
                return Err(Fault::DescriptorIndex.into());
            }
            prefetch(self.table.at(16 * usize::from(*head)));
        }
        for head in &heads[..n] {
            if parcels.are_enough() {
                break;
            }
            self.take(view, parcels, access, *head)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn take(
        &mut self,
        view: &mut View,
        parcels: &mut Parcels,
        access: Access,
        head: u16,
    ) -> Result<(), Trouble> {
        let first = Descriptor::split(self.table.descriptor(16 * usize::from(head)));
        let plain = if access == Access::Write { DescFlags::WRITE.bits() } else { 0 };
        const MEANT: u16 =
            DescFlags::NEXT.union(DescFlags::WRITE).union(DescFlags::INDIRECT).bits();
        if first.flags & MEANT == plain && first.len > 0 {
            let span = view.span(first.address, first.len, access)?;
            if span.len == first.len {
                self.touch.soon(span, access);
                parcels.push_single(head, 1, span);
                return Ok(());
            }
        }
        self.walk(view, parcels, access, head, first)
    }

    /// A chain of several descriptors, or pieces. `first` is not read again.
    fn walk(
        &mut self,
        view: &mut View,
        parcels: &mut Parcels,
        access: Access,
        head: u16,
        first: Descriptor,
    ) -> Result<(), Trouble> {
        let mut walk = Walk::new(view, parcels, access, self.size, self.indirect);
        let mut descriptor = first;
        while walk.add(&descriptor)? {
            if descriptor.next >= self.size {
                return Err(Fault::DescriptorIndex.into());
            }
            let at = 16 * usize::from(descriptor.next);
            descriptor = Descriptor::split(self.table.descriptor(at));
        }
        walk.done(head, 1);
        Ok(())
    }

    /// Gives chains back, with what was written into them.
    #[inline]
    pub(crate) fn commit(&mut self, view: &View, logged: bool, parcels: &[Parcel]) {
        let from = self.next_used;
        for (i, parcel) in parcels.iter().enumerate() {
            let at = RING + 8 * self.mask(from.wrapping_add(i as u16));
            self.used.store_pair(at, parcel.id.into());
            self.used.store_pair(at + 4, parcel.written);
        }
        let n = parcels.len() as u16;
        self.next_avail = self.next_avail.wrapping_add(n);
        self.next_used = from.wrapping_add(n);
        self.used.store_release(IDX, self.next_used);
        if logged {
            // The whole used ring is a page or two, as a rule.
            view.wrote_part(self.used.at(0), RING + 8 * usize::from(self.size));
        }
    }

    /// Whether the driver wants to be told of what it has been given since the last time.
    #[inline]
    pub(crate) fn should_tell(&mut self) -> bool {
        barrier::dma_full();
        if !self.event_idx {
            return self.avail.load(FLAGS) & AVAIL_NO_INTERRUPT == 0;
        }
        let (new, old) = (self.next_used, std::mem::replace(&mut self.told, self.next_used));
        passes(self.avail.load(used_event(self.size)), new, old)
    }

    /// Asks the driver to tell us of what it makes available, or not to.
    pub(crate) fn listen(&mut self, on: bool) {
        if self.event_idx {
            // An event a whole round behind is not passed for a long time; now and then a needless
            // notification is harmless.
            let event = if on { self.next_avail } else { self.next_avail.wrapping_sub(1) };
            self.used.store(avail_event(self.size), event);
        } else {
            self.used.store(FLAGS, if on { 0 } else { USED_NO_NOTIFY });
        }
        barrier::dma_full();
    }
}

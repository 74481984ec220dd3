//! The device's side of a packed ring (virtio 1.2 §2.8).

use super::chain::{Descriptor, Parcel, Parcels, Walk};
use super::words::{Touch, Words, prefetch};
use crate::fault::{Fault, Trouble};
use crate::inflight::Kept;
use crate::memory::{Access, View};
use linecard_eal::barrier;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{
    EventFlags, Position, WRAP_FLAGS, available, is_available, is_used, used,
};

/// Descriptors in a cache line.
const LINE: u16 = 4;
/// Where a descriptor's length is, its id and its flags behind it.
const REST: usize = 8;
/// Where its flags are.
const FLAGS: usize = 14;

/// Flags that say what a descriptor is.
const MEANT: u16 = DescFlags::NEXT.union(DescFlags::WRITE).union(DescFlags::INDIRECT).bits();

/// So many descriptors ahead of the one that is read, the next are asked for.
const AHEAD: u16 = 16;

/// A ring, and how far we are in it. Chains are given back in the order in which they came, so that
/// what is used and what is taken end at the same place.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) ring: Words,
    /// The driver's event suppression.
    pub(crate) driver: Words,
    /// Ours.
    pub(crate) device: Words,
    pub(crate) size: u16,
    /// The next to take, and to give back.
    pub(crate) next: Position,
    /// Where we were at the last look at whether the driver wants to be told.
    pub(crate) told: Position,
    /// Slots of chains that have been taken and not been given back.
    taken: u16,
    pub(crate) event_idx: bool,
    pub(crate) indirect: bool,
    pub(crate) in_order: bool,
    pub(crate) touch: Touch,
    /// Where our place is kept for a back-end after us.
    pub(crate) kept: Option<Kept>,
}

impl Packed {
    pub(crate) fn new([ring, driver, device]: [Words; 3], size: u16, next: Position) -> Self {
        let (event_idx, indirect, in_order) = (false, false, false);
        let (taken, told, kept, touch) = (0, next, None, Touch::default());
        Packed {
            ring,
            driver,
            device,
            size,
            next,
            told,
            taken,
            event_idx,
            indirect,
            in_order,
            touch,
            kept,
        }
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
        if parcels.len() == 0 {
            self.taken = 0;
        }
        let most = parcels.len() + want;
        while parcels.len() < most && self.taken < self.size && !parcels.are_enough() {
            let at = self.next.ahead(self.taken, self.size);
            let n = self.take_plain(view, parcels, access, at, most - parcels.len());
            self.taken += n;
            if n > 0 {
                continue;
            }
            // The flags first: with them the driver gives the rest away.
            let flags = self.ring.load_acquire(16 * usize::from(at.at) + FLAGS);
            if !is_available(flags, at.wrap) {
                break;
            }
            self.take(view, parcels, access, at, flags)?;
        }
        Ok(())
    }

    /// Takes chains of one descriptor each that lie where the last one did, up to `most` and to the ring's
    /// end, and stops before the first that is not so plain, or not there; says how many.
    #[inline(always)]
    fn take_plain(
        &self,
        view: &View,
        parcels: &mut Parcels,
        access: Access,
        from: Position,
        most: usize,
    ) -> u16 {
        let run = usize::from((self.size - from.at).min(self.size - self.taken));
        let run = run.min(most).min(parcels.left());
        let expected = available(from.wrap) | plain(access);
        let (ring, touch, window, mut slot) = (self.ring, self.touch, view.window(), from.at);
        let taken = parcels.push_run(run, || {
            let at = 16 * usize::from(slot);
            // With its flags the driver gives the rest of a descriptor away.
            let rest = ring.whole_acquire(at + REST);
            if (rest >> 48) as u16 & (WRAP_FLAGS | MEANT) != expected {
                return None;
            }
            if slot.is_multiple_of(LINE) {
                prefetch(ring.at(16 * usize::from(self.slot_ahead(slot, AHEAD))));
            }
            let span = window.span(ring.load_whole(at), rest as u32)?;
            touch.soon(span, access);
            slot += 1;
            Some(((rest >> 32) as u16, span))
        });
        taken as u16
    }

    /// The slot `n` behind one, if the ring is so long.
    #[inline(always)]
    fn slot_ahead(&self, slot: u16, n: u16) -> u16 {
        let at = u32::from(slot) + u32::from(n);
        let size = u32::from(self.size);
        (if at < size { at } else { (at - size).min(size - 1) }) as u16
    }

    /// The descriptor at a slot, with its id; its flags if they have been read already.
    #[inline(always)]
    fn read(&self, slot: u16, flags: Option<u16>) -> (Descriptor, u16) {
        let [address, rest] = self.ring.descriptor(16 * usize::from(slot));
        let flags = flags.unwrap_or((rest >> 48) as u16);
        (Descriptor { address, len: rest as u32, flags, next: 0 }, (rest >> 32) as u16)
    }

    #[inline(always)]
    fn take(
        &mut self,
        view: &mut View,
        parcels: &mut Parcels,
        access: Access,
        at: Position,
        flags: u16,
    ) -> Result<(), Trouble> {
        let (first, id) = self.read(at.at, Some(flags));
        if flags & MEANT == plain(access) && first.len > 0 {
            let span = view.span(first.address, first.len, access)?;
            if span.len == first.len {
                self.touch.soon(span, access);
                parcels.push_single(id, 1, span);
                self.taken += 1;
                return Ok(());
            }
        }
        self.walk(view, parcels, access, at, (first, id))
    }

    /// A chain of several descriptors, or pieces.
    fn walk(
        &mut self,
        view: &mut View,
        parcels: &mut Parcels,
        access: Access,
        at: Position,
        (mut descriptor, mut id): (Descriptor, u16),
    ) -> Result<(), Trouble> {
        let left = self.size - self.taken;
        let mut walk = Walk::new(view, parcels, access, self.size, self.indirect);
        let mut slots = 1;
        if descriptor.has(DescFlags::INDIRECT) {
            walk.packed_table(&descriptor)?;
        } else {
            while walk.add(&descriptor)? {
                if slots == left {
                    return Err(Fault::Loop.into());
                }
                (descriptor, id) = self.read(at.ahead(slots, self.size).at, None);
                if descriptor.has(DescFlags::INDIRECT) {
                    return Err(Fault::Indirect.into());
                }
                slots += 1;
            }
        }
        // The last of a chain has its id (§2.8.8).
        walk.done(id, slots);
        self.taken += slots;
        Ok(())
    }

    /// Gives chains back, with what was written into them: all are seen at once, as the first is
    /// given away last.
    #[inline]
    pub(crate) fn commit(&mut self, view: &View, logged: bool, parcels: &[Parcel]) {
        if self.kept.is_some() {
            parcels.chunks(1).for_each(|one| self.commit_at_once(one));
        } else {
            self.commit_at_once(parcels);
        }
        self.taken = 0;
        if logged {
            view.wrote_part(self.ring.at(0), 16 * usize::from(self.size));
        }
    }

    #[inline(always)]
    fn commit_at_once(&mut self, parcels: &[Parcel]) {
        let Some(first) = parcels.first() else { return };
        let (start, line) = (self.next, (self.next.at | (LINE - 1)) + 1);
        // Those in the first's cache line come with it: the driver looks at that line all the time,
        // so that each turn at it is dear.
        let (mut at, mut n) = (start.ahead(first.slots, self.size), 1);
        while n < parcels.len() && at.at < line && at.wrap == start.wrap {
            at = at.ahead(parcels[n].slots, self.size);
            n += 1;
        }
        let end = self.write(at, &parcels[n..]);
        self.write(start.ahead(first.slots, self.size), &parcels[1..n]);
        self.give(given(start, first), end, first.slots);
    }

    /// Writes what became of chains, from a position on; says where the next is.
    #[inline(always)]
    fn write(&self, mut at: Position, parcels: &[Parcel]) -> Position {
        for parcel in parcels {
            self.ring.store_whole(16 * usize::from(at.at) + REST, given(at, parcel));
            at = at.ahead(parcel.slots, self.size);
        }
        at
    }

    /// Writes the first that is given back; the next is at `next`.
    #[inline(always)]
    fn give(&mut self, first: u64, next: Position, slots: u16) {
        if let Some(kept) = &self.kept {
            kept.about_to_give(self.next, slots);
        }
        self.ring.give_whole(16 * usize::from(self.next.at) + REST, first);
        self.next = next;
        if let Some(kept) = &self.kept {
            kept.given_back(next);
        }
    }

    /// Goes on where a back-end before us died: behind what it gave back last.
    pub(crate) fn recover(&mut self, kept: Kept) {
        if let Some(mut at) = kept.place(self.size) {
            let flags = self.ring.load_acquire(16 * usize::from(at.at) + FLAGS);
            if is_used(flags, at.wrap) {
                at = at.ahead(kept.slots(at).min(self.size), self.size);
            }
            (self.next, self.told) = (at, at);
        }
        kept.begin(self.size, self.next);
        self.kept = Some(kept);
    }

    /// Gives chains back of which nothing is to be said but that they are used: one descriptor stands
    /// for all of them (§2.8.7, `IN_ORDER`).
    #[inline]
    pub(crate) fn commit_in_order(&mut self, view: &View, logged: bool, parcels: &[Parcel]) {
        let Some(last) = parcels.last() else { return };
        let slots = parcels.iter().map(|parcel| u32::from(parcel.slots)).sum::<u32>() as u16;
        let first = whole(0, last.id, used(self.next.wrap));
        self.give(first, self.next.ahead(slots, self.size), slots);
        self.taken = 0;
        if logged {
            view.wrote_part(self.ring.at(0), 16 * usize::from(self.size));
        }
    }

    /// Whether the driver wants to be told of what it has been given since the last time.
    #[inline]
    pub(crate) fn should_tell(&mut self) -> bool {
        barrier::dma_full();
        let (new, old) = (self.next, std::mem::replace(&mut self.told, self.next));
        match EventFlags::from_bits_retain(self.driver.load(2) & 3) {
            EventFlags::DISABLE => false,
            EventFlags::DESC if self.event_idx => {
                barrier::dma_observe();
                let event = Position::from_word(self.driver.load(0));
                event.at >= self.size || new.passes(old, event, self.size)
            }
            _ => true,
        }
    }

    /// Asks the driver to tell us of what it makes available, or not to.
    pub(crate) fn listen(&mut self, on: bool) {
        let flags = if on { EventFlags::ENABLE } else { EventFlags::DISABLE };
        self.device.store(2, flags.bits());
        barrier::dma_full();
    }
}

/// The flags of a descriptor that stands alone.
#[inline(always)]
fn plain(access: Access) -> u16 {
    if access == Access::Write { DescFlags::WRITE.bits() } else { 0 }
}

/// What a chain that is given back says at a position.
#[inline(always)]
fn given(at: Position, parcel: &Parcel) -> u64 {
    let wrote = if parcel.written > 0 { DescFlags::WRITE.bits() } else { 0 };
    whole(parcel.written, parcel.id, used(at.wrap) | wrote)
}

/// A descriptor's second half.
#[inline(always)]
fn whole(len: u32, id: u16, flags: u16) -> u64 {
    (u64::from(len) | u64::from(id) << 32 | u64::from(flags) << 48).to_le()
}

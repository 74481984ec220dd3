//! The memory of a split ring (virtio 1.2 §2.7), as cells.

use super::Notify;
use super::cells::{Cell, Cells};
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use linecard_eal::barrier;
use linecard_eal::mem::Segment;
use linecard_virtqueue::split::{
    AVAIL_NO_INTERRUPT, FLAGS, IDX, Layout, RING, USED_NO_NOTIFY, avail_event, passes,
};
use std::sync::Arc;

/// A descriptor: the address, and length, flags and next in one word.
#[repr(C, align(16))]
pub(crate) struct DescCell {
    pub(crate) addr: AtomicU64,
    pub(crate) rest: AtomicU64,
}

// SAFETY: two atomics.
unsafe impl Cell for DescCell {}

/// An entry of the used ring.
#[repr(C, align(4))]
pub(crate) struct UsedCell {
    id: AtomicU32,
    len: AtomicU32,
}

// SAFETY: two atomics.
unsafe impl Cell for UsedCell {}

/// The second word of a descriptor.
#[inline(always)]
pub(crate) const fn rest(len: u32, flags: u16, next: u16) -> u64 {
    len as u64 | (flags as u64) << 32 | (next as u64) << 48
}

/// The three parts of a split ring, and what is written to them. Indices count freely; the slot is
/// found by masking.
pub(crate) struct SplitMemory {
    table: Cells<DescCell>,
    avail: Cells<AtomicU16>,
    avail_ring: Cells<AtomicU16>,
    used: Cells<AtomicU16>,
    used_ring: Cells<UsedCell>,
    avail_event: Cells<AtomicU16>,
    mask: u16,
    notify: Notify,
    /// The available index when the device was last asked whether it wants to be told.
    told: u16,
}

/// Cells of [`SplitMemory::avail`] and `used`: flags, index.
const FLAG: u16 = (FLAGS / 2) as u16;
const INDEX: u16 = (IDX / 2) as u16;

impl SplitMemory {
    /// The ring of this layout at `offset` of a segment, which is zero there.
    pub(crate) fn new(
        memory: &Arc<Segment>,
        offset: usize,
        layout: Layout,
        notify: Notify,
    ) -> Self {
        let size = usize::from(layout.size());
        let (avail, used) = (offset + layout.avail().start, offset + layout.used().start);
        SplitMemory {
            table: Cells::new(memory, offset, size),
            avail: Cells::new(memory, avail, 3 + size),
            avail_ring: Cells::new(memory, avail + RING, size),
            used: Cells::new(memory, used, 2),
            used_ring: Cells::new(memory, used + RING, size),
            avail_event: Cells::new(memory, used + avail_event(layout.size()), 1),
            mask: layout.size() - 1,
            notify,
            told: 0,
        }
    }

    /// Makes it zero again, while no device looks.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.avail.clear();
        self.used.clear();
        self.used_ring.clear();
        self.avail_event.clear();
        self.told = 0;
    }

    /// Descriptors.
    #[inline(always)]
    pub(super) fn size(&self) -> u16 {
        self.mask.wrapping_add(1)
    }

    /// The slot of a free-running index.
    #[inline(always)]
    pub(super) fn slot(&self, index: u16) -> u16 {
        index & self.mask
    }

    /// Writes a descriptor.
    #[inline(always)]
    pub(super) fn describe(&self, id: u16, addr: u64, rest: u64) {
        let cell = self.table.at(id);
        // Relaxed: `publish` releases it.
        cell.addr.store(addr, Ordering::Relaxed);
        cell.rest.store(rest, Ordering::Relaxed);
    }

    /// Writes where a descriptor points, and leaves the rest of it.
    #[inline(always)]
    pub(super) fn point(&self, id: u16, addr: u64) {
        // Relaxed: `publish` releases it.
        self.table.at(id).addr.store(addr, Ordering::Relaxed);
    }

    /// Puts a chain into the available ring. The entry is often there already, from the last round:
    /// then the device's copy of the line stays good.
    #[inline(always)]
    pub(super) fn offer(&self, index: u16, id: u16) {
        let cell = self.avail_ring.at(self.slot(index));
        // Relaxed, both: only we write here, and `publish` releases it. Should the device have
        // written here, it misleads itself.
        if cell.load(Ordering::Relaxed) != id {
            cell.store(id, Ordering::Relaxed);
        }
    }

    /// Shows the device what was offered before `index`.
    #[inline(always)]
    pub(super) fn publish(&self, index: u16) {
        // Release pairs with the device's acquire of the index: descriptors before it.
        self.avail.at(INDEX).store(index, Ordering::Release);
    }

    /// How many buffers the device has used in all.
    #[inline(always)]
    pub(super) fn used_index(&self) -> u16 {
        // Acquire pairs with the device's release of the index: entries and data before it.
        self.used.at(INDEX).load(Ordering::Acquire)
    }

    /// An entry of the used ring: number and length.
    #[inline(always)]
    pub(super) fn used(&self, index: u16) -> (u32, u32) {
        let cell = self.used_ring.at(self.slot(index));
        // Relaxed, both: `used_index` acquired them.
        (cell.id.load(Ordering::Relaxed), cell.len.load(Ordering::Relaxed))
    }

    /// Whether the device wants to be told that the available index is now `index`.
    #[inline]
    pub(super) fn wants_doorbell(&mut self, index: u16) -> bool {
        let old = core::mem::replace(&mut self.told, index);
        if old == index {
            return false;
        }
        // The index before the look at what the device wants; its half is the same the other way.
        barrier::dma_full();
        match self.notify {
            // Relaxed: ordered by the barrier.
            Notify::Flag => self.used.at(FLAG).load(Ordering::Relaxed) & USED_NO_NOTIFY == 0,
            // Relaxed: ordered by the barrier.
            Notify::Index => passes(self.avail_event.at(0).load(Ordering::Relaxed), index, old),
        }
    }

    /// Asks to be told when the used index passes `seen`.
    pub(super) fn wake(&self, seen: u16) {
        match self.notify {
            // Relaxed: ordered by the barrier below.
            Notify::Flag => self.avail.at(FLAG).store(0, Ordering::Relaxed),
            // Relaxed: ordered by the barrier below.
            Notify::Index => self.avail.at(2 + self.size()).store(seen, Ordering::Relaxed),
        }
        // The wish before the next look at the used index.
        barrier::dma_full();
    }

    /// Asks not to be told.
    pub(super) fn quiet(&self, seen: u16) {
        match self.notify {
            // Relaxed: a hint; being told once more does no harm.
            Notify::Flag => self.avail.at(FLAG).store(AVAIL_NO_INTERRUPT, Ordering::Relaxed),
            Notify::Index => {
                // As far away as can be. Relaxed: as above.
                let far = seen.wrapping_sub(1);
                self.avail.at(2 + self.size()).store(far, Ordering::Relaxed);
            }
        }
    }
}

//! The memory of a packed ring (virtio 1.2 §2.8), as cells.

use super::Notify;
use super::cells::{Cell, Cells};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use linecard_eal::barrier;
use linecard_eal::mem::Segment;
use linecard_virtqueue::packed::{EventFlags, Layout, Position, is_used};
use std::sync::Arc;

/// A descriptor: the address, and length, number and flags in one word.
#[repr(C, align(16))]
pub(crate) struct PackedCell {
    addr: AtomicU64,
    rest: AtomicU64,
}

// SAFETY: two atomics.
unsafe impl Cell for PackedCell {}

impl PackedCell {
    /// Writes a descriptor, its flags with the rest: the device may take it at once.
    #[inline(always)]
    pub(super) fn show(&self, addr: u64, rest: u64) {
        self.point(addr);
        self.reveal(rest);
    }

    /// Writes the address of a descriptor that is shown later.
    #[inline(always)]
    pub(super) fn point(&self, addr: u64) {
        // Relaxed: released by `reveal`.
        self.addr.store(addr, Ordering::Relaxed);
    }

    /// Shows a descriptor that was pointed before, and all that were written since.
    #[inline(always)]
    pub(super) fn reveal(&self, rest: u64) {
        // Release pairs with the device's acquire of the flags: the buffer and what is before it.
        self.rest.store(rest, Ordering::Release);
    }

    /// Number and length, if it is used in a round whose wrap counter is `wrap`.
    #[inline(always)]
    pub(super) fn used(&self, wrap: bool) -> Option<(u16, u32)> {
        // Acquire pairs with the device's release of the flags: number, length and data before them.
        let word = self.rest.load(Ordering::Acquire);
        is_used((word >> 48) as u16, wrap).then_some(((word >> 32) as u16, word as u32))
    }
}

/// The second word of a descriptor.
#[inline(always)]
pub(crate) const fn rest(len: u32, id: u16, flags: u16) -> u64 {
    len as u64 | (id as u64) << 32 | (flags as u64) << 48
}

/// Where a device goes on: what it will use next is what it will look at next.
pub(super) fn base(position: Position) -> u32 {
    u32::from(position.word()) * 0x1_0001
}

/// The descriptors and the two event areas of a packed ring.
pub(crate) struct PackedMemory {
    ring: Cells<PackedCell>,
    driver: Cells<AtomicU32>,
    device: Cells<AtomicU32>,
    size: u16,
    notify: Notify,
    /// The position when the device was last asked whether it wants to be told.
    told: Position,
}

impl PackedMemory {
    /// The ring of this layout at `offset` of a segment, which is zero there.
    pub(crate) fn new(
        memory: &Arc<Segment>,
        offset: usize,
        layout: Layout,
        notify: Notify,
    ) -> Self {
        PackedMemory {
            ring: Cells::new(memory, offset, usize::from(layout.size())),
            driver: Cells::new(memory, offset + layout.driver().start, 1),
            device: Cells::new(memory, offset + layout.device().start, 1),
            size: layout.size(),
            notify,
            told: Position::START,
        }
    }

    /// Makes it zero again, while no device looks.
    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.driver.clear();
        self.device.clear();
        self.told = Position::START;
    }

    /// Descriptors.
    #[inline(always)]
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    /// The descriptor at a slot.
    #[inline(always)]
    pub(super) fn at(&self, at: u16) -> &PackedCell {
        self.ring.at(at)
    }

    /// The descriptors from a slot on to the ring's end: a stretch with one wrap counter.
    #[inline(always)]
    pub(super) fn from(&self, at: u16) -> &[PackedCell] {
        self.ring.from(at)
    }

    /// The descriptor at a position, if it is used: number and length.
    #[inline(always)]
    pub(super) fn used(&self, position: Position) -> Option<(u16, u32)> {
        self.at(position.at).used(position.wrap)
    }

    /// Whether the device wants to be told that descriptors before `position` are available.
    ///
    /// DEPARTURE: §2.8.10 has it told when its event is passed, and once. It is also told while an event
    /// that was passed before stands there still. QEMU 7.2 and others before and since need it: when a
    /// frame has waited for its peer, they ask for an event, take what the ring holds beyond it, and do
    /// not ask anew (`virtio_net_tx_complete`); nothing that came later would ever pass the event. A
    /// device that is busy says `DISABLE`, so that this costs nothing.
    #[inline]
    pub(super) fn wants_doorbell(&mut self, position: Position) -> bool {
        let old = core::mem::replace(&mut self.told, position);
        if old == position {
            return false;
        }
        // The flags before the look at what the device wants; its half is the same the other way.
        barrier::dma_full();
        // Relaxed: ordered by the barrier.
        let event = self.device.at(0).load(Ordering::Relaxed);
        match EventFlags::from_bits_truncate((event >> 16) as u16) {
            EventFlags::DISABLE => false,
            EventFlags::DESC if self.notify == Notify::Index => {
                let event = Position::from_word(event as u16);
                position.passes(old, event, self.size) || event.is_behind(old, self.size)
            }
            _ => true,
        }
    }

    /// Asks to be told when the descriptor at `position` is used.
    pub(super) fn wake(&self, position: Position) {
        let flags = match self.notify {
            Notify::Flag => EventFlags::ENABLE,
            Notify::Index => EventFlags::DESC,
        };
        self.say(position, flags);
        // The wish before the next look at the ring.
        barrier::dma_full();
    }

    /// Asks not to be told.
    pub(super) fn quiet(&self) {
        self.say(Position { at: 0, wrap: false }, EventFlags::DISABLE);
    }

    fn say(&self, position: Position, flags: EventFlags) {
        let word = u32::from(position.word()) | u32::from(flags.bits()) << 16;
        // Relaxed: a wish; where it matters, a barrier follows.
        self.driver.at(0).store(word, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_eal::mem::Request;

    const SIZE: u16 = 8;

    fn memory() -> PackedMemory {
        let layout = Layout::new(SIZE, 64).expect("a layout");
        let segment = Arc::new(Request::new(layout.bytes()).map().expect("memory"));
        PackedMemory::new(&segment, 0, layout, Notify::Index)
    }

    /// What the device wants, as it says it.
    fn want(memory: &PackedMemory, flags: EventFlags, event: Position) {
        let word = u32::from(event.word()) | u32::from(flags.bits()) << 16;
        // Relaxed: one thread.
        memory.device.at(0).store(word, Ordering::Relaxed);
    }

    #[test]
    fn a_device_is_told_once_its_event_is_passed_and_not_before() {
        let mut memory = memory();
        let mut now = Position::START;
        for round in 0..3 * SIZE {
            want(&memory, EventFlags::DESC, now.ahead(2, SIZE));
            let mut told = [false; 3];
            for told in &mut told {
                now = now.ahead(1, SIZE);
                *told = memory.wants_doorbell(now);
            }
            assert_eq!(told, [false, false, true], "{round}");
            want(&memory, EventFlags::DISABLE, now);
        }
    }

    #[test]
    fn a_device_that_took_more_than_it_asked_for_and_did_not_ask_anew_is_told() {
        for ahead in 1..=SIZE {
            let mut memory = memory();
            let asked = Position::START.ahead(5, SIZE);
            let now = asked.ahead(ahead, SIZE);
            want(&memory, EventFlags::DISABLE, asked);
            assert!(!memory.wants_doorbell(now), "it is busy");
            want(&memory, EventFlags::DESC, asked);
            for more in 1..=SIZE - ahead {
                assert!(memory.wants_doorbell(now.ahead(more, SIZE)), "{ahead} {more}");
            }
            // Nothing new: nothing to be told of.
            memory.told = now;
            assert!(!memory.wants_doorbell(now));
        }
    }
}

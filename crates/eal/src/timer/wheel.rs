//! Slots of timers, finer the sooner they are due.
//!
//! Time is counted in ticks, in base 64. A timer is kept at the level of the highest digit in
//! which its tick differs from the ticks that have elapsed, in the slot of that digit's value.
//! From that:
//!
//! * Level 0 holds what differs in the last digit only, each slot one tick.
//! * Every slot that is in use is beyond the elapsed digit of its level: ticks do not run
//!   backwards, and what is equal in all digits is due. So a level never wraps around.
//! * Everything on one level comes before everything on the level above.
//!
//! So the first slot in use on the lowest level in use is the next one, found by counting zero
//! bits. When it begins, its timers are due or belong to finer levels.

use super::slab::{Links, NONE, Slab};

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// Enough digits for 64 bits.
const LEVELS: usize = u64::BITS.div_ceil(BITS) as usize;

/// A slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    level: u32,
    digit: u32,
}

impl Place {
    fn index(self) -> u32 {
        self.level * SLOTS as u32 + self.digit
    }

    fn of(index: u32) -> Self {
        Self { level: index / SLOTS as u32, digit: index % SLOTS as u32 }
    }
}

#[derive(Debug)]
pub(super) struct Wheel {
    elapsed: u64,
    /// A bit for each slot that is in use.
    used: [u64; LEVELS],
    heads: Box<[u32; LEVELS * SLOTS]>,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { elapsed: 0, used: [0; LEVELS], heads: Box::new([NONE; LEVELS * SLOTS]) }
    }

    pub(super) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// The slot for a tick. One that has elapsed goes to the current slot of level 0, which is
    /// otherwise never in use, and is due at once.
    fn slot(&self, tick: u64) -> Place {
        let tick = tick.max(self.elapsed);
        let level = (tick ^ self.elapsed).checked_ilog2().unwrap_or(0) / BITS;
        Place { level, digit: (tick >> (level * BITS)) as u32 % SLOTS as u32 }
    }

    /// The first tick of a slot.
    pub(super) fn start(&self, place: Place) -> u64 {
        let shift = place.level * BITS;
        let above = self.elapsed.checked_shr(shift + BITS).unwrap_or(0);
        above.checked_shl(shift + BITS).unwrap_or(0) | u64::from(place.digit) << shift
    }

    /// Puts an entry that is in no slot at the front of its tick's.
    pub(super) fn link<T>(&mut self, slab: &mut Slab<T>, index: u32, tick: u64) -> Place {
        let place = self.slot(tick);
        let head = &mut self.heads[place.index() as usize];
        slab.entry(index).links = Links { next: *head, previous: NONE, slot: place.index() };
        if *head != NONE {
            slab.entry(*head).links.previous = index;
        }
        *head = index;
        self.used[place.level as usize] |= 1 << place.digit;
        place
    }

    /// Takes an entry out of its slot.
    pub(super) fn unlink<T>(&mut self, slab: &mut Slab<T>, index: u32) {
        let Links { next, previous, slot } = slab.entry(index).links;
        if next != NONE {
            slab.entry(next).links.previous = previous;
        }
        if previous != NONE {
            slab.entry(previous).links.next = next;
            return;
        }
        self.heads[slot as usize] = next;
        if next == NONE {
            let place = Place::of(slot);
            self.used[place.level as usize] &= !(1 << place.digit);
        }
    }

    /// The next slot in use.
    pub(super) fn first(&self) -> Option<Place> {
        let level = self.used.iter().position(|used| *used != 0)?;
        Some(Place { level: level as u32, digit: self.used[level].trailing_zeros() })
    }

    /// The next slot in use, if it begins by `tick`. It is now up to that beginning.
    pub(super) fn due(&mut self, tick: u64) -> Option<Place> {
        let place = self.first().filter(|place| self.start(*place) <= tick)?;
        self.elapsed = self.elapsed.max(self.start(place));
        Some(place)
    }

    /// The first entry in a slot.
    pub(super) fn head(&self, place: Place) -> Option<u32> {
        Some(self.heads[place.index() as usize]).filter(|index| *index != NONE)
    }

    /// It is now `tick`, and nothing is due: every slot in use begins later, so that its level
    /// and digit stay what they are.
    pub(super) fn settle(&mut self, tick: u64) {
        self.elapsed = self.elapsed.max(tick);
    }
}

//! Where the counter of a hash is: open addressing, one probe after the other, no tombstones.

/// A hash and a counter's number, which is one less than in the slot: a slot of 0 is empty.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    counter: u32,
}

/// See the module's documentation. At least half of the slots are empty.
#[derive(Debug)]
pub(super) struct Index {
    slots: Box<[Slot]>,
    mask: usize,
}

impl Index {
    pub(super) fn with_room(counters: usize) -> Self {
        let slots = (2 * counters).next_power_of_two();
        Self { slots: vec![Slot::default(); slots].into(), mask: slots - 1 }
    }

    /// The counter of this hash of which `is_it` says that it is meant.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        while let Some(counter) = self.slots[at].counter.checked_sub(1) {
            if self.slots[at].hash == hash && is_it(counter) {
                return Some(counter);
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    pub(super) fn insert(&mut self, hash: u32, counter: u32) {
        let mut at = hash as usize & self.mask;
        while self.slots[at].counter != 0 {
            at = (at + 1) & self.mask;
        }
        self.slots[at] = Slot { hash, counter: counter + 1 };
    }

    /// Takes out a counter that is there, and moves what came after it closer to where it belongs.
    pub(super) fn remove(&mut self, hash: u32, counter: u32) {
        let mut hole = hash as usize & self.mask;
        while self.slots[hole].counter != counter + 1 {
            hole = (hole + 1) & self.mask;
        }
        let mut at = (hole + 1) & self.mask;
        while self.slots[at].counter != 0 {
            let belongs = self.slots[at].hash as usize & self.mask;
            // It may move back to the hole if that is not before where it belongs.
            if at.wrapping_sub(belongs) & self.mask >= at.wrapping_sub(hole) & self.mask {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = (at + 1) & self.mask;
        }
        self.slots[hole] = Slot::default();
    }

    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

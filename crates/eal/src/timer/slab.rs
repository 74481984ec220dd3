//! Where timers are: a vector of entries, the free ones in a list.

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// A timer that was inserted. It stays unique after the timer has gone, until its slot has been
/// used 2^32 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    pub(super) index: u32,
    generation: u32,
}

/// The period of a periodic timer, and how to copy its value.
pub(super) type Renewal<T> = (u64, fn(&T) -> T);

/// An entry is linked into a slot of the wheel, or free; `next` serves both lists.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) deadline: u64,
    pub(super) value: Option<T>,
    pub(super) renewal: Option<Renewal<T>>,
    pub(super) links: Links,
    generation: u32,
}

/// A place in a doubly linked list; before the first entry is the slot itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) next: u32,
    pub(super) previous: u32,
    pub(super) slot: u32,
}

const UNLINKED: Links = Links { next: NONE, previous: NONE, slot: NONE };

#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), free: NONE, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn reserve(&mut self, more: usize) {
        let idle = self.entries.len() - self.len;
        self.entries.reserve(more.saturating_sub(idle));
    }

    pub(super) fn insert(&mut self, deadline: u64, value: T) -> TimerId {
        self.len += 1;
        let index = if self.free == NONE { self.grow() } else { self.free };
        let entry = &mut self.entries[index as usize];
        self.free = entry.links.next;
        (entry.deadline, entry.value, entry.links) = (deadline, Some(value), UNLINKED);
        TimerId { index, generation: entry.generation }
    }

    /// A new free entry, the only one.
    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.entries.len()).ok().filter(|index| *index != NONE);
        let Some(index) = index else { panic!("2^32 - 1 timers are the limit") };
        self.entries.push(Entry {
            deadline: 0,
            value: None,
            renewal: None,
            links: UNLINKED,
            generation: 0,
        });
        index
    }

    /// Frees an entry that is in no slot. Its identity is used up.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.renewal = None;
        entry.links = Links { next: self.free, ..UNLINKED };
        self.free = index;
        self.len -= 1;
        entry.value.take()
    }

    /// Whether the timer is still the one that was inserted.
    pub(super) fn check(&self, id: TimerId) -> Option<()> {
        let entry = self.entries.get(id.index as usize)?;
        (entry.generation == id.generation && entry.value.is_some()).then_some(())
    }

    pub(super) fn entry(&mut self, index: u32) -> &mut Entry<T> {
        &mut self.entries[index as usize]
    }
}

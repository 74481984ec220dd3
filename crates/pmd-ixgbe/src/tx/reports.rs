//! Descriptors that the device was asked to report of, oldest first.

/// A descriptor with RS; its DD bit says that it and all before it are done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// The position behind it.
    pub(super) end: u32,
    /// What there is since the report before.
    pub(super) packets: Packets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packets {
    /// Plain buffers of `home`, a descriptor each.
    Plain,
    /// Of any kind, with descriptors between that are no packet's last.
    Mixed,
}

/// As many reports as a ring has descriptors, of which each asks for one at most.
#[derive(Debug)]
pub(super) struct Reports {
    slots: Box<[Report]>,
    /// Positions that count up.
    first: u32,
    next: u32,
}

impl Reports {
    /// None yet, of a ring of so many descriptors: a power of two.
    pub(super) fn new(descriptors: usize) -> Self {
        let none = Report { end: 0, packets: Packets::Plain };
        Reports { slots: vec![none; descriptors].into_boxed_slice(), first: 0, next: 0 }
    }

    #[inline(always)]
    fn slot(&self, position: u32) -> usize {
        position as usize & (self.slots.len() - 1)
    }

    /// Adds one behind the others.
    #[inline(always)]
    pub(super) fn push(&mut self, report: Report) {
        let slot = self.slot(self.next);
        self.slots[slot] = report;
        self.next = self.next.wrapping_add(1);
    }

    /// The oldest.
    #[inline(always)]
    pub(super) fn first(&self) -> Option<Report> {
        (self.first != self.next).then(|| self.slots[self.slot(self.first)])
    }

    /// The oldest has come.
    #[inline(always)]
    pub(super) fn pop(&mut self) {
        self.first = self.first.wrapping_add(1);
    }

    /// None is waited for any more.
    pub(super) fn clear(&mut self) {
        self.first = self.next;
    }
}

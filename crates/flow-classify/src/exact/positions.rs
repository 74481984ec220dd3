//! Which positions are free, and which will be when no reader is left from before.

use crate::quiesce::Domain;
use std::collections::VecDeque;
use std::sync::Arc;

/// Retirements between two looks at the readers.
const BATCH: usize = 64;

/// The writer's stock of positions.
#[derive(Debug)]
pub(super) struct Positions {
    domain: Arc<Domain>,
    /// Free ones that were in use before; the last is taken first, while its line is warm.
    free: Vec<u32>,
    /// From here to `end` none was ever used.
    fresh: u32,
    end: u32,
    /// Removed, with the epoch in which they were.
    held: VecDeque<(u64, u32)>,
    /// The epoch that is not over.
    epoch: u64,
    /// Retirements since it began.
    since: usize,
    /// How often each position was retired, if anybody wants to know.
    generations: Vec<u32>,
}

impl Positions {
    pub(super) fn new(end: u32, domain: Arc<Domain>) -> Self {
        let epoch = domain.oldest();
        let (free, held, generations) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { domain, free, fresh: 0, end, held, epoch, since: 0, generations }
    }

    /// Whether there is none to be taken.
    pub(super) fn is_out(&self) -> bool {
        self.free.is_empty() && self.fresh == self.end
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let index = self.fresh;
            (index < self.end).then(|| self.fresh += 1)?;
            Some(index)
        })
    }

    /// One that was taken and not used.
    pub(super) fn give_back(&mut self, taken: Option<u32>) {
        self.free.extend(taken);
    }

    /// Whether it is time to [`Positions::reclaim`].
    pub(super) fn is_due(&self) -> bool {
        self.since >= BATCH
    }

    /// To be called after the entry was unlinked.
    pub(super) fn retire(&mut self, index: u32) {
        self.held.push_back((self.epoch, index));
        if let Some(generation) = self.generations.get_mut(index as usize) {
            *generation = generation.wrapping_add(1);
        }
        self.since += 1;
    }

    /// Counts generations from now on.
    pub(super) fn count_generations(&mut self) {
        self.generations.resize(self.end as usize, 0);
    }

    /// Tells entries apart that are at one position one after the other; 0 where nobody counts.
    pub(super) fn generation(&self, index: usize) -> u32 {
        self.generations.get(index).copied().unwrap_or(0)
    }

    /// Ends the epoch, and frees what no reader can hold; returns how many.
    pub(super) fn reclaim(&mut self) -> usize {
        if self.since > 0 {
            self.epoch = self.domain.advance() + 1;
            self.since = 0;
        }
        let oldest = self.domain.oldest();
        let over = self.held.partition_point(|(epoch, _)| *epoch < oldest);
        // The last is taken first: in reverse, so that entries which went in a row come in a row,
        // and look-ups that go the same way find neighbours in memory.
        self.free.extend(self.held.drain(..over).rev().map(|(_, index)| index));
        over
    }

    /// Those that the last [`Positions::reclaim`] freed.
    pub(super) fn last_freed(&self, count: usize) -> &[u32] {
        &self.free[self.free.len() - count..]
    }

    /// Removed, and not free.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// All that are removed and not free.
    pub(super) fn drain_held(&mut self) -> impl Iterator<Item = u32> {
        self.held.drain(..).map(|(_, index)| index)
    }
}

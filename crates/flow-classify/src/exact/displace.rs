//! Making room where both buckets of a key are full: entries move to their other buckets.

use super::bucket::{SLOTS, Word};
use super::key::Key;
use super::shared::Shared;

/// Buckets that are looked at before an entry goes to the overflow. Far more than a table at 95 % needs.
const LIMIT: usize = 600;

/// A search in breadth for the shortest chain of moves, and its memory.
#[derive(Debug, Default)]
pub(super) struct Search {
    steps: Vec<Step>,
}

/// A full bucket, and how the search came there: by the entry `word` in `slot` of the bucket of step `from`,
/// which could move here.
#[derive(Clone, Copy, Debug)]
struct Step {
    bucket: usize,
    from: Option<From>,
}

#[derive(Clone, Copy, Debug)]
struct From {
    step: usize,
    slot: usize,
    word: Word,
}

impl Search {
    /// Moves entries until a slot of one of the `full` buckets is empty: which.
    pub(super) fn make_room<K: Key, V>(
        &mut self,
        shared: &Shared<K, V>,
        full: [usize; 2],
    ) -> Option<(usize, usize)> {
        self.steps.clear();
        self.steps.extend(full.map(|bucket| Step { bucket, from: None }));
        let mut step = 0;
        while step < self.steps.len() {
            if let Some(hole) = self.look_around(shared, step) {
                return self.walk_back(shared, hole);
            }
            step += 1;
        }
        None
    }

    /// Looks at the other buckets of all entries of a bucket. An empty slot ends the search.
    fn look_around<K: Key, V>(&mut self, shared: &Shared<K, V>, step: usize) -> Option<Hole> {
        let bucket = self.steps[step].bucket;
        for slot in 1..=SLOTS {
            let word = shared.bucket(bucket).word(slot);
            let other = shared.geometry.other(bucket, word);
            let from = From { step, slot, word };
            let empty = shared.scan(shared.bucket(other), Word::EMPTY);
            if empty != 0 {
                return Some(Hole { bucket: other, slot: empty.trailing_zeros() as usize, from });
            }
            if self.steps.len() < LIMIT && other != bucket {
                self.steps.push(Step { bucket: other, from: Some(from) });
            }
        }
        None
    }

    /// Moves the entries of a chain, the last one first, so that none is ever missing.
    fn walk_back<K: Key, V>(&self, shared: &Shared<K, V>, hole: Hole) -> Option<(usize, usize)> {
        let Hole { mut bucket, mut slot, from } = hole;
        let mut next = Some(from);
        while let Some(From { step, slot: source, word }) = next {
            let Step { bucket: here, from } = self.steps[step];
            // A chain that crosses itself has moved this one already.
            if shared.bucket(here).word(source) != word {
                return None;
            }
            shared.move_entry(word, (here, source), (bucket, slot));
            (bucket, slot, next) = (here, source, from);
        }
        Some((bucket, slot))
    }
}

struct Hole {
    bucket: usize,
    slot: usize,
    from: From,
}

impl<K: Key, V> Shared<K, V> {
    /// Moves an entry to its other bucket, where the slot is empty. For the steps see the
    /// documentation of [`super::shared`].
    pub(super) fn move_entry(&self, word: Word, source: (usize, usize), target: (usize, usize)) {
        // SAFETY: the writer calls this with what it has in a slot, which has an entry.
        let hash = unsafe { self.entries.entry(self.geometry.index(word)) }.hash;
        let home = self.bucket(self.geometry.home(hash));
        let leaves_home = self.geometry.home(hash) == source.0;
        if leaves_home {
            home.set_meta(home.meta().left(hash));
        }
        // M0
        self.bucket(target.0).set(target.1, word);
        // M1
        self.moves.count();
        // M2
        self.bucket(source.0).set(source.1, Word::EMPTY);
        if !leaves_home {
            home.set_meta(home.meta().came_back());
        }
    }
}

//! What is freed when no reader can be looking at it any more, and by whom: the writer.

use super::forest::Forest;
use super::key::Key;
use super::node::Link;
use crate::grace::{Grace, Guard, pin};
use std::collections::VecDeque;

/// Something that readers may still be looking at.
#[derive(Debug)]
pub(super) enum Garbage<K: Key> {
    /// A leaf, or a node with all below it.
    Link(Link<K>),
    /// All trees.
    Forest(Box<Forest<K>>),
}

/// What waits, with its size in bytes.
#[derive(Debug)]
struct Waiting<K: Key> {
    garbage: Garbage<K>,
    bytes: usize,
}

impl<K: Key> Drop for Waiting<K> {
    fn drop(&mut self) {
        if let Garbage::Link(link) = self.garbage {
            // SAFETY: no cell leads there since `Graveyard::bury`, whose grace period is over; it was
            // buried once, and is dropped once.
            unsafe { link.free() };
        }
    }
}

/// What was replaced, the first first.
#[derive(Debug)]
pub(super) struct Graveyard<K: Key> {
    waiting: VecDeque<(Grace, Waiting<K>)>,
    /// Bytes that are not freed yet.
    bytes: usize,
}

impl<K: Key> Default for Graveyard<K> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0 }
    }
}

impl<K: Key> Graveyard<K> {
    /// Frees this when readers that are pinned now are not any more.
    ///
    /// # Safety
    /// No reader that pins itself from now on can come to it, and it is buried once.
    pub(super) unsafe fn bury(&mut self, garbage: Garbage<K>, guard: &Guard) {
        let bytes = match &garbage {
            // SAFETY: it is there: it is to be freed later.
            Garbage::Link(link) => unsafe { link.bytes() },
            Garbage::Forest(forest) => forest.bytes(),
        };
        self.bytes += bytes;
        self.waiting.push_back((Grace::begin(guard), Waiting { garbage, bytes }));
    }

    /// Frees what readers are done with. Bytes that still wait.
    pub(super) fn collect(&mut self) -> usize {
        while let Some((_, done)) = self.waiting.pop_front_if(|(grace, _)| grace.is_over()) {
            self.bytes -= done.bytes;
        }
        self.bytes
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<K: Key> Drop for Graveyard<K> {
    /// Readers may outlive the writer: what waits goes when they are done with it.
    fn drop(&mut self) {
        for (_, waiting) in self.waiting.drain(..) {
            pin().defer(move || drop(waiting));
        }
    }
}

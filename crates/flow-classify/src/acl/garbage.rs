//! What is freed when no reader can be looking at it any more, and by whom: the writer.

use super::forest::Forest;
use super::key::Key;
use super::node::Link;
use crossbeam_epoch::Guard;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Something that readers may still be looking at.
#[derive(Debug)]
pub(super) enum Garbage<K: Key> {
    /// A leaf, or a node with all below it.
    Link(Link<K>),
    /// All trees.
    Forest(Box<Forest<K>>),
}

/// What waits for its owner, with its size in bytes.
#[derive(Debug)]
struct Waiting<K: Key> {
    garbage: Garbage<K>,
    bytes: usize,
}

impl<K: Key> Drop for Waiting<K> {
    fn drop(&mut self) {
        if let Garbage::Link(link) = self.garbage {
            // SAFETY: no cell leads there since `Graveyard::bury`, whose guard has waited for the
            // readers that were there then; it was buried once, and is dropped once.
            unsafe { link.free() };
        }
    }
}

/// Hands garbage back to the writer once readers are done with it, so that no reader ever frees.
#[derive(Debug)]
pub(super) struct Graveyard<K: Key> {
    done: Receiver<Waiting<K>>,
    sender: Sender<Waiting<K>>,
    /// Bytes that are not freed yet.
    bytes: usize,
}

impl<K: Key> Default for Graveyard<K> {
    fn default() -> Self {
        let (sender, done) = channel();
        Self { done, sender, bytes: 0 }
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
        let (sender, waiting) = (self.sender.clone(), Waiting { garbage, bytes });
        // If the writer is gone, what cannot be sent is freed here.
        // SAFETY: keys are `'static`, and so is all that is captured; it is `Send`.
        unsafe { guard.defer_unchecked(move || drop(sender.send(waiting))) };
    }

    /// Frees what readers are done with. Bytes that still wait.
    pub(super) fn collect(&mut self) -> usize {
        let done = self.done.try_iter().map(|waiting| waiting.bytes);
        self.bytes -= done.sum::<usize>();
        self.bytes
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

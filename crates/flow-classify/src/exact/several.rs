//! Several threads that write.

use super::key::Key;
use super::read::{FlowTable, Reader};
use super::write::Writer;
use crate::sync::{Mutex, MutexGuard, lock};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A writer that several threads hold a clone of. They take turns; readers wait for none of them.
///
/// Take the lock once for a batch: it is most of what a single insertion costs.
pub struct SharedWriter<K: Key, V>(Arc<Mutex<Writer<K, V>>>);

impl<K: Key, V> Writer<K, V> {
    /// For several threads.
    pub fn share(self) -> SharedWriter<K, V> {
        SharedWriter(Arc::new(Mutex::new(self)))
    }
}

impl<K: Key, V> SharedWriter<K, V> {
    /// Waits until no other thread writes.
    pub fn lock(&self) -> Turn<'_, K, V> {
        Turn(lock(&self.0))
    }

    /// The table.
    pub fn table(&self) -> FlowTable<K, V> {
        self.lock().table()
    }

    /// A reader.
    pub fn reader(&self) -> Reader<K, V> {
        self.table().reader()
    }
}

impl<K: Key, V> Clone for SharedWriter<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key, V> fmt::Debug for SharedWriter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWriter").finish_non_exhaustive()
    }
}

/// A thread's turn to write.
pub struct Turn<'w, K: Key, V>(MutexGuard<'w, Writer<K, V>>);

impl<K: Key, V> Deref for Turn<'_, K, V> {
    type Target = Writer<K, V>;

    fn deref(&self) -> &Writer<K, V> {
        &self.0
    }
}

impl<K: Key, V> DerefMut for Turn<'_, K, V> {
    fn deref_mut(&mut self) -> &mut Writer<K, V> {
        &mut self.0
    }
}

impl<K: Key, V> fmt::Debug for Turn<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&**self).finish()
    }
}

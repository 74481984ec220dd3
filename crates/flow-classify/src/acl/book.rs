//! The writer's own copy of the rules: side by side, and found by their names.

use super::forest::Group;
use super::key::Key;
use super::rule::{AclRule, Compiled, RuleId};
use std::collections::HashMap;

/// A rule of the table.
#[derive(Clone, Debug)]
pub(super) struct Entry<K: Key> {
    pub(super) rule: AclRule<K>,
    pub(super) compiled: Compiled<K>,
    pub(super) group: Group,
}

impl<K: Key> Entry<K> {
    pub(super) fn id(&self) -> RuleId {
        self.compiled.rank.id
    }
}

/// All rules, in no order.
#[derive(Debug)]
pub(super) struct Book<K: Key> {
    entries: Vec<Entry<K>>,
    places: HashMap<RuleId, u32>,
}

impl<K: Key> Default for Book<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashMap::new() }
    }
}

impl<K: Key> Book<K> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains(&self, id: RuleId) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn find(&self, id: RuleId) -> Option<&Entry<K>> {
        self.places.get(&id).map(|place| &self.entries[*place as usize])
    }

    pub(super) fn find_mut(&mut self, id: RuleId) -> Option<&mut Entry<K>> {
        self.places.get(&id).map(|place| &mut self.entries[*place as usize])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<K>> {
        self.entries.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<K>> {
        self.entries.iter_mut()
    }

    /// Adds a rule whose name is not taken.
    pub(super) fn insert(&mut self, entry: Entry<K>) {
        let _ = self.places.insert(entry.id(), self.entries.len() as u32);
        self.entries.push(entry);
    }

    pub(super) fn remove(&mut self, id: RuleId) -> Option<Entry<K>> {
        let place = self.places.remove(&id)?;
        let entry = self.entries.swap_remove(place as usize);
        if let Some(moved) = self.entries.get(place as usize) {
            let _ = self.places.insert(moved.id(), place);
        }
        if self.entries.len() < self.entries.capacity() / 4 {
            self.shrink();
        }
        Some(entry)
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    /// Bytes.
    pub(super) fn bytes(&self) -> usize {
        let place = size_of::<(RuleId, u32)>() + 1;
        // `HashMap` fills at most seven in eight of its slots.
        let places = self.places.capacity().div_ceil(7) * 8 * place;
        self.entries.capacity() * size_of::<Entry<K>>() + places
    }
}

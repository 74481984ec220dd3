//! The table: a writer and its readers.

use super::book::{Book, Entry};
use super::edit::{Change, Edit, Rules, TooMuch, is_broad};
use super::forest::{Forest, Group, Shape, matches};
use super::garbage::{Garbage, Graveyard};
use super::key::{Key, LANES};
use super::node::Link;
use super::rule::Compiled;
use super::walk;
use super::{AclRule, Categories, Cost, Error, RuleId, Verdict};
use crate::grace::{Guard, pin};
use crate::simd::{NotHere, Path, Simd};
use crate::sync::{AtomicPtr, Ordering};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What readers see.
#[derive(Debug)]
struct Shared<K: Key> {
    /// From `Box::into_raw`, never null.
    forest: AtomicPtr<Forest<K>>,
    path: Path,
}

impl<K: Key> Drop for Shared<K> {
    fn drop(&mut self) {
        // Relaxed: `&mut self` says that nobody stores meanwhile.
        let forest = self.forest.load(Ordering::Relaxed);
        // SAFETY: from a box, and nobody else has it: readers and the writer are gone.
        drop(unsafe { Box::from_raw(forest) });
    }
}

/// A table of wildcard rules: its only writer.
///
/// [`Acl::reader`] gives out handles for look-ups, which any thread may have.
#[derive(Debug)]
pub struct Acl<K: Key> {
    shared: Arc<Shared<K>>,
    rules: Book<K>,
    graveyard: Graveyard<K>,
    /// Rules when all trees were built last.
    built: usize,
    late: usize,
}

/// Looks keys up in a table, from any thread, also while the table changes.
#[derive(Clone, Debug)]
pub struct AclReader<K: Key> {
    shared: Arc<Shared<K>>,
}

/// A rule that would be in more cells of a tree than this is kept apart.
const BROAD: usize = 256;
/// So many may be kept apart.
const LATE: usize = 4 * LANES;

impl<K: Key> Default for Acl<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key> Acl<K> {
    /// An empty table, on the best path of this processor.
    pub fn new() -> Self {
        Self::on(Path::best_of(walk::CODE))
    }

    /// An empty table that uses no more than these instructions.
    ///
    /// # Errors
    /// [`NotHere`] if the processor does not have them.
    pub fn with_simd(simd: Simd) -> Result<Self, NotHere> {
        Path::asked(simd, walk::CODE).map(Self::on)
    }

    fn on(path: Path) -> Self {
        let forest = AtomicPtr::new(Box::into_raw(Box::new(Forest::empty())));
        let shared = Arc::new(Shared { forest, path });
        Self { shared, rules: Book::default(), graveyard: Graveyard::default(), built: 0, late: 0 }
    }

    /// A handle for look-ups.
    pub fn reader(&self) -> AclReader<K> {
        AclReader { shared: Arc::clone(&self.shared) }
    }

    /// Which instructions look-ups use, and why.
    pub fn path(&self) -> Path {
        self.shared.path
    }

    /// Rules in the table.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule of that name.
    pub fn rule(&self, id: RuleId) -> Option<&AclRule<K>> {
        self.rules.find(id).map(|entry| &entry.rule)
    }

    /// All rules, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &AclRule<K>)> {
        self.rules.iter().map(|entry| (entry.id(), &entry.rule))
    }

    /// Adds a rule, while readers run: each look-up sees it or does not.
    ///
    /// It takes microseconds for most rules; one that many keys match may make the table build all
    /// trees anew, which takes microseconds a rule.
    ///
    /// # Errors
    /// If the rule makes no sense or the id is taken; nothing has changed then.
    pub fn insert(&mut self, id: RuleId, rule: AclRule<K>) -> Result<(), Error> {
        if self.rules.contains(id) {
            return Err(Error::Taken(id));
        }
        let entry = self.entry(id, rule)?;
        self.rules.insert(entry);
        self.add(id);
        let _ = self.collect();
        Ok(())
    }

    fn entry(&self, id: RuleId, rule: AclRule<K>) -> Result<Entry<K>, Error> {
        if id == Verdict::NONE_ID {
            return Err(Error::ReservedId);
        }
        let compiled = Compiled::new(id, &rule)?;
        let group = self.with_forest(|forest| forest.split.group(&compiled));
        Ok(Entry { rule, compiled, group })
    }

    fn add(&mut self, id: RuleId) {
        let Some(entry) = self.rules.find_mut(id) else { return };
        let guard = pin();
        // SAFETY: never null, and only this writer replaces it.
        let forest = unsafe { load(&self.shared, &guard) };
        let root = forest.trees[entry.group as usize].root.load();
        // SAFETY: this is the only writer, and what is in the forest is not freed.
        if self.built > LANES && unsafe { is_broad(root, &entry.compiled, BROAD) } {
            entry.group = Group::Late;
            self.late += 1;
        }
        drop(guard);
        let changed = if self.late > LATE { Err(TooMuch) } else { self.edit(id, Change::Add) };
        if changed.is_err() || self.is_outgrown() {
            self.rebuild();
        }
    }

    /// Whether the trees were made for far fewer rules, or far more.
    fn is_outgrown(&self) -> bool {
        self.rules.len() > 2 * self.built + 4 * LANES || self.rules.len() < self.built / 2
    }

    /// Removes a rule, while readers run; says which it was.
    pub fn remove(&mut self, id: RuleId) -> Option<AclRule<K>> {
        let rule = self.rules.find(id)?.rule;
        let edited = self.edit(id, Change::Remove);
        let entry = self.rules.remove(id)?;
        self.late -= usize::from(entry.group == Group::Late);
        if edited.is_err() || self.is_outgrown() {
            self.rebuild();
        }
        let _ = self.collect();
        Some(rule)
    }

    fn edit<'a>(
        &'a mut self,
        id: RuleId,
        change: impl FnOnce(&'a Compiled<K>) -> Change<'a, K>,
    ) -> Result<(), TooMuch> {
        let Some(entry) = self.rules.find(id) else { return Ok(()) };
        let guard = pin();
        // SAFETY: never null, and only this writer replaces it.
        let forest = unsafe { load(&self.shared, &guard) };
        let rules = OfTree { rules: &self.rules, group: entry.group, without: id };
        let mut edit = Edit::new(&rules, change(&entry.compiled));
        // SAFETY: this is the only writer, and what is in the forest is not freed.
        let done = unsafe { edit.root(&forest.trees[entry.group as usize].root) };
        for link in edit.replaced.into_iter().filter(|link| !link.is_none()) {
            // SAFETY: no cell leads there any more.
            unsafe { self.graveyard.bury(Garbage::Link(link), &guard) };
        }
        done
    }

    /// Builds all trees anew and replaces them at once.
    fn rebuild(&mut self) {
        let mut compiled: Vec<_> = self.rules.iter().map(|entry| &entry.compiled).collect();
        compiled.sort_unstable_by_key(|rule| rule.rank);
        let forest = Forest::plan(&compiled);
        let split = forest.split;
        self.rules.iter_mut().for_each(|entry| entry.group = split.group(&entry.compiled));
        (self.built, self.late) = (self.rules.len(), 0);
        let guard = pin();
        // AcqRel: the release pairs with the acquire in `load`; the acquire with our own last release.
        let old = self.shared.forest.swap(Box::into_raw(Box::new(forest)), Ordering::AcqRel);
        // SAFETY: from a box. Readers may still look at it, and no other comes to it any more.
        unsafe { self.graveyard.bury(Garbage::Forest(Box::from_raw(old)), &guard) };
    }

    /// Replaces all rules at once: each look-up sees the old ones or the new ones.
    ///
    /// # Errors
    /// If a rule makes no sense or two have one id, with that id; nothing has changed then.
    pub fn replace(
        &mut self,
        rules: impl IntoIterator<Item = (RuleId, AclRule<K>)>,
    ) -> Result<(), (RuleId, Error)> {
        let mut new = Book::default();
        for (id, rule) in rules {
            if new.contains(id) {
                return Err((id, Error::Taken(id)));
            }
            new.insert(self.entry(id, rule).map_err(|error| (id, error))?);
        }
        new.shrink();
        self.rules = new;
        self.rebuild();
        let _ = self.collect();
        Ok(())
    }

    /// Frees what was replaced and no reader looks at any more. Says how many bytes still wait for
    /// readers; changes do the same by themselves.
    pub fn collect(&mut self) -> usize {
        pin().flush();
        self.graveyard.collect()
    }

    /// What the table is made of, and what it takes.
    pub fn cost(&self) -> Cost {
        let mut shape = Shape::default();
        self.with_forest(|forest| forest.measure(&mut shape));
        Cost {
            rules: self.rules.len(),
            trees: shape.trees,
            nodes: shape.nodes,
            leaves: shape.leaves,
            copies: shape.copies,
            longest: shape.longest,
            depth: shape.depth,
            bytes: shape.bytes,
            control_bytes: self.rules.bytes(),
            waiting_bytes: self.graveyard.bytes(),
            path: self.shared.path,
        }
    }

    fn with_forest<T>(&self, look: impl FnOnce(&Forest<K>) -> T) -> T {
        let guard = pin();
        // SAFETY: never null, and only this writer replaces it.
        look(unsafe { load(&self.shared, &guard) })
    }
}

/// # Safety
/// The shared part is not dropped meanwhile.
#[inline]
unsafe fn load<'g, K: Key>(shared: &Shared<K>, _pinned: &'g Guard) -> &'g Forest<K> {
    // Acquire: pairs with the release in `rebuild`.
    // SAFETY: never null; what was replaced is not freed as long as we are pinned.
    unsafe { &*shared.forest.load(Ordering::Acquire) }
}

/// The rules that are in one tree.
struct OfTree<'a, K: Key> {
    rules: &'a Book<K>,
    group: Group,
    without: RuleId,
}

impl<K: Key> Rules<K> for OfTree<'_, K> {
    fn find(&self, id: RuleId) -> Option<&Compiled<K>> {
        self.rules.find(id).map(|entry| &entry.compiled)
    }

    fn of_tree(&self) -> impl Iterator<Item = &Compiled<K>> {
        let others = self
            .rules
            .iter()
            .filter(|entry| entry.id() != self.without && entry.group == self.group);
        others.map(|entry| &entry.compiled)
    }
}

impl<K: Key> AclReader<K> {
    /// Looks up keys in category 0, as many as there are keys and verdicts.
    ///
    /// Never blocks, and neither allocates nor frees anything of the table's. Faster with 16 keys or more at once.
    pub fn classify(&self, keys: &[K], verdicts: &mut [Verdict]) {
        self.classify_in(Categories::default(), keys, verdicts);
    }

    /// Looks up keys among the rules of these categories.
    pub fn classify_in(&self, categories: Categories, keys: &[K], verdicts: &mut [Verdict]) {
        let guard = pin();
        // SAFETY: our `Arc` keeps the shared part; the processor has what the path says, and as long
        // as we are pinned nothing that we can come to is freed.
        unsafe {
            let forest = load(&self.shared, &guard);
            walk::classify(self.shared.path.simd(), forest, categories, keys, verdicts);
        }
    }

    /// Looks up one key in category 0.
    pub fn lookup(&self, key: &K) -> Option<RuleId> {
        let mut verdict = [Verdict::NONE];
        self.classify(std::slice::from_ref(key), &mut verdict);
        let [verdict] = verdict;
        verdict.rule()
    }

    /// Goes through the rules that match a key, the winning one first, until told to stop.
    ///
    /// Rules after one of [`Reach::Whole`](super::Reach::Whole) may be left out.
    pub fn visit<T>(
        &self,
        key: &K,
        categories: Categories,
        mut look: impl FnMut(RuleId) -> ControlFlow<T>,
    ) -> Option<T> {
        let guard = pin();
        // SAFETY: our `Arc` keeps the shared part; as long as we are pinned nothing is freed.
        let ranks = unsafe { matches(load(&self.shared, &guard), &key.pack(), categories) };
        let found = ranks.into_iter().try_for_each(|rank| look(rank.id));
        found.break_value()
    }

    /// Which instructions look-ups use, and why.
    pub fn path(&self) -> Path {
        self.shared.path
    }
}

// What comes of links goes with them.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Acl<linecard_net::flow::KeyV4>>();
    is_send::<AclReader<linecard_net::flow::KeyV6>>();
    is_send::<Link<linecard_net::flow::KeyV4>>();
};

//! The table: rules come and go, and are counted.

use super::count::{RuleCount, Shards};
use super::project::{Asks, Projection};
use super::reader::RuleReader;
use super::segments::Segments;
use super::{Error, Limits, Overlaps, RuleName, check};
use crate::acl::{Acl, AclReader, Cost, RuleId};
use crossbeam_epoch::{Atomic, Guard, Owned, Shared as Pointer, pin};
use linecard_net::flow::{KeyV4, KeyV6};
use linecard_net::parse::Parsed;
use linecard_net::rss::{RssKey, RssTypes, ToeplitzKey, rss_hash};
use linecard_net::rule::{Action, Rule};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What readers need of a rule.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) rule: Rule,
    pub(super) name: RuleName,
    pub(super) asks_more: bool,
    spread: Option<(RssTypes, Box<ToeplitzKey>)>,
}

impl Data {
    /// Whether other rules have a say after this one.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.rule.fate(), Some(Action::PassThrough | Action::Jump(_)))
    }

    /// What a packet is spread by.
    pub(super) fn spread(&self, parsed: &Parsed) -> u32 {
        let hash = self.spread.as_ref().and_then(|(types, key)| rss_hash(parsed, *types, key));
        hash.unwrap_or(0)
    }

    fn new(rule: Rule, name: RuleName, projection: &Projection) -> Self {
        let spread = rule.actions.iter().find_map(|action| match action {
            Action::Rss(rss) => {
                let key = rss.key.unwrap_or(RssKey::MICROSOFT);
                Some((rss.types, Box::new(ToeplitzKey::new(&key))))
            }
            _ => None,
        });
        let asks_more = projection.asks == Asks::More;
        Self { rule, name, asks_more, spread }
    }
}

/// One group, as readers see it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) v4: AclReader<KeyV4>,
    pub(super) v6: AclReader<KeyV6>,
    /// Rules that frames without IP may match, in order.
    pub(super) without_ip: Vec<(u32, RuleId)>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Tables {
    groups: BTreeMap<u32, Group>,
}

impl Tables {
    pub(super) fn group(&self, number: u32) -> Option<&Group> {
        self.groups.get(&number)
    }
}

/// Where a rule is; null until there is one.
#[derive(Debug)]
struct Slot {
    data: Atomic<Data>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { data: Atomic::null() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: nobody else has the table any more.
        drop(unsafe { std::mem::replace(&mut self.data, Atomic::null()).try_into_owned() });
    }
}

/// What the table and its readers share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Never null.
    tables: Atomic<Tables>,
    slots: Segments<Slot>,
    pub(super) shards: Shards,
}

impl Shared {
    #[inline]
    pub(super) fn tables<'g>(&self, guard: &'g Guard) -> &'g Tables {
        // Acquire: pairs with the release in `RuleTable::publish`.
        let tables = self.tables.load(Ordering::Acquire, guard);
        // SAFETY: never null; what was replaced is not freed as long as the guard pins us.
        unsafe { tables.deref() }
    }

    #[inline]
    pub(super) fn data<'g>(&self, slot: u32, guard: &'g Guard) -> Option<&'g Data> {
        // Acquire: pairs with the release in `RuleTable::fill`.
        let data = self.slots.find(slot)?.data.load(Ordering::Acquire, guard);
        // SAFETY: what was replaced is not freed as long as the guard pins us.
        unsafe { data.as_ref() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: nobody else has the table any more; it is never null.
        drop(unsafe { std::mem::replace(&mut self.tables, Atomic::null()).into_owned() });
    }
}

/// One group, as the writer sees it.
#[derive(Debug, Default)]
struct Writer {
    v4: Acl<KeyV4>,
    v6: Acl<KeyV6>,
    without_ip: Vec<(u32, RuleId)>,
}

/// A rule of the table.
#[derive(Debug)]
struct Entry {
    rule: Rule,
    slot: u32,
    projection: Projection,
    /// What its slot had counted for others.
    before: RuleCount,
}

/// A table of rules: its only writer.
///
/// [`RuleTable::reader`] gives out handles that decide about packets, one for each thread.
#[derive(Debug)]
pub struct RuleTable {
    shared: Arc<Shared>,
    limits: Limits,
    groups: BTreeMap<u32, Writer>,
    rules: BTreeMap<RuleName, Entry>,
    next_name: u64,
    next_slot: u32,
    /// Slots whose rules are gone, and that no reader counts in any more.
    free: Vec<u32>,
    freed: (Sender<u32>, Receiver<u32>),
}

impl Default for RuleTable {
    /// An empty table that takes everything.
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl RuleTable {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        let tables = Atomic::new(Tables::default());
        let shared = Shared { tables, slots: Segments::default(), shards: Shards::default() };
        Self {
            shared: Arc::new(shared),
            limits,
            groups: BTreeMap::new(),
            rules: BTreeMap::new(),
            next_name: 0,
            next_slot: 0,
            free: Vec::new(),
            freed: channel(),
        }
    }

    /// A handle that decides about packets, for one thread.
    pub fn reader(&self) -> RuleReader {
        RuleReader::new(Arc::clone(&self.shared))
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
    pub fn rule(&self, name: RuleName) -> Option<&Rule> {
        self.rules.get(&name).map(|entry| &entry.rule)
    }

    /// What a rule has matched so far.
    pub fn query(&self, name: RuleName) -> Option<RuleCount> {
        let entry = self.rules.get(&name)?;
        Some(self.shared.shards.since(entry.before, entry.slot))
    }

    /// All rules, in the order in which they came, with what they have matched.
    pub fn iter(&self) -> impl Iterator<Item = (RuleName, &Rule, RuleCount)> {
        self.rules.iter().map(|(name, entry)| {
            (*name, &entry.rule, self.shared.shards.since(entry.before, entry.slot))
        })
    }

    /// What the wildcard tables of a group are made of, IPv4 and IPv6.
    pub fn cost(&self, group: u32) -> Option<(Cost, Cost)> {
        self.groups.get(&group).map(|group| (group.v4.cost(), group.v6.cost()))
    }

    /// Adds a rule, while readers run.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn insert(&mut self, rule: Rule) -> Result<RuleName, Error> {
        check(&rule, &self.limits)?;
        let projection = Projection::of(&rule);
        let others = self.rules.iter().map(|(name, entry)| (*name, entry));
        overlap(&self.limits, &rule, &projection, others)?;
        let entry = self.entry(rule, projection)?;
        let name = self.name();
        self.fill(name, &entry);
        let is_new = !self.groups.contains_key(&entry.rule.group);
        self.groups.entry(entry.rule.group).or_default().add(&entry);
        if is_new || entry.projection.without_ip {
            self.publish();
        }
        let _ = self.rules.insert(name, entry);
        Ok(name)
    }

    fn name(&mut self) -> RuleName {
        self.next_name += 1;
        RuleName(self.next_name - 1)
    }

    /// Finds a slot for a rule.
    fn entry(&mut self, rule: Rule, projection: Projection) -> Result<Entry, Error> {
        self.free.extend(self.freed.1.try_iter());
        let limit = Segments::<Slot>::LIMIT;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.next_slot < limit => {
                self.next_slot += 1;
                self.next_slot - 1
            }
            None => return Err(Error::Full(limit)),
        };
        let before = self.shared.shards.since(RuleCount::default(), slot);
        Ok(Entry { rule, slot, projection, before })
    }

    /// Puts what readers need of a rule where they find it.
    fn fill(&self, name: RuleName, entry: &Entry) {
        let data = Data::new(entry.rule.clone(), name, &entry.projection);
        self.set(entry.slot, Owned::new(data));
    }

    fn set(&self, slot: u32, data: Owned<Data>) {
        let Some(place) = self.shared.slots.place(slot) else { return };
        let guard = pin();
        // Release: pairs with the acquire in `Shared::data`.
        let old = place.data.swap(data, Ordering::AcqRel, &guard);
        retire(old, &guard);
    }

    /// Shows readers the groups as they are now.
    fn publish(&self) {
        let groups = self.groups.iter().map(|(number, group)| (*number, group.readers())).collect();
        let guard = pin();
        // Release: pairs with the acquire in `Shared::tables`.
        let old = self.shared.tables.swap(Owned::new(Tables { groups }), Ordering::AcqRel, &guard);
        retire(old, &guard);
    }

    /// Lets a slot be used again when no reader can be counting in it.
    fn release(&self, slot: u32) {
        let freed = self.freed.0.clone();
        let guard = pin();
        // If the table is gone, nobody wants the slot.
        guard.defer(move || _ = freed.send(slot));
        guard.flush();
    }

    /// Removes a rule, while readers run; says which it was and what it had matched.
    pub fn remove(&mut self, name: RuleName) -> Option<(Rule, RuleCount)> {
        let entry = self.rules.remove(&name)?;
        let count = self.shared.shards.since(entry.before, entry.slot);
        let group = self.groups.get_mut(&entry.rule.group)?;
        group.remove(&entry);
        if group.is_empty() {
            let _ = self.groups.remove(&entry.rule.group);
            self.publish();
        } else if entry.projection.without_ip {
            self.publish();
        }
        self.release(entry.slot);
        Some((entry.rule, count))
    }

    /// Replaces all rules at once: each packet meets the old ones or the new ones. Names the new
    /// rules, in their order.
    ///
    /// # Errors
    /// The first rule that is wrong, by its place, and why; nothing has changed then.
    pub fn replace(&mut self, rules: Vec<Rule>) -> Result<Vec<RuleName>, (usize, Error)> {
        let mut projections: Vec<Projection> = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            let projection = Projection::of(rule);
            check(rule, &self.limits)
                .and_then(|()| clash(&self.limits, rule, &projection, &rules, &projections))
                .map_err(|error| (at, error))?;
            projections.push(projection);
        }
        let mut entries = Vec::new();
        for (at, (rule, projection)) in rules.into_iter().zip(projections).enumerate() {
            match self.entry(rule, projection) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    // No reader has seen these slots.
                    self.free.extend(entries.iter().map(|entry| entry.slot));
                    return Err((at, error));
                }
            }
        }
        Ok(self.install(entries))
    }

    /// Makes these the rules.
    fn install(&mut self, entries: Vec<Entry>) -> Vec<RuleName> {
        let names: Vec<_> = entries.iter().map(|_| self.name()).collect();
        names.iter().zip(&entries).for_each(|(name, entry)| self.fill(*name, entry));
        let mut groups: HashMap<u32, Vec<&Entry>> = HashMap::new();
        for entry in &entries {
            groups.entry(entry.rule.group).or_default().push(entry);
        }
        let groups = groups.into_iter().map(|(group, entries)| (group, Writer::of(&entries)));
        self.groups = groups.collect();
        self.publish();
        let new = names.iter().copied().zip(entries).collect();
        let old = std::mem::replace(&mut self.rules, new);
        old.values().for_each(|entry| self.release(entry.slot));
        names
    }
}

/// Frees what readers can come to no more, when they are done with it.
fn retire<T>(old: Pointer<'_, T>, guard: &Guard) {
    if !old.is_null() {
        // SAFETY: it was swapped out by the only writer: once, and no reader comes to it any more.
        unsafe { guard.defer_destroy(old) };
    }
}

/// Refuses a rule that may match what another of its group and priority matches, if limits say so.
fn overlap<'a>(
    limits: &Limits,
    rule: &Rule,
    projection: &Projection,
    others: impl IntoIterator<Item = (RuleName, &'a Entry)>,
) -> Result<(), Error> {
    let others = others.into_iter().map(|(name, entry)| (name, &entry.rule, &entry.projection));
    find_overlap(limits, rule, projection, others)
}

/// As `overlap`, in a set that is not in the table yet: the rules before it have their places as names.
fn clash(
    limits: &Limits,
    rule: &Rule,
    projection: &Projection,
    rules: &[Rule],
    projections: &[Projection],
) -> Result<(), Error> {
    let before = rules.iter().zip(projections).zip(0..);
    let others = before.map(|((rule, projection), at)| (RuleName(at), rule, projection));
    find_overlap(limits, rule, projection, others)
}

fn find_overlap<'a>(
    limits: &Limits,
    rule: &Rule,
    projection: &Projection,
    mut others: impl Iterator<Item = (RuleName, &'a Rule, &'a Projection)>,
) -> Result<(), Error> {
    let priority = rule.priority;
    let found = others.find(|(_, other, theirs)| {
        limits.overlaps == Overlaps::Refused
            && (other.group, other.priority) == (rule.group, priority)
            && super::overlap::projections_meet(theirs, projection)
    });
    found.map_or(Ok(()), |(with, ..)| Err(Error::Overlap { with, priority }))
}

impl Writer {
    fn of(entries: &[&Entry]) -> Self {
        let mut group = Self::default();
        let v4 = entries.iter().filter_map(|entry| Some((entry.id(), entry.projection.v4?)));
        let v6 = entries.iter().filter_map(|entry| Some((entry.id(), entry.projection.v6?)));
        // Rules were validated, and no two have one slot.
        let filled = group.v4.replace(v4).and_then(|()| group.v6.replace(v6));
        debug_assert_eq!(filled, Ok(()));
        let without_ip = entries.iter().filter(|entry| entry.projection.without_ip);
        group.without_ip = without_ip.map(|entry| (entry.rule.priority, entry.id())).collect();
        group.without_ip.sort_unstable();
        group
    }

    fn add(&mut self, entry: &Entry) {
        let (id, projection) = (entry.id(), &entry.projection);
        // The rule was validated, and the slot is free.
        let v4 = projection.v4.map_or(Ok(()), |rule| self.v4.insert(id, rule));
        let v6 = projection.v6.map_or(Ok(()), |rule| self.v6.insert(id, rule));
        debug_assert_eq!(v4.and(v6), Ok(()));
        if projection.without_ip {
            self.without_ip.push((entry.rule.priority, id));
            self.without_ip.sort_unstable();
        }
    }

    fn remove(&mut self, entry: &Entry) {
        let _ = self.v4.remove(entry.id());
        let _ = self.v6.remove(entry.id());
        self.without_ip.retain(|(_, id)| *id != entry.id());
    }

    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.without_ip.is_empty()
    }

    fn readers(&self) -> Group {
        let without_ip = self.without_ip.clone();
        Group { v4: self.v4.reader(), v6: self.v6.reader(), without_ip }
    }
}

impl Entry {
    fn id(&self) -> RuleId {
        RuleId(self.slot)
    }
}

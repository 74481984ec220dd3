//! Flow rules in the card: which filter carries a rule out, and saying all of them again after a reset.
//!
//! EtherType, SYN and 5-tuple filters are looked at first, by priority, and only choose queues. What
//! they cannot do goes to the flow director, which is looked at after them: it compares under masks,
//! drops and marks. A rule that neither can carry out is refused with what is too much for both.

mod director;
mod filter;
mod hash;
mod mark;
mod mask;
mod pattern;

use crate::registers::Registers;
use crate::trouble::Trouble;
pub use director::{DirectorMemory, FlowDirector};
use director::{Entry, Fate};
use filter::{Filter, TUPLES, TYPES};
use linecard_net::rule::{Action, Rule};
use linecard_pmd_core::{FlowCapabilities, FlowId};
pub(crate) use mark::Marks;
use mask::Mask;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What can be asked for, with this flow director.
pub(crate) fn capabilities(director: FlowDirector) -> FlowCapabilities {
    let mut items = vec![
        "eth ether_type exact (but IPv4 and IPv6)",
        "ipv4 src, dst exact",
        "tcp, udp, sctp sport, dport exact",
        "tcp flags: SYN, whatever the addresses and ports",
    ];
    let mut actions = vec!["queue"];
    match director {
        FlowDirector::Off => {}
        FlowDirector::Perfect(_) => {
            items.push("vlan id, priority; ipv4 src, dst; tcp, udp sport, dport: under one mask");
            items.push(FLEXIBLE);
            actions.extend(["drop", "mark", "pass-through"]);
        }
        FlowDirector::Signature(_) => {
            items.push("whole 5-tuples of ipv4 and ipv6, by signature");
            items.push(FLEXIBLE);
        }
    }
    FlowCapabilities { rules: (TYPES + TUPLES + 1) as usize + director.rules(), items, actions }
}

/// What may be added to an item of the flow director.
const FLEXIBLE: &str = "raw word exact, at one even offset up to 58 for all rules";

/// The refusal of a rule that runs.
const TWICE: &str = "a rule with this pattern runs already: destroy that one first";

/// Why a rule does not run.
#[derive(Debug)]
pub(crate) enum No {
    /// What is too much for the card, or what stands against it.
    Rule(String),
    /// The card did not answer.
    Card(Trouble),
}

impl From<String> for No {
    fn from(text: String) -> Self {
        No::Rule(text)
    }
}

impl From<Trouble> for No {
    fn from(trouble: Trouble) -> Self {
        No::Card(trouble)
    }
}

/// What a rule's actions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    fate: Fate,
    mark: Option<u32>,
}

/// Where a rule runs.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In this register of a kind of filter.
    Filter { filter: Filter, at: u32, queue: u16 },
    /// In the flow director, under this index.
    Director { entry: Entry, index: u16, wish: Wish },
}

/// A rule that runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    place: Place,
    priority: u32,
}

/// The rules that run, to be said again after a reset.
#[derive(Debug)]
pub(crate) struct Flows {
    running: BTreeMap<u64, Running>,
    next: u64,
    pub(crate) director: FlowDirector,
    /// Marks of the flow director's rules, if packets are to carry them.
    marks: Option<Arc<Marks>>,
    /// Receive queues that rules may name.
    queues: usize,
}

impl Flows {
    pub(crate) fn new(director: FlowDirector) -> Self {
        Flows { running: BTreeMap::new(), next: 0, director, marks: None, queues: 0 }
    }

    /// What the configuration makes of rules: none outlives a configuration that it does not fit.
    pub(crate) fn configure(&mut self, queues: usize, marks: bool) {
        self.queues = queues;
        self.marks = marks.then(|| Arc::new(Marks::new(self.director.rules())));
        self.running.retain(|_, running| running.place.fits(queues, marks));
        for running in self.running.values() {
            running.place.tell(self.marks.as_deref());
        }
    }

    /// What receive queues look marks up in.
    pub(crate) fn marks(&self) -> Option<Arc<Marks>> {
        self.marks.clone()
    }

    /// Runs a rule.
    pub(crate) fn create(&mut self, registers: &Registers, rule: &Rule) -> Result<FlowId, No> {
        if rule.group != 0 {
            return Err(format!("group {}: the card has only group 0", rule.group).into());
        }
        let wish = self.wish(rule)?;
        let runs = |filter: Filter| self.filters().any(|(other, _)| other == filter);
        if Filter::of(rule).is_ok_and(runs) {
            return Err(TWICE.to_owned().into());
        }
        let place = match self.filter(rule, wish) {
            Ok(place) => place,
            Err(why) => {
                self.directed(rule, wish).map_err(|other| both(self.director, &why, &other))?
            }
        };
        let running = Running { place, priority: rule.priority };
        self.start(registers, &running)?;
        let id = self.next;
        self.next += 1;
        self.running.insert(id, running);
        Ok(FlowId(id))
    }

    /// Runs a rule no longer. `false` if it did not.
    pub(crate) fn destroy(&mut self, registers: &Registers, id: FlowId) -> Result<bool, Trouble> {
        let Some(running) = self.running.get(&id.0) else { return Ok(false) };
        match running.place {
            Place::Filter { filter, at, .. } => filter.clear(registers, at),
            Place::Director { entry, index, .. } => {
                entry.remove(registers, self.director, index)?;
                self.marks.iter().for_each(|marks| marks.set(index, None));
            }
        }
        self.running.remove(&id.0);
        Ok(true)
    }

    /// Whether a rule runs.
    pub(crate) fn has(&self, id: FlowId) -> bool {
        self.running.contains_key(&id.0)
    }

    /// Sets the flow director up, and says all again.
    pub(crate) fn apply(&self, registers: &Registers) -> Result<(), Trouble> {
        self.director.start(registers, self.marks.is_some(), self.mask())?;
        for running in self.running.values() {
            self.place(registers, running)?;
        }
        Ok(())
    }

    fn wish(&self, rule: &Rule) -> Result<Wish, String> {
        let mut wish = Wish { fate: Fate::Pass, mark: None };
        for action in &rule.actions {
            match action {
                Action::Queue(queue) if usize::from(queue.0) < self.queues => {
                    wish.fate = Fate::Queue(queue.0);
                }
                Action::Queue(queue) => {
                    return Err(format!("queue {}: the port has {}", queue.0, self.queues));
                }
                Action::Drop => wish.fate = Fate::Drop,
                Action::PassThrough => {}
                Action::Mark(mark) if self.marks.is_some() => wish.mark = Some(*mark),
                Action::Mark(_) => {
                    return Err(
                        "action mark: no marks were configured, ask for RxOffloads::MARK".into()
                    );
                }
                other => {
                    let can = "the 82599 can choose a queue, drop, and mark";
                    return Err(format!("action {}: {can}", other.name()));
                }
            }
        }
        Ok(wish)
    }

    /// A filter for the rule.
    fn filter(&self, rule: &Rule, wish: Wish) -> Result<Place, String> {
        let Wish { fate: Fate::Queue(queue), mark: None } = wish else {
            return Err("it can only choose a queue".into());
        };
        let filter = Filter::of(rule)?;
        let before = |other: &&Running| {
            matches!(other.place, Place::Director { .. }) && other.priority < rule.priority
        };
        if let Some(other) = self.running.values().find(before) {
            let text = "is in the flow director, which is looked at after filters";
            return Err(format!(
                "priority {}: a rule of priority {} {text}",
                rule.priority, other.priority
            ));
        }
        let like = self.filters().filter(|(other, _)| other.is_like(filter));
        let taken: Vec<_> = like.map(|(_, at)| at).collect();
        let free = (0..filter.count()).find(|at| !taken.contains(at));
        let at = free.ok_or_else(|| format!("all {} of the kind are taken", filter.count()))?;
        Ok(Place::Filter { filter, at, queue })
    }

    /// A place in the flow director for the rule.
    fn directed(&self, rule: &Rule, wish: Wish) -> Result<Place, String> {
        let entry = self.director.entry(rule, wish.fate, self.queues)?;
        let after = |other: &&Running| {
            matches!(other.place, Place::Filter { .. }) && other.priority > rule.priority
        };
        if let Some(other) = self.running.values().find(after) {
            let text = "is in a filter, which is looked at first";
            return Err(format!(
                "priority {}: a rule of priority {} {text}",
                rule.priority, other.priority
            ));
        }
        if let Some(mask) = self.mask().filter(|mask| *mask != entry.mask) {
            let text = "all its rules share one mask";
            return Err(format!("{text}, which is now {mask}, and not {}", entry.mask));
        }
        if self.entries().any(|(other, _)| *other == entry) {
            return Err(TWICE.into());
        }
        let taken: std::collections::BTreeSet<u16> =
            self.entries().map(|(_, index)| index).collect();
        let free = (0..self.director.rules() as u16).find(|index| !taken.contains(index));
        let index = free.ok_or_else(|| format!("all its {} filters are taken", taken.len()))?;
        Ok(Place::Director { entry, index, wish })
    }

    fn filters(&self) -> impl Iterator<Item = (Filter, u32)> {
        self.running.values().filter_map(|running| match running.place {
            Place::Filter { filter, at, .. } => Some((filter, at)),
            Place::Director { .. } => None,
        })
    }

    fn entries(&self) -> impl Iterator<Item = (&Entry, u16)> {
        self.running.values().filter_map(|running| match &running.place {
            Place::Director { entry, index, .. } => Some((entry, *index)),
            Place::Filter { .. } => None,
        })
    }

    /// What the rules in the flow director compare, if there are any.
    fn mask(&self) -> Option<Mask> {
        self.entries().next().map(|(entry, _)| entry.mask)
    }

    /// Starts a rule that has a place.
    fn start(&self, registers: &Registers, running: &Running) -> Result<(), No> {
        if let Place::Director { entry, .. } = &running.place
            && self.entries().next().is_none()
        {
            entry.mask.set(registers, self.director)?;
        }
        running.place.tell(self.marks.as_deref());
        match self.place(registers, running)? {
            true => Ok(()),
            false => Err("the flow director has no room in that bucket".to_owned().into()),
        }
    }

    /// Tells the card of a rule. `false` if it has no room.
    fn place(&self, registers: &Registers, running: &Running) -> Result<bool, Trouble> {
        match running.place {
            Place::Filter { filter, at, queue } => {
                filter.set(registers, at, running.priority, queue);
                Ok(true)
            }
            Place::Director { entry, index, wish } => {
                entry.add(registers, self.director, index, wish.fate)
            }
        }
    }
}

impl Place {
    /// Whether a configuration allows it.
    fn fits(&self, queues: usize, marks: bool) -> bool {
        let queue = match self {
            Place::Filter { queue, .. } => Some(*queue),
            Place::Director { wish: Wish { fate: Fate::Queue(queue), .. }, .. } => Some(*queue),
            Place::Director { .. } => None,
        };
        let asks = matches!(self, Place::Director { wish: Wish { mark: Some(_), .. }, .. });
        queue.is_none_or(|queue| usize::from(queue) < queues) && (marks || !asks)
    }

    /// Tells queues of its mark.
    fn tell(&self, marks: Option<&Marks>) {
        if let (Place::Director { index, wish, .. }, Some(marks)) = (self, marks) {
            marks.set(*index, wish.mark);
        }
    }
}

/// The refusal by both.
fn both(director: FlowDirector, filter: &str, other: &str) -> String {
    match director {
        FlowDirector::Off => format!("{filter}; the flow director: {other}"),
        _ if filter == "it can only choose a queue" => format!("flow director: {other}"),
        _ => format!("filters: {filter}; flow director: {other}"),
    }
}

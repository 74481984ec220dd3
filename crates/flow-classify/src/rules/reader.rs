//! What becomes of packets.

use super::count::Shard;
use super::table::{Data, Group, Shared, Tables};
use super::{Decision, Fate, Packet};
use crate::acl::{Categories, RuleId, Verdict};
use crossbeam_epoch::{Guard, pin};
use linecard_net::flow::{FlowKey, KeyV4, KeyV6};
use linecard_net::rule::{Action, QueueIndex};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Packets that are looked up together.
const BATCH: usize = 64;

/// Says what becomes of packets; one for each thread, which counts for itself.
///
/// Never blocks; allocates when a rule matches for the first time, and where several rules have a say.
#[derive(Debug)]
pub struct RuleReader {
    shared: Arc<Shared>,
    shard: Arc<Shard>,
}

impl Clone for RuleReader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl RuleReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let shard = shared.shards.open();
        Self { shared, shard }
    }

    /// Decides about one packet; `now` is kept as the time when its rules were seen.
    pub fn decide(&mut self, packet: &Packet<'_>, now: u64) -> Decision {
        let mut decision = [Decision::default()];
        self.decide_all(std::slice::from_ref(packet), now, &mut decision);
        let [decision] = decision;
        decision
    }

    /// Decides about packets, as many as there are packets and decisions.
    pub fn decide_all(&mut self, packets: &[Packet<'_>], now: u64, decisions: &mut [Decision]) {
        for (packets, decisions) in packets.chunks(BATCH).zip(decisions.chunks_mut(BATCH)) {
            self.decide_batch(packets, now, decisions);
        }
    }

    fn decide_batch(&mut self, packets: &[Packet<'_>], now: u64, decisions: &mut [Decision]) {
        // As long as we are pinned, slots are not given to other rules.
        let guard = pin();
        let tables = self.shared.tables(&guard);
        let Some(first) = tables.group(0) else {
            return decisions.fill(Decision::default());
        };
        let mut verdicts = [Verdict::NONE; BATCH];
        look_up(first, packets, &mut verdicts);
        for ((packet, verdict), decision) in packets.iter().zip(verdicts).zip(decisions) {
            let look = Look { reader: self, guard: &guard, packet, now };
            *decision = look.at_once(verdict).unwrap_or_else(|| look.in_turn(tables));
        }
    }
}

/// Looks up the packets of both IP versions at once.
fn look_up(group: &Group, packets: &[Packet<'_>], verdicts: &mut [Verdict; BATCH]) {
    let mut v4 = Batch::<KeyV4>::default();
    let mut v6 = Batch::<KeyV6>::default();
    for (at, packet) in packets.iter().enumerate() {
        match packet.parsed.outer.flow {
            Some(flow @ FlowKey::V4 { .. }) => v4.push(at, KeyV4::new(&flow)),
            Some(flow @ FlowKey::V6 { .. }) => v6.push(at, KeyV6::new(&flow)),
            None => {}
        }
    }
    if v4.len > 0 {
        v4.look_up(verdicts, |keys, found| group.v4.classify(keys, found));
    }
    if v6.len > 0 {
        v6.look_up(verdicts, |keys, found| group.v6.classify(keys, found));
    }
}

/// Keys of one kind, and which packets they are of.
struct Batch<K> {
    keys: [K; BATCH],
    packets: [u8; BATCH],
    len: usize,
}

impl<K: Default + Copy> Default for Batch<K> {
    fn default() -> Self {
        Self { keys: [K::default(); BATCH], packets: [0; BATCH], len: 0 }
    }
}

impl<K: Copy> Batch<K> {
    fn push(&mut self, packet: usize, key: Option<K>) {
        let Some(key) = key.filter(|_| self.len < BATCH) else { return };
        (self.keys[self.len], self.packets[self.len]) = (key, packet as u8);
        self.len += 1;
    }

    fn look_up(&self, all: &mut [Verdict; BATCH], classify: impl FnOnce(&[K], &mut [Verdict])) {
        let mut verdicts = [Verdict::NONE; BATCH];
        classify(&self.keys[..self.len], &mut verdicts[..self.len]);
        for (packet, verdict) in self.packets[..self.len].iter().zip(verdicts) {
            all[usize::from(*packet)] = verdict;
        }
    }
}

/// One packet under way.
struct Look<'a> {
    reader: &'a RuleReader,
    guard: &'a Guard,
    packet: &'a Packet<'a>,
    now: u64,
}

impl<'a> Look<'a> {
    /// The decision, if the best rule makes it alone.
    fn at_once(&self, verdict: Verdict) -> Option<Decision> {
        if verdict == Verdict::NONE {
            // Frames without IP are not in the tables.
            return self.packet.parsed.outer.flow.map(|_| Decision::default());
        }
        let slot = verdict.rule()?.0;
        let data = self.data(slot)?;
        if data.goes_on() || !self.matches(data) {
            return None;
        }
        let mut decision = Decision::default();
        self.apply(slot, data, &mut decision);
        Some(decision)
    }

    /// The decision, by all rules that match in these tables: jumps stay in them, though others may have
    /// replaced them meanwhile.
    fn in_turn(&self, tables: &Tables) -> Decision {
        let mut decision = Decision::default();
        let mut group = tables.group(0);
        // Jumps lead to groups of higher numbers only.
        while let Some(next) = self.group(group.take(), &mut decision) {
            group = tables.group(next);
        }
        decision
    }

    /// Lets the rules of one group decide; says which group comes next, if one does.
    fn group(&self, group: Option<&Group>, decision: &mut Decision) -> Option<u32> {
        let group = group?;
        let look = |RuleId(slot)| match self.data(slot) {
            Some(data) if self.matches(data) => {
                self.apply(slot, data, decision);
                match data.rule.fate() {
                    Some(Action::PassThrough) => ControlFlow::Continue(()),
                    Some(Action::Jump(to)) => ControlFlow::Break(Some(*to)),
                    _ => ControlFlow::Break(None),
                }
            }
            _ => ControlFlow::Continue(()),
        };
        let all = Categories::default();
        match self.packet.parsed.outer.flow {
            Some(flow @ FlowKey::V4 { .. }) => group.v4.visit(&KeyV4::new(&flow)?, all, look),
            Some(flow @ FlowKey::V6 { .. }) => group.v6.visit(&KeyV6::new(&flow)?, all, look),
            None => group.without_ip.iter().map(|(_, id)| *id).try_for_each(look).break_value(),
        }?
    }

    fn data(&self, slot: u32) -> Option<&'a Data> {
        self.reader.shared.data(slot, self.guard)
    }

    fn matches(&self, data: &Data) -> bool {
        !data.asks_more || data.rule.matches(&self.packet.parsed, self.packet.frame)
    }

    /// Counts the packet and does what the rule says.
    fn apply(&self, slot: u32, data: &Data, decision: &mut Decision) {
        self.reader.shard.add(slot, self.packet.len as u64, self.now);
        for action in &data.rule.actions {
            match action {
                Action::Mark(mark) => decision.mark = decision.mark.or(Some(*mark)),
                Action::Drop => decision.fate = Fate::Drop,
                Action::Queue(queue) => decision.fate = Fate::Queue(*queue),
                Action::Port(port) => decision.fate = Fate::Port(*port),
                Action::Rss(rss) => {
                    let hash = data.spread(&self.packet.parsed);
                    let queue = rss.queues.get(hash as usize % rss.queues.len().max(1));
                    decision.fate = Fate::Queue(queue.copied().unwrap_or(QueueIndex(0)));
                }
                _ => {}
            }
        }
        if !data.goes_on() {
            decision.rule = Some(data.name);
        }
    }
}

//! `--rules`: what a port can do runs there, the rest on the lcores, before the mode.

use super::report::RuleReport;
use crate::port::OpenError;
use linecard::classify::rules::text::{TextRule, parse};
use linecard::classify::rules::{
    Decision, Fate, Kept, Limits, Overlaps, Packet, RuleCount, RuleName, RuleReader, RuleTable,
    split,
};
use linecard::mbuf::Burst;
use linecard::net::rule::{Action, Rule};
use linecard::pmd::{FlowId, Port, Started};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// The rules of a file; an error has the file's name and the line.
pub(crate) fn read(file: &Path) -> Result<Vec<TextRule>, OpenError> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    parse(&text).map_err(|error| format!("{name}: {error}").into())
}

/// Rules at work.
pub(crate) struct Rules {
    texts: Vec<TextRule>,
    /// For each port the rules of what it receives.
    ports: Vec<OfPort>,
    start: Instant,
}

/// Where the rules of one port run; by their place in the file.
struct OfPort {
    table: RuleTable,
    software: BTreeMap<usize, RuleName>,
    flows: BTreeMap<usize, FlowId>,
}

impl Rules {
    /// Gives each port what it can run, and tables the rest.
    pub(crate) fn install(
        texts: Vec<TextRule>,
        ports: &mut [Port<Started>],
        queues: usize,
    ) -> Result<Self, OpenError> {
        let rules: Vec<_> = texts.iter().map(|text| text.rule.clone()).collect();
        let queues = u16::try_from(queues).unwrap_or(u16::MAX);
        let count = u16::try_from(ports.len()).unwrap_or(u16::MAX);
        let limits = Limits { queues, ports: count, overlaps: Overlaps::Taken };
        check(&texts, &rules, limits)?;
        let of_port = |port| OfPort::install(&texts, &rules, limits, port);
        let ports = ports.iter_mut().map(of_port).collect::<Result<_, _>>()?;
        Ok(Self { texts, ports, start: Instant::now() })
    }

    /// What a stream of this port does with packets.
    pub(crate) fn filter(&self, port: usize) -> Option<Filter> {
        let reader = self.ports.get(port)?.table.reader();
        Some(Filter { reader, start: self.start })
    }

    /// What each line has matched.
    pub(crate) fn report(&self, ports: &[Port<Started>]) -> Vec<RuleReport> {
        let mut reports: BTreeMap<usize, RuleReport> = BTreeMap::new();
        for (at, text) in self.texts.iter().enumerate() {
            let new = || RuleReport::new(text.line, &text.text);
            let report = reports.entry(text.line).or_insert_with(new);
            for (of_port, port) in self.ports.iter().zip(ports) {
                of_port.add(at, port, report);
            }
        }
        reports.into_values().collect()
    }
}

/// Refuses what no port could do, with the line.
fn check(texts: &[TextRule], rules: &[Rule], limits: Limits) -> Result<(), OpenError> {
    let refused = RuleTable::new(limits).replace(rules.to_vec());
    let line = |at: usize| texts.get(at).map_or(0, |text| text.line);
    refused.map(drop).map_err(|(at, error)| format!("--rules: line {}: {error}", line(at)).into())
}

impl OfPort {
    fn install(
        texts: &[TextRule],
        rules: &[Rule],
        limits: Limits,
        port: &mut Port<Started>,
    ) -> Result<Self, OpenError> {
        let (flows, kept) = offload(rules, port);
        let mut table = RuleTable::new(limits);
        let left: Vec<_> = kept.keys().filter_map(|at| rules.get(*at).cloned()).collect();
        for (at, why) in &kept {
            if let Some(fate) = rules[*at].fate().filter(|fate| !runs_here(fate)) {
                let (line, fate, port) = (texts[*at].line, fate.name(), port.name());
                let runs = "what fwd itself can do is drop, pass, mark, count and jump";
                return Err(format!("--rules: line {line}: {fate}: {port}: {why}; {runs}").into());
            }
        }
        let names = table.replace(left).map_err(|(_, error)| error)?;
        let software = kept.into_keys().zip(names).collect();
        Ok(Self { table, software, flows })
    }

    /// Adds what a rule has matched at this port.
    fn add(&self, at: usize, port: &Port<Started>, report: &mut RuleReport) {
        if let Some(flow) = self.flows.get(&at) {
            report.ports.push(port.name().to_owned());
            let count = port.query_flow(*flow).unwrap_or_default();
            report.counted &= count.packets.is_some();
            report.packets += count.packets.unwrap_or(0);
            report.bytes += count.bytes.unwrap_or(0);
        }
        let name = self.software.get(&at);
        let count = name.and_then(|name| self.table.query(*name));
        let RuleCount { packets, bytes, last_seen } = count.unwrap_or_default();
        report.packets += packets;
        report.bytes += bytes;
        let seconds = last_seen.map(|nanoseconds| nanoseconds as f64 / 1e9);
        report.last_seen_s = [report.last_seen_s, seconds].into_iter().flatten().reduce(f64::max);
    }
}

/// Whether the lcores can do it: a stream has one way out.
fn runs_here(fate: &Action) -> bool {
    matches!(fate, Action::Drop | Action::PassThrough | Action::Jump(_))
}

type Offloaded = (BTreeMap<usize, FlowId>, BTreeMap<usize, Kept>);

fn offload(rules: &[Rule], port: &mut Port<Started>) -> Offloaded {
    let runs_rules = port.info().capabilities.flows.rules > 0;
    let port = std::cell::RefCell::new(port);
    let create = |rule: &Rule| match runs_rules {
        true => port.borrow_mut().create_flow(rule).map_err(|error| error.to_string()),
        false => Err("this port runs no rules".to_owned()),
    };
    // A port that does not let go of a rule drops it when it stops.
    let destroy = |flow| drop(port.borrow_mut().destroy_flow(flow));
    let split = split(rules, create, destroy);
    (split.port, split.software)
}

/// What becomes of the packets of one stream.
pub(crate) struct Filter {
    reader: RuleReader,
    start: Instant,
}

/// The most packets of a burst.
const MOST: usize = 64;

impl Filter {
    /// Drops and marks packets of a burst from `new` on, as rules say.
    pub(crate) fn apply(&mut self, burst: &mut Burst, new: usize) {
        if burst.len() <= new {
            return;
        }
        let now = self.start.elapsed().as_nanos() as u64;
        let mut decisions = [Decision::default(); MOST];
        let count = (burst.len() - new).min(MOST);
        let nothing = Packet::new(&[]);
        let packets: [_; MOST] = std::array::from_fn(|at| match burst.get(new + at) {
            Some(mbuf) => Packet { len: mbuf.len(), ..Packet::new(mbuf.data()) },
            None => nothing,
        });
        self.reader.decide_all(&packets[..count], now, &mut decisions);
        for (packet, decision) in burst[new..].iter_mut().zip(&decisions) {
            if let Some(mark) = decision.mark {
                packet.set_mark(mark);
            }
        }
        let mut at = 0;
        burst.retain(|_| {
            at += 1;
            let decision = (at > new).then(|| decisions.get(at - new - 1)).flatten();
            decision.is_none_or(|decision| decision.fate != Fate::Drop)
        });
    }
}

//! What is told while packets flow, and at the end.

use super::lcore::Progress;
use crate::table::table;
use linecard::pmd::{PortStats, QueueStats};
use serde::Serialize;
use std::sync::Arc;

/// The last line of `fwd --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) duration_s: f64,
    pub(crate) mode: String,
    pub(crate) bench: bool,
    pub(crate) ports: Vec<PortReport>,
    pub(crate) lcores: Vec<LcoreReport>,
    /// Of each line of `--rules`.
    pub(crate) rules: Vec<RuleReport>,
    pub(crate) total: Total,
    pub(crate) pools: Vec<PoolReport>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PortReport {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) rx_packets: u64,
    pub(crate) rx_bytes: u64,
    pub(crate) tx_packets: u64,
    pub(crate) tx_bytes: u64,
    pub(crate) rx_missed: u64,
    pub(crate) tx_unsent: u64,
    pub(crate) errors: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct LcoreReport {
    pub(crate) id: u32,
    pub(crate) cpu: String,
    pub(crate) packets: u64,
    pub(crate) cycles_per_packet: f64,
    pub(crate) average_burst: f64,
    /// The busy part of its time, 0 to 1.
    pub(crate) busy: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Total {
    pub(crate) packets: u64,
    pub(crate) mpps: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PoolReport {
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) available: usize,
    pub(crate) leaked: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct RuleReport {
    pub(crate) line: usize,
    pub(crate) rule: String,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// From the start to the last packet.
    pub(crate) last_seen_s: Option<f64>,
    /// Ports that run it themselves.
    pub(crate) ports: Vec<String>,
    /// Whether all of these count its packets.
    pub(crate) counted: bool,
}

impl RuleReport {
    pub(crate) fn new(line: usize, rule: &str) -> Self {
        let (last_seen_s, ports) = (None, Vec::new());
        RuleReport {
            line,
            rule: rule.into(),
            packets: 0,
            bytes: 0,
            last_seen_s,
            ports,
            counted: true,
        }
    }

    fn cells(&self) -> [String; 6] {
        let last = self.last_seen_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.3}"));
        let runs = if self.ports.is_empty() { "software".into() } else { self.ports.join(" ") };
        let note = if self.counted { "" } else { "+ ?" };
        let packets = format!("{}{note}", self.packets);
        [self.line.to_string(), self.rule.clone(), runs, packets, self.bytes.to_string(), last]
    }
}

impl PortReport {
    pub(crate) fn new(name: &str, kind: &'static str, stats: &PortStats, unsent: u64) -> Self {
        PortReport {
            name: name.into(),
            kind,
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            rx_missed: stats.rx_missed,
            tx_unsent: unsent,
            errors: stats.rx_errors + stats.tx_errors,
        }
    }
}

impl Report {
    /// The tables for people.
    pub(crate) fn print(&self) {
        let heads =
            ["port", "kind", "received", "bytes", "sent", "bytes", "missed", "unsent", "errors"];
        let mut ports = table(&heads, 2);
        for p in &self.ports {
            let numbers = [
                p.rx_packets,
                p.rx_bytes,
                p.tx_packets,
                p.tx_bytes,
                p.rx_missed,
                p.tx_unsent,
                p.errors,
            ];
            let cells = [p.name.clone(), p.kind.to_owned()];
            ports.add_row(cells.into_iter().chain(numbers.map(|n| n.to_string())));
        }
        crate::tell!("{ports}");
        let heads = ["lcore", "cpu", "packets", "cycles/packet", "average burst", "busy"];
        let mut lcores = table(&heads, 2);
        for l in &self.lcores {
            lcores.add_row([
                l.id.to_string(),
                l.cpu.clone(),
                l.packets.to_string(),
                format!("{:.1}", l.cycles_per_packet),
                format!("{:.1}", l.average_burst),
                format!("{:.0} %", l.busy * 100.0),
            ]);
        }
        crate::tell!("{lcores}");
        if !self.rules.is_empty() {
            let heads = ["line", "rule", "runs in", "packets", "bytes", "last seen (s)"];
            let mut rules = table(&heads, 3);
            self.rules.iter().for_each(|rule| _ = rules.add_row(rule.cells()));
            crate::tell!("{rules}");
        }
        for pool in &self.pools {
            let (size, back) = (pool.size, pool.available);
            crate::tell!(
                "pool {}: {back} of {size} buffers back, {} leaked",
                pool.name,
                pool.leaked
            );
        }
        let (packets, seconds, mpps) = (self.total.packets, self.duration_s, self.total.mpps);
        crate::tell!("{packets} packets in {seconds:.2} s: {mpps:.3} Mpps");
    }
}

/// Rates since the last look, port by port and lcore by lcore.
pub(crate) struct Rates {
    ports: Vec<(String, QueueStats, PortStats)>,
    lcores: Vec<(u32, Arc<Progress>, u64, u64)>,
    lines: usize,
}

impl Rates {
    pub(crate) fn new(ports: Vec<(String, QueueStats)>, lcores: Vec<(u32, Arc<Progress>)>) -> Self {
        let ports = ports.into_iter().map(|(name, s)| (name, s, PortStats::default())).collect();
        let lcores = lcores.into_iter().map(|(id, progress)| (id, progress, 0, 0)).collect();
        Rates { ports, lcores, lines: 0 }
    }

    /// One line a port and an lcore. On a terminal they replace those of the last time.
    pub(crate) fn print(&mut self, seconds: f64, busy: &[(u32, u64, f64)], terminal: bool) {
        let mut lines = Vec::new();
        for (name, stats, before) in &mut self.ports {
            let now = stats.sum();
            lines.push(port_line(name, &now.since(before), seconds));
            *before = now;
        }
        for (id, progress, packets, cycles) in &mut self.lcores {
            let (_, spent, share) =
                busy.iter().find(|(b, ..)| b == id).copied().unwrap_or_default();
            let (now, bursts) = (progress.packets.read(), progress.bursts.read());
            let new = now - *packets;
            let each = (spent - *cycles) as f64 / new.max(1) as f64;
            let burst = now as f64 / bursts.max(1) as f64;
            lines.push(format!(
                "lcore {id:<3} {:>9.3} Mpps  {each:>7.1} cycles/packet  burst {burst:>5.1}  busy {:>3.0} %",
                new as f64 / seconds / 1e6,
                share * 100.0
            ));
            (*packets, *cycles) = (now, spent);
        }
        if terminal && self.lines > 0 {
            lines[0].insert_str(0, &format!("\x1b[{}A\x1b[J", self.lines));
        }
        self.lines = lines.len();
        lines.iter().for_each(|line| crate::tell!("{line}"));
    }
}

fn port_line(name: &str, new: &PortStats, seconds: f64) -> String {
    let mpps = |n: u64| n as f64 / seconds / 1e6;
    let gbps = |n: u64| n as f64 * 8.0 / seconds / 1e9;
    format!(
        "{name:<9} rx {:>9.3} Mpps {:>8.3} Gb/s  tx {:>9.3} Mpps {:>8.3} Gb/s  missed {:>9}",
        mpps(new.rx_packets),
        gbps(new.rx_bytes),
        mpps(new.tx_packets),
        gbps(new.tx_bytes),
        new.rx_missed + new.rx_no_buffer,
    )
}

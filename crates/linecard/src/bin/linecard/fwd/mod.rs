//! `linecard fwd`: ports in, packets through, ports out.

mod bench;
mod detour;
mod lcore;
mod modes;
mod report;
mod rules;
mod setup;

use crate::port::{OpenError, Spec, open_all};
use clap::{Parser, ValueEnum};
use detour::Used;
use lcore::{Left, Progress};
use linecard::eal::clock::Clock;
use linecard::eal::lcore::{
    Idle, Launcher, LcoreMap, Outcome, StopFlag, Topology, Warning, Workers,
};
use linecard::mbuf::MbufPool;
use linecard::pmd::{Error as PortError, Event, Port, Started};
use modes::Mode;
use report::{LcoreReport, PoolReport, PortReport, Rates, Report, RuleReport, Total};
use rules::Rules;
use setup::{Running, Work};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Forward packets between ports: the first two are a pair, the next two, and so on; one without a
/// partner sends back where packets came from.
#[derive(Parser, Debug)]
pub(crate) struct Options {
    /// A port, as KIND[:key=value,…]; `linecard ports` lists kinds and keys. None for the bench.
    #[arg(long = "port", value_name = "SPEC")]
    ports: Vec<Spec>,
    /// What to do with packets.
    #[arg(long, value_enum, default_value = "io")]
    mode: Mode,
    /// Which lcores forward, as in 1-3, 1@5 or (0-3)@0; the last CPU that is allowed, if not given.
    #[arg(long, value_name = "MAP")]
    lcores: Option<String>,
    /// Receive queues of each port.
    #[arg(long, default_value_t = 1)]
    rxq: usize,
    /// Transmit queues of each port; as many as are needed, if not given.
    #[arg(long)]
    txq: Option<usize>,
    /// Descriptors of each receive queue; the port's own choice, if not given.
    #[arg(long)]
    rxd: Option<usize>,
    /// Descriptors of each transmit queue; the port's own choice, if not given.
    #[arg(long)]
    txd: Option<usize>,
    /// Packets a burst, 1 to 64.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=64))]
    burst: u16,
    /// Bytes behind the Ethernet header that a frame may have.
    #[arg(long)]
    mtu: Option<usize>,
    /// Packet buffers; as many as the ports can hold at once, if not given.
    #[arg(long, value_name = "N")]
    buffers: Option<usize>,
    /// Bytes of frames that txonly and flowgen make.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(60..=9000))]
    frame: u16,
    /// Seconds to run; until interrupted or all ports are finished, if not given. The bench: 10.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Seconds between lines of rates; 0 for none.
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    stats_period: Duration,
    /// What ports may leave undone for each other: checksums and segmentation.
    #[arg(long, value_enum, default_value = "none")]
    offloads: Offloads,
    /// What an lcore does when there is nothing to do.
    #[arg(long, value_enum, default_value = "pause")]
    idle: IdleChoice,
    /// Rules for received packets, one a line (see docs/rules.md).
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Print one JSON object as the last line, and no rates.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Offloads {
    /// Nothing: every frame is as a wire would carry it.
    None,
    /// All that every port can both take and pass on.
    Pass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IdleChoice {
    /// Poll again at once.
    Spin,
    /// A CPU pause between polls.
    Pause,
    /// Doze in the CPU, where it can.
    Umwait,
    /// Sleep in the kernel for up to 100 µs.
    Sleep,
}

impl IdleChoice {
    fn strategy(self) -> Idle {
        match self {
            IdleChoice::Spin => Idle::Spin,
            IdleChoice::Pause => Idle::Pause,
            IdleChoice::Umwait => Idle::Umwait,
            IdleChoice::Sleep => Idle::Sleep(Duration::from_micros(100)),
        }
    }
}

/// Seconds, with a fraction if need be.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "wanted a number of seconds, as in 10 or 0.5")?;
    let most = 100.0 * 365.0 * 86_400.0;
    if !(0.0..=most).contains(&seconds) {
        return Err("wanted seconds from 0 to those of 100 years".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Forwards until it is time to stop.
pub(crate) fn run(options: Options) -> Result<ExitCode, OpenError> {
    let topology = Topology::discover();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let map = lcore_map(&options, &topology)?;
    if options.ports.is_empty() && !options.json {
        writeln!(std::io::stderr(), "{}", bench::WHAT)?;
    }
    let (drivers, far_ends) = match options.ports.is_empty() {
        true => bench::ports()?,
        false => (open_all(&options.ports)?, None),
    };
    let Running { ports, work, pool, rules, used } = setup::start(&options, drivers, &map)?;
    let far = far_ends.map(|ends| bench::FarEnds::start(ends, &topology, &map)).transpose()?;
    let session = Session { options: &options, topology: &topology, map: &map, pool, rules, used };
    let outcome = session.forward(ports, work, &interrupted);
    if let Some(far) = far {
        far.stop()?;
    }
    let report = session.finish(outcome?);
    session.tell(&report)
}

fn lcore_map(options: &Options, topology: &Topology) -> Result<LcoreMap, OpenError> {
    if let Some(text) = &options.lcores {
        return Ok(text.parse::<LcoreMap>()?);
    }
    let last = topology.allowed().map(|cpu| cpu.id).last();
    LcoreMap::of_cpus(last).ok_or_else(|| "no CPU is allowed for this process".into())
}

struct Session<'a> {
    options: &'a Options,
    topology: &'a Topology,
    map: &'a LcoreMap,
    pool: MbufPool,
    rules: Option<Rules>,
    /// By port, to be told of queues that come into use.
    used: Vec<Arc<Used>>,
}

/// What a run leaves behind.
struct Outcomes {
    seconds: f64,
    ports: Vec<PortReport>,
    lcores: Vec<LcoreReport>,
    rules: Vec<RuleReport>,
    errors: Vec<String>,
}

impl Session<'_> {
    fn forward(
        &self,
        mut ports: Vec<Port<Started>>,
        work: Vec<Work>,
        interrupted: &AtomicBool,
    ) -> Result<Outcomes, OpenError> {
        let clock = Clock::new();
        let mut launcher = Launcher::new(self.topology).name("fwd").stop_flag(StopFlag::default());
        let mut progress = Vec::new();
        for Work { lcore, streams } in work {
            let made = Arc::new(Progress::default());
            progress.push((lcore.id, Arc::clone(&made)));
            let idle = self.options.idle.strategy();
            launcher.add(lcore, move |c| lcore::run(c, streams, idle, &made, clock));
        }
        let workers = launcher.start()?;
        let start = Instant::now();
        let gone = self.watch(&mut ports, &workers, &progress, interrupted);
        workers.stop();
        let seconds = start.elapsed().as_secs_f64();
        let lcores = workers.usage().zip(&progress).zip(self.map.lcores());
        let lcores = lcores.map(|(((id, usage), (_, done)), lcore)| {
            let (packets, bursts) = (done.packets.read(), done.bursts.read());
            let cpus: Vec<_> = lcore.cpus.iter().map(u32::to_string).collect();
            LcoreReport {
                id,
                cpu: cpus.join(","),
                packets,
                cycles_per_packet: usage.busy() as f64 / packets.max(1) as f64,
                average_burst: packets as f64 / bursts.max(1) as f64,
                busy: usage.share(),
            }
        });
        let lcores = lcores.collect();
        let (unsent, mut errors) = collect(workers.join());
        errors.extend(gone);
        let rules = self.rules.as_ref().map_or_else(Vec::new, |rules| rules.report(&ports));
        let ports = self.stop(ports, &unsent, &mut errors);
        Ok(Outcomes { seconds, ports, lcores, rules, errors })
    }

    /// Stops the ports; says what each has counted.
    fn stop(
        &self,
        ports: Vec<Port<Started>>,
        unsent: &[(usize, u64)],
        errors: &mut Vec<String>,
    ) -> Vec<PortReport> {
        let mut reports = Vec::new();
        for (i, port) in ports.into_iter().enumerate() {
            let left = unsent.iter().filter(|(p, _)| *p == i).map(|(_, n)| n).sum();
            let (name, kind) = (port.name().to_owned(), port.info().kind);
            reports.push(PortReport::new(&name, kind, &port.stats(), left));
            if let Err(refused) = port.stop() {
                errors.push(refused.to_string());
            }
        }
        reports
    }

    /// Until it is time to stop: tells rates and events, and looks for the end. Why it is over, if that
    /// is not for a good reason.
    fn watch(
        &self,
        ports: &mut [Port<Started>],
        workers: &Workers<Left>,
        progress: &[(u32, Arc<Progress>)],
        interrupted: &AtomicBool,
    ) -> Option<String> {
        let names = ports.iter().map(|p| (p.name().to_owned(), p.queue_stats())).collect();
        let mut rates = Rates::new(names, progress.to_vec());
        let terminal = std::io::stdout().is_terminal();
        let bench = self.options.ports.is_empty().then_some(Duration::from_secs(10));
        let (end, period) = (self.options.duration.or(bench), self.options.stats_period);
        let quiet = self.options.json || period.is_zero();
        let (start, mut last) = (Instant::now(), Instant::now());
        // Relaxed: a flag that a signal sets.
        while workers.running() > 0 && !interrupted.load(Ordering::Relaxed) {
            if end.is_some_and(|end| start.elapsed() >= end) {
                break;
            }
            let left = end.map_or(Duration::MAX, |end| end.saturating_sub(start.elapsed()));
            std::thread::sleep(left.min(Duration::from_millis(20)));
            if let Some(gone) = self.events(ports, quiet) {
                return Some(gone);
            }
            if !quiet && last.elapsed() >= period {
                let busy: Vec<_> =
                    workers.usage().map(|(id, u)| (id, u.busy(), u.share())).collect();
                rates.print(last.elapsed().as_secs_f64(), &busy, terminal);
                last = Instant::now();
            }
        }
        None
    }

    /// Tells what has happened to ports, to whom it concerns; why it is over, if one of them is gone.
    fn events(&self, ports: &mut [Port<Started>], quiet: bool) -> Option<String> {
        for (port, used) in ports.iter_mut().zip(&self.used) {
            // A port that cannot tell will be asked again.
            while let Ok(Some(event)) = port.next_event() {
                if event == Event::Gone {
                    return Some(PortError::Gone { port: port.name().into() }.to_string());
                }
                if event == Event::Reset {
                    return Some(format!("{}: {event}", port.name()));
                }
                used.hear(&event);
                if !quiet {
                    crate::tell!("{}: {event}", port.name());
                }
            }
        }
        None
    }

    fn finish(&self, outcomes: Outcomes) -> (Report, Vec<String>) {
        let packets = outcomes.lcores.iter().map(|l| l.packets).sum::<u64>();
        let warnings = Warning::of(self.topology, self.map);
        let report = Report {
            duration_s: outcomes.seconds,
            mode: self
                .options
                .mode
                .to_possible_value()
                .map_or_else(String::new, |v| v.get_name().into()),
            bench: self.options.ports.is_empty(),
            ports: outcomes.ports,
            lcores: outcomes.lcores,
            rules: outcomes.rules,
            total: Total { packets, mpps: packets as f64 / outcomes.seconds / 1e6 },
            pools: vec![PoolReport {
                name: self.pool.name().into(),
                size: self.pool.size(),
                available: self.pool.available(),
                leaked: self.pool.in_use(),
            }],
            warnings: warnings.iter().map(Warning::to_string).collect(),
        };
        (report, outcomes.errors)
    }

    /// Prints the report; success means that nothing failed and every buffer came back.
    fn tell(&self, (report, errors): &(Report, Vec<String>)) -> Result<ExitCode, OpenError> {
        if self.options.json {
            writeln!(std::io::stdout(), "{}", serde_json::to_string(report)?)?;
        } else {
            report.print();
            report.warnings.iter().for_each(|warning| crate::tell!("note: {warning}"));
        }
        errors.iter().for_each(|error| eprintln!("linecard: {error}"));
        let leaked: usize = report.pools.iter().map(|pool| pool.leaked).sum();
        if leaked > 0 {
            eprintln!("linecard: {leaked} buffers were not returned: please report this as a bug");
        }
        let well = errors.is_empty() && leaked == 0;
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What the workers left behind, and what went wrong.
fn collect(outcomes: Vec<Outcome<Left>>) -> (Vec<(usize, u64)>, Vec<String>) {
    let (mut unsent, mut errors) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome.result {
            Ok(left) => {
                unsent.extend(left.unsent);
                errors.extend(left.error);
            }
            Err(panicked) => errors.push(panicked.to_string()),
        }
    }
    (unsent, errors)
}

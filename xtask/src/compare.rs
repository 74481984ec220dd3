//! `cargo xtask compare`: our figures beside DPDK's, on this machine, in one run.
//!
//! An area is a contest between two sides that measure the same cases. A round runs both, in
//! turn, part by part, every other round the peer first; the figures are the medians of all rounds. Absolute figures drift from machine to
//! machine and from hour to hour: the ratio is what to read.

mod classify;
mod dpdk;
mod forward;
mod ixgbe;
mod pair;
mod report;
mod virtio;
mod wire;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use report::{Bar, Row};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// What to compare
    #[arg(value_enum)]
    area: Area,
    /// One JSON object a row
    #[arg(long)]
    json: bool,
    /// How many times each side runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds a case, in each round (each area has its own default)
    #[arg(long)]
    seconds: Option<f64>,
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    case: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    /// The ring beside `rte_ring`
    Ring,
    /// Pool and packet buffers beside `rte_mempool` and `rte_mbuf`
    Mempool,
    /// Forwarding between null ports beside `dpdk-testpmd`
    Fwd,
    /// `AF_PACKET` ports beside `net_af_packet`
    Afpacket,
    /// `AF_XDP` ports beside `net_af_xdp`
    Afxdp,
    /// TAP ports beside `net_tap`
    Tap,
    /// Classification: exact match, longest prefix, wildcard, meters, heavy flows (`--case exact`, `lpm`, `acl`,
    /// `meter` or `heavy` for one)
    Classify,
    /// virtio-user to vhost-user and back, over every kind of ring
    Virtio,
    /// Instructions a packet between two modelled 82599 in a guest, beside `net_ixgbe`
    Ixgbe,
    /// All of them
    All,
}

impl Area {
    const EACH: [Self; 9] = [
        Self::Ring,
        Self::Mempool,
        Self::Fwd,
        Self::Afpacket,
        Self::Afxdp,
        Self::Tap,
        Self::Classify,
        Self::Virtio,
        Self::Ixgbe,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Mempool => "mempool",
            Self::Fwd => "fwd",
            Self::Afpacket => "afpacket",
            Self::Afxdp => "afxdp",
            Self::Tap => "tap",
            Self::Classify => "classify",
            Self::Virtio => "virtio",
            Self::Ixgbe => "ixgbe",
            Self::All => "all",
        }
    }

    fn contests(self, compare: &Compare) -> Result<Vec<Box<dyn Contest>>> {
        let case = compare.case.as_str();
        let seconds = |default: f64| compare.seconds.unwrap_or(default);
        Ok(match self {
            Self::Ring => vec![Box::new(pair::Pair::ring(seconds(0.1), case)?)],
            Self::Mempool => vec![Box::new(pair::Pair::mempool(seconds(0.5), case)?)],
            Self::Fwd => vec![Box::new(forward::Forward::new(seconds(3.0))?)],
            Self::Afpacket => vec![Box::new(wire::Wire::af_packet(seconds(2.0))?)],
            Self::Afxdp => vec![Box::new(wire::Wire::af_xdp(seconds(2.0))?)],
            Self::Classify => classify::contests(compare.seconds, case)?,
            Self::Virtio => virtio::contests(seconds(0.5), case)?,
            Self::Ixgbe => ixgbe::contests(seconds(2.0), case)?,
            Self::Tap | Self::All => vec![Box::new(wire::Wire::tap(seconds(2.0))?)],
        })
    }
}

/// Two sides that measure the same cases.
trait Contest {
    /// What the peer is called.
    fn peer_name(&self) -> String;
    /// The parts of a round, in each of which the sides take turns.
    fn parts(&self) -> Vec<String> {
        vec![String::new()]
    }
    fn ours(&self, part: &str) -> Result<Vec<Sample>>;
    fn peer(&self, part: &str) -> Result<Vec<Sample>>;
    /// How many rounds there are, of those that were asked for.
    fn rounds(&self, asked: u32) -> u32 {
        asked
    }
    /// A row over all the others.
    fn summary(&self, _rows: &[Row]) -> Option<Row> {
        None
    }
    /// What the ratio of a case shall be.
    fn bar(&self, _case: &str, unit: &str) -> Bar {
        Bar::level(unit)
    }
}

/// One figure of one side.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Sample {
    case: String,
    unit: String,
    value: f64,
}

pub(crate) fn run(compare: &Compare) -> Result<()> {
    dpdk::require()?;
    dpdk::say_which_memory();
    let areas = match compare.area {
        Area::All => Area::EACH.to_vec(),
        area => vec![area],
    };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for area in areas {
        match every_contest(compare, area, &mut rows) {
            Ok(()) => {}
            Err(error) => {
                eprintln!("{}: {error:#}", area.name());
                failed.push(area.name());
            }
        }
    }
    if compare.json {
        report::print_json(&rows)?;
    } else if !rows.is_empty() {
        report::print_table(&rows);
    }
    ensure!(failed.is_empty(), "not compared: {}", failed.join(", "));
    ensure!(!rows.is_empty(), "no case contains `{}`", compare.case);
    let held = rows.iter().filter(|row| row.ok).count();
    eprintln!(
        "{held} of {} cases hold their bar (medians of {} rounds, of one where instructions count)",
        rows.len(),
        compare.rounds
    );
    Ok(())
}

/// What was found before an error stays in `rows`.
fn every_contest(compare: &Compare, area: Area, rows: &mut Vec<Row>) -> Result<()> {
    for contest in area.contests(compare)? {
        let these = rounds(compare, area, contest.as_ref())?;
        let summary = contest.summary(&these);
        rows.extend(these.into_iter().chain(summary));
    }
    Ok(())
}

fn rounds(compare: &Compare, area: Area, contest: &dyn Contest) -> Result<Vec<Row>> {
    let (mut ours, mut peer) = (Figures::default(), Figures::default());
    let all = contest.rounds(compare.rounds);
    for round in 1..=all {
        let peer_name = contest.peer_name();
        eprintln!("{} beside {peer_name}: round {round} of {all}", area.name());
        for part in contest.parts() {
            let mut our_turn = || contest.ours(&part).context("our side").map(|it| ours.add(it));
            let mut their_turn =
                || contest.peer(&part).context("the peer's side").map(|it| peer.add(it));
            if round % 2 == 1 {
                our_turn().and_then(|()| their_turn())?;
            } else {
                their_turn().and_then(|()| our_turn())?;
            }
        }
    }
    Ok(join(area, contest, &ours, &peer))
}

/// All samples of one side, by case, in the order of their first appearance.
#[derive(Debug, Default)]
struct Figures {
    order: Vec<(String, String)>,
    values: BTreeMap<String, Vec<f64>>,
}

impl Figures {
    fn add(&mut self, samples: Vec<Sample>) {
        for Sample { case, unit, value } in samples {
            let values = self.values.entry(case.clone()).or_default();
            if values.is_empty() {
                self.order.push((case, unit));
            }
            values.push(value);
        }
    }

    fn median(&self, case: &str) -> Option<f64> {
        let mut values = self.values.get(case)?.clone();
        values.sort_by(f64::total_cmp);
        let (lower, upper) = ((values.len() - 1) / 2, values.len() / 2);
        Some((values[lower] + values[upper]) / 2.0)
    }
}

/// A row for every case of either side.
fn join(area: Area, contest: &dyn Contest, ours: &Figures, peer: &Figures) -> Vec<Row> {
    let ours_too = |case: &str| ours.values.contains_key(case);
    let only_peer = peer.order.iter().filter(|(case, _)| !ours_too(case));
    let name = contest.peer_name();
    let row = |(case, unit): &(String, String)| {
        let bar = contest.bar(case, unit);
        Row::new(area.name(), &name, case, unit, bar, [ours.median(case), peer.median(case)])
    };
    ours.order.iter().chain(only_peer).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(samples: &[(&str, f64)]) -> Figures {
        let sample = |(case, value): &(&str, f64)| Sample {
            case: (*case).to_owned(),
            unit: "cycles/element".to_owned(),
            value: *value,
        };
        let mut figures = Figures::default();
        figures.add(samples.iter().map(sample).collect());
        figures
    }

    #[test]
    fn a_median_is_the_middle_of_the_rounds() {
        let odd = figures(&[("a", 9.0), ("a", 1.0), ("a", 2.0)]);
        assert_eq!(odd.median("a"), Some(2.0));
        assert_eq!(figures(&[("a", 1.0), ("a", 2.0)]).median("a"), Some(1.5));
        assert_eq!(odd.median("b"), None);
    }

    struct Nothing;

    impl Contest for Nothing {
        fn peer_name(&self) -> String {
            String::new()
        }
        fn ours(&self, _part: &str) -> Result<Vec<Sample>> {
            Ok(Vec::new())
        }
        fn peer(&self, _part: &str) -> Result<Vec<Sample>> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn cases_are_joined_by_name_in_our_order() {
        let ours = figures(&[("b", 1.0), ("a", 1.0)]);
        let peer = figures(&[("a", 2.0), ("b", 4.0), ("c", 1.0)]);
        let rows = join(Area::Ring, &Nothing, &ours, &peer);
        let found: Vec<_> = rows.iter().map(|row| (row.case.as_str(), row.ratio, row.ok)).collect();
        assert_eq!(found, [("b", Some(0.25), true), ("a", Some(0.5), true), ("c", None, false)]);
    }
}

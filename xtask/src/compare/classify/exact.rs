//! The flow table beside `rte_hash` and `hashbrown`.

use super::Contests;
use crate::compare::pair::{Pair, Program, parts};
use crate::compare::report::Bar;
use anyhow::Result;

const SECONDS: f64 = 0.3;

/// Filters that part the cases: the sides take turns in each.
const PARTS: &[&str] = &[
    "exact 4 B 2^19",
    "exact 16 B 2^19",
    "exact 16 B 2^20",
    "exact 16 B 2^13",
    "exact 40 B 2^19",
    "exact 64 B 2^19",
    "exact writer",
];

/// What `hashbrown` has too: no hash given before, no writer beside readers; its bulk is one by one.
const MAP_PARTS: &[&str] = &[
    "exact 4 B 2^19",
    "exact 16 B 2^19",
    "exact 16 B 2^20",
    "exact 16 B 2^13",
    "exact 40 B 2^19",
    "exact 64 B 2^19",
];

pub(super) fn contests(seconds: Option<f64>, case: &str) -> Result<Contests> {
    let seconds = seconds.unwrap_or(SECONDS);
    let dpdk = Pair::twins("exact_perf", "rte_hash", seconds, parts(PARTS, case))?;
    let map = Program::ours("exact_perf", &["--table", "hashbrown"])?;
    let ours = Program::ours("exact_perf", &["--table", "linecard", "--beside", "hashbrown"])?;
    let map = Pair::of([ours, map], "hashbrown".to_owned(), seconds, parts(MAP_PARTS, case));
    Ok(vec![Box::new(dpdk.with_bars(bar)), Box::new(map)])
}

/// Beside `rte_hash`.
fn bar(case: &str, unit: &str) -> Bar {
    match case {
        _ if case.contains("bulk") => Bar::AtMost(0.6),
        _ if case.contains("lookup") => Bar::AtMost(0.8),
        _ => Bar::level(unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_up_is_to_be_faster_than_dpdks() {
        assert_eq!(bar("exact 16 B lookup bulk 32 hit", "cycles/key"), Bar::AtMost(0.6));
        assert_eq!(bar("exact 16 B lookup miss", "cycles/key"), Bar::AtMost(0.8));
        assert_eq!(bar("exact 16 B add", "cycles/key"), Bar::AtMost(1.0));
    }
}

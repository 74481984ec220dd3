//! Meters beside `rte_meter`, and counters of heavy flows beside `rte_member`'s sketch.

use super::Contests;
use crate::compare::Contest;
use crate::compare::pair::Pair;
use anyhow::Result;

const SECONDS: f64 = 0.2;

pub(super) fn contests(seconds: Option<f64>, case: &str) -> Result<Contests> {
    beside("meter_perf", "rte_meter", seconds, case)
}

pub(super) fn heavy_contests(seconds: Option<f64>, case: &str) -> Result<Contests> {
    beside("heavy_perf", "rte_member's sketch", seconds, case)
}

fn beside(program: &str, peer: &str, seconds: Option<f64>, case: &str) -> Result<Contests> {
    let pair = Pair::twins(program, peer, seconds.unwrap_or(SECONDS), vec![case.to_owned()])?;
    Ok(vec![Box::new(pair) as Box<dyn Contest>])
}

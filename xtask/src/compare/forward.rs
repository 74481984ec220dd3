//! Forwarding from a null port to another: what the loop itself costs.

use super::dpdk::{self, Mode, Testpmd};
use super::{Contest, Sample};
use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

const CASE: &str = "io null to null one core";
const WARM_UP: Duration = Duration::from_secs(1);

/// Both forward between two null ports on one core, both ways.
#[derive(Debug)]
pub(super) struct Forward {
    linecard: PathBuf,
    seconds: f64,
}

impl Forward {
    pub(super) fn new(seconds: f64) -> Result<Self> {
        Ok(Self { linecard: linecard()?, seconds })
    }

    fn sample(value: f64) -> Vec<Sample> {
        vec![Sample { case: CASE.to_owned(), unit: "Mpps".to_owned(), value }]
    }
}

/// Builds the `linecard` program.
pub(super) fn linecard() -> Result<PathBuf> {
    let arguments = ["build", "--quiet", "--release", "--package", "linecard", "--bin", "linecard"];
    let status = cargo().args(arguments).status().context("cannot start cargo")?;
    ensure!(status.success(), "the linecard program does not build");
    Ok(target().join("release/linecard"))
}

impl Contest for Forward {
    fn peer_name(&self) -> String {
        format!("testpmd net_null {}", dpdk::version())
    }

    fn ours(&self, _part: &str) -> Result<Vec<Sample>> {
        let output = Command::new(&self.linecard)
            .args(["fwd", "--port", "null", "--port", "null", "--json", "--duration"])
            .arg(self.seconds.to_string())
            .output()
            .context("cannot start linecard")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "linecard fwd: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        total_mpps(&text).map(Self::sample).with_context(|| format!("no total.mpps in: {text}"))
    }

    fn peer(&self, _part: &str) -> Result<Vec<Sample>> {
        let vdevs = [0, 1].map(|port| format!("net_null{port},copy=0"));
        let mut testpmd = Testpmd::start(Mode::Prompt, &[], "0-1", &vdevs, &[])?;
        thread::sleep(WARM_UP);
        testpmd.ask("show port stats all")?;
        thread::sleep(Duration::from_secs_f64(self.seconds));
        let stats = testpmd.ask("show port stats all")?;
        let rate = sent_per_second(&stats);
        rate.map(|rate| Self::sample(rate / 1e6)).with_context(|| format!("no Tx-pps in: {stats}"))
    }
}

fn total_mpps(text: &str) -> Option<f64> {
    let last: Value = serde_json::from_str(text.lines().last()?).ok()?;
    last["total"]["mpps"].as_f64()
}

/// The rates of all ports since the last question, together.
fn sent_per_second(stats: &str) -> Option<f64> {
    let rates: Vec<f64> = stats
        .lines()
        .filter_map(|line| {
            line.trim().strip_prefix("Tx-pps:")?.split_whitespace().next()?.parse().ok()
        })
        .collect();
    (!rates.is_empty()).then(|| rates.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rates_of_all_ports_add_up() {
        let stats = "  Rx-pps:   37  Rx-bps: 1\n  Tx-pps:     37000000          Tx-bps:  1\n\
                     \n  Tx-pps:     36000000          Tx-bps:  1\n";
        assert_eq!(sent_per_second(stats), Some(73e6));
        assert_eq!(sent_per_second("nothing"), None);
    }

    #[test]
    fn our_rate_is_in_the_last_line() {
        assert_eq!(total_mpps("{\"a\":1}\n{\"total\":{\"mpps\":80.5}}\n"), Some(80.5));
        assert_eq!(total_mpps("{}"), None);
    }

    #[test]
    #[ignore = "needs Debian's dpdk: cargo test -p xtask -- --ignored"]
    fn testpmd_forwards_and_tells_its_rate() {
        let forward = Forward { linecard: PathBuf::new(), seconds: 0.5 };
        let samples = forward.peer("").unwrap();
        println!("{samples:?}");
        assert!(samples[0].value > 1.0);
    }
}

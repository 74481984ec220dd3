//! Forwarding from a null port to another: what the loop itself costs.

use super::dpdk::{self, Mode, Testpmd};
use super::{Contest, Sample};
use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// A case: how both sides are set up for it.
struct Case {
    name: &'static str,
    /// Our ports and options.
    ours: fn(&Path) -> Vec<String>,
    /// testpmd's devices.
    vdevs: fn(&Path) -> Vec<String>,
    /// testpmd's own options.
    own: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "io null to null one core",
        ours: |_| ["--port", "null", "--port", "null"].map(str::to_owned).to_vec(),
        vdevs: |_| [0, 1].map(|port| format!("net_null{port},copy=0")).to_vec(),
        own: &[],
    },
    // A capture in memory, received again and again, and copied into a buffer each time.
    Case {
        name: "macswap pcap to null one core",
        ours: |capture| {
            let pcap = format!("pcap:rx={},loop=forever", capture.display());
            ["--mode", "macswap", "--port", &pcap, "--port", "null:size=0"]
                .map(str::to_owned)
                .to_vec()
        },
        vdevs: |capture| {
            let pcap = format!("net_pcap0,rx_pcap={},infinite_rx=1", capture.display());
            vec![pcap, "net_null1,no-rx=1".to_owned()]
        },
        own: &["--forward-mode=macswap"],
    },
];
const WARM_UP: Duration = Duration::from_secs(1);

/// Both forward between two null ports on one core, both ways.
#[derive(Debug)]
pub(super) struct Forward {
    linecard: PathBuf,
    capture: PathBuf,
    seconds: f64,
}

impl Forward {
    pub(super) fn new(seconds: f64) -> Result<Self> {
        let linecard = linecard()?;
        let capture = target().join("compare-64-byte-frames.pcap");
        record(&linecard, &capture)?;
        Ok(Self { linecard, capture, seconds })
    }

    fn sample(case: &Case, value: f64) -> Vec<Sample> {
        vec![Sample { case: case.name.to_owned(), unit: "Mpps".to_owned(), value }]
    }
}

fn case(part: &str) -> Result<&'static Case> {
    CASES.iter().find(|case| case.name == part).with_context(|| format!("no case {part:?}"))
}

/// Makes a capture of 256 UDP frames: what DPDK's pcap port holds in its ring when it loops.
fn record(linecard: &Path, capture: &Path) -> Result<()> {
    let short = capture.with_extension("long.pcap");
    let port = format!("pcap:tx={}", short.display());
    let arguments =
        ["fwd", "--mode", "txonly", "--frame", "64", "--duration", "0.05", "--port", &port];
    let output =
        Command::new(linecard).args(arguments).output().context("cannot start linecard")?;
    ensure!(output.status.success(), "txonly: {}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&short)?;
    // A file header of 24 bytes, and 16 before each frame of 64.
    let length = 24 + 256 * (16 + 64);
    ensure!(bytes.len() >= length, "only {} bytes were recorded", bytes.len());
    std::fs::write(capture, &bytes[..length])?;
    Ok(std::fs::remove_file(short)?)
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
        format!("testpmd {}", dpdk::version())
    }

    fn parts(&self) -> Vec<String> {
        CASES.iter().map(|case| case.name.to_owned()).collect()
    }

    fn ours(&self, part: &str) -> Result<Vec<Sample>> {
        let case = case(part)?;
        let output = Command::new(&self.linecard)
            .arg("fwd")
            .args((case.ours)(&self.capture))
            .args(["--json", "--duration"])
            .arg(self.seconds.to_string())
            .output()
            .context("cannot start linecard")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "linecard fwd: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = total_mpps(&text);
        rate.map(|rate| Self::sample(case, rate))
            .with_context(|| format!("no total.mpps in: {text}"))
    }

    fn peer(&self, part: &str) -> Result<Vec<Sample>> {
        let case = case(part)?;
        let vdevs = (case.vdevs)(&self.capture);
        let mut testpmd = Testpmd::start(Mode::Prompt, &[], "0-1", &vdevs, case.own)?;
        thread::sleep(WARM_UP);
        testpmd.ask("show port stats all")?;
        thread::sleep(Duration::from_secs_f64(self.seconds));
        let stats = testpmd.ask("show port stats all")?;
        let rate = sent_per_second(&stats);
        rate.map(|rate| Self::sample(case, rate / 1e6))
            .with_context(|| format!("no Tx-pps in: {stats}"))
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
        let (linecard, capture) = (PathBuf::new(), PathBuf::new());
        let forward = Forward { linecard, capture, seconds: 0.5 };
        let samples = forward.peer(CASES[0].name).unwrap();
        println!("{samples:?}");
        assert!(samples[0].value > 1.0);
    }
}

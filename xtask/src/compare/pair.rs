//! Two small programs that measure the same cases: one of `linecard-benches`, one in C.

use super::{Contest, Sample, dpdk};
use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Both programs take `--seconds` and `--case`, and print a JSON line a case.
#[derive(Debug)]
pub(super) struct Pair {
    ours: PathBuf,
    peer: PathBuf,
    peer_name: String,
    seconds: f64,
    case: String,
}

impl Pair {
    pub(super) fn ring(seconds: f64, case: String) -> Result<Self> {
        Self::new("ring_perf", "rte_ring", seconds, case)
    }

    pub(super) fn mempool(seconds: f64, case: String) -> Result<Self> {
        Self::new("mempool_perf", "rte_mempool", seconds, case)
    }

    fn new(program: &str, peer_name: &str, seconds: f64, case: String) -> Result<Self> {
        let status = cargo()
            .args([
                "build",
                "--quiet",
                "--release",
                "--package",
                "linecard-benches",
                "--bin",
                program,
            ])
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "our {program} does not build");
        Ok(Self {
            ours: target().join("release").join(program),
            peer: dpdk::compile(program)?,
            peer_name: format!("{peer_name} {}", dpdk::version()),
            seconds,
            case,
        })
    }

    fn run(&self, program: &Path) -> Result<Vec<Sample>> {
        let output = Command::new(program)
            .args(["--seconds", &self.seconds.to_string(), "--case", &self.case])
            .output()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", program.display());
        samples(&String::from_utf8_lossy(&output.stdout))
    }
}

fn samples(text: &str) -> Result<Vec<Sample>> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).with_context(|| format!("cannot read: {line}")))
        .collect()
}

impl Contest for Pair {
    fn peer_name(&self) -> String {
        self.peer_name.clone()
    }

    fn ours(&self) -> Result<Vec<Sample>> {
        self.run(&self.ours)
    }

    fn peer(&self) -> Result<Vec<Sample>> {
        self.run(&self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_case_is_read_and_remarks_are_not() {
        let text = "a remark\n{\"case\":\"spsc one-core bulk 32\",\"unit\":\"cycles/element\",\"value\":1.23}\n";
        let found = samples(text).unwrap();
        assert_eq!(
            (found[0].case.as_str(), found[0].value, found.len()),
            ("spsc one-core bulk 32", 1.23, 1)
        );
    }

    #[test]
    fn a_damaged_line_is_an_error_that_shows_it() {
        assert!(samples("{\"case\":1}").unwrap_err().to_string().contains("{\"case\":1}"));
    }
}

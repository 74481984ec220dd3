//! Two small programs that measure the same cases: one of `linecard-benches`, one in C.

use super::{Contest, Sample, dpdk};
use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Filters that part the ring's cases. What two cores cost each other changes with where the
/// machine below puts them, so the sides take turns at every two-core size.
const RING_PARTS: &[&str] = &[
    "one-core",
    "two-core bulk 8",
    "two-core bulk 32",
    "two-core bulk 64",
    "two-core bulk 128",
    "two-core bulk 256",
];

const MEMPOOL_PARTS: &[&str] = &[
    "mempool cache 512 one-core",
    "mempool cache 512 two-core",
    "mempool no cache one-core",
    "mempool no cache two-core",
    "mbuf cache 512 one-core",
    "mbuf cache 512 two-core",
    "mbuf no cache one-core",
    "mbuf no cache two-core",
];

/// Both programs take `--seconds` and `--case`, and print a JSON line a case.
#[derive(Debug)]
pub(super) struct Pair {
    ours: PathBuf,
    peer: PathBuf,
    peer_name: String,
    seconds: f64,
    parts: Vec<String>,
}

impl Pair {
    /// `case` is a filter of the user's, or empty.
    pub(super) fn ring(seconds: f64, case: &str) -> Result<Self> {
        Self::new("ring_perf", "rte_ring", seconds, parts(RING_PARTS, case))
    }

    /// `case` is a filter of the user's, or empty.
    pub(super) fn mempool(seconds: f64, case: &str) -> Result<Self> {
        Self::new("mempool_perf", "rte_mempool", seconds, parts(MEMPOOL_PARTS, case))
    }

    fn new(program: &str, peer_name: &str, seconds: f64, parts: Vec<String>) -> Result<Self> {
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
            parts,
        })
    }

    fn run(&self, program: &Path, part: &str) -> Result<Vec<Sample>> {
        let output = Command::new(program)
            .args(["--seconds", &self.seconds.to_string(), "--case", part])
            .output()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", program.display());
        samples(&String::from_utf8_lossy(&output.stdout))
    }
}

fn parts(all: &[&str], case: &str) -> Vec<String> {
    if case.is_empty() {
        all.iter().map(|part| (*part).to_owned()).collect()
    } else {
        vec![case.to_owned()]
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

    fn parts(&self) -> Vec<String> {
        self.parts.clone()
    }

    fn ours(&self, part: &str) -> Result<Vec<Sample>> {
        self.run(&self.ours, part)
    }

    fn peer(&self, part: &str) -> Result<Vec<Sample>> {
        self.run(&self.peer, part)
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
    fn every_case_is_in_one_part() {
        let sizes = [1, 8, 32, 64, 128, 256];
        let named =
            |cores: &str, stem: &str| sizes.map(|size| format!("{stem} {cores} bulk {size}"));
        for stem in ["mempool cache 512", "mempool no cache", "mbuf cache 512", "mbuf no cache"] {
            for case in named("one-core", stem).iter().chain(&named("two-core", stem)) {
                assert_eq!(
                    MEMPOOL_PARTS.iter().filter(|part| case.contains(**part)).count(),
                    1,
                    "{case}"
                );
            }
        }
        for case in named("one-core", "spsc").iter().chain(&named("two-core", "mpmc")[1..]) {
            assert_eq!(RING_PARTS.iter().filter(|part| case.contains(**part)).count(), 1, "{case}");
        }
    }

    #[test]
    fn a_damaged_line_is_an_error_that_shows_it() {
        assert!(samples("{\"case\":1}").unwrap_err().to_string().contains("{\"case\":1}"));
    }
}

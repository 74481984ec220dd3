//! Two small programs that measure the same cases: one of `linecard-benches`, one in C.

use super::report::Bar;
use super::{Contest, Sample, dpdk};
use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
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

/// What the ratio of a case shall be, by its name and unit.
pub(super) type Bars = fn(&str, &str) -> Bar;

/// Both programs take `--seconds` and `--case`, and print a JSON line a case.
#[derive(Debug)]
pub(super) struct Pair {
    ours: Program,
    peer: Program,
    peer_name: String,
    seconds: f64,
    parts: Vec<String>,
    bars: Bars,
}

/// A program that was built, and what it is told besides the seconds and the case.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
}

impl Program {
    /// Where it is.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// A program of `linecard-benches`, built now.
    pub(super) fn ours(name: &str, arguments: &[&str]) -> Result<Self> {
        let what =
            ["build", "--quiet", "--release", "--package", "linecard-benches", "--bin", name];
        let status = cargo().args(what).status().context("cannot start cargo")?;
        ensure!(status.success(), "our {name} does not build");
        Ok(Self::new(target().join("release").join(name), arguments))
    }

    /// `benches/dpdk/NAME.c`, built now.
    pub(super) fn dpdk(name: &str, arguments: &[&str]) -> Result<Self> {
        Ok(Self::new(dpdk::compile(name)?, arguments))
    }

    fn new(path: PathBuf, arguments: &[&str]) -> Self {
        Self { path, arguments: arguments.iter().map(|word| (*word).to_owned()).collect() }
    }
}

impl Pair {
    /// `case` is a filter of the user's, or empty.
    pub(super) fn ring(seconds: f64, case: &str) -> Result<Self> {
        let twins = Self::twins("ring_perf", "rte_ring", seconds, parts(RING_PARTS, case))?;
        Ok(Self { bars: ring_bar, ..twins })
    }

    /// `case` is a filter of the user's, or empty.
    pub(super) fn mempool(seconds: f64, case: &str) -> Result<Self> {
        Self::twins("mempool_perf", "rte_mempool", seconds, parts(MEMPOOL_PARTS, case))
    }

    /// A program of ours and the C program of the same name.
    pub(super) fn twins(
        name: &str,
        peer_name: &str,
        seconds: f64,
        parts: Vec<String>,
    ) -> Result<Self> {
        let peer_name = format!("{peer_name} {}", dpdk::version());
        let programs = [Program::ours(name, &[])?, Program::dpdk(name, &[])?];
        Ok(Self::of(programs, peer_name, seconds, parts))
    }

    /// Any two programs, ours first; [`Bar::level`] is the bar.
    pub(super) fn of(
        [ours, peer]: [Program; 2],
        peer_name: String,
        seconds: f64,
        parts: Vec<String>,
    ) -> Self {
        Self { ours, peer, peer_name, seconds, parts, bars: |_, unit| Bar::level(unit) }
    }

    /// With bars of its own.
    pub(super) fn with_bars(self, bars: Bars) -> Self {
        Self { bars, ..self }
    }

    fn run(&self, Program { path, arguments }: &Program, part: &str) -> Result<Vec<Sample>> {
        let program = path.display();
        let output = Command::new(path)
            .args(["--seconds", &self.seconds.to_string(), "--case", part])
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {said}");
        samples(&String::from_utf8_lossy(&output.stdout))
    }
}

/// One producer and one consumer on two cores share nothing but the ring, and shall do better
/// than level.
fn ring_bar(case: &str, unit: &str) -> Bar {
    if case.starts_with("spsc two-core") { Bar::AtMost(0.8) } else { Bar::level(unit) }
}

/// The parts of a round: `case` alone if the user gave one.
pub(super) fn parts(all: &[&str], case: &str) -> Vec<String> {
    if case.is_empty() {
        all.iter().map(|part| (*part).to_owned()).collect()
    } else {
        vec![case.to_owned()]
    }
}

/// The cases among lines of other kinds.
pub(super) fn samples(text: &str) -> Result<Vec<Sample>> {
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

    fn bar(&self, case: &str, unit: &str) -> Bar {
        (self.bars)(case, unit)
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
    fn a_ring_between_two_threads_is_to_do_better() {
        assert_eq!(ring_bar("spsc two-core bulk 8", "cycles/element"), Bar::AtMost(0.8));
        assert_eq!(ring_bar("mpmc two-core bulk 8", "cycles/element"), Bar::AtMost(1.0));
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

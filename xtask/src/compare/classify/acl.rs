//! The wildcard table beside `rte_acl`, as `dpdk-test-acl` drives it, on ClassBench sets.

use super::Contests;
use crate::compare::pair::Program;
use crate::compare::report::Bar;
use crate::compare::{Contest, Sample, dpdk};
use crate::workspace::root;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const SETS: &[&str] =
    &["acl1_1000", "fw1_1000", "ipc1_1000", "acl1_10000", "fw1_10000", "ipc1_10000"];
const ALGORITHMS: &[&str] = &["sse", "avx2", "avx512x16", "avx512x32"];

/// What `case` names, or all six sets; nothing if they are not beside the checkout.
pub(super) fn contests(_: Option<f64>, case: &str) -> Result<Contests> {
    let data = root().join("../shared/data/classbench");
    let sets =
        SETS.iter().filter(|set| case.is_empty() || case.contains(**set) || !case.contains('_'));
    let sets: Vec<_> =
        sets.filter(|set| data.join(format!("{set}.rules")).exists()).copied().collect();
    if sets.is_empty() {
        eprintln!("acl: no ClassBench sets in {}", data.display());
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir()?;
    let ours = Program::ours("acl_perf", &[])?;
    Ok(vec![Box::new(Acl { data, folder, ours, sets })])
}

struct Acl {
    data: PathBuf,
    /// Traces, unpacked.
    folder: tempfile::TempDir,
    ours: Program,
    sets: Vec<&'static str>,
}

impl Contest for Acl {
    fn peer_name(&self) -> String {
        format!("best of rte_acl {}", dpdk::version())
    }

    fn parts(&self) -> Vec<String> {
        self.sets.iter().map(|set| (*set).to_owned()).collect()
    }

    fn ours(&self, set: &str) -> Result<Vec<Sample>> {
        let mut program = Command::new(self.ours.path());
        program.args(["--set", set]).arg("--rules").arg(self.rules(set));
        let text = printed(program.arg("--trace").arg(self.trace(set)?))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn peer(&self, set: &str) -> Result<Vec<Sample>> {
        let trace = self.trace(set)?;
        let mut best = f64::MAX;
        for algorithm in ALGORITHMS {
            let text = test_acl(&self.rules(set), &trace, &["--iter=20", "--alg", algorithm])?;
            best = best.min(before(&text, " cycles/pkt").context("no cycles are told")?);
        }
        let (built, bytes) = self.build(set, &trace)?;
        let sample = |case: &str, unit: &str, value| Sample {
            case: format!("acl {set} {case}"),
            unit: unit.to_owned(),
            value,
        };
        Ok(vec![
            sample("lookup", "cycles/packet", best),
            sample("lookup bulk 32", "cycles/packet", best),
            sample("lookup bulk 64", "cycles/packet", best),
            sample("build", "ms", built * 1e3),
            // Without the rules, which are in our first figure.
            sample("memory", "KiB", bytes / 1024.0),
            sample("memory of look-ups", "KiB", bytes / 1024.0),
            // One rule more, or less, is a new build.
            sample("insert median", "us", built * 1e6),
            sample("insert 99 %", "us", built * 1e6),
            sample("remove median", "us", built * 1e6),
            sample("remove 99 %", "us", built * 1e6),
        ])
    }

    fn bar(&self, case: &str, _: &str) -> Bar {
        match case {
            _ if case.contains("lookup") => Bar::AtMost(0.8),
            _ if case.contains("insert") || case.contains("remove") => Bar::AtMost(0.01),
            _ => Bar::AtMost(0.5),
        }
    }
}

impl Acl {
    fn rules(&self, set: &str) -> PathBuf {
        self.data.join(format!("{set}.rules"))
    }

    fn trace(&self, set: &str) -> Result<PathBuf> {
        let file = self.folder.path().join(set);
        if !file.exists() {
            let packed = self.data.join(format!("{set}.trace.gz"));
            let output = Command::new("gzip").arg("-dc").arg(packed).output()?;
            ensure!(output.status.success(), "gzip: {}", String::from_utf8_lossy(&output.stderr));
            std::fs::write(&file, output.stdout)?;
        }
        Ok(file)
    }

    /// Seconds and bytes of a build: the time of a run with one header, less that of a run with one rule;
    /// what the library says that look-ups need.
    fn build(&self, set: &str, trace: &Path) -> Result<(f64, f64)> {
        let (one, header) = (self.folder.path().join("one"), self.folder.path().join("header"));
        let first = |path: &Path| -> Result<String> {
            let text = std::fs::read_to_string(path)?;
            Ok(text.lines().next().unwrap_or_default().to_owned() + "\n")
        };
        std::fs::write(&one, first(&self.rules(set))?)?;
        std::fs::write(&header, first(trace)?)?;
        let start = Instant::now();
        test_acl(&one, &header, &["--iter=1"])?;
        let nothing = start.elapsed();
        let start = Instant::now();
        let text = test_acl(&self.rules(set), &header, &["--iter=1"])?;
        let seconds = start.elapsed().saturating_sub(nothing).as_secs_f64();
        let bytes = text.lines().filter(|line| line.starts_with("total: "));
        let bytes = bytes.filter_map(|line| before(line, " bytes")).sum();
        Ok((seconds, bytes))
    }
}

fn test_acl(rules: &Path, trace: &Path, words: &[&str]) -> Result<String> {
    let mut program = Command::new("dpdk-test-acl");
    program.args(["--force-max-simd-bitwidth=512", "--no-huge", "-m", "4096", "--no-shconf"]);
    program.args(["--no-pci", "--no-telemetry", "-l", "0", "--log-level=lib.acl:debug", "--"]);
    program.arg(format!("--rulesf={}", rules.display()));
    program.arg(format!("--tracef={}", trace.display()));
    program.args(["--tracenum=60000", "--verbose=0"]);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, word.contains('=')) {
            (name, false) => _ = program.arg(format!("{name}={}", words.next().unwrap_or(&""))),
            (whole, true) => _ = program.arg(whole),
        }
    }
    printed(&mut program)
}

/// What a program prints, both ways.
fn printed(program: &mut Command) -> Result<String> {
    let output = program.output().with_context(|| format!("cannot start {program:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{program:?}: {}", text(&output.stderr));
    Ok(text(&output.stdout) + &text(&output.stderr))
}

/// The number before some words.
fn before(text: &str, words: &str) -> Option<f64> {
    text[..text.find(words)?].rsplit([' ', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_before_their_units() {
        let line = "1 categories, 33886918 cycles (0.01 sec), 362.35 cycles/pkt, 7 pkt/sec";
        assert_eq!(before(line, " cycles/pkt"), Some(362.35));
        assert_eq!(before("total: 10256704 bytes", " bytes"), Some(10_256_704.0));
        assert_eq!(before("nothing", " bytes"), None);
    }
}

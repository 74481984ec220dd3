//! `cargo xtask test host`.

use super::all_required;
use crate::workspace::{Workspace, cargo, has_tool, is_root};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

#[derive(Debug, Args)]
pub(crate) struct Host {
    /// Only tests whose name contains one of these
    filter: Vec<String>,
    /// Only list the tests
    #[arg(long)]
    list: bool,
}

/// Programs that host tests call, and the Debian packages they come in.
const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("ethtool", "ethtool"),
    ("iperf3", "iperf3"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("capinfos", "wireshark-common"),
    ("dpdk-testpmd", "dpdk"),
    ("strace", "strace"),
];

pub(super) fn run(host: &Host) -> Result<()> {
    let packages = packages_with_host_tests(&Workspace::load()?);
    let tally = if packages.is_empty() { Tally::default() } else { run_packages(host, &packages)? };
    if host.list {
        return Ok(());
    }
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    ensure!(tally.failed == 0, "{} host tests failed", tally.failed);
    ensure!(
        tally.skipped == 0 || !all_required(),
        "{} host tests were skipped, and LINECARD_REQUIRE_ALL or CI demands all of them",
        tally.skipped
    );
    Ok(())
}

fn packages_with_host_tests(workspace: &Workspace) -> Vec<String> {
    let packages = workspace.packages.iter().filter(|package| {
        package.targets.iter().any(|target| target.is_test() && target.name.starts_with("host_"))
    });
    packages.map(|package| package.name.clone()).collect()
}

fn run_packages(host: &Host, packages: &[String]) -> Result<Tally> {
    let built = test_command(packages).arg("--no-run").status().context("cannot start cargo")?;
    ensure!(built.success(), "the host tests do not build");
    if host.list {
        let mut command = test_command(packages);
        command.args(["--quiet", "--", "--ignored", "--list"]).args(&host.filter);
        command.status().context("cannot start cargo")?;
        return Ok(Tally::default());
    }
    say_what_is_missing();
    let mut command = test_command(packages);
    command.args(["--", "--ignored", "--test-threads=1", "--nocapture"]).args(&host.filter);
    if all_required() {
        command.env("LINECARD_REQUIRE_ALL", "1");
    }
    run_counted(&mut command)
}

fn test_command(packages: &[String]) -> Command {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast", "--test", "host_*"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command
}

fn say_what_is_missing() {
    if !is_root() {
        println!("missing: root (tests that need it are skipped)");
    }
    for (tool, package) in TOOLS.iter().filter(|(tool, _)| !has_tool(tool)) {
        println!("missing: {tool} (apt-get install {package})");
    }
    if free_huge_pages() == 0 {
        println!("missing: huge pages (cargo xtask setup-hugepages --size 2M --count 256)");
    }
}

fn free_huge_pages() -> u64 {
    let text = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// What became of the tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Counts a line that the test harness or a test printed.
    fn count(&mut self, line: &str) {
        if let Some(rest) = line.trim_start().strip_prefix("test result: ") {
            self.passed += number_before(rest, " passed");
            self.failed += number_before(rest, " failed");
        } else if line.contains("SKIPPED ") {
            self.skipped += 1;
        }
    }

    /// The harness takes a skipped test for passed. A test program that was killed has no
    /// result line, only an exit status.
    fn settle(self, stderr: Self, status: ExitStatus) -> Self {
        let skipped = self.skipped + stderr.skipped;
        let crashed = u64::from(self.failed == 0 && !status.success());
        Self { passed: self.passed.saturating_sub(skipped), failed: self.failed + crashed, skipped }
    }
}

fn number_before(text: &str, label: &str) -> u64 {
    let before = text.split_once(label).map(|(before, _)| before);
    before.and_then(|before| before.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

fn run_counted(command: &mut Command) -> Result<Tally> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("cargo has no output");
    };
    let (on_stdout, on_stderr) = thread::scope(|scope| {
        let stderr = scope.spawn(|| pass_on(stderr, |line| eprintln!("{line}")));
        (pass_on(stdout, |line| println!("{line}")), stderr.join().unwrap_or_default())
    });
    let status = child.wait().context("cannot wait for cargo")?;
    Ok(on_stdout.settle(on_stderr, status))
}

fn pass_on(pipe: impl Read, print: impl Fn(&str)) -> Tally {
    let mut tally = Tally::default();
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        tally.count(&line);
        print(&line);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.count(line));
        tally
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let found = tally(&[
            "test result: ok. 6 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
            "test a ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(found, Tally { passed: 8, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_skipped_test_has_not_passed() {
        let stdout = tally(&["test result: ok. 3 passed; 0 failed; 0 ignored"]);
        let stderr = tally(&["SKIPPED a_packet_goes_through: needs root"]);
        let settled = stdout.settle(stderr, ExitStatus::from_raw(0));
        assert_eq!(settled, Tally { passed: 2, failed: 0, skipped: 1 });
    }

    #[test]
    fn a_program_that_was_killed_is_a_failure() {
        let settled = Tally::default().settle(Tally::default(), ExitStatus::from_raw(9));
        assert_eq!(settled.failed, 1);
    }
}

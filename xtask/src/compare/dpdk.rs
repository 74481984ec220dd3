//! Debian's DPDK: whether it is here, how to build against it, how to drive `dpdk-testpmd`.

use crate::workspace::{has_tool, root, target};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// What `dpdk-testpmd` has as mbufs takes some 400 MiB.
const TESTPMD_BYTES: u64 = 512 << 20;

/// Names what is missing; nothing is installed.
pub(super) fn require() -> Result<()> {
    ensure!(has_tool("dpdk-testpmd"), "DPDK's programs are missing: apt-get install dpdk dpdk-dev");
    ensure!(has_tool("cc"), "a C compiler is missing: apt-get install gcc");
    ensure!(has_tool("pkg-config"), "pkg-config is missing: apt-get install pkg-config");
    ensure!(flags("--exists").is_ok(), "DPDK's headers are missing: apt-get install dpdk dpdk-dev");
    Ok(())
}

pub(super) fn version() -> String {
    flags("--modversion").map_or("?".to_owned(), |words| words.join(" "))
}

fn flags(question: &str) -> Result<Vec<String>> {
    let output = Command::new("pkg-config").args([question, "libdpdk"]).output()?;
    ensure!(output.status.success(), "pkg-config does not know libdpdk");
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
}

/// Builds `benches/dpdk/NAME.c` and returns the program. `-march=native` comes after
/// pkg-config's flags, which name an older machine: the last one counts.
pub(super) fn compile(name: &str) -> Result<PathBuf> {
    let folder = target().join("dpdk");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join(name);
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O3", "-Wall", "-Wextra"])
        .arg(root().join("benches/dpdk").join(format!("{name}.c")))
        .arg("-o")
        .arg(&program)
        .args(flags("--cflags")?)
        .arg("-march=native")
        .args(flags("--libs")?)
        .output()
        .context("cannot start cc")?;
    ensure!(output.status.success(), "{name}.c: {}", String::from_utf8_lossy(&output.stderr));
    Ok(program)
}

pub(super) fn say_which_memory() {
    if free_huge_bytes() < TESTPMD_BYTES {
        eprintln!(
            "less than 512 MiB of free huge pages: DPDK runs on 4 KiB pages, which costs it up to half \
             of its rate, so these figures flatter us; first: cargo xtask setup-hugepages --count 512"
        );
    }
}

fn free_huge_bytes() -> u64 {
    let Ok(entries) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return 0 };
    entries.flatten().filter_map(|entry| free_in(&entry)).sum()
}

fn free_in(entry: &std::fs::DirEntry) -> Option<u64> {
    let name = entry.file_name().into_string().ok()?;
    let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    let free = std::fs::read_to_string(entry.path().join("free_hugepages")).ok()?;
    Some((free.trim().parse::<u64>().ok()? * kib) << 10)
}

/// How a `dpdk-testpmd` is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// With a prompt, at which it spins: its first lcore wants a CPU of its own.
    Prompt,
    /// Without one: it forwards until it is killed, and its first lcore sleeps.
    Alone,
}

impl Mode {
    fn option(self) -> &'static [&'static str] {
        match self {
            Self::Prompt => &["--interactive", "--auto-start"],
            Self::Alone => &[],
        }
    }

    /// What it prints when it is ready.
    fn ready(self) -> &'static str {
        match self {
            Self::Prompt => PROMPT,
            Self::Alone => "Press enter to exit",
        }
    }
}

const PROMPT: &str = "testpmd> ";

/// A `dpdk-testpmd` that is told what to do on its standard input. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Testpmd {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Testpmd {
    /// Starts it by way of `prefix` (such as `ip netns exec NAME`), with lcores such as `0-1` or
    /// `0@1,1@1`, `vdevs`, and testpmd's own options. On return it forwards.
    pub(super) fn start(
        mode: Mode,
        prefix: &[&str],
        lcores: &str,
        vdevs: &[String],
        own: &[&str],
    ) -> Result<Self> {
        let eal = [&["--lcores", lcores], memory()].concat();
        Self::start_with(mode, prefix, &eal, vdevs, own)
    }

    /// As [`start`](Self::start), with all of EAL's options but those about devices.
    pub(super) fn start_with(
        mode: Mode,
        prefix: &[&str],
        eal: &[&str],
        vdevs: &[String],
        own: &[&str],
    ) -> Result<Self> {
        // Into a pipe it prints in large blocks, unless it is told not to.
        let words = [prefix, &["stdbuf", "--output=L", "dpdk-testpmd"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["--no-pci", "--no-telemetry"]).args(eal);
        command.args(vdevs.iter().flat_map(|vdev| ["--vdev", vdev]));
        command.args(["--", "--nb-cores=1"]).args(mode.option()).args(own);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start dpdk-testpmd")?;
        let printed = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take(), &printed);
        collect(child.stderr.take(), &printed);
        let mut testpmd = Self { child, printed };
        testpmd.wait_for(mode.ready(), 1)?;
        Ok(testpmd)
    }

    /// Sends a command and returns what it printed.
    pub(super) fn ask(&mut self, command: &str) -> Result<String> {
        let before = self.text();
        let stdin = self.child.stdin.as_mut().context("dpdk-testpmd has no standard input")?;
        writeln!(stdin, "{command}").context("dpdk-testpmd has ended")?;
        self.wait_for(PROMPT, before.matches(PROMPT).count() + 1)?;
        Ok(self.text()[before.len()..].to_owned())
    }

    /// Has one that runs alone end by itself, and returns all that it printed: its counters last.
    pub(super) fn finish(mut self) -> Result<String> {
        let stdin = self.child.stdin.as_mut().context("dpdk-testpmd has no standard input")?;
        writeln!(stdin).context("dpdk-testpmd has ended")?;
        self.wait_for("Bye...", 1)?;
        Ok(self.text())
    }

    fn text(&self) -> String {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_for(&mut self, text: &str, times: usize) -> Result<()> {
        let start = Instant::now();
        while self.text().matches(text).count() < times {
            if self.child.try_wait()?.is_some() || start.elapsed() > START {
                bail!("dpdk-testpmd does not answer; it printed: {}", self.text());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn memory() -> &'static [&'static str] {
    if free_huge_bytes() >= TESTPMD_BYTES {
        &["--in-memory"]
    } else {
        &["--no-huge", "--no-shconf", "-m", "1024"]
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>, into: &Arc<Mutex<String>>) {
    let Some(mut pipe) = pipe else { return };
    let into = Arc::clone(into);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..read]);
            into.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
}

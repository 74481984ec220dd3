//! `linecard doctor`: what this machine lacks, and the exact command that mends it.

mod devices;

use crate::port::OpenError;
use crate::table::table;
use clap::Parser;
use linecard::eal::Root;
use linecard::eal::clock::{Clock, Rate, Source};
use linecard::eal::lcore::{Jitter, Topology, Verdict};
use linecard::eal::mem::{HugePages, Request, ThpMode};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::process::ExitCode;
use std::time::Duration;

/// Say what this machine lacks, and the commands that mend it.
#[derive(Parser, Debug)]
pub(crate) struct Options {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Milliseconds to watch a CPU for interruptions; 0 to leave it out.
    #[arg(long, default_value_t = 200)]
    jitter_ms: u64,
}

/// How a finding bears on forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// It works, and would work better.
    Better,
    /// Something cannot be done.
    Lacks,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    /// How it is, and why it matters.
    found: String,
    /// Commands that mend it, to be run as root; empty if there is nothing to do.
    mend: Vec<String>,
    /// Whether it takes a reboot.
    reboot: bool,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Finding { what, state: State::Ok, found: found.into(), mend: Vec::new(), reboot: false }
    }

    fn new(what: &'static str, state: State, found: impl Into<String>, mend: &[&str]) -> Self {
        let mend = mend.iter().map(|command| (*command).to_owned()).collect();
        Finding::with(what, state, found, mend)
    }

    fn with(what: &'static str, state: State, found: impl Into<String>, mend: Vec<String>) -> Self {
        Finding { what, state, found: found.into(), mend, reboot: false }
    }

    fn after_reboot(mut self) -> Self {
        self.reboot = true;
        self
    }
}

/// Looks at everything; success means that nothing is lacking that forwarding needs.
pub(crate) fn run(options: &Options) -> Result<ExitCode, OpenError> {
    let topology = Topology::discover();
    let mut findings = vec![huge_pages(), transparent(), memory(), isolated(&topology)];
    findings.extend([siblings(&topology), cpus(&topology), clock()]);
    findings.extend([tun(), raw_sockets()]);
    findings.extend(devices::findings(&Root::host(), &topology));
    if options.jitter_ms > 0 {
        findings.push(jitter(Duration::from_millis(options.jitter_ms)));
    }
    if options.json {
        crate::tell!("{}", serde_json::json!({ "findings": findings }));
    } else {
        print(&findings);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(findings: &[Finding]) {
    let mut all = table(&["", "what", "how it is"], 3);
    for finding in findings {
        let mark = match finding.state {
            State::Ok => "ok",
            State::Better => "better",
            State::Lacks => "LACKS",
        };
        all.add_row([mark, finding.what, &finding.found]);
    }
    crate::tell!("{all}");
    for finding in findings.iter().filter(|finding| !finding.mend.is_empty()) {
        let when = if finding.reboot { ", then reboot" } else { "" };
        crate::tell!("{} (as root{when}):", finding.what);
        finding.mend.iter().for_each(|command| crate::tell!("    {command}"));
    }
}

fn huge_pages() -> Finding {
    let what = "huge pages";
    let pages = HugePages::discover();
    let sizes: Vec<_> = pages
        .sizes
        .iter()
        .map(|size| {
            format!(
                "{} of {} free of {} KiB",
                size.counts.free,
                size.counts.total,
                size.bytes >> 10
            )
        })
        .collect();
    let found = sizes.join("; ");
    if pages.sizes.is_empty() {
        return Finding::new(what, State::Better, "this kernel has none", &[]);
    }
    if pages.sizes.iter().any(|size| size.available() > 0) {
        return Finding::ok(what, found);
    }
    let why = format!("{found}: buffers lie in 4 KiB pages, at a TLB miss each");
    Finding::new(what, State::Better, why, &["sysctl -w vm.nr_hugepages=512"])
}

fn transparent() -> Finding {
    let what = "transparent huge pages";
    let enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
    match HugePages::discover().transparent {
        ThpMode::Never => {
            let mend = format!("echo madvise > {enabled}");
            Finding::new(what, State::Better, "off: no fall back from huge pages", &[&mend])
        }
        ThpMode::Always => Finding::ok(what, "wherever they fit"),
        ThpMode::OnAdvice => Finding::ok(what, "where a program asks for them, as linecard does"),
        ThpMode::Unknown => Finding::ok(what, "not in this kernel"),
    }
}

/// Maps what a small forwarder needs, and says what it got.
fn memory() -> Finding {
    let what = "packet memory";
    match Request::new(8 << 20).name("doctor").map() {
        Ok(segment) => Finding::ok(what, segment.report().to_string()),
        Err(error) => Finding::new(what, State::Lacks, error.to_string(), &[]),
    }
}

fn isolated(topology: &Topology) -> Finding {
    let what = "isolated CPUs";
    let isolated: Vec<_> = topology.cpus().iter().filter(|cpu| cpu.is_isolated()).collect();
    if !isolated.is_empty() {
        let ids: Vec<_> = isolated.iter().map(|cpu| cpu.id.to_string()).collect();
        return Finding::ok(what, ids.join(","));
    }
    let last = topology.allowed().map(|cpu| cpu.id).last().unwrap_or_default();
    let mend = format!(
        "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus={last} nohz_full={last} rcu_nocbs={last} /' \
         /etc/default/grub && update-grub"
    );
    let why = "none: the kernel runs other work on the CPUs that forward";
    Finding::new(what, State::Better, why, &[&mend]).after_reboot()
}

fn siblings(topology: &Topology) -> Finding {
    let what = "hyperthreads";
    let shared = topology.cpus().iter().filter(|cpu| cpu.siblings.len() > 1).count();
    match shared {
        0 => Finding::ok(what, "each CPU is a core of its own"),
        n => Finding::new(
            what,
            State::Better,
            format!("{n} CPUs share a core: give siblings to one lcore at most"),
            &[],
        ),
    }
}

fn cpus(topology: &Topology) -> Finding {
    let what = "CPUs allowed";
    let (allowed, all) = (topology.allowed().count(), topology.cpus().len());
    let found = format!("{} ({allowed} of {all})", topology.allowed_list());
    if allowed > 1 {
        return Finding::ok(what, found);
    }
    let why = format!("{found}: a forwarder shares its CPU with everything else");
    Finding::new(what, State::Better, why, &[])
}

fn clock() -> Finding {
    let clock = Clock::new();
    let rate = match clock.rate() {
        Rate::Measured => "measured",
        _ => "told by the CPU or hypervisor",
    };
    let found = format!("{:?} at {:.3} GHz, {rate}", clock.source(), clock.hz() as f64 / 1e9);
    match clock.source() {
        Source::Kernel => {
            let why = format!("{found}: no invariant counter, each look at the clock costs more");
            Finding::new("clock", State::Better, why, &[])
        }
        _ => Finding::ok("clock", found),
    }
}

fn tun() -> Finding {
    let what = "TAP ports";
    match OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) if capable(CAP_NET_ADMIN) => Finding::ok(what, "/dev/net/tun, and CAP_NET_ADMIN"),
        Ok(_) => Finding::new(
            what,
            State::Lacks,
            "no CAP_NET_ADMIN: only TAPs made for this user can be used",
            &["ip tuntap add lc0 mode tap user $SUDO_USER multi_queue vnet_hdr"],
        ),
        Err(error) => Finding::new(
            what,
            State::Lacks,
            format!("/dev/net/tun: {error}"),
            &[
                "modprobe tun && mkdir -p /dev/net && { [ -c /dev/net/tun ] || mknod -m 666 /dev/net/tun c 10 200; }",
            ],
        ),
    }
}

fn raw_sockets() -> Finding {
    let what = "AF_PACKET ports";
    if capable(CAP_NET_RAW) {
        return Finding::ok(what, "CAP_NET_RAW");
    }
    let program = std::env::current_exe().unwrap_or_else(|_| "linecard".into());
    let mend = format!("setcap cap_net_raw,cap_net_admin+ep {}", program.display());
    Finding::new(what, State::Lacks, "no CAP_NET_RAW for this process", &[&mend])
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// Whether this process has a capability (`capabilities(7)`).
fn capable(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    bits >> capability & 1 == 1
}

fn jitter(duration: Duration) -> Finding {
    let jitter = Jitter::measure(&Clock::new(), duration);
    let found = format!(
        "{} gaps in {} ms, the longest {:.0} µs, {:.2} % of the time lost",
        jitter.interruptions(),
        duration.as_millis(),
        jitter.longest().as_secs_f64() * 1e6,
        jitter.lost() * 100.0
    );
    match jitter.verdict() {
        Verdict::Quiet => Finding::ok("interruptions", found),
        _ => Finding::new("interruptions", State::Better, found, &[]),
    }
}

//! Forwarding between two kernel interfaces, with the kernel as the judge.
//!
//! All is in a network namespace of its own. A `dpdk-testpmd` on CPU 0 sends 64-byte frames into
//! the source as fast as it can; the forwarder, ours or DPDK's, carries them on CPU 1; the figure
//! is what the kernel counts as received at the sink. For `AF_PACKET` and `AF_XDP` source and sink are
//! the far ends of two veth pairs; for TAP they are the two TAP interfaces themselves.

use super::dpdk::{self, Mode, Testpmd};
use super::forward::linecard;
use super::{Contest, Sample};
use crate::workspace::is_root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_secs(1);
const START: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const GENERATOR_CPU: &str = "0@0,1@0";
const FORWARDER_CPU: &str = "0@1,1@1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AfPacket,
    AfXdp,
    Tap,
}

#[derive(Debug)]
pub(super) struct Wire {
    kind: Kind,
    linecard: PathBuf,
    seconds: f64,
}

impl Wire {
    pub(super) fn af_packet(seconds: f64) -> Result<Self> {
        Self::new(Kind::AfPacket, seconds)
    }

    pub(super) fn af_xdp(seconds: f64) -> Result<Self> {
        Self::new(Kind::AfXdp, seconds)
    }

    pub(super) fn tap(seconds: f64) -> Result<Self> {
        Self::new(Kind::Tap, seconds)
    }

    fn new(kind: Kind, seconds: f64) -> Result<Self> {
        ensure!(is_root(), "network namespaces need root");
        let cpus = thread::available_parallelism()?.get();
        ensure!(cpus >= 2, "this takes two CPUs, here is one");
        Ok(Self { kind, linecard: linecard()?, seconds })
    }

    /// The interfaces that the forwarder has in hand.
    fn ports(&self) -> [&'static str; 2] {
        match self.kind {
            Kind::AfPacket | Kind::AfXdp => ["in1", "out0"],
            Kind::Tap => ["tap0", "tap1"],
        }
    }

    /// Where frames go in, and where they are counted.
    fn ends(&self) -> [&'static str; 2] {
        match self.kind {
            Kind::AfPacket | Kind::AfXdp => ["in0", "out1"],
            Kind::Tap => ["tap0", "tap1"],
        }
    }

    fn namespace(&self) -> Result<Namespace> {
        let namespace = Namespace::new()?;
        if self.kind != Kind::Tap {
            namespace.ip("link add in0 type veth peer name in1")?;
            namespace.ip("link add out0 type veth peer name out1")?;
        }
        Ok(namespace)
    }

    /// Brings all interfaces up, sends, and counts at the sink.
    fn measure(&self, namespace: &Namespace) -> Result<Vec<Sample>> {
        for interface in self.ends().into_iter().chain(self.ports()) {
            namespace.bring_up(interface)?;
        }
        let [source, sink] = self.ends();
        let vdev = [format!("net_af_packet0,iface={source}")];
        let own = ["--forward-mode=txonly", "--txpkts=64"];
        let _generator =
            Testpmd::start(Mode::Alone, &namespace.prefix(), GENERATOR_CPU, &vdev, &own)?;
        thread::sleep(WARM_UP);
        let (before, start) = (namespace.received(sink)?, Instant::now());
        thread::sleep(Duration::from_secs_f64(self.seconds));
        let packets = namespace.received(sink)? - before;
        ensure!(packets > 0, "no frame arrived at {sink}");
        let value = packets as f64 / start.elapsed().as_secs_f64() / 1e6;
        Ok(vec![Sample { case: self.case().to_owned(), unit: "Mpps".to_owned(), value }])
    }

    fn case(&self) -> &'static str {
        match self.kind {
            Kind::AfPacket => "io veth to veth 64 B one core",
            Kind::AfXdp => "io veth to veth by AF_XDP 64 B one core",
            Kind::Tap => "io tap to tap 64 B one core",
        }
    }

    fn our_port(&self, name: &str) -> String {
        match self.kind {
            Kind::AfPacket => format!("af-packet:iface={name}"),
            Kind::AfXdp => format!("af-xdp:iface={name}"),
            Kind::Tap => format!("tap:name={name}"),
        }
    }

    fn peer_port(&self, index: usize, name: &str) -> String {
        match self.kind {
            Kind::AfPacket => format!("net_af_packet{index},iface={name}"),
            Kind::AfXdp => format!("net_af_xdp{index},iface={name},force_copy=1"),
            Kind::Tap => format!("net_tap{index},iface={name}"),
        }
    }
}

impl Contest for Wire {
    fn peer_name(&self) -> String {
        let driver = match self.kind {
            Kind::AfPacket => "net_af_packet",
            Kind::AfXdp => "net_af_xdp",
            Kind::Tap => "net_tap",
        };
        format!("testpmd {driver} {}", dpdk::version())
    }

    fn ours(&self, _part: &str) -> Result<Vec<Sample>> {
        let namespace = self.namespace()?;
        if self.kind != Kind::Tap {
            self.ports().iter().try_for_each(|port| namespace.bring_up(port))?;
        }
        let [first, second] = self.ports().map(|port| self.our_port(port));
        let mut command = namespace.command(&self.linecard.to_string_lossy());
        command.args([
            "fwd",
            "--port",
            &first,
            "--port",
            &second,
            "--lcores",
            "1",
            "--duration",
            "600",
        ]);
        let _forwarder = Killed::start(&mut command)?;
        self.measure(&namespace)
    }

    fn peer(&self, _part: &str) -> Result<Vec<Sample>> {
        let namespace = self.namespace()?;
        let ports = self.ports();
        let vdevs = [0, 1].map(|index| self.peer_port(index, ports[index]));
        let prefix = namespace.prefix();
        let _forwarder = Testpmd::start(Mode::Alone, &prefix, FORWARDER_CPU, &vdevs, &[])?;
        self.measure(&namespace)
    }
}

/// A process that ends with its owner.
struct Killed(Child);

impl Killed {
    fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn().context("cannot start linecard")?))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network namespace, removed on drop, with IPv6 off: its own frames are not to be counted.
struct Namespace(String);

impl Namespace {
    fn new() -> Result<Self> {
        let name = format!("lc-compare-{}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self(name);
        let off = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 || true";
        run(namespace.command("sh").args(["-c", off]))?;
        Ok(namespace)
    }

    fn prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.0]
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    fn ip(&self, words: &str) -> Result<Vec<u8>> {
        run(Command::new("ip").args(["-n", &self.0]).args(words.split(' ')))
    }

    /// Waits for an interface that a forwarder makes.
    fn bring_up(&self, interface: &str) -> Result<()> {
        let start = Instant::now();
        while let Err(error) = self.ip(&format!("link set {interface} up")) {
            if start.elapsed() > START {
                return Err(error);
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn received(&self, interface: &str) -> Result<u64> {
        let links: Value =
            serde_json::from_slice(&self.ip(&format!("-j -s link show {interface}"))?)?;
        links[0]["stats64"]["rx"]["packets"].as_u64().context("ip shows no counters")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        let _ = run(Command::new("ip").args(["netns", "delete", &self.0]));
    }
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(kind: Kind) -> f64 {
        let wire = Wire { kind, linecard: PathBuf::new(), seconds: 0.5 };
        let samples = wire.peer("").unwrap();
        println!("{samples:?}");
        samples[0].value
    }

    #[test]
    #[ignore = "needs root and Debian's dpdk: cargo test -p xtask -- --ignored"]
    fn frames_cross_testpmd_from_veth_to_veth() {
        assert!(peer(Kind::AfPacket) > 0.0);
    }

    #[test]
    #[ignore = "needs root and Debian's dpdk: cargo test -p xtask -- --ignored"]
    fn frames_cross_testpmd_by_af_xdp() {
        assert!(peer(Kind::AfXdp) > 0.0);
    }

    #[test]
    #[ignore = "needs root and Debian's dpdk: cargo test -p xtask -- --ignored"]
    fn frames_cross_testpmd_from_tap_to_tap() {
        assert!(peer(Kind::Tap) > 0.0);
    }
}

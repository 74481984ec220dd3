//! Two namespaces that are joined by `linecard fwd` alone.

use crate::{Outcome, PATIENCE, PROGRAM, forwarder, stop};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::capture::{Capture, tshark_complaints};
use linecard_testbed::programs::iperf::{self, Load, Server};
use linecard_testbed::programs::{Program, ProgramError, Running, ping};
use linecard_testbed::{Need, needs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Tests run side by side, and make TAPs in one namespace.
static SERIAL: AtomicU32 = AtomicU32::new(0);
const FAR: &str = "198.51.100.2";

/// Two namespaces with an interface each, and what stands between them.
struct Bridge {
    left: Netns,
    right: Netns,
    /// The interfaces' names, left and right.
    ends: [String; 2],
    /// The forwarder: its namespace, if it has one, and its words.
    home: Option<Netns>,
    words: String,
    running: Option<Running>,
    cables: Vec<Veth>,
}

impl Bridge {
    /// As `of_ports`, of AF_PACKET.
    fn of_af_packet(mtu: u32) -> Result<Self, ProgramError> {
        Self::of_ports("af-packet", mtu)
    }

    /// As `of_ports`, of AF_XDP: the stations finish their frames themselves.
    fn of_af_xdp() -> Result<Self, ProgramError> {
        let bridge = Self::of_ports("af-xdp", 1500)?;
        bridge.left.plain(&bridge.ends[0])?;
        bridge.right.plain(&bridge.ends[1])?;
        Ok(bridge)
    }

    /// A cable from each namespace to a third, where the forwarder has a port on each.
    fn of_ports(kind: &str, mtu: u32) -> Result<Self, ProgramError> {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        let home = Netns::new("middle")?;
        let cables = [Veth::between(&left, &home)?, Veth::between(&right, &home)?];
        let [a, b] = &cables;
        for (at, end) in
            [(&left, a.first()), (&right, b.first()), (&home, a.second()), (&home, b.second())]
        {
            at.mtu(end, mtu)?;
        }
        let words =
            format!("--port {kind}:iface={} --port {kind}:iface={}", a.second(), b.second());
        let ends = [a.first().to_owned(), b.first().to_owned()];
        let (home, running) = (Some(home), None);
        let mut bridge = Bridge { left, right, ends, home, words, running, cables: cables.into() };
        bridge.start()?;
        bridge.address()?;
        Ok(bridge)
    }

    /// The forwarder's own TAPs, each of which is moved into a namespace.
    fn of_taps(mtu: u32) -> Result<Self, ProgramError> {
        let (left, right) = (Netns::new("left")?, Netns::new("right")?);
        // Relaxed: only the number's uniqueness matters; it has no partner.
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let ends = ["a", "b"].map(|end| format!("lct{:x}{serial}{end}", std::process::id()));
        let words = format!("--mtu {mtu} --port tap:name={} --port tap:name={}", ends[0], ends[1]);
        let (home, running) = (None, None);
        let mut bridge = Bridge { left, right, ends, home, words, running, cables: Vec::new() };
        bridge.start()?;
        bridge.address()?;
        Ok(bridge)
    }

    fn start(&mut self) -> Outcome {
        let program = match &self.home {
            Some(home) => home.program(PROGRAM),
            None => Program::new(PROGRAM),
        };
        self.running = Some(forwarder(program, &self.words)?);
        if self.home.is_none() {
            for (at, end) in [&self.left, &self.right].into_iter().zip(&self.ends) {
                Program::new("ip").args(["link", "set", end, "netns", at.name()]).run()?;
            }
        }
        Ok(())
    }

    fn address(&self) -> Outcome {
        self.left.address(&self.ends[0], "198.51.100.1/24")?;
        self.right.address(&self.ends[1], "198.51.100.2/24")
    }

    fn stop(&mut self) -> Outcome {
        self.running.take().map_or(Ok(()), stop)
    }

    /// Waits for the first answer: links come up in their own time.
    fn settle(&self) -> Outcome {
        let start = Instant::now();
        while ping(&self.left, FAR, 1)?.received == 0 {
            assert!(start.elapsed() < PATIENCE, "no answer through the forwarder");
        }
        Ok(())
    }

    fn assert_lossless(&self) -> Outcome {
        self.settle()?;
        let ping = ping(&self.left, FAR, 10)?;
        assert!(ping.is_lossless(), "{ping:?}");
        Ok(())
    }

    /// A ping of `bytes` that may not be cut into fragments.
    fn assert_passes(&self, bytes: usize) -> Outcome {
        let program = self.left.program("ping").words("-n -q -c 5 -i 0.2 -W 1 -M do -s");
        program.arg(bytes.to_string()).arg(FAR).run().map(drop)
    }

    /// TCP both ways, with the checksums of every packet judged by the receiving kernel and those
    /// of some by tshark.
    fn assert_tcp_is_sound(&self, folder: &std::path::Path) -> Outcome {
        let server = Server::start(&self.right)?;
        let file = folder.join("far.pcap");
        let capture = Capture::start(&self.right, &self.ends[1], "-c 500 tcp", &file)?;
        let there = iperf::send(&self.left, FAR, Load::Tcp, 2)?;
        assert!(there.bytes > 1_000_000, "{there:?}");
        let captured = capture.stop()?;
        assert!(captured.packets > 100, "{captured:?}");
        drop(server);
        // Only what arrives: the far kernel's own checksums are filled in by its interface, later.
        let with = |status| {
            let filter = format!("ip.dst == {FAR} && tcp.checksum.status == {status}");
            packets_with_checks(&file, &filter)
        };
        let (bad, good) = (with(0)?, with(1)?);
        assert!(bad.is_empty(), "bad checksums in packets {bad:?}");
        assert!(good.len() > 50, "{} good checksums", good.len());
        for netns in [&self.left, &self.right] {
            assert_eq!(checksum_errors(netns)?, 0, "checksums that the kernel refused");
        }
        Ok(())
    }
}

/// The numbers of the packets that match, with TCP checksums verified.
fn packets_with_checks(file: &std::path::Path, filter: &str) -> Result<Vec<String>, ProgramError> {
    let program = Program::new("tshark").args(["-n", "-o", "tcp.check_checksum:TRUE", "-r"]);
    let output =
        program.arg(file).args(["-Y", filter, "-T", "fields", "-e", "frame.number"]).run()?;
    Ok(output.stdout.lines().map(str::to_owned).collect())
}

/// Packets that the kernel of a namespace has dropped for a wrong checksum of TCP, UDP or ICMP.
fn checksum_errors(netns: &Netns) -> Result<u64, ProgramError> {
    let snmp = netns.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))?;
    let snmp = snmp.expect("the kernel counts");
    let lines: Vec<Vec<&str>> = snmp.lines().map(|line| line.split(' ').collect()).collect();
    let pairs = lines.chunks(2).filter(|pair| pair.len() == 2);
    let counts = pairs.flat_map(|pair| pair[0].iter().zip(&pair[1]));
    let wrong = counts.filter(|(name, _)| **name == "InCsumErrors");
    Ok(wrong.filter_map(|(_, count)| count.parse::<u64>().ok()).sum())
}

fn has_tools() -> bool {
    let tools = ["ip", "ping", "iperf3", "tcpdump", "tshark"].map(Need::Tool);
    needs(&[&[Need::Root][..], &tools].concat())
}

fn carries_traffic(bridge: &Bridge) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    bridge.assert_lossless()?;
    bridge.assert_tcp_is_sound(folder.path())
}

/// Either end of the cable goes down and up again; the forwarder goes and comes again.
fn recovers(bridge: &mut Bridge) -> Outcome {
    bridge.settle()?;
    let ends = bridge.ends.clone();
    for (at, end) in [&bridge.left, &bridge.right].into_iter().zip(&ends) {
        at.ip(&format!("link set {end} down")).run()?;
        std::thread::sleep(Duration::from_millis(100));
        at.up(end)?;
        bridge.settle()?;
    }
    bridge.stop()?;
    if bridge.home.is_some() {
        assert_eq!(ping(&bridge.left, FAR, 1)?.received, 0, "there is another way");
    }
    bridge.start()?;
    if bridge.home.is_none() {
        // New TAPs, and so without addresses.
        bridge.address()?;
    }
    bridge.assert_lossless()?;
    bridge.stop()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn af_packet_ports_carry_pings_and_tcp_with_checksums_right() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_af_packet(1500)?;
    carries_traffic(&bridge)?;
    bridge.stop()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn af_packet_ports_carry_jumbo_frames() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_af_packet(9000)?;
    bridge.settle()?;
    bridge.assert_passes(8972)?;
    carries_traffic(&bridge)?;
    bridge.stop()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn af_packet_ports_recover() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_af_packet(1500)?;
    // The interfaces of the forwarder itself, too.
    let home = bridge.home.as_ref().expect("it has one");
    let names = bridge.cables.iter().map(|cable| cable.second().to_owned());
    for name in names.collect::<Vec<_>>() {
        bridge.settle()?;
        home.ip(&format!("link set {name} down")).run()?;
        std::thread::sleep(Duration::from_millis(100));
        home.up(&name)?;
    }
    recovers(&mut bridge)
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn af_xdp_ports_carry_pings_and_tcp_with_checksums_right() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_af_xdp()?;
    carries_traffic(&bridge)?;
    bridge.stop()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn af_xdp_ports_recover() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    recovers(&mut Bridge::of_af_xdp()?)
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn taps_carry_pings_and_tcp_with_checksums_right() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_taps(1500)?;
    carries_traffic(&bridge)?;
    bridge.stop()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn taps_carry_jumbo_frames() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_taps(9000)?;
    bridge.settle()?;
    bridge.assert_passes(8972)?;
    carries_traffic(&bridge)?;
    bridge.stop()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn taps_recover() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    recovers(&mut Bridge::of_taps(1500)?)
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn what_arrives_is_well_formed() -> Outcome {
    if !has_tools() {
        return Ok(());
    }
    let mut bridge = Bridge::of_af_packet(1500)?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pings.pcap");
    bridge.settle()?;
    let capture = Capture::start(&bridge.right, &bridge.ends[1], "icmp", &file)?;
    bridge.assert_lossless()?;
    assert!(capture.stop()?.packets >= 20);
    assert_eq!(tshark_complaints(&file)?, Vec::<String>::new());
    bridge.stop()
}

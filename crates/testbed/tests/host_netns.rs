//! Namespaces and the programs in them, against the kernel.

use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::capture::{Capture, capinfos, tcpdump_lines, tshark_complaints};
use linecard_testbed::programs::iperf::{self, Load, Server};
use linecard_testbed::programs::{Program, ProgramError, ping};
use std::net::UdpSocket;

/// Leaves the test when something is missing: it is skipped, or with `LINECARD_REQUIRE_ALL=1`
/// it fails.
macro_rules! needs {
    (root $(, tool $tool:literal)*) => {
        if let Some(what) = missing(&[$($tool),*]) {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            let required = std::env::var("LINECARD_REQUIRE_ALL").is_ok_and(|set| set == "1");
            assert!(!required, "{test} needs {what}");
            eprintln!("SKIPPED {test}: needs {what}");
            return;
        }
    };
}

fn missing(tools: &[&str]) -> Option<String> {
    let user = Program::new("id").arg("-u").run().unwrap().stdout;
    if user.trim() != "0" {
        return Some("root".to_owned());
    }
    let is_there = |tool: &str| Program::new("which").arg(tool).run().is_ok();
    tools.iter().find(|tool| !is_there(tool)).map(|tool| format!("tool {tool}"))
}

struct Bench {
    left: Netns,
    right: Netns,
    cable: Veth,
}

/// `left` is 198.51.100.1, `right` is 198.51.100.2.
fn two_joined() -> Result<Bench, ProgramError> {
    let (left, right) = (Netns::new("left")?, Netns::new("right")?);
    let cable = Veth::between(&left, &right)?;
    left.address(cable.first(), "198.51.100.1/24")?;
    right.address(cable.second(), "198.51.100.2/24")?;
    Ok(Bench { left, right, cable })
}

fn namespaces() -> String {
    Program::new("ip").words("netns list").run().unwrap().stdout
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn two_namespaces_joined_by_a_veth_ping_each_other() {
    needs!(root, tool "ip", tool "ping");
    let bench = two_joined().unwrap();
    let there = ping(&bench.left, "198.51.100.2", 3).unwrap();
    let back = ping(&bench.right, "198.51.100.1", 3).unwrap();
    assert!(there.is_lossless() && back.is_lossless(), "{there:?} {back:?}");
    assert!(bench.right.counters(bench.cable.second()).unwrap().rx_packets >= 6);
    assert_ne!(bench.left.mac(bench.cable.first()).unwrap(), [0; 6]);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn an_address_that_nobody_has_does_not_answer() {
    needs!(root, tool "ip", tool "ping");
    let bench = two_joined().unwrap();
    assert_eq!(ping(&bench.left, "198.51.100.9", 1).unwrap().received, 0);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn nothing_is_left_after_a_panic() {
    needs!(root, tool "ip");
    let names = std::sync::Mutex::new(Vec::new());
    let panicked = std::panic::catch_unwind(|| {
        let bench = two_joined().unwrap();
        let mut names = names.lock().unwrap();
        names.extend([bench.left.name().to_owned(), bench.right.name().to_owned()]);
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    let left = namespaces();
    let names = names.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(names.len() == 2 && names.iter().all(|name| !left.contains(name)), "{left}");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_cable_out_of_the_tests_own_namespace_goes_away_too() {
    needs!(root, tool "ip");
    let far = Netns::new("far").unwrap();
    let cable = Veth::into(&far).unwrap();
    let name = cable.first().to_owned();
    let show = || Program::new("ip").args(["link", "show", &name]).finish().unwrap();
    assert!(show().status.success());
    drop(cable);
    assert!(!show().status.success());
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_socket_opened_inside_stays_inside() {
    needs!(root, tool "ip");
    let bench = two_joined().unwrap();
    let bind = |address: &'static str| move || UdpSocket::bind(address);
    let receiver = bench.right.inside(bind("198.51.100.2:7000")).unwrap().unwrap();
    let sender = bench.left.inside(bind("198.51.100.1:0")).unwrap().unwrap();
    sender.send_to(b"hello", "198.51.100.2:7000").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 5);
    assert!(UdpSocket::bind("198.51.100.2:7000").is_err(), "the address is not ours out here");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_capture_holds_what_was_on_the_wire() {
    needs!(root, tool "ip", tool "ping", tool "tcpdump", tool "tshark");
    let bench = two_joined().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire.pcap");
    let capture = Capture::start(&bench.right, bench.cable.second(), "icmp", &path).unwrap();
    ping(&bench.left, "198.51.100.2", 3).unwrap();
    let captured = capture.stop().unwrap();
    assert_eq!((captured.packets, captured.dropped), (6, 0));
    let infos = capinfos(&captured.path).unwrap();
    assert_eq!((infos.packets, infos.bytes, &*infos.link), (6, 6 * 98, "ether"));
    let lines = tcpdump_lines(&captured.path, "").unwrap();
    assert!(lines[0].contains("198.51.100.1 > 198.51.100.2: ICMP echo request"), "{lines:?}");
    assert_eq!(tshark_complaints(&captured.path).unwrap(), Vec::<String>::new());
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn iperf3_measures_a_stream() {
    needs!(root, tool "ip", tool "iperf3");
    let bench = two_joined().unwrap();
    let _server = Server::start(&bench.right).unwrap();
    let tcp = iperf::send(&bench.left, "198.51.100.2", Load::Tcp, 1).unwrap();
    assert!(tcp.bytes > 0 && tcp.bits_per_second > 0.0);
    let udp = iperf::send(&bench.left, "198.51.100.2", Load::Udp { megabits: 8 }, 1).unwrap();
    assert!(udp.bits_per_second > 1e6, "{udp:?}");
}

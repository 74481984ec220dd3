//! Rules from a file: what they drop, what they count, and what is wrong with them.

use crate::capture::{packets, read, write};
use crate::files::show;
use crate::{forward, linecard, run};
use linecard::net::header::TcpFlags;
use linecard::net::{FrameBuilder, MacAddr};
use std::net::Ipv4Addr;
use std::path::Path;

/// Frames of some conversations: to UDP port 53, to TCP port 443, and one that is not IP.
fn frames() -> Vec<Vec<u8>> {
    let start = FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7));
    let udp = start.ipv4(src, dst).udp(4000, 53).frame_len(100);
    let start = FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    let tcp = start.ipv4(dst, src).tcp(4000, 443, TcpFlags::SYN).frame_len(80);
    let [udp, tcp] = [udp, tcp].map(|frame| frame.to_vec().expect("a frame"));
    let other = [&[0xFF; 12][..], &[0x12, 0x34], &[0; 46]].concat();
    (0..90).map(|n| [&udp, &tcp, &other][n % 3].clone()).collect()
}

fn report(folder: &Path, rules: &str) -> (serde_json::Value, usize) {
    let at = |name: &str| folder.join(name);
    write(&at("in.pcap"), &packets(frames()));
    std::fs::write(at("rules"), rules).expect("a file");
    let ports =
        format!("--port pcap:rx={} --port pcap:tx={}", show(&at("in.pcap")), show(&at("out.pcap")));
    let report = forward(&format!("--rules {} {ports}", show(&at("rules"))));
    (report, read(&at("out.pcap")).len())
}

#[test]
fn rules_drop_and_count_what_they_match() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "# of three kinds\nudp dport 53 -> drop\ntcp dport 80,443 -> count\n\
                any -> jump 3\ngroup 3 any -> mark 1\n";
    let (report, sent) = report(folder.path(), text);
    assert_eq!(sent, 60, "UDP is dropped");
    let counted = |rule: usize| {
        let rule = &report["rules"][rule];
        (rule["line"].as_u64(), rule["packets"].as_u64(), rule["bytes"].as_u64())
    };
    assert_eq!(counted(0), (Some(2), Some(30), Some(3000)));
    assert_eq!(counted(1), (Some(3), Some(30), Some(2400)), "and passed on");
    assert_eq!((counted(2).1, counted(3).1), (Some(60), Some(60)));
    assert!(report["rules"][0]["last_seen_s"].is_number());
    assert_eq!(report["pools"][0]["leaked"], 0);
}

#[test]
fn a_table_tells_people_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, rules) = (folder.path().join("in.pcap"), folder.path().join("rules"));
    write(&input, &packets(frames()));
    std::fs::write(&rules, "udp -> count").expect("a file");
    let port = format!("pcap:rx={},tx=/dev/null", show(&input));
    let words = format!("fwd --rules {} --port {port}", show(&rules));
    let output = linecard(&words).run().expect("it succeeds");
    let line = output.stdout.lines().find(|line| line.contains("udp -> count")).expect("a line");
    assert!(["software", "30", "3000"].iter().all(|word| line.contains(word)), "{line}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules");
    for (rules, expected) in [
        ("any -> drop\nudp dport -> drop", "line 2, column 11: `->`: wanted a number"),
        ("udp -> queue 1", "line 1: queue 1: there are 1, from 0 on"),
        ("\nudp -> queue 0", "line 2: queue: null0: this port runs no rules; what fwd itself"),
        ("udp -> port 5", "line 1: port 5: there are 2"),
    ] {
        std::fs::write(&file, rules).expect("a file");
        let output = run(&format!("fwd --rules {} --port null --port null", show(&file)));
        assert_eq!(output.status.code(), Some(1), "{rules}");
        assert!(output.stderr.contains(expected), "{rules}: {}", output.stderr);
    }
    let output = run("fwd --rules /nonexistent/rules --port null");
    assert!(output.stderr.contains("/nonexistent/rules: No such file"), "{}", output.stderr);
}

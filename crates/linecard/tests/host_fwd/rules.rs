//! What `--rules` counts in captures, as tshark's display filters count it.

use crate::capture::{packets, write};
use crate::{Outcome, PROGRAM};
use linecard_net::header::TcpFlags;
use linecard_net::{FrameBuilder, MacAddr};
use linecard_testbed::programs::{Program, ProgramError};
use linecard_testbed::{Need, needs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A rule and the filter that means the same; `#1` and `!icmp` keep out headers that ICMP quotes.
const RULES: &[(&str, &str)] = &[
    ("ipv4", "ip"),
    ("ipv6", "ipv6"),
    ("tcp", "tcp && !icmp"),
    ("tcp dport 443,4433", "tcp.dstport in {443, 4433} && !icmp"),
    ("tcp sport 443,4433", "tcp.srcport in {443, 4433} && !icmp"),
    ("tcp flags 0x02&0x12", "tcp.flags.syn == 1 && tcp.flags.ack == 0 && !icmp"),
    ("udp", "udp && !icmp && !(ip.flags.mf == 1 || ip.frag_offset > 0)"),
    ("udp dport 443", "udp.dstport == 443 && !icmp"),
    (
        "udp sport 1024-65535 dport 1024-65535",
        "udp.srcport >= 1024 && udp.dstport >= 1024 && !icmp",
    ),
    ("ipv4 fragment fragment", "ip.flags.mf#1 == 1 || ip.frag_offset#1 > 0"),
    ("ipv4 ttl 64", "ip.ttl#1 == 64"),
    ("ipv4 src 10.0.0.0/8", "ip.src#1 == 10.0.0.0/8"),
    ("ipv4 dst 127.0.0.1", "ip.dst#1 == 127.0.0.1"),
    ("ipv6 dst ::1", "ipv6.dst#1 == ::1"),
    ("icmp", "icmp"),
    ("arp", "arp"),
    ("any", "frame"),
];

/// Frames as those of TLS and QUIC, made here, so that there always are some.
fn own(folder: &Path) -> PathBuf {
    let ends = || FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    let v4 = || ends().ipv4([10, 0, 0, 7].into(), [127, 0, 0, 1].into());
    let v6 =
        || ends().ipv6("2001:db8::7".parse().expect("an address"), "::1".parse().expect("one"));
    let both = TcpFlags::SYN | TcpFlags::ACK;
    let frames = [
        v4().tcp(40_000, 443, TcpFlags::SYN),
        v4().tcp(443, 40_000, both),
        v6().tcp(40_001, 4433, TcpFlags::ACK),
        v4().ttl(9).udp(50_000, 443),
        v4().vlan(12).udp(443, 50_000),
        v6().udp(50_000, 60_000),
        v4().echo_request(1, 1),
    ];
    let file = folder.join("own.pcap");
    write(&file, &packets(frames.map(|frame| frame.frame_len(80).to_vec().expect("a frame"))));
    file
}

/// Ours, and those beside the checkout.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/captures");
    let files = std::fs::read_dir(beside).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    std::iter::once(own(folder)).chain(files).collect()
}

/// Packets that each rule counts, all rules at once.
fn counted(folder: &Path, capture: &Path) -> Result<BTreeMap<String, u64>, ProgramError> {
    let rules = folder.join("rules");
    let text: String = RULES.iter().map(|(rule, _)| format!("{rule} -> count\n")).collect();
    std::fs::write(&rules, text).expect("a file");
    let port = format!("pcap:rx={},tx=/dev/null", capture.display());
    let program = Program::new(PROGRAM).words("fwd --json --rules").arg(rules);
    let output = program.arg("--port").arg(port).run()?;
    let line = output.stdout.lines().last().expect("a line");
    let report: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let rules = report["rules"].as_array().expect("rules").iter();
    let of = |rule: &serde_json::Value| {
        let text = rule["rule"].as_str().expect("a text").trim_end_matches(" -> count").to_owned();
        (text, rule["packets"].as_u64().expect("a number"))
    };
    Ok(rules.map(of).collect())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn counters_equal_what_display_filters_count() -> Outcome {
    if !needs(&[Need::Tool("tshark")]) {
        return Ok(());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = 0;
    for capture in captures(folder.path()) {
        let counted = counted(folder.path(), &capture)?;
        for (rule, filter) in RULES {
            // Every fragment stands for itself, as in a classifier.
            let words = "-n -o ip.defragment:FALSE -o ipv6.defragment:FALSE -r";
            let program = Program::new("tshark").words(words).arg(&capture);
            // Ethernet in MPLS is what tshark guesses at, and our parser does not.
            let filter = match *rule {
                "any" => (*filter).to_owned(),
                _ => format!("({filter}) && !pwethcw"),
            };
            let output = program.arg("-Y").arg(filter).run()?;
            let wanted =
                output.stdout.lines().filter(|line| !line.trim().is_empty()).count() as u64;
            assert_eq!(counted[*rule], wanted, "{rule} in {}", capture.display());
            found += wanted;
        }
    }
    assert!(found > 0, "no rule matched anything");
    println!("{found} matches agree");
    Ok(())
}

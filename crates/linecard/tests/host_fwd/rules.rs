//! What `--rules` counts in captures, as tshark's display filters count it.

use crate::{Outcome, PROGRAM};
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

fn captures() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/captures");
    let files = std::fs::read_dir(beside).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng")).collect()
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
    for capture in captures() {
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
    println!("{found} matches agree");
    Ok(())
}

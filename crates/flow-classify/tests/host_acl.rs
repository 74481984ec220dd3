//! Verdicts of wildcard tables against `dpdk-test-acl`, header by header, and those of every path of ours.
//! Host level: `cargo xtask test host`; ClassBench sets beside the checkout.

use linecard_flow_classify::acl::{Acl, AclRule, RuleId, Verdict};
use linecard_flow_classify::simd::Simd;
use linecard_net::flow::KeyV4;
use linecard_net::rule::Match;
use linecard_testbed::programs::{Program, ProgramError};
use linecard_testbed::{Need, needs};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SETS: &[&str] =
    &["acl1_1000", "fw1_1000", "ipc1_1000", "acl1_10000", "fw1_10000", "ipc1_10000"];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/classbench")
}

fn prefix(word: &str) -> Match<std::net::Ipv4Addr> {
    let (address, len) = word.split_once('/').expect("a prefix");
    Match::prefix(address.parse().expect("an address"), len.parse().expect("a length"))
}

/// `@src/len dst/len sport : sport dport : dport proto/mask`.
fn rule((line, text): (u32, &str)) -> (RuleId, AclRule<KeyV4>) {
    let words: Vec<_> = text.trim_start_matches('@').split_whitespace().collect();
    let port = |at: usize| words[at].parse::<u16>().expect("a port");
    let (value, mask) = words[8].split_once('/').expect("a protocol");
    let hex = |word: &str| u8::from_str_radix(&word[2..], 16).expect("a byte");
    let rule = AclRule {
        src: prefix(words[0]),
        dst: prefix(words[1]),
        sport: Match::Range { lo: port(2), hi: port(4) },
        dport: Match::Range { lo: port(5), hi: port(7) },
        proto: Match::Mask { value: hex(value), mask: hex(mask) },
        priority: line,
        ..AclRule::default()
    };
    (RuleId(line), rule)
}

fn key(text: &str) -> KeyV4 {
    let number = |word: &str| word.parse::<u32>().expect("a number");
    let words: Vec<_> = text.split_whitespace().map(number).collect();
    let [src, dst] = [words[0], words[1]].map(u32::to_be_bytes);
    let [sport, dport] = [words[2] as u16, words[3] as u16].map(Into::into);
    KeyV4 { src, dst, sport, dport, proto: words[4] as u8, zero: [0; 3] }
}

/// The rule, by its line, that DPDK finds for each header; `None` where it finds none.
fn judged(rules: &Path, trace: &Path) -> Result<Vec<Option<u32>>, ProgramError> {
    let words = "--no-huge -m 4096 --no-shconf --no-pci --no-telemetry -l 0 --";
    let program = Program::new("dpdk-test-acl").words(words).within(Duration::from_secs(120));
    let program = program.arg(format!("--rulesf={}", rules.display()));
    let program = program.arg(format!("--tracef={}", trace.display()));
    let output = program.words("--tracenum=60000 --iter=1 --alg=scalar").run()?;
    let lines = output.stdout.lines().filter(|line| line.starts_with("ipv4_5tuple:"));
    let found = lines.map(|line| line.rsplit(' ').next().and_then(|word| word.parse().ok()));
    Ok(found.collect())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn verdicts_equal_dpdks_for_each_header_on_every_path() -> Result<(), ProgramError> {
    if !needs(&[Need::Tool("dpdk-test-acl"), Need::Tool("gzip")]) {
        return Ok(());
    }
    let folder = tempfile::tempdir().expect("a folder");
    for set in SETS {
        let rules_file = data().join(format!("{set}.rules"));
        let Ok(text) = std::fs::read_to_string(&rules_file) else { continue };
        let rules: Vec<_> = (0..).zip(text.lines()).map(rule).collect();
        let packed = data().join(format!("{set}.trace.gz"));
        let trace = Program::new("gzip").words("-dc").arg(packed).run()?.stdout;
        let trace_file = folder.path().join(set);
        std::fs::write(&trace_file, &trace).expect("a file");
        let keys: Vec<_> = trace.lines().map(key).collect();
        let judged = judged(&rules_file, &trace_file)?;
        assert_eq!(judged.len(), keys.len(), "{set}");
        for simd in Simd::supported() {
            let mut acl = Acl::with_simd(simd).expect("it is supported");
            acl.replace(rules.iter().copied()).expect("rules that make sense");
            let mut verdicts = vec![Verdict::NONE; keys.len()];
            acl.reader().classify(&keys, &mut verdicts);
            let wrong = verdicts
                .iter()
                .zip(&judged)
                .position(|(verdict, judged)| verdict.rule().map(|rule| rule.0) != *judged);
            assert_eq!(wrong, None, "header of {set} on {simd}");
        }
    }
    Ok(())
}

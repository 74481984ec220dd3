//! A wildcard table with a ClassBench set: cycles a header of its trace in bursts of 256 (as
//! `dpdk-test-acl` has it), 32 and 64, time to build, memory, and time to insert and remove single rules.

use clap::Parser;
use linecard_benches::acl::{rules, trace};
use linecard_benches::{Options, cycles, pin, row};
use linecard_flow_classify::acl::{Acl, AclReader, AclRule, RuleId, Verdict};
use linecard_net::flow::KeyV4;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Parser, Debug)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The name of the set, for the cases
    #[arg(long)]
    set: String,
    /// Its rules
    #[arg(long)]
    rules: PathBuf,
    /// Its trace
    #[arg(long)]
    trace: PathBuf,
    /// Print the verdict of each header instead: the rule's line from 0, or -1
    #[arg(long)]
    verdicts: bool,
}

/// Times the trace is looked up, as many as `dpdk-test-acl` is told.
const ROUNDS: usize = 20;

fn main() {
    let arguments = Arguments::parse();
    let read = |path| std::fs::read_to_string(path).expect("a file that can be read");
    let rules = rules(&read(&arguments.rules)).expect("rules of ClassBench's form");
    let keys = trace(&read(&arguments.trace)).expect("headers of ClassBench's form");
    pin(0);
    let start = Instant::now();
    let mut acl = Acl::new();
    acl.replace(rules.iter().copied()).expect("rules that make sense");
    let built = start.elapsed();
    let reader = acl.reader();
    if arguments.verdicts {
        return print_verdicts(&reader, &keys);
    }
    let set = &arguments.set;
    row(&format!("acl {set} lookup"), "cycles/packet", lookups(&reader, &keys, 256));
    for bulk in [32, 64] {
        let cost = lookups(&reader, &keys, bulk);
        row(&format!("acl {set} lookup bulk {bulk}"), "cycles/packet", cost);
    }
    let cost = acl.cost();
    let memory = (cost.bytes + cost.control_bytes) as f64 / 1024.0;
    row(&format!("acl {set} build"), "ms", built.as_secs_f64() * 1e3);
    row(&format!("acl {set} memory"), "KiB", memory);
    row(&format!("acl {set} memory of look-ups"), "KiB", cost.bytes as f64 / 1024.0);
    for (name, time) in changes(&mut acl, &rules) {
        row(&format!("acl {set} {name}"), "us", time.as_secs_f64() * 1e6);
    }
}

fn print_verdicts(reader: &AclReader<KeyV4>, keys: &[KeyV4]) {
    let mut verdicts = vec![Verdict::NONE; keys.len()];
    reader.classify(keys, &mut verdicts);
    let lines = verdicts.iter().map(|verdict| verdict.rule().map_or(-1, |rule| i64::from(rule.0)));
    let text: Vec<_> = lines.map(|line| line.to_string()).collect();
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, (text.join("\n") + "\n").as_bytes())
        .expect("standard output");
}

fn lookups(reader: &AclReader<KeyV4>, keys: &[KeyV4], burst: usize) -> f64 {
    let mut verdicts = vec![Verdict::NONE; keys.len()];
    let start = cycles();
    for _ in 0..ROUNDS {
        for (keys, verdicts) in keys.chunks(burst).zip(verdicts.chunks_mut(burst)) {
            reader.classify(keys, verdicts);
        }
        std::hint::black_box(&mut verdicts);
    }
    (cycles() - start) as f64 / (ROUNDS * keys.len()) as f64
}

/// Median and 99th percentile of taking single rules out and putting them back.
fn changes(
    acl: &mut Acl<KeyV4>,
    rules: &[(RuleId, AclRule<KeyV4>)],
) -> [(&'static str, Duration); 4] {
    let (mut removed, mut inserted) = (Vec::new(), Vec::new());
    for (id, rule) in rules.iter().step_by(rules.len().div_ceil(1000)) {
        let start = Instant::now();
        let _ = acl.remove(*id);
        removed.push(start.elapsed());
        let start = Instant::now();
        acl.insert(*id, *rule).expect("it was there");
        inserted.push(start.elapsed());
    }
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100]
    };
    [
        ("insert median", at(&mut inserted, 50)),
        ("insert 99 %", at(&mut inserted, 99)),
        ("remove median", at(&mut removed, 50)),
        ("remove 99 %", at(&mut removed, 99)),
    ]
}

//! Route tables beside `rte_lpm`, `rte_fib`, `rte_lpm6` and `rte_fib6`, and beside `prefix-trie`.

use super::Contests;
use crate::compare::dpdk;
use crate::compare::pair::{Pair, Program, parts};
use crate::compare::report::Bar;
use crate::workspace::root;
use anyhow::Result;

const SECONDS: f64 = 0.3;

/// Filters that part the cases: the sides take turns in each. Every part fills its tables once, which
/// takes `rte_lpm` a minute for a million routes.
const PARTS: &[&str] = &["lpm4 real", "lpm4 million", "lpm6 real"];

pub(super) fn contests(seconds: Option<f64>, case: &str) -> Result<Contests> {
    let data = root().join("../shared/data").display().to_string();
    let arguments = ["--data", &data];
    let trie = ["--data", &data, "--table", "prefix-trie"];
    let seconds = seconds.unwrap_or(SECONDS);
    let ours = || Program::ours("lpm_perf", &arguments);
    let name = format!("DPDK {}: the best of rte_lpm and rte_fib", dpdk::version());
    let dpdk = [ours()?, Program::dpdk("lpm_perf", &arguments)?];
    let dpdk = Pair::of(dpdk, name, seconds, parts(PARTS, case)).with_bars(bar);
    let trie = [ours()?, Program::ours("lpm_perf", &trie)?];
    let trie = Pair::of(trie, "prefix-trie".to_owned(), seconds, parts(PARTS, case));
    Ok(vec![Box::new(dpdk), Box::new(trie)])
}

/// Changes are beside `rte_lpm`; for `rte_lpm6`'s nothing is promised.
fn bar(case: &str, unit: &str) -> Bar {
    match case {
        _ if case.starts_with("lpm4") && case.contains("bulk") => Bar::AtMost(0.6),
        _ if case.starts_with("lpm6") && case.contains("bulk") => Bar::AtMost(0.5),
        _ if case.starts_with("lpm4") => Bar::AtMost(0.1),
        _ => Bar::level(unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_up_and_changing_is_to_be_faster_than_dpdks() {
        assert_eq!(bar("lpm4 real random bulk 32", "cycles/lookup"), Bar::AtMost(0.6));
        assert_eq!(bar("lpm6 real routed bulk 64", "cycles/lookup"), Bar::AtMost(0.5));
        assert_eq!(bar("lpm4 million add", "cycles/route"), Bar::AtMost(0.1));
    }
}

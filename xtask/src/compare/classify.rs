//! Classification: `linecard-flow-classify` beside DPDK's tables and the crates that a user would pick.
//!
//! Every structure has a file here, that says who is measured beside whom and what the bars are.
//! The names of its cases begin with the name of the structure.

mod acl;
mod exact;
mod lpm;
mod meter;

use super::Contest;
use anyhow::Result;

type Contests = Vec<Box<dyn Contest>>;

/// Seconds a case, if the user gave them, and the filter of cases, or nothing.
type Make = fn(Option<f64>, &str) -> Result<Contests>;

/// How the names of a structure's cases begin, and its contests.
const STRUCTURES: &[(&str, Make)] = &[
    ("acl", acl::contests),
    ("exact", exact::contests),
    ("lpm", lpm::contests),
    ("meter", meter::contests),
    ("heavy", meter::heavy_contests),
];

/// The contests of all structures that `case` may name cases of.
pub(super) fn contests(seconds: Option<f64>, case: &str) -> Result<Contests> {
    let mut contests = Vec::new();
    for (_, make) in named(case) {
        contests.extend(make(seconds, case)?);
    }
    Ok(contests)
}

/// The structures that `case` begins with the name of, or all.
fn named(case: &str) -> impl Iterator<Item = &'static (&'static str, Make)> {
    let is_named = |name: &str| case.starts_with(name);
    let any = STRUCTURES.iter().any(|(name, _)| is_named(name));
    STRUCTURES.iter().filter(move |(name, _)| !any || is_named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_begins_with_a_structure_is_looked_for_there_alone() {
        assert_eq!(named("exact").count(), 1);
        assert_eq!(named("").count(), STRUCTURES.len());
        assert_eq!(named("bulk 32").count(), STRUCTURES.len());
    }
}

//! `xtask/tidy-allow.toml`: what may be otherwise, and why.

use super::Finding;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const FILE: &str = "xtask/tidy-allow.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowList {
    #[serde(default)]
    allow: Vec<Allowed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    rule: String,
    path: PathBuf,
    /// Part of the finding's message, such as a function's name; empty for all of the file.
    #[serde(default)]
    item: String,
    reason: String,
}

impl Allowed {
    fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule
            && self.path == finding.path
            && finding.message.contains(&self.item)
    }
}

impl AllowList {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE))
            .with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let list: Self = toml::from_str(text).with_context(|| format!("cannot read {FILE}"))?;
        for entry in &list.allow {
            let path = entry.path.display();
            ensure!(!entry.reason.trim().is_empty(), "{FILE}: {path}: an exception has a reason");
        }
        Ok(list)
    }

    /// What is left to mend, and the exceptions that nothing needs any more.
    pub(super) fn filter(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let is_idle = |entry: &&Allowed| !findings.iter().any(|finding| entry.covers(finding));
        let idle: Vec<_> = self.allow.iter().filter(is_idle).map(idle).collect();
        let is_allowed = |finding: &Finding| self.allow.iter().any(|entry| entry.covers(finding));
        findings.into_iter().filter(|finding| !is_allowed(finding)).chain(idle).collect()
    }
}

fn idle(entry: &Allowed) -> Finding {
    let message =
        format!("nothing needs the exception from {} for {}", entry.rule, entry.path.display());
    Finding::new(Path::new(FILE), 1, "allow-list", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[allow]]\nrule = \"fn-length\"\npath = \"a.rs\"\nitem = \"`table`\"\nreason = \"a table\"\n";

    fn finding(message: &str) -> Finding {
        Finding::new(Path::new("a.rs"), 7, "fn-length", message)
    }

    #[test]
    fn an_exception_covers_its_item_only() {
        let list = AllowList::parse(ENTRY).unwrap();
        let other = finding("`other` has 80 lines");
        let left = list.filter(vec![finding("`table` has 90 lines"), other.clone()]);
        assert_eq!(left, [other]);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_found() {
        let left = AllowList::parse(ENTRY).unwrap().filter(Vec::new());
        assert_eq!(left[0].rule, "allow-list");
    }

    #[test]
    fn an_exception_without_a_reason_is_an_error() {
        assert!(AllowList::parse(&ENTRY.replace("a table", " ")).is_err());
    }
}

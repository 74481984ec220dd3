//! What a test needs of the machine, checked before it starts.
//!
//! A test that lacks something prints one line, `SKIPPED <test name>: needs <what>`, and returns.
//! With `LINECARD_REQUIRE_ALL=1` in the environment, as in CI, it fails instead.
//!
//! ```no_run
//! use linecard_testbed::{Need, needs};
//!
//! fn packets_come_out_of_the_tap() {
//!     if !needs(&[Need::Root, Need::Tool("tshark")]) {
//!         return;
//!     }
//! }
//! ```

use std::path::Path;

/// Something that a test cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// The effective user id 0.
    Root,
    /// A program in the search path.
    Tool(&'a str),
    /// That many free huge pages of 2 MiB.
    HugePages(u64),
    /// A guest of `cargo xtask test guest`.
    Guest,
    /// Something that only the test itself could find missing, in words. Never met.
    Unmet(&'a str),
}

/// Whether everything is there. Says so if not: the caller only has to return.
///
/// # Panics
///
/// If something is missing and `LINECARD_REQUIRE_ALL` is `1`.
#[track_caller]
pub fn needs(list: &[Need<'_>]) -> bool {
    let missing: Vec<String> = list.iter().filter_map(Need::missing).collect();
    if missing.is_empty() {
        return true;
    }
    let line = skipped(std::thread::current().name(), &missing.join(", "));
    assert!(std::env::var("LINECARD_REQUIRE_ALL").as_deref() != Ok("1"), "{line}");
    announce(&line);
    false
}

#[expect(clippy::print_stderr, reason = "the line is read by whoever runs the tests")]
fn announce(line: &str) {
    eprintln!("{line}");
}

fn skipped(test: Option<&str>, missing: &str) -> String {
    format!("SKIPPED {}: needs {missing}", test.unwrap_or("(unnamed test)"))
}

impl Need<'_> {
    /// What to call it, if it is missing.
    fn missing(&self) -> Option<String> {
        match *self {
            // SAFETY: geteuid takes no arguments and cannot fail.
            Need::Root => (unsafe { libc::geteuid() } != 0).then(|| "root".into()),
            Need::Tool(name) => (!in_path(name)).then(|| format!("the program {name}")),
            Need::HugePages(count) => {
                let free = free_huge_pages();
                (free < count).then(|| format!("{count} free huge pages of 2 MiB, has {free}"))
            }
            Need::Guest => {
                (!crate::guest::is_guest()).then(|| "a guest (cargo xtask test guest)".into())
            }
            Need::Unmet(what) => Some(what.into()),
        }
    }
}

fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| is_executable(&dir.join(name)))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path);
    meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn free_huge_pages() -> u64 {
    let file = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_missing() {
        assert_eq!(Need::Tool("sh").missing(), None);
        assert_eq!(Need::HugePages(0).missing(), None);
        assert!(needs(&[]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let tool = Need::Tool("no-such-program").missing();
        assert_eq!(tool.as_deref(), Some("the program no-such-program"));
        assert!(Need::HugePages(u64::MAX).missing().unwrap().contains("free huge pages"));
    }

    #[test]
    fn what_a_test_found_missing_itself_is_named_as_it_says() {
        assert_eq!(Need::Unmet("a second disk").missing().as_deref(), Some("a second disk"));
    }

    #[test]
    fn the_line_is_the_one_that_the_runner_counts() {
        assert_eq!(skipped(Some("a::b"), "root"), "SKIPPED a::b: needs root");
    }
}

//! What the tests in a guest say, line by line.

/// What became of the tests of one file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// A line of `init.sh` is told by this from one of the tests.
const MARK: &str = "##linecard ";

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The tests begin; seconds since the guest's kernel began.
    Ready(&'a str),
    /// The tests ended with this status.
    Exit(&'a str),
    /// A module that was to be loaded was not.
    NoModule(&'a str),
    /// Something of the tests.
    Text,
}

pub(crate) fn meaning(line: &str) -> Line<'_> {
    let Some(said) = line.strip_prefix(MARK) else { return Line::Text };
    match said.split_once(' ') {
        Some(("ready", uptime)) => Line::Ready(uptime),
        Some(("exit", status)) => Line::Exit(status),
        Some(("no", module)) => Line::NoModule(module.trim_start_matches("module ")),
        _ => Line::Text,
    }
}

/// Follows the test harness.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The test at work.
    current: Option<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Results {
    /// A line without its end: the name of a test that may take long, if it is that.
    pub(crate) fn begin(&mut self, line: &str) {
        if let Some((name, _)) = begun(line) {
            self.current = Some(name.into());
        }
    }

    /// The harness prints `test NAME ... ` first and `ok` or `FAILED` when the test is done,
    /// with all that the test printed in between.
    pub(crate) fn hear(&mut self, line: &str) {
        if line.contains("SKIPPED ") {
            self.skipped += 1;
        }
        let mut rest = line;
        if let Some((name, after)) = begun(line) {
            self.current = Some(name.into());
            rest = after;
        }
        if self.current.is_none() {
            return;
        }
        if rest.ends_with("FAILED") {
            self.failed += 1;
            self.current = None;
        } else if rest == "ok" || rest.ends_with("ok") && line.starts_with("test ") {
            self.passed += 1;
            self.current = None;
        }
    }

    /// The test that was at work when the guest ended.
    pub(crate) fn interrupted(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Of `all` tests, those that never ended have failed. The harness takes a skipped test for
    /// passed. Whatever else went wrong counts as a failure too.
    pub(crate) fn tally(&self, all: usize, complaints: usize) -> Tally {
        let passed = self.passed.saturating_sub(self.skipped);
        let failed = all.saturating_sub(self.passed);
        let failed = if failed == 0 && complaints > 0 { 1 } else { failed };
        Tally { passed, failed, skipped: self.skipped }
    }
}

/// The name of a test, and what follows it.
fn begun(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

/// Signs, on the console or from QEMU, that something broke whatever the tests say.
const SIGNS: &[&str] = &[
    "Kernel panic",
    "Oops:",
    // Of the kernel itself: its watchdog says so too when the machine is merely slow.
    "] BUG: ",
    "general protection fault",
    "Blocked re-entrant IO",
    "Unable to write to socket",
];

pub(crate) fn is_disaster(line: &str) -> bool {
    SIGNS.iter().any(|sign| line.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Results {
        let mut results = Results::default();
        lines.iter().for_each(|line| results.hear(line));
        results
    }

    #[test]
    fn what_a_test_prints_stands_between_its_name_and_its_result() {
        let results =
            heard(&["test a ... ok", "test b ... looking", "found", "ok", "test c ... FAILED"]);
        assert_eq!(results.tally(3, 0), Tally { passed: 2, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_skipped_test_has_not_passed() {
        let results = heard(&["test a ... SKIPPED a: needs luck", "ok"]);
        assert_eq!(results.tally(1, 0), Tally { passed: 0, failed: 0, skipped: 1 });
    }

    #[test]
    fn what_never_ended_has_failed_and_is_named() {
        let results = heard(&["test a ... ok", "test b ... "]);
        assert_eq!(results.interrupted(), Some("b"));
        let mut results = heard(&["test a ... ok"]);
        results.begin("test b ... ");
        assert_eq!(results.interrupted(), Some("b"));
        assert_eq!(results.tally(3, 1), Tally { passed: 1, failed: 2, skipped: 0 });
    }

    #[test]
    fn a_disaster_beside_good_results_is_a_failure() {
        assert!(is_disaster("[ 1.0] Kernel panic - not syncing"));
        assert!(is_disaster("[ 1.0] BUG: kernel NULL pointer dereference"));
        assert!(!is_disaster("[ 1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!"));
        assert_eq!(heard(&["test a ... ok"]).tally(1, 1).failed, 1);
    }

    #[test]
    fn lines_of_the_first_process_are_told_from_those_of_tests() {
        assert_eq!(meaning("##linecard ready 2.31"), Line::Ready("2.31"));
        assert_eq!(meaning("##linecard exit 101"), Line::Exit("101"));
        assert_eq!(meaning("##linecard no module x"), Line::NoModule("x"));
        assert_eq!(meaning("test a ... ok"), Line::Text);
    }
}

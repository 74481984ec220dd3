//! The doctor's commands, run: they mend what they say.

use crate::{Outcome, PROGRAM};
use linecard_testbed::programs::{Program, ProgramError};
use linecard_testbed::{Need, needs};
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SIZE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";
const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// The kernel's huge pages of 2 MiB, put back as they were on drop. There is one such pool: tests
/// that use it wait for each other.
pub(crate) struct HugePages {
    before: String,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl HugePages {
    /// Makes so many, or tells that this test cannot be run.
    pub(crate) fn at_least(count: u64) -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::fs::read_to_string(format!("{SIZE}/nr_hugepages")).ok()?;
        let pages = Self { before, _alone: alone };
        let wanted = count + read("nr_hugepages");
        let _ = std::fs::write(format!("{SIZE}/nr_hugepages"), wanted.to_string());
        needs(&[Need::Root, Need::HugePages(count)]).then_some(pages)
    }

    /// None at all, or tells that this test cannot be run: somebody may use some.
    fn none() -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::fs::read_to_string(format!("{SIZE}/nr_hugepages")).ok()?;
        let pages = Self { before, _alone: alone };
        let _ = std::fs::write(format!("{SIZE}/nr_hugepages"), "0");
        let nobody = read("nr_hugepages") == 0;
        (nobody || needs(&[Need::Unmet("huge pages that nobody uses")])).then_some(pages)
    }

    pub(crate) fn free(&self) -> u64 {
        read("free_hugepages")
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        let _ = std::fs::write(format!("{SIZE}/nr_hugepages"), self.before.trim());
    }
}

fn read(file: &str) -> u64 {
    let text = std::fs::read_to_string(format!("{SIZE}/{file}")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// What the doctor says of `what`.
fn finding(what: &str) -> Result<Value, ProgramError> {
    let output = Program::new(PROGRAM).words("doctor --json --jitter-ms 0").run()?;
    let told: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let mut findings = told["findings"].as_array().expect("findings").iter();
    Ok(findings.find(|finding| finding["what"] == what).expect("it is looked at").clone())
}

/// Runs the commands that the doctor gives.
fn mend(finding: &Value) -> Outcome {
    let commands = finding["mend"].as_array().expect("commands");
    assert!(!commands.is_empty(), "{finding}");
    for command in commands.iter().filter_map(Value::as_str) {
        Program::new("sh").arg("-c").arg(command).run()?;
    }
    Ok(())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn the_doctors_command_gives_huge_pages() -> Outcome {
    if !needs(&[Need::Root, Need::Tool("sysctl")]) {
        return Ok(());
    }
    let Some(_pages) = HugePages::none() else { return Ok(()) };
    let lacking = finding("huge pages")?;
    assert_ne!(lacking["state"], "ok", "{lacking}");
    mend(&lacking)?;
    let mended = finding("huge pages")?;
    assert_eq!(mended["state"], "ok", "{mended}");
    Ok(())
}

/// The kernel's choice, put back on drop.
struct Transparent(String);

impl Drop for Transparent {
    fn drop(&mut self) {
        let _ = std::fs::write(TRANSPARENT, &self.0);
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn the_doctors_command_gives_transparent_huge_pages() -> Outcome {
    if !needs(&[Need::Root]) {
        return Ok(());
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(choices) = std::fs::read_to_string(TRANSPARENT) else { return Ok(()) };
    let chosen = choices.split(['[', ']']).nth(1).expect("one is chosen").to_owned();
    let _restored = Transparent(chosen);
    if std::fs::write(TRANSPARENT, "never").is_err() {
        needs(&[Need::Unmet("a kernel that lets transparent huge pages be set")]);
        return Ok(());
    }
    let lacking = finding("transparent huge pages")?;
    assert_eq!(lacking["state"], "better", "{lacking}");
    mend(&lacking)?;
    assert_eq!(finding("transparent huge pages")?["state"], "ok");
    Ok(())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn as_root_nothing_is_lacking_that_ports_need() -> Outcome {
    if !needs(&[Need::Root]) {
        return Ok(());
    }
    for what in ["TAP ports", "AF_PACKET ports", "packet memory"] {
        let finding = finding(what)?;
        assert_eq!(finding["state"], "ok", "{finding}");
    }
    Ok(())
}

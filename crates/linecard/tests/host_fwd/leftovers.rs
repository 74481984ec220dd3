//! What a forwarder leaves behind, however it ends: nothing.

use crate::machine::HugePages;
use crate::{Outcome, PATIENCE, PROGRAM, forwarder};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::{Program, Running};
use linecard_testbed::{Need, needs};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// Where files of a forwarder could be left.
const PLACES: [&str; 4] = ["/dev/shm", "/dev/hugepages", "/run", "/var/run/linecard"];

fn files() -> BTreeSet<String> {
    let entries = PLACES.iter().flat_map(std::fs::read_dir).flatten().flatten();
    let names = entries.map(|entry| entry.path().display().to_string());
    names.filter(|name| name.contains("linecard") || name.starts_with("/dev/")).collect()
}

fn tap(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// A forwarder with a TAP of this name, its buffers in huge pages.
fn with_tap(name: &str) -> Result<Running, linecard_testbed::programs::ProgramError> {
    let running = forwarder(Program::new(PROGRAM), &format!("--port tap:name={name} --port null"))?;
    assert!(tap(name), "it runs without its TAP");
    Ok(running)
}

/// The kernel takes interfaces down and pages back in its own time.
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_forwarder_that_is_killed_leaves_nothing_behind() -> Outcome {
    if !needs(&[Need::Root, Need::Tool("ip")]) {
        return Ok(());
    }
    let Some(pages) = HugePages::at_least(64) else { return Ok(()) };
    let name = format!("lck{:x}", std::process::id());
    let (files_before, free_before) = (files(), pages.free());
    let running = with_tap(&name)?;
    let id = running.id();
    assert!(pages.free() < free_before, "its buffers lie in huge pages");
    // Dropping sends SIGKILL.
    drop(running);
    wait_until("its TAP is still there", || !tap(&name));
    wait_until("its huge pages are still taken", || pages.free() >= free_before);
    assert_eq!(files(), files_before);
    assert!(!Path::new("/proc").join(id.to_string()).exists());
    Ok(())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_forwarder_that_is_told_to_end_takes_its_tap_along() -> Outcome {
    if !needs(&[Need::Root, Need::Tool("ip")]) {
        return Ok(());
    }
    for (i, signal) in ["TERM", "INT"].into_iter().enumerate() {
        let name = format!("lcs{:x}{i}", std::process::id());
        let running = with_tap(&name)?;
        Program::new("kill").args(["-s", signal, &running.id().to_string()]).run()?;
        let output = running.wait(PATIENCE)?;
        assert!(output.status.success(), "after SIG{signal}: {}", output.printed());
        assert!(output.stdout.contains(" 0 leaked"), "{}", output.printed());
        wait_until("its TAP is still there", || !tap(&name));
    }
    Ok(())
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_forwarder_whose_interface_goes_away_says_so_and_ends() -> Outcome {
    if !needs(&[Need::Root, Need::Tool("ip")]) {
        return Ok(());
    }
    let (near, far) = (Netns::new("near")?, Netns::new("far")?);
    let cable = Veth::between(&near, &far)?;
    let words = format!("--port af-packet:iface={}", cable.first());
    let mut running = forwarder(near.program(PROGRAM), &words)?;
    near.mtu(cable.first(), 1400)?;
    running.wait_for("the MTU is 1400", PATIENCE)?;
    near.ip(&format!("link del {}", cable.first())).run()?;
    let output = running.wait(PATIENCE)?;
    assert!(!output.status.success(), "it ended as if all were well");
    assert!(output.printed().contains("the device is gone"), "{}", output.printed());
    assert!(output.stdout.contains(" 0 leaked"), "{}", output.printed());
    Ok(())
}

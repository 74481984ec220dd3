//! Processes that drive devices: as an unprivileged user, with little memory to lock, and killed.
//!
//! Tests called `part_…` are what such processes do: run by themselves, they do nothing.
//!
//! guest: iommu=intel, nodes=1, cpus=2, limit=120
//! guest: netdev=user,id=n0
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on
//! guest: modules=virtio_pci+virtio_net+vfio-pci, programs=ping+ip

#[expect(dead_code, reason = "each file of tests uses a part of it")]
mod probe;

use linecard_eal::device::{InterruptKind, Place};
use linecard_eal::mem::{PagePolicy, Request};
use linecard_eal::pci::{self, Address, Bound, Function, InUse, PciError, Scan};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use probe::{Sender, wait_for, wait_until};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

const NIC: &str = "0000:00:05.0";
const NOBODY: u32 = 65534;
/// Says which part a process of this program plays; without it, it plays none.
const PART: &str = "LINECARD_PART";

fn address() -> Address {
    NIC.parse().unwrap()
}

fn bind() -> Bound {
    pci::bind(address(), "vfio-pci", InUse::Force).unwrap()
}

/// This program once more, to play `part`.
fn actor(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", part, "--nocapture", "--test-threads=1"]);
    command.env(PART, part);
    command
}

fn plays(part: &str) -> bool {
    std::env::var(PART).as_deref() == Ok(part)
}

/// The group's file, given to the user for as long as this lives.
struct Lent(String);

impl Lent {
    fn new() -> Self {
        let group = Function::find(address()).unwrap().iommu_group.unwrap();
        let path = format!("/dev/vfio/{group}");
        std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        Self(path)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // It is gone if the device has another driver by now.
        let _ = std::os::unix::fs::chown(&self.0, Some(0), Some(0));
    }
}

fn ping() {
    let interface = guest::interface_of(NIC).expect("an interface");
    for words in [
        format!("address replace 10.0.2.15/24 dev {interface}"),
        format!("link set {interface} up"),
    ] {
        Program::new("ip").words(&words).run().unwrap();
    }
    Program::new("ping").words("-c 2 -i 0.2 -W 10 10.0.2.2").run().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_plain_user_with_the_groups_file_does_everything_but_bind() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let bound = bind();
    let lent = Lent::new();
    let played = actor("part_of_a_plain_user").uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(played.success(), "{played}");
    drop(lent);
    bound.restore().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn part_of_a_plain_user() {
    if !plays("part_of_a_plain_user") {
        return;
    }
    assert!(Scan::discover().network().any(|function| function.address == address()));
    let device = pci::open(address()).unwrap();
    let mut sender = Sender::open(device, PagePolicy::Small).unwrap();
    let vectors = sender.enable(InterruptKind::MsiX, 3);
    sender.start();
    sender.send();
    wait_for(&vectors[2]);
    let segment = Request::new(1 << 20).pages(PagePolicy::Huge).map().unwrap();
    // SAFETY: the device reads it, and nobody writes it; the mapping goes before the segment.
    let mapping = unsafe { sender.device.dma().map(&segment, Place::Private) }.unwrap();
    sender.send_from(mapping.contiguous(0, 72).unwrap());
    sender.wait_until_done();
    drop(mapping);
    drop(sender);
    let error = pci::bind(address(), "virtio-pci", InUse::Refuse).unwrap_err();
    assert!(matches!(error, PciError::BindDenied { .. }), "{error}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_plain_user_without_the_groups_file_is_told_which_file() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let bound = bind();
    let played = actor("part_of_a_stranger").uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(played.success(), "{played}");
    bound.restore().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn part_of_a_stranger() {
    if !plays("part_of_a_stranger") {
        return;
    }
    let error = pci::open(address()).unwrap_err();
    assert!(matches!(error, PciError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("/dev/vfio/"), "{error}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_limit_of_locked_memory_that_is_too_low_is_an_error_that_says_so() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let bound = bind();
    let lent = Lent::new();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -l 64; exec \"$0\" --ignored --exact part_with_little_memory"]);
    command.arg(std::env::current_exe().unwrap()).env(PART, "part_with_little_memory");
    let played = command.uid(NOBODY).gid(NOBODY).status().unwrap();
    assert!(played.success(), "{played}");
    drop(lent);
    bound.restore().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn part_with_little_memory() {
    if !plays("part_with_little_memory") {
        return;
    }
    let device = pci::open(address()).unwrap();
    let segment = Request::new(1 << 20).pages(PagePolicy::Small).map().unwrap();
    // SAFETY: the device stands still.
    let error = unsafe { device.dma().map(&segment, Place::Native) }.unwrap_err().to_string();
    assert!(error.contains("RLIMIT_MEMLOCK is 65536 bytes"), "{error}");
}

fn spawn_owner() -> Child {
    let mut child = actor("part_of_an_owner").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("it runs")), "the owner did not start");
    child
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn an_owner_that_is_killed_leaves_the_device_rebindable_and_the_huge_pages_free() {
    if !needs(&[Need::Guest, Need::Tool("ping")]) {
        return;
    }
    let (free, all) = guest::huge_pages(0).unwrap();
    assert_eq!(free, all);
    let bound = bind();
    let mut child = spawn_owner();
    assert!(guest::huge_pages(0).unwrap().0 <= all - 2);
    let busy = pci::open(address()).unwrap_err();
    assert!(matches!(busy, PciError::Busy { .. }), "{busy}");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the huge pages", || guest::huge_pages(0).unwrap() == (all, all));
    bound.restore().unwrap();
    ping();
    let bound = pci::bind(address(), "vfio-pci", InUse::Force).unwrap();
    drop(pci::open(address()).unwrap());
    bound.restore().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn part_of_an_owner() {
    if !plays("part_of_an_owner") {
        return;
    }
    let device = pci::open(address()).unwrap();
    let mut sender = Sender::open(device, PagePolicy::Huge).unwrap();
    let _vectors = sender.enable(InterruptKind::MsiX, 3);
    sender.start();
    let segment = Request::new(1 << 21).pages(PagePolicy::Huge).map().unwrap();
    // SAFETY: the device reads it, and nobody writes it; the mapping goes before the segment.
    let mapping = unsafe { sender.device.dma().map(&segment, Place::Native) }.unwrap();
    println!("it runs");
    loop {
        sender.send_from(mapping.contiguous(0, 72).unwrap());
        sender.wait_until_done();
    }
}

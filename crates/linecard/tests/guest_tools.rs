//! `linecard ports`, `bind` and `doctor` where there are devices: judged by lspci and sysfs.
//!
//! guest: iommu=intel, modules=virtio_pci+virtio_net, carried=vfio-pci+uio_pci_generic, limit=120
//! guest: built=linecard/bin/linecard, programs=lspci+setpriv
//! guest: netdev=hubport,id=n0,hubid=0, netdev=hubport,id=n1,hubid=0, netdev=hubport,id=n2,hubid=0
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on
//! guest: device=pxb-pcie,id=pxb1,bus_nr=32,numa_node=1,bus=pcie.0
//! guest: device=pcie-root-port,id=rp1,bus=pxb1,slot=1,chassis=1
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,bus=rp1,disable-legacy=on,iommu_platform=on
//! guest: device=pcie-pci-bridge,id=br0,addr=8,bus=pxb1
//! guest: device=virtio-net-pci,id=nic2,netdev=n2,bus=br0,addr=1,iommu_platform=on,disable-legacy=on
//! guest: device=virtio-rng-pci,id=rng0,bus=br0,addr=2,iommu_platform=on,disable-legacy=on

use linecard_testbed::programs::{Output, Program};
use linecard_testbed::{Need, guest, needs};
use serde_json::Value;
use std::time::Duration;

/// Alone in its group.
const ALONE: &str = "0000:00:05.0";
/// On node 1.
const FAR: &str = "0000:21:00.0";
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

fn linecard(words: &str) -> Output {
    Program::new("linecard").words(words).within(Duration::from_secs(60)).finish().unwrap()
}

fn done(words: &str) -> String {
    let output = linecard(words);
    assert!(output.status.success(), "{words}: {}", output.printed());
    output.stdout
}

fn refused(words: &str) -> String {
    let output = linecard(words);
    assert!(!output.status.success(), "{words}: {}", output.printed());
    output.stderr
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn device(address: &str) -> Value {
    let all = json(&done("ports --json"));
    let found = all["devices"].as_array().unwrap().iter().find(|it| it["address"] == address);
    found.unwrap_or_else(|| panic!("no {address} in {all}")).clone()
}

/// The device in the group that a bridge makes common, and the other in it. The bridge is a third,
/// and has a driver too.
fn together() -> (String, String) {
    let listed = Program::new("lspci").words("-n -D").run().unwrap().stdout;
    let of = |ids: &str| {
        let mut behind =
            listed.lines().filter(|line| !line.starts_with("0000:00") && !line.starts_with(FAR));
        let line = behind.find(|line| line.contains(ids)).expect("it is there");
        line.split_whitespace().next().unwrap().to_owned()
    };
    (of("1af4:1041"), of("1af4:1044"))
}

/// What the doctor says about `what`, as the user that `prefix` makes.
fn doctor(prefix: &str, what: &str) -> Option<Value> {
    let line = format!("{prefix} linecard doctor --json --jitter-ms 0");
    let (program, words) = line.trim().split_once(' ').unwrap();
    let output = Program::new(program).words(words).within(Duration::from_secs(60)).run().unwrap();
    let all = json(&output.stdout);
    all["findings"].as_array().unwrap().iter().find(|it| it["what"] == what).cloned()
}

/// Runs the commands of a finding, as root would.
fn mend(finding: &Value) {
    for command in finding["mend"].as_array().unwrap() {
        Program::new("sh").arg("-c").arg(command.as_str().unwrap()).run().unwrap();
    }
}

fn vfio() {
    guest::load_module("vfio-pci").unwrap();
}

fn back_to_the_kernel(address: &str) {
    guest::bind(address, "virtio-pci").unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_devices_listed_are_those_that_lspci_lists() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let listed = Program::new("lspci").words("-n -D").run().unwrap().stdout;
    let judge: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // An Ethernet controller.
            (words[1] == "0200:").then(|| (words[0], words[2]))
        })
        .collect();
    let all = json(&done("ports --json"));
    let ours = all["devices"].as_array().unwrap().iter();
    let ours: Vec<(&str, &str)> =
        ours.map(|it| (it["address"].as_str().unwrap(), it["ids"].as_str().unwrap())).collect();
    assert_eq!(ours, judge);
    assert_eq!(ours.len(), 3);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_is_listed_with_its_node_its_group_and_the_way_to_use_it() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let far = device(FAR);
    assert_eq!((&far["node"], &far["drives"]), (&1.into(), &"virtio".into()), "{far}");
    let group = std::fs::read_link(format!("/sys/bus/pci/devices/{FAR}/iommu_group")).unwrap();
    assert_eq!(far["group"].to_string(), group.file_name().unwrap().to_str().unwrap());
    assert_eq!(far["use"], format!("linecard bind {FAR} --driver vfio-pci"));
    assert_eq!(device(ALONE)["node"], Value::Null);
    assert!(done("ports").contains(FAR) && done("bind status").contains(FAR));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_goes_to_user_space_and_comes_back_with_its_interface() {
    if !needs(&[Need::Guest]) {
        return;
    }
    vfio();
    let interface = guest::interface_of(ALONE).expect("an interface");
    assert_eq!(
        done(&format!("bind {interface} --driver vfio-pci")),
        format!("{ALONE}: virtio-pci -> vfio-pci\n")
    );
    assert_eq!(guest::driver_of(ALONE).as_deref(), Some("vfio-pci"));
    assert_eq!(device(ALONE)["use"], format!("pci:{ALONE}"));
    assert_eq!(done(&format!("bind unbind {ALONE}")), format!("{ALONE}: vfio-pci -> virtio-pci\n"));
    assert!(guest::interface_of(ALONE).is_some());
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn an_interface_with_an_address_is_taken_only_by_force() {
    if !needs(&[Need::Guest]) {
        return;
    }
    vfio();
    let interface = guest::interface_of(ALONE).expect("an interface");
    let ip = |words: String| Program::new("ip").words(&words).run().unwrap();
    ip(format!("address add 198.51.100.1/24 dev {interface}"));
    ip(format!("link set {interface} up"));
    let said = refused(&format!("bind {ALONE} --driver vfio-pci"));
    assert!(said.contains(&interface) && said.contains("198.51.100.1"), "{said}");
    assert_eq!(guest::driver_of(ALONE).as_deref(), Some("virtio-pci"));
    done(&format!("bind {ALONE} --driver vfio-pci --force"));
    back_to_the_kernel(ALONE);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn of_several_devices_all_are_bound_or_none() {
    if !needs(&[Need::Guest]) {
        return;
    }
    vfio();
    let said = refused(&format!("bind {ALONE} 0000:77:00.0 --driver vfio-pci"));
    assert!(said.contains("0000:77:00.0") && said.contains(&format!("{ALONE} is back")), "{said}");
    assert_eq!(guest::driver_of(ALONE).as_deref(), Some("virtio-pci"));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn what_cannot_be_bound_is_told_with_its_reason() {
    if !needs(&[Need::Guest]) {
        return;
    }
    // Whatever an earlier test loaded; it is in nobody's hands.
    let _ = guest::unload_module("uio_pci_generic");
    let missing = refused(&format!("bind {ALONE} --driver uio_pci_generic"));
    assert!(missing.contains("modprobe uio_pci_generic"), "{missing}");
    assert!(refused("bind 00:1f --driver vfio-pci").contains("no dot"));
    assert!(refused("bind nic9 --driver vfio-pci").contains("nic9"));
    let nobody = format!("{NOBODY} linecard bind {ALONE} --driver vfio-pci");
    let (program, words) = nobody.split_once(' ').unwrap();
    vfio();
    let output = Program::new(program).words(words).finish().unwrap();
    assert!(output.stderr.contains("needs root"), "{}", output.printed());
    assert_eq!(guest::driver_of(ALONE).as_deref(), Some("virtio-pci"));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_doctor_has_the_module_loaded_that_is_lacking() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _ = guest::unload_module("vfio_pci");
    let _ = guest::unload_module("uio_pci_generic");
    let lacking = doctor("", "VFIO and UIO").unwrap();
    assert_eq!(lacking["state"], "lacks", "{lacking}");
    mend(&lacking);
    let mended = doctor("", "VFIO and UIO").unwrap();
    assert_eq!(mended["state"], "ok", "{mended}");
    assert_eq!(doctor("", "IOMMU").unwrap()["state"], "ok");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_doctor_names_who_else_is_in_a_group_and_has_it_moved() {
    if !needs(&[Need::Guest]) {
        return;
    }
    vfio();
    let (nic, other) = together();
    let bound = done(&format!("bind {nic} --driver vfio-pci"));
    assert!(bound.contains("not viable") && bound.contains(&other), "{bound}");
    let shared = doctor("", "IOMMU group").expect("a finding");
    assert!(shared["found"].as_str().unwrap().contains(&other), "{shared}");
    assert!(shared["found"].as_str().unwrap().contains("shpchp"), "{shared}");
    mend(&shared);
    assert_eq!(doctor("", "IOMMU group"), None);
    done(&format!("bind unbind {nic} {other}"));
    assert_eq!(guest::driver_of(&other).as_deref(), Some("virtio-pci"));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_doctor_opens_a_group_to_a_plain_user() {
    if !needs(&[Need::Guest]) {
        return;
    }
    vfio();
    done(&format!("bind {ALONE} --driver vfio-pci"));
    assert_eq!(doctor("", "VFIO permissions").unwrap()["state"], "ok");
    let closed = doctor(NOBODY, "VFIO permissions").unwrap();
    assert_eq!(closed["state"], "lacks", "{closed}");
    mend(&closed);
    let open = doctor(NOBODY, "VFIO permissions").unwrap();
    assert_eq!(open["state"], "ok", "{open}");
    back_to_the_kernel(ALONE);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_doctor_sees_cpus_and_pages_on_another_node_than_the_device() {
    if !needs(&[Need::Guest]) {
        return;
    }
    assert_eq!(doctor("", "node of CPUs"), None);
    let wrong = doctor("taskset 1", "node of CPUs").expect("a finding");
    assert!(wrong["found"].as_str().unwrap().contains("node 1"), "{wrong}");
    let pages = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages";
    let reserved = std::fs::read_to_string(pages).unwrap();
    assert_eq!(doctor("", "node of huge pages"), None);
    std::fs::write(pages, "0").unwrap();
    let none = doctor("", "node of huge pages").expect("a finding");
    mend(&none);
    assert_eq!(doctor("", "node of huge pages"), None);
    std::fs::write(pages, reserved).unwrap();
}

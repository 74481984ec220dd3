//! The guest is as declared.
//!
//! guest: nodes=2, cpus=2, memory=512, hugepages=32, iommu=intel, limit=60
//! guest: netdev=hubport,id=n0,hubid=0, netdev=hubport,id=n1,hubid=0
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on
//! guest: device=pxb-pcie,id=pxb1,bus_nr=32,numa_node=1,bus=pcie.0
//! guest: device=pcie-root-port,id=rp1,bus=pxb1,slot=1,chassis=1
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,bus=rp1,disable-legacy=on,iommu_platform=on
//! guest: modules=virtio_pci+virtio_net, carried=vfio-pci, programs=lspci+ping

use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use std::path::Path;
use std::time::{Duration, Instant};

const NEAR: &str = "0000:00:05.0";
const FAR: &str = "0000:21:00.0";
const PATIENCE: Duration = Duration::from_secs(20);

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().into()
}

fn device(address: &str, file: &str) -> String {
    format!("/sys/bus/pci/devices/{address}/{file}")
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn every_node_has_its_cpu_and_its_huge_pages() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for node in [0, 1] {
        assert_eq!(read(&format!("/sys/devices/system/node/node{node}/cpulist")), node.to_string());
        assert_eq!(guest::huge_pages(node).unwrap(), (32, 32));
    }
    assert!(guest::huge_pages(2).is_err());
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_behind_the_far_bridge_is_on_the_far_node() {
    if !needs(&[Need::Guest]) {
        return;
    }
    assert_eq!(read(&device(NEAR, "numa_node")), "-1");
    assert_eq!(read(&device(FAR, "numa_node")), "1");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_iommu_puts_every_device_into_a_group() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for address in [NEAR, FAR] {
        let group = std::fs::read_link(device(address, "iommu_group"));
        assert!(group.is_ok(), "{address}: {group:?}");
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn programs_of_this_machine_run_with_their_libraries() {
    if !needs(&[Need::Guest, Need::Tool("lspci"), Need::Tool("ping")]) {
        return;
    }
    let listed = Program::new("lspci").words("-n -s 00:05.0").run().unwrap().stdout;
    assert!(listed.contains("1af4:1041"), "{listed}");
    Program::new("ping").words("-c 1 -W 5 127.0.0.1").run().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_carried_module_is_loaded_when_it_is_asked_for_and_a_device_changes_hands() {
    if !needs(&[Need::Guest]) {
        return;
    }
    assert!(!Path::new("/sys/module/vfio_pci").exists());
    guest::load_module("vfio-pci").unwrap();
    assert_eq!(guest::driver_of(NEAR).as_deref(), Some("virtio-pci"));
    guest::bind(NEAR, "vfio-pci").unwrap();
    assert!(Path::new("/dev/vfio/vfio").exists());
    assert!(Path::new("/sys/module/vfio_iommu_type1").exists(), "what vfio wants beside it");
    guest::bind(NEAR, "virtio-pci").unwrap();
    assert!(guest::interface_of(NEAR).is_some());
    assert!(guest::load_module("no_such_module").is_err());
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_monitor_outside_pulls_and_plugs_the_cable() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let interface = guest::interface_of(FAR).expect("an interface");
    Program::new("ip").words(&format!("link set {interface} up")).run().unwrap();
    let carrier = format!("/sys/class/net/{interface}/carrier");
    guest::monitor("set_link nic1 off").unwrap();
    wait_for(&carrier, "0");
    guest::monitor("set_link nic1 on").unwrap();
    wait_for(&carrier, "1");
    let refused = guest::monitor("set_link no-such-nic off").unwrap_err().to_string();
    assert!(refused.contains("no-such-nic"), "{refused}");
}

fn wait_for(file: &str, value: &str) {
    let start = Instant::now();
    while read(file) != value {
        assert!(start.elapsed() < PATIENCE, "{file} is {}, not {value}", read(file));
        std::thread::sleep(Duration::from_millis(20));
    }
}

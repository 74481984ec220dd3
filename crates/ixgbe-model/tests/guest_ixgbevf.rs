//! A virtual function: Linux's `ixgbevf` drives it, and DPDK's testpmd the physical one; a card of Linux's
//! `ixgbe` is at the other end of the cable.
//!
//! guest: iommu=intel, nodes=1, cpus=3, memory=1024, hugepages=128, limit=300
//! guest: modules=ixgbe+8021q, carried=vfio-pci+ixgbevf, programs=dpdk-testpmd+ethtool+ip+ping+iperf3
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:physical},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:virtual},addr=6
//! guest: device=x-pci-proxy-dev,id=nic2,fd={socket:peer},addr=7
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --iommu --qtest {run}/qtest --wire cable --card {socket:physical}:5 --card {socket:peer}:7 --vf 0:{socket:virtual}:6

#[path = "guest_ixgbevf/host.rs"]
mod host;
#[path = "guest_linux/stage.rs"]
#[expect(dead_code, reason = "this file needs a part of the stage only")]
mod stage;

use linecard_testbed::programs::iperf::{self, Load};
use linecard_testbed::programs::{Program, Running, ping};
use linecard_testbed::{Need, guest, needs};
use stage::{End, Stage, eventually};
use std::sync::LazyLock;

const VIRTUAL: &str = "0000:00:06.0";
const PEER: &str = "0000:00:07.0";
/// Addresses of the function, and of its peer.
const NEAR: &str = "198.51.100.1";
const FAR: &str = "198.51.100.2";

/// testpmd and the two ends, made by whoever comes first.
fn stage() -> &'static Stage {
    static STAGE: LazyLock<(Running, Stage)> = LazyLock::new(|| {
        let host = host::start(2);
        guest::load_module("ixgbevf").unwrap();
        (host, Stage::between(VIRTUAL, PEER))
    });
    &STAGE.1
}

fn assert_pings_pass(Stage { near, far }: &Stage) {
    for (from, to) in [(near, FAR), (far, NEAR)] {
        let found = ping(&from.netns, to, 5).unwrap();
        assert!(found.is_lossless(), "to {to}: {found:?}");
    }
}

/// A file of the interface's, in sysfs.
fn says(end: &End, file: &str) -> String {
    let path = format!("/sys/class/net/{}/{file}", end.name);
    end.netns.program("cat").arg(path).run().unwrap().stdout.trim().to_owned()
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_function_has_its_address_and_its_link_from_the_physical_one() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let near = &stage().near;
    assert_eq!(guest::driver_of(VIRTUAL).as_deref(), Some("ixgbevf"));
    assert_eq!(says(near, "addr_assign_type"), "0", "its own, and not one that its driver made up");
    assert_eq!(says(near, "speed"), "10000");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn pings_and_tcp_pass_both_ways() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let stage = stage();
    assert_pings_pass(stage);
    for (from, to, address) in [(&stage.near, &stage.far, FAR), (&stage.far, &stage.near, NEAR)] {
        let server = iperf::Server::start(&to.netns).unwrap();
        // The receiver is asked when the last has been sent, and not when it has come.
        let load = Load::TcpBytes { bytes: 20_000_000 };
        let sent = iperf::send(&from.netns, address, load, 10).unwrap();
        drop(server);
        assert!(sent.bytes > 2_000_000, "{sent:?}");
        assert_eq!(to.tcp_checksum_errors(), 0);
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_vlan_passes_once_the_function_is_in_it() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    for (end, address) in [(near, "203.0.113.1/24"), (far, "203.0.113.2/24")] {
        let words = format!("link add link {} name tagged type vlan id 5", end.name);
        end.netns.ip(&words).run().unwrap();
        end.netns.address("tagged", address).unwrap();
    }
    let found = ping(&near.netns, "203.0.113.2", 10).unwrap();
    near.netns.ip("link del tagged").run().unwrap();
    // Else there would be nothing but questions for the address.
    let neighbour =
        format!("neigh replace 203.0.113.1 lladdr {} dev tagged", says(near, "address"));
    far.netns.ip(&neighbour).run().unwrap();
    let before = near.statistic("rx_packets");
    let words = "-n -q -c 50 -i 0.02 -W 1 203.0.113.1";
    let lost = far.netns.program("ping").words(words).finish().unwrap();
    let grown = near.statistic("rx_packets") - before;
    far.netns.ip("link del tagged").run().unwrap();
    assert!(found.is_lossless(), "{found:?}");
    assert!(!lost.status.success(), "VLAN 5 is filtered now");
    assert!(grown < 25, "the function has got tagged frames: {grown}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_physical_function_says_how_long_frames_are() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let stage = stage();
    let near = &stage.near;
    near.netns.mtu(&near.name, 1400).unwrap();
    near.netns.mtu(&near.name, 1500).unwrap();
    assert!(near.netns.mtu(&near.name, 9000).is_err(), "DPDK refuses it on this card");
    assert_pings_pass(stage);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn flows_are_spread_over_the_queues_of_the_pool() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    let counts = || [0, 1].map(|queue| near.statistic(&format!("rx_queue_{queue}_packets")));
    let before = counts();
    for port in 20_000..20_100 {
        far.send_datagram(port, (NEAR, 7777));
    }
    let grown = || [0, 1].map(|queue| counts()[queue] - before[queue]);
    eventually(|| grown().iter().sum::<u64>() >= 100);
    assert!(grown().iter().all(|&count| count > 20), "{:?}", grown());
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn its_driver_goes_and_comes_back() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let stage = stage();
    let near = &stage.near;
    let address = says(near, "address");
    guest::unload_module("ixgbevf").unwrap();
    guest::load_module("ixgbevf").unwrap();
    let name = guest::interface_of(VIRTUAL).unwrap();
    assert_eq!(name, near.name);
    let words = format!("link set {name} netns {}", near.netns.name());
    Program::new("ip").words(&words).run().unwrap();
    near.netns.address(&name, &format!("{NEAR}/24")).unwrap();
    near.wait_for_link();
    assert_eq!(says(near, "address"), address, "what the physical function keeps for it");
    assert_pings_pass(stage);
}

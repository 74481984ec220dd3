//! Our own driver, over VFIO with an IOMMU: `linecard fwd` carries the kernel's traffic from one
//! card to another.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=1024, hugepages=128, limit=300
//! guest: modules=ixgbe, carried=vfio-pci, programs=ethtool+ip+ping+iperf3, built=linecard/bin/linecard
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:zero},addr=5, device=x-pci-proxy-dev,id=nic1,fd={socket:one},addr=6
//! guest: device=x-pci-proxy-dev,id=nic2,fd={socket:two},addr=7, device=x-pci-proxy-dev,id=nic3,fd={socket:three},addr=8
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --iommu --qtest {run}/qtest --wire cable --card {socket:zero}:5 --card {socket:one}:6 --card {socket:two}:7 --card {socket:three}:8

#[path = "guest_fwd/forwarder.rs"]
mod forwarder;
#[path = "guest_linux/stage.rs"]
#[expect(dead_code, reason = "this file needs a part of the stage only")]
mod stage;

use forwarder::{INNER, forwarder, outer};
use linecard_testbed::programs::iperf::{self, Load};
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, guest, needs};
use stage::{Stage, eventually};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn pings_and_tcp_pass_through_our_driver() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let running = forwarder("vfio-pci", "--lcores 1");
    let Stage { near, far } = outer();
    let found = ping(&near.netns, "198.51.100.2", 20).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    let server = iperf::Server::start(&far.netns).unwrap();
    let load = Load::TcpBytes { bytes: 15_000_000 };
    let sent = iperf::send(&near.netns, "198.51.100.2", load, 10).unwrap();
    drop(server);
    assert!(sent.bytes > 2_000_000, "{sent:?}");
    assert_eq!(far.tcp_checksum_errors(), 0);
    running.interrupt(PATIENCE).unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn two_queues_share_the_flows() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let running = forwarder("vfio-pci", "--lcores (0-1)@1 --rxq 2");
    let Stage { near, far } = outer();
    let before = far.statistic("rx_packets");
    for port in 20_000..20_100 {
        near.send_datagram(port, ("198.51.100.2", 7777));
    }
    eventually(|| far.statistic("rx_packets") - before >= 100);
    let said = running.interrupt(PATIENCE).unwrap().stdout;
    let shares = [packets_of(0, &said), packets_of(1, &said)];
    assert!(shares.iter().all(|share| *share > 20), "{shares:?}: {said}");
}

/// What the last table says of an lcore.
fn packets_of(lcore: u32, said: &str) -> u64 {
    let (_, table) = said.rsplit_once("cycles/packet").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|words| words.first() == Some(&lcore.to_string().as_str()));
    rows.find_map(|words| words.get(2)?.parse().ok()).unwrap_or(0)
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_card_changes_hands_and_comes_back() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for _ in 0..2 {
        let running = forwarder("vfio-pci", "--lcores 1");
        assert!(ping(&outer().near.netns, "198.51.100.2", 3).unwrap().is_lossless());
        running.interrupt(PATIENCE).unwrap();
        for card in INNER {
            guest::bind(card, "ixgbe").unwrap();
            assert!(guest::interface_of(card).is_some());
        }
    }
}

//! DPDK's `net_ixgbe` is the judge: testpmd forwards between two modelled cards on one cable, over
//! VFIO with an IOMMU.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=1024, hugepages=128, limit=200
//! guest: carried=vfio-pci, programs=dpdk-testpmd
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --setup dpdk --iommu --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_dpdk/testpmd.rs"]
mod testpmd;

use linecard_testbed::{Need, guest, needs};
use testpmd::{CARDS, forward, steer};

fn bind() {
    guest::load_module("vfio-pci").unwrap();
    for card in CARDS {
        guest::bind(card, "vfio-pci").unwrap();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmd_forwards_between_the_cards_over_vfio() {
    if !needs(&[Need::Guest]) {
        return;
    }
    bind();
    let totals = forward("--iova-mode=va");
    assert!(totals.received > 1000 && totals.sent > 1000, "{totals:?}");
    assert_eq!(totals.dropped, 0, "{totals:?}");
}

/// Its packets have the EtherType of IPv4 at byte 12, and the ports 9 and 9 at byte 34.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmd_steers_by_two_bytes_of_the_frame() {
    if !needs(&[Need::Guest]) {
        return;
    }
    bind();
    let received = steer("--iova-mode=va", [(12, "0800"), (34, "000a")]);
    let [[other, hit], [miss, none]] = received;
    assert!(hit > 32 && miss > 32, "{received:?}");
    assert_eq!((other, none), (0, 0), "{received:?}");
}

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
use testpmd::{CARDS, forward};

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmd_forwards_between_the_cards_over_vfio() {
    if !needs(&[Need::Guest]) {
        return;
    }
    guest::load_module("vfio-pci").unwrap();
    for card in CARDS {
        guest::bind(card, "vfio-pci").unwrap();
    }
    let totals = forward("--iova-mode=va");
    assert!(totals.received > 1000 && totals.sent > 1000, "{totals:?}");
    assert_eq!(totals.dropped, 0, "{totals:?}");
}

//! DPDK's `net_ixgbe` over UIO, with physical addresses.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=1024, hugepages=128, limit=200
//! guest: carried=uio_pci_generic, programs=dpdk-testpmd
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_dpdk/testpmd.rs"]
#[expect(dead_code, reason = "this file needs a part of it only")]
mod testpmd;

use linecard_testbed::{Need, guest, needs};
use testpmd::{CARDS, forward};

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmd_forwards_between_the_cards_over_uio() {
    if !needs(&[Need::Guest]) {
        return;
    }
    guest::load_module("uio_pci_generic").unwrap();
    for card in CARDS {
        guest::bind(card, "uio_pci_generic").unwrap();
    }
    let totals = forward("--iova-mode=pa");
    assert!(totals.received > 1000 && totals.sent > 1000, "{totals:?}");
    assert_eq!(totals.dropped, 0, "{totals:?}");
}

//! Linux's own `ixgbe` is the judge of the model as an X540: its PHY is identified, and negotiates, behind
//! MDIO.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=768, hugepages=0, limit=200
//! guest: modules=ixgbe, programs=ethtool+ip+ping
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --device 1528 --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_linux/stage.rs"]
#[expect(dead_code, reason = "this file needs a part of the stage only")]
mod stage;

use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use stage::{Stage, stage};

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_driver_finds_twisted_pair_and_pings_pass() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, .. } = stage();
    let said = near.ethtool("").stdout;
    assert!(said.contains("Port: Twisted Pair") && said.contains("Speed: 10000Mb/s"), "{said}");
    let found = ping(&near.netns, "198.51.100.2", 20).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    // A new negotiation, of which the link comes back.
    near.ethtool("-r");
    near.wait_for_link();
}

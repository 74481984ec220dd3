//! Linux's own `ixgbe` is the judge of the model as an X540 and as an X550, on one cable: their PHYs are identified, and
//! negotiate, behind MDIO; the X550's EEPROM is read and its checksum found right through the firmware's mailbox. `ptp4l`
//! is the judge of their clocks and stamps.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=768, hugepages=0, limit=200
//! guest: modules=ixgbe, programs=ethtool+ip+ping+ptp4l
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --device 1528,1563 --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_linux/ptp.rs"]
mod ptp;
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
    let Stage { near, far } = stage();
    for end in [near, far] {
        let said = end.ethtool("").stdout;
        assert!(said.contains("Port: Twisted Pair") && said.contains("Speed: 10000Mb/s"), "{said}");
    }
    let found = ping(&near.netns, "198.51.100.2", 20).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    // A new negotiation, of which the link comes back.
    near.ethtool("-r");
    near.wait_for_link();
    far.wait_for_link();
}

/// An X540's word by word, an X550's through its firmware. The driver has found both checksums right, or would not have
/// probed the cards.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_eeprom_says_what_address_the_card_has() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    for end in [near, far] {
        let mac = end.netns.mac(&end.name).unwrap().map(|byte| format!("{byte:02x}")).join(" ");
        let said = end.ethtool_with("-e", "offset 0x20 length 6").stdout;
        assert!(said.contains(&mac), "{mac}: {said}");
    }
    let said = far.ethtool_with("-e", "offset 0 length 8192").stdout;
    assert_eq!(said.lines().filter(|line| line.starts_with("0x")).count(), 512, "{said}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn every_self_test_of_an_x550_passes_with_an_eeprom_that_was_written() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    for end in [near, far] {
        let said = end.write_eeprom(0x2A, 0x5A);
        assert!(said.contains("5a"), "{said}");
    }
    let said = far.ethtool_with("-t", "offline").stdout;
    assert!(said.contains("PASS"), "{said}");
    near.wait_for_link();
    far.wait_for_link();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_clock_of_an_x540_follows_that_of_an_x550_and_the_other_way_round() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    ptp::one_clock_follows_the_other(far, near);
    ptp::one_clock_follows_the_other(near, far);
}

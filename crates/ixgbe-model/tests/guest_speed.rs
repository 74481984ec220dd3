//! What a packet takes in instructions, from one card to the other: our driver and DPDK's.
//!
//! A mirror is at the end of each card's wire, and takes no time of the guest's: every look at a ring
//! finds a burst, and no instruction goes into waiting.
//!
//! `cargo xtask compare ixgbe` reads the JSON lines, and has bars for them; here all that matters is
//! that both sides can be measured.
//!
//! guest: icount=on, profile=release, iommu=none, nodes=1, cpus=1, memory=1024, hugepages=128, limit=600
//! guest: carried=uio_pci_generic, programs=dpdk-testpmd, built=linecard-pmd-ixgbe/example/forward_loop
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --qtest {run}/qtest --wire mirror --card {socket:one}:5 --card {socket:two}:6

#![expect(clippy::print_stdout, reason = "what it measures goes to standard output")]

#[path = "guest_speed/testpmd.rs"]
mod testpmd;

use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use std::time::Duration;

const CARDS: [&str; 2] = ["0000:00:05.0", "0000:00:06.0"];

/// Bursts, and whether checksums and tags are the cards' business.
const CASES: [(usize, &str); 4] = [(32, "plain"), (8, "plain"), (4, "plain"), (32, "offloads")];

fn take_cards() {
    guest::load_module("uio_pci_generic").unwrap();
    for card in CARDS {
        guest::bind(card, "uio_pci_generic").unwrap();
    }
}

fn tell((burst, offloads): (usize, &str), value: f64) {
    let with = if offloads == "plain" { "" } else { ", checksum and VLAN offloads on" };
    let case = format!("io loop burst {burst}{with}");
    // A line of its own: the harness leaves the name of the test before it.
    println!("\n{{\"case\":\"{case}\",\"unit\":\"instructions/packet\",\"value\":{value:.3}}}");
    assert!((1.0..10_000.0).contains(&value), "{case}: {value}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn our_driver_is_measured() {
    if !needs(&[Need::Guest]) {
        return;
    }
    take_cards();
    for (burst, offloads) in CASES {
        let program = Program::new("forward_loop").args([&burst.to_string(), offloads]).args(CARDS);
        let output = program.within(Duration::from_secs(300)).run().unwrap();
        println!("\n{}", output.stdout);
        let (before, _) = output.stdout.split_once(" ticks a packet").unwrap();
        let word = before.split_whitespace().last().unwrap_or_default();
        tell((burst, offloads), word.parse().unwrap());
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmd_is_measured() {
    if !needs(&[Need::Guest]) {
        return;
    }
    take_cards();
    for (burst, offloads) in CASES {
        tell((burst, offloads), testpmd::instructions_a_packet(CARDS, burst, offloads));
    }
}

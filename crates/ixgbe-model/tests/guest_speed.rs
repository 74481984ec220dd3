//! What a packet takes in instructions, from one card to the other, or one way: our driver and DPDK's.
//!
//! Two cards have a mirror at the end of their wire, two others a flood of frames. Neither takes any time of
//! the guest's: every look at a ring finds a burst, and no instruction goes into waiting.
//!
//! `cargo xtask compare ixgbe` runs the tests of `compared`, reads their JSON lines, and has bars for them; else
//! all that matters is that both sides can be measured, and one case does for that.
//!
//! guest: icount=on, profile=release, iommu=none, nodes=1, cpus=1, memory=1024, hugepages=128, limit=600
//! guest: carried=uio_pci_generic, programs=dpdk-testpmd, built=linecard-pmd-ixgbe/example/forward_loop
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! guest: device=x-pci-proxy-dev,id=nic2,fd={socket:three},addr=7
//! guest: device=x-pci-proxy-dev,id=nic3,fd={socket:four},addr=8
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --qtest {run}/qtest --wire mirror,mirror,flood,flood --card {socket:one}:5 --card {socket:two}:6 --card {socket:three}:7 --card {socket:four}:8

#![expect(clippy::print_stdout, reason = "what it measures goes to standard output")]

#[path = "guest_speed/cases.rs"]
mod cases;
#[path = "guest_speed/testpmd.rs"]
mod testpmd;

use cases::{CASES, Case};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use std::time::Duration;

/// With mirrors, and with floods.
const CARDS: [[&str; 2]; 2] = [["0000:00:05.0", "0000:00:06.0"], ["0000:00:07.0", "0000:00:08.0"]];

fn take_cards() {
    guest::load_module("uio_pci_generic").unwrap();
    for card in CARDS.as_flattened() {
        guest::bind(card, "uio_pci_generic").unwrap();
    }
}

fn cards(case: &Case) -> [&'static str; 2] {
    if case.goes_round() { CARDS[0] } else { CARDS[1] }
}

fn tell(case: &Case, value: f64) {
    let name = case.name;
    // A line of its own: the harness leaves the name of the test before it.
    println!("\n{{\"case\":\"{name}\",\"unit\":\"instructions/packet\",\"value\":{value:.3}}}");
    assert!((1.0..10_000.0).contains(&value), "{name}: {value}");
}

fn measure_our_driver(cases: &[Case]) {
    if !needs(&[Need::Guest]) {
        return;
    }
    take_cards();
    for case in cases {
        let program = Program::new("forward_loop")
            .arg(case.burst.to_string())
            .args(case.ours)
            .args(cards(case));
        let output = program.within(Duration::from_secs(300)).run().unwrap();
        println!("\n{}", output.stdout);
        let (before, _) = output.stdout.split_once(" ticks a packet").unwrap();
        let word = before.split_whitespace().last().unwrap_or_default();
        tell(case, word.parse().unwrap());
    }
}

fn measure_testpmd(cases: &[Case]) {
    if !needs(&[Need::Guest]) {
        return;
    }
    take_cards();
    for case in cases {
        tell(case, testpmd::instructions_a_packet(cards(case), case));
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn our_driver_is_measured() {
    measure_our_driver(&CASES[..1]);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmd_is_measured() {
    measure_testpmd(&CASES[..1]);
}

/// Every case, which takes minutes.
mod compared {
    use super::*;

    #[test]
    #[ignore = "cargo xtask compare ixgbe"]
    fn our_driver_is_measured() {
        measure_our_driver(&CASES);
    }

    #[test]
    #[ignore = "cargo xtask compare ixgbe"]
    fn testpmd_is_measured() {
        measure_testpmd(&CASES);
    }
}

//! Our driver on QEMU's own virtio-net devices without an IOMMU: by physical addresses, through
//! uio_pci_generic, as modern devices and by the legacy interface's ports.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=768, hugepages=128, limit=180
//! guest: netdev=hubport,id=n0,hubid=0, netdev=hubport,id=n1,hubid=0, netdev=hubport,id=n2,hubid=1, netdev=hubport,id=n3,hubid=1
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,packed=on,mac=52:54:00:00:00:05
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,addr=6,disable-legacy=on,mac=52:54:00:00:00:06
//! guest: device=virtio-net-pci,id=nic2,netdev=n2,addr=7,disable-legacy=off,disable-modern=off,mac=52:54:00:00:00:07
//! guest: device=virtio-net-pci,id=nic3,netdev=n3,addr=8,disable-legacy=on,mac=52:54:00:00:00:08
//! guest: modules=virtio_pci+virtio_net, carried=uio_pci_generic, programs=ip

#[path = "guest_pci/card.rs"]
#[expect(dead_code, reason = "each file of tests uses a part of it")]
mod card;
#[path = "guest_pci/end.rs"]
#[expect(dead_code, reason = "each file of tests uses a part of it")]
mod end;

use card::{Running, bytes, frame, open};
use end::End;
use linecard_eal::mem::IovaMode;
use linecard_mbuf::MbufPool;
use linecard_net::MacAddr;
use linecard_pmd_core::{Event, LinkState, PortConfig, Promiscuous};
use linecard_pmd_virtio::{Choice, Interface, PciOptions, RingOptions};
use linecard_testbed::{Need, guest, needs};

const MODERN: &str = "0000:00:05.0";
const MODERN_FAR: &str = "0000:00:06.0";
const TRANSITIONAL: &str = "0000:00:07.0";
const TRANSITIONAL_FAR: &str = "0000:00:08.0";

fn run(address: &str, options: PciOptions) -> Running {
    let port = open(address, "uio_pci_generic", options);
    assert_eq!(port.info().capabilities.iova, Some(IovaMode::Physical));
    let pool = MbufPool::builder("guest").size(1023).cache(0).iova(IovaMode::Physical);
    let pool = pool.build().unwrap();
    let (port, queues) = port.configure(PortConfig::new(&pool)).unwrap().start().unwrap();
    Running { port, queues, pool }
}

/// Frames of all sizes, both ways, more than a ring holds.
fn exchange(ours: &mut Running, end: &End) {
    for round in 0..60 {
        for (number, len) in [60, 64, 65, 128, 590, 1513, 1514].into_iter().enumerate() {
            let sent = frame([0xFF; 6], number as u8 ^ round, len);
            ours.send(&sent);
            assert_eq!((0..100).find_map(|_| end.receive()), Some(sent.clone()), "{len} bytes out");
            end.send(&sent);
            assert_eq!(bytes(&ours.receive()), sent, "{len} bytes in");
        }
    }
    assert_eq!((ours.port.stats().rx_errors, ours.port.stats().tx_errors), (0, 0));
}

/// The port ends, and all buffers are back.
fn end_of(ours: Running) {
    let Running { port, queues, pool } = ours;
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_modern_device_carries_frames_by_physical_address() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(MODERN_FAR);
    for packed in [Choice::Off, Choice::On] {
        let rings = RingOptions { packed, ..RingOptions::default() };
        let mut ours = run(MODERN, PciOptions::new().rings(rings));
        exchange(&mut ours, &end);
        end_of(ours);
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_transitional_device_carries_frames_by_either_interface() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(TRANSITIONAL_FAR);
    for interface in [Interface::Legacy, Interface::Modern, Interface::Legacy] {
        for mergeable in [Choice::On, Choice::Off] {
            let rings = RingOptions { mergeable, ..RingOptions::default() };
            let mut ours = run(TRANSITIONAL, PciOptions::new().interface(interface).rings(rings));
            exchange(&mut ours, &end);
            end_of(ours);
        }
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_legacy_interface_has_a_control_queue_and_link_events_by_its_line() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(TRANSITIONAL_FAR);
    let mut ours = run(TRANSITIONAL, PciOptions::new().interface(Interface::Legacy));
    let other = [2, 0, 0, 0, 0, 9];
    let (own, strange) = (frame(ours.port.mac().0, 1, 70), frame(other, 2, 70));
    end.send(&strange);
    end.send(&own);
    assert_eq!(bytes(&ours.receive()), own, "the other one was for somebody else");
    ours.port.set_promiscuous(Promiscuous::On).unwrap();
    end.send(&strange);
    assert_eq!(bytes(&ours.receive()), strange);
    ours.port.set_promiscuous(Promiscuous::Off).unwrap();
    ours.port.add_mac(MacAddr(other)).unwrap();
    end.send(&strange);
    assert_eq!(bytes(&ours.receive()), strange);
    for (word, state) in [("off", LinkState::Down), ("on", LinkState::Up)] {
        guest::monitor(&format!("set_link nic2 {word}")).unwrap();
        let Event::Link(link) = ours.event() else { panic!("the link goes {word}") };
        assert_eq!(link.state, state);
    }
    end_of(ours);
}

//! Our driver on QEMU's own virtio-net device, over VFIO and an IOMMU; the guest's kernel is at the
//! other end of the wire.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=768, hugepages=64, limit=240
//! guest: netdev=hubport,id=n0,hubid=0, netdev=hubport,id=n1,hubid=0
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on,packed=on,rss=on,hash=on,speed=25000,duplex=full,mac=52:54:00:00:00:05
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,addr=6,disable-legacy=on,iommu_platform=on,mac=52:54:00:00:00:06
//! guest: modules=virtio_pci+virtio_net, carried=vfio-pci, programs=ip

#[path = "guest_pci/card.rs"]
mod card;
#[path = "guest_pci/end.rs"]
mod end;

use card::{Running, bytes, frame, open, tagged};
use end::{Echo, End, PATIENCE};
use linecard_eal::event::{Epoll, Wake};
use linecard_mbuf::{Burst, MbufPool};
use linecard_net::MacAddr;
use linecard_net::rss::RssTypes;
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{
    AllMulticast, Event, LinkState, Opened, Port, PortConfig, Promiscuous, RssConfig, RxOffloads,
    VlanFilter,
};
use linecard_pmd_virtio::{Choice, PciOptions, RingOptions};
use linecard_testbed::{Need, guest, needs};

const OURS: &str = "0000:00:05.0";
const THEIRS: &str = "0000:00:06.0";
const OUR_MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 5];
const EVERYBODY: [u8; 6] = [0xFF; 6];

fn run(rings: RingOptions, change: impl Fn(PortConfig) -> PortConfig) -> Running {
    let port = open(OURS, "vfio-pci", PciOptions::new().rings(rings));
    let pool = MbufPool::builder("guest").size(2047).cache(0).build().unwrap();
    let config = change(PortConfig::new(&pool));
    let (port, queues) = port.configure(config).unwrap().start().unwrap();
    Running { port, queues, pool }
}

/// Both kinds of ring, each with some of the rest and without.
fn kinds() -> [RingOptions; 4] {
    use Choice::{Off, On};
    let kind = |packed, mergeable, indirect, event_index| RingOptions {
        packed,
        mergeable,
        indirect,
        event_index,
        ..RingOptions::default()
    };
    [kind(Off, On, On, Off), kind(Off, Off, Off, On), kind(On, On, On, On), kind(On, Off, Off, Off)]
}

struct GuestBed {
    rings: RingOptions,
    end: End,
    echo: Option<Echo>,
}

impl GuestBed {
    /// Takes what is under way, either way; QEMU keeps frames for a port that does not receive. All
    /// of it is before a mark.
    fn flush(&mut self) {
        let mut ours = run(self.rings, |c| c);
        let mut burst = Burst::new();
        if let Some(echo) = self.echo.take() {
            echo.end_while(|| {
                ours.queues.rx[0].receive(&mut burst);
                burst.clear();
            });
        }
        let mark = frame(EVERYBODY, 0xEE, 64);
        ours.send(&mark);
        while self.end.receive().as_ref() != Some(&mark) {}
        self.end.send(&mark);
        while bytes(&ours.receive()) != mark {}
    }
}

impl Bed for GuestBed {
    fn open(&mut self) -> Port<Opened> {
        self.flush();
        self.echo = Some(self.end.echo());
        open(OURS, "vfio-pci", PciOptions::new().rings(self.rings))
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_suite_passes_over_each_kind_of_ring() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for rings in kinds() {
        let mut bed = GuestBed { rings, end: End::of(THEIRS), echo: None };
        conformance::run(&mut bed);
        // So that the echo is not at a send that nobody takes.
        bed.flush();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_receive_queue_is_woken_by_a_message_of_its_own() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(THEIRS);
    for rings in kinds() {
        let mut ours = run(rings, |c| c);
        for number in 0..3 {
            let bell = ours.queues.rx[0].arm().expect("a vector").0.try_clone_to_owned().unwrap();
            assert_eq!(ours.queues.rx[0].receive(&mut Burst::new()), 0);
            ours.queues.rx[0].arm();
            end.send(&frame(EVERYBODY, number, 90));
            let epoll = Epoll::new().unwrap();
            epoll.add(&bell, 0).unwrap();
            let woken = epoll.wait(&mut [Wake::default()], Some(PATIENCE)).unwrap().len();
            assert_eq!(woken, 1, "no interrupt came over {}", ours.queues.rx[0].path());
            assert_eq!(bytes(&ours.receive()), frame(EVERYBODY, number, 90));
        }
    }
}

/// What of some frames comes in: those that pass before a broadcast does.
fn admitted(ours: &mut Running, end: &End, frames: &[Vec<u8>]) -> Vec<bool> {
    frames.iter().for_each(|frame| end.send(frame));
    let last = frame(EVERYBODY, 0xEE, 64);
    end.send(&last);
    let mut came = Vec::new();
    loop {
        let got = bytes(&ours.receive());
        if got == last {
            return frames.iter().map(|frame| came.contains(frame)).collect();
        }
        came.push(got);
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_device_filters_addresses_as_it_is_told() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(THEIRS);
    let (other, group) = ([2, 0, 0, 0, 0, 9], [1, 0, 0x5E, 0, 0, 9]);
    let frames = [frame(OUR_MAC, 1, 70), frame(other, 2, 70), frame(group, 3, 70)];
    for packed in [Choice::Off, Choice::On] {
        let rings = RingOptions { packed, ..RingOptions::default() };
        let mut ours = run(rings, |c| c);
        assert_eq!(ours.port.mac().0, OUR_MAC);
        assert_eq!(admitted(&mut ours, &end, &frames), [true, false, false]);
        ours.port.set_all_multicast(AllMulticast::On).unwrap();
        assert_eq!(admitted(&mut ours, &end, &frames), [true, false, true]);
        ours.port.set_all_multicast(AllMulticast::Off).unwrap();
        ours.port.add_mac(MacAddr(group)).unwrap();
        ours.port.add_mac(MacAddr(other)).unwrap();
        assert_eq!(admitted(&mut ours, &end, &frames), [true, true, true]);
        ours.port.remove_mac(MacAddr(other)).unwrap();
        assert_eq!(admitted(&mut ours, &end, &frames), [true, false, true]);
        ours.port.set_promiscuous(Promiscuous::On).unwrap();
        assert_eq!(admitted(&mut ours, &end, &frames), [true, true, true]);
        ours.port.set_promiscuous(Promiscuous::Off).unwrap();
        ours.port.set_mac(MacAddr(other)).unwrap();
        assert_eq!(admitted(&mut ours, &end, &frames), [false, true, true]);
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_device_filters_vlans_as_it_is_told() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(THEIRS);
    let mut ours = run(RingOptions::default(), |c| c.rx_offloads(RxOffloads::VLAN_FILTER));
    let frames = [tagged(5, 1), tagged(0x123, 2)];
    assert_eq!(admitted(&mut ours, &end, &frames), [false, false]);
    ours.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    assert_eq!(admitted(&mut ours, &end, &frames), [true, false]);
    ours.port.set_vlan_filter(0x123, VlanFilter::Pass).unwrap();
    ours.port.set_vlan_filter(5, VlanFilter::Drop).unwrap();
    assert_eq!(admitted(&mut ours, &end, &frames), [false, true]);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn links_that_go_and_come_and_announcements_are_events() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = run(RingOptions::default(), |c| c);
    let link = ours.port.link().unwrap();
    assert_eq!((link.state, link.speed), (LinkState::Up, Some(25_000)));
    guest::monitor("set_link nic0 off").unwrap();
    let Event::Link(link) = ours.event() else { panic!("the link is down") };
    assert_eq!(link.state, LinkState::Down);
    guest::monitor("set_link nic0 on").unwrap();
    let Event::Link(link) = ours.event() else { panic!("the link is up") };
    assert_eq!((link.state, link.speed), (LinkState::Up, Some(25_000)));
    guest::monitor("announce_self").unwrap();
    assert_eq!(ours.event(), Event::Announce);
}

/// QEMU reports no hashes over a hub, and spreads over the one queue that there is.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_device_takes_how_packets_are_to_be_spread() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = End::of(THEIRS);
    let wanted = RssTypes::IPV4_TCP | RssTypes::IPV6_UDP;
    let mut ours = run(RingOptions::default(), |c| c.rss(RssConfig::over(wanted)));
    let rss = ours.port.info().capabilities.rss.clone().expect("QEMU spreads packets");
    assert_eq!((rss.table, rss.key_bytes.first()), (128, Some(&40)));
    assert!(rss.types.contains(wanted));
    let key = Some((0..40).collect());
    ours.port.set_rss(&RssConfig { key, ..RssConfig::over(RssTypes::IPV4) }).unwrap();
    end.send(&frame(EVERYBODY, 1, 64));
    assert_eq!(bytes(&ours.receive()), frame(EVERYBODY, 1, 64));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_queue_that_is_dropped_is_reset_and_gives_its_buffers_back() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = run(RingOptions::default(), |c| c.rx_descriptors(64));
    assert_eq!(ours.pool.in_use(), 64);
    ours.queues.rx.clear();
    assert_eq!(ours.pool.in_use(), 0, "the device offers RING_RESET");
    let end = End::of(THEIRS);
    ours.send(&frame(EVERYBODY, 1, 64));
    let came = (0..100).find_map(|_| end.receive());
    assert_eq!(came, Some(frame(EVERYBODY, 1, 64)), "the other queue goes on");
}

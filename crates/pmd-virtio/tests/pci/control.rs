//! The control queue: what the device is told, and what the port can do because of it.

use crate::bed::{bench, open, options};
use crate::device::{Fault, everything};
use linecard_net::MacAddr;
use linecard_net::rss::RssTypes;
use linecard_pmd_core::{
    AllMulticast, Error, Event, Link, Promiscuous, RssConfig, RxOffloads, VlanFilter,
};
use linecard_pmd_virtio::{Choice, RingOptions};
use linecard_virtqueue::Features;

const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
const GROUP: MacAddr = MacAddr([1, 0, 0x5E, 0, 0, 7]);

/// Receive modes and empty tables of addresses: what every start says.
fn usual() -> Vec<(u8, u8, Vec<u8>)> {
    vec![(0, 0, vec![0]), (0, 1, vec![0]), (1, 0, vec![0; 8])]
}

#[test]
fn receive_modes_and_addresses_are_told_and_told_again_after_a_start() {
    let mut bench = bench(everything(), |c| c);
    assert_eq!(bench.fake.commands(), usual());
    bench.port.set_promiscuous(Promiscuous::On).unwrap();
    bench.port.set_all_multicast(AllMulticast::On).unwrap();
    bench.port.add_mac(STATION).unwrap();
    bench.port.add_mac(GROUP).unwrap();
    bench.port.set_mac(MacAddr([2, 0, 0, 0, 0, 9])).unwrap();
    let table = [[1, 0, 0, 0].as_slice(), &STATION.0, &[1, 0, 0, 0], &GROUP.0].concat();
    let said = bench.fake.commands();
    assert_eq!(said[..2], [(0, 0, vec![1]), (0, 1, vec![1])]);
    assert_eq!(said[3..], [(1, 0, table.clone()), (1, 1, vec![2, 0, 0, 0, 0, 9])]);
    assert!(bench.port.add_mac(STATION).unwrap_err().to_string().contains("already"));
    assert!(bench.port.remove_mac(MacAddr([2, 0, 0, 0, 0, 8])).is_err());

    drop(bench.queues);
    let (port, queues) = bench.port.stop().unwrap().start().unwrap();
    let again = [(0, 0, vec![1]), (0, 1, vec![1]), (1, 0, table), (1, 1, vec![2, 0, 0, 0, 0, 9])];
    assert_eq!(bench.fake.commands(), again);
    drop((port, queues));
    bench.fake.assert_clean();
}

#[test]
fn all_places_for_addresses_taken_is_an_error_with_their_number() {
    let (_fake, mut port) = open(everything(), options()).unwrap();
    let places = port.info().capabilities.extra_macs;
    (0..places).for_each(|i| port.add_mac(MacAddr([2, 1, 0, 0, 0, i as u8])).unwrap());
    let full = port.add_mac(STATION).unwrap_err().to_string();
    assert!(full.contains("all 64 places"), "{full}");
}

#[test]
fn vlans_are_filtered_only_if_that_was_configured() {
    let mut plain = bench(everything(), |c| c);
    let error = plain.port.set_vlan_filter(5, VlanFilter::Pass).unwrap_err().to_string();
    assert!(error.contains("VLAN_FILTER"), "{error}");
    plain.end();

    let mut bench = bench(everything(), |c| c.rx_offloads(RxOffloads::VLAN_FILTER));
    bench.fake.commands();
    bench.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    bench.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    bench.port.set_vlan_filter(0x123, VlanFilter::Pass).unwrap();
    bench.port.set_vlan_filter(5, VlanFilter::Drop).unwrap();
    let told = [(2, 0, vec![5, 0]), (2, 0, vec![0x23, 1]), (2, 1, vec![5, 0])];
    assert_eq!(bench.fake.commands(), told);
    bench.end();
}

#[test]
fn queue_pairs_are_asked_for_and_each_carries_frames() {
    for packed in [Choice::Off, Choice::On] {
        let rings = RingOptions { packed, ..RingOptions::default() };
        let (fake, port) = open(everything(), options().rings(rings)).unwrap();
        let pool = crate::bed::pool();
        let config = linecard_pmd_core::PortConfig::new(&pool).rx_queues(4).tx_queues(3);
        let (port, queues) = port.configure(config).unwrap().start().unwrap();
        assert_eq!(fake.commands()[0], (4, 0, vec![4, 0]));
        let mut bench = crate::bed::Bench { fake, pool, port, queues };
        for queue in 0..3 {
            let packet = crate::bed::frame(&bench.pool, queue, 90);
            assert!(bench.round(queue, packet).is_some(), "queue {queue}");
        }
        bench.end();
    }
}

#[test]
fn packets_are_spread_as_told_and_their_hash_is_reported() {
    let rss = RssConfig { table: vec![1, 0], ..RssConfig::over(RssTypes::IPV4_TCP) };
    let mut bench = bench(everything(), |c| {
        c.rx_queues(2).tx_queues(2).rss(rss.clone()).rx_offloads(RxOffloads::RSS_HASH)
    });
    let said = bench.fake.commands();
    let (class, number, data) = &said[0];
    assert_eq!((class, number, data.len()), (&4, &1, 8 + 256 + 3 + 40));
    assert_eq!(data[..12], [2, 0, 0, 0, 127, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!((said.len(), bench.fake.pairs()), (4, 2));
    let packet = crate::bed::frame(&bench.pool, 1, 80);
    let back = bench.round(0, packet).unwrap();
    assert_eq!(back.rss_hash(), Some(0xC0FF_EE11));
    drop(back);
    bench.port.set_rss(&RssConfig::over(RssTypes::IPV4)).unwrap();
    assert_eq!(bench.fake.commands()[0].2[..10], [1, 0, 0, 0, 127, 0, 0, 0, 0, 0]);
    assert_eq!(bench.port.rss(), Some(RssConfig::over(RssTypes::IPV4)));
    bench.end();
}

#[test]
fn a_hash_without_spreading_is_asked_for_on_its_own() {
    let mut bench = bench(everything(), |c| c.rx_offloads(RxOffloads::RSS_HASH));
    let said = bench.fake.commands();
    assert_eq!((said[0].0, said[0].1), (4, 2));
    assert_eq!(said[0].2[..13], [0xFF, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40]);
    let packet = crate::bed::frame(&bench.pool, 1, 80);
    assert_eq!(bench.round(0, packet).unwrap().rss_hash(), Some(0xC0FF_EE11));
    bench.end();
}

#[test]
fn without_a_control_queue_nothing_is_promised() {
    let (_fake, mut port) = open(everything().without(Features::CTRL_VQ), options()).unwrap();
    let can = port.info().capabilities.clone();
    assert_eq!((can.rss, can.extra_macs, can.rx_queues), (None, 0, 1));
    assert!(!can.rx_offloads.intersects(RxOffloads::VLAN_FILTER | RxOffloads::RSS_HASH));
    for refused in [
        port.set_promiscuous(Promiscuous::On),
        port.set_all_multicast(AllMulticast::On),
        port.add_mac(STATION),
    ] {
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    }
}

#[test]
fn a_command_that_is_refused_changes_nothing() {
    let mut bench = bench(everything(), |c| c);
    bench.fake.spoil(Fault::RefusesCommands);
    let error = bench.port.add_mac(STATION).unwrap_err().to_string();
    assert!(error.contains("refused MacTable"), "{error}");
    bench.fake.mend();
    bench.port.add_mac(STATION).unwrap();
    bench.assert_alive();
    bench.end();
}

#[test]
fn a_device_that_does_not_answer_is_given_up_in_time_and_a_restart_mends_it() {
    for (fault, word) in [(Fault::SilentControl, "did not answer"), (Fault::LyingControl, "broken")]
    {
        let mut bench = bench(everything(), |c| c);
        bench.fake.spoil(fault);
        let error = bench.port.set_promiscuous(Promiscuous::On).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        bench.fake.mend();
        let error = bench.port.set_promiscuous(Promiscuous::On).unwrap_err().to_string();
        assert!(error.contains(word), "it still has the last command: {error}");
        bench.assert_alive();
        drop(bench.queues);
        let (mut port, queues) = bench.port.stop().unwrap().start().unwrap();
        port.set_promiscuous(Promiscuous::On).unwrap();
        drop((port, queues));
        bench.fake.assert_clean();
    }
}

#[test]
fn a_port_that_cannot_be_told_does_not_start_and_leaves_nothing_behind() {
    let (fake, port) = open(everything().with(Fault::RefusesCommands), options()).unwrap();
    let pool = crate::bed::pool();
    let port = port.configure(linecard_pmd_core::PortConfig::new(&pool)).unwrap();
    let refused = port.start().unwrap_err();
    assert!(refused.to_string().contains("refused Promiscuous"), "{refused}");
    assert_eq!((pool.in_use(), fake.status()), (0, 0));
    fake.mend();
    let (_port, _queues) = refused.port.start().unwrap();
}

#[test]
fn the_link_its_speed_and_announcements_are_events() {
    for vectors in [10, 0] {
        let offer = crate::device::Offer { vectors, ..everything() };
        let mut bench = bench(offer, |c| c);
        let link = bench.port.link().unwrap();
        assert_eq!((link.is_up(), link.speed), (true, Some(25_000)));
        assert_eq!(bench.port.next_event().unwrap(), None);
        bench.fake.change(|config| config.status = 0);
        let epoll = linecard_eal::event::Epoll::new().unwrap();
        epoll.add(bench.port.events().expect("an interrupt"), 0).unwrap();
        let mut wakes = [linecard_eal::event::Wake::default()];
        let none = Some(std::time::Duration::ZERO);
        assert_eq!(epoll.wait(&mut wakes, none).unwrap().len(), 1, "it interrupts");
        assert_eq!(bench.port.next_event().unwrap(), Some(Event::Link(Link::DOWN)));
        assert_eq!(bench.port.next_event().unwrap(), None);
        assert_eq!(epoll.wait(&mut wakes, none).unwrap().len(), 0, "and was heard");
        bench.fake.change(|config| (config.status, config.speed) = (3, 10_000));
        bench.fake.commands();
        let events: Vec<_> = (0..3).filter_map(|_| bench.port.next_event().unwrap()).collect();
        let Event::Link(link) = events[0] else { panic!("{events:?}") };
        assert_eq!((link.is_up(), link.speed), (true, Some(10_000)));
        assert_eq!(events[1..], [Event::Announce]);
        assert_eq!(bench.fake.commands(), [(3, 0, vec![])]);
        bench.end();
    }
}

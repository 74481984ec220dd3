//! What the card does for the CPU, one sentence a test, on two models joined by a cable.

use crate::bed::Modelled;
use crate::ends::*;
use crate::options;
use linecard_eal::event::{Epoll, Wake};
use linecard_ixgbe_regs::registers::{CTRL_EXT, RAH, ctrl_ext};
use linecard_mbuf::{ChecksumStatus, L4Checksum, Segmentation, TxRequest};
use linecard_net::checksum::{Status, pseudo_sum, verify_ipv4, verify_l4};
use linecard_net::packet_type::{L3, L4, PacketType};
use linecard_net::rss::{RssKey, RssTypes, ToeplitzKey, rss_hash};
use linecard_net::rule::{Action, EthItem, Ipv4Item, Item, Match, PortsItem, QueueIndex, Rule};
use linecard_net::{FrameBuilder, MacAddr, parse};
use linecard_pmd_core::{
    Error, Event, LinkState, Port, PortConfig, Promiscuous, RssConfig, RxOffloads, TxOffloads,
    VlanFilter,
};
use linecard_pmd_ixgbe::IxgbePort;
use std::time::Duration;

/// The frame with what transmit is to fill in: no IPv4 checksum, the pseudo-header's sum for the
/// transport's.
fn unfinished(frame: &[u8], cut: Option<u16>) -> (Vec<u8>, TxRequest) {
    let mut bytes = frame.to_vec();
    let parsed = parse(frame);
    let layers = &parsed.outer;
    let flow = layers.flow.expect("a flow");
    let l3 = usize::from(layers.l3_offset);
    let l4 = usize::from(layers.l4_offset);
    let ipv6 = frame[12] == 0x86;
    let tcp = layers.l4 == L4::Tcp;
    if !ipv6 {
        bytes[l3 + 10..l3 + 12].fill(0);
    }
    let len = if cut.is_some() { 0 } else { frame.len() - l4 };
    let at = l4 + if tcp { 16 } else { 6 };
    bytes[at..at + 2].copy_from_slice(&pseudo_sum(&flow, len as u32).to_be_bytes());
    let request = TxRequest {
        l2_len: l3 as u8,
        l3_len: (l4 - l3) as u16,
        l4_len: if tcp { 20 } else { 8 },
        ipv6,
        ip_checksum: !ipv6,
        l4_checksum: if tcp { L4Checksum::Tcp } else { L4Checksum::Udp },
        segmentation: cut.map_or(Segmentation::None, Segmentation::Tcp),
    };
    (bytes, request)
}

fn is_right(frame: &[u8]) -> bool {
    let parsed = parse(frame);
    let sums = [verify_ipv4(frame, &parsed.outer), verify_l4(frame, &parsed.outer)];
    sums.iter().all(|status| !matches!(status, Status::Bad))
}

const CHECKSUMS: TxOffloads =
    TxOffloads::IP_CHECKSUM.union(TxOffloads::TCP_CHECKSUM).union(TxOffloads::UDP_CHECKSUM);

#[test]
fn checksums_are_filled_in() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.tx_offloads(CHECKSUMS));
    for whole in [udp(b"odd"), tcp4(&[7; 600]), tcp6(b"six")] {
        let (bytes_, request) = unfinished(&whole, None);
        let mut packet = packet(&pool, &bytes_);
        packet.request(request);
        left.send(packet);
        let got = right.receive();
        assert_eq!(got.len(), 1);
        let got = bytes(&got[0]);
        assert!(is_right(&got[..whole.len()]));
        assert_eq!(got[..whole.len()], whole);
    }
    assert_eq!(left.errors(), (0, 0));
    left.card.assert_clean();
}

#[test]
fn large_packets_are_cut_into_segments() {
    let pool = pool();
    let offloads = CHECKSUMS | TxOffloads::TCP_SEGMENTATION | TxOffloads::MULTI_SEGMENT;
    let [mut left, mut right] = ends(&pool, |config| config.tx_offloads(offloads));
    let payload: Vec<u8> = (0..20_000u32).map(|i| (i / 7) as u8).collect();
    for whole in [tcp4(&payload), tcp6(&payload)] {
        let (unfinished, request) = unfinished(&whole, Some(1400));
        let mut packet = packet(&pool, &unfinished);
        packet.request(request);
        left.send(packet);
        let got: Vec<_> = right.receive().iter().map(bytes).collect();
        assert_eq!(got.len(), payload.len().div_ceil(1400));
        assert!(got.iter().all(|segment| is_right(segment)));
        let headers = whole.len() - payload.len();
        let all: Vec<u8> = got.iter().flat_map(|segment| segment[headers..].to_vec()).collect();
        assert_eq!(all, payload);
    }
    left.card.assert_clean();
}

#[test]
fn a_packet_that_asks_for_what_was_not_configured_is_dropped_and_counted() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    let (bytes, request) = unfinished(&udp(b"odd"), None);
    let mut one = packet(&pool, &bytes);
    one.request(request);
    left.send(one);
    assert!(right.receive().is_empty());
    assert_eq!(left.errors(), (0, 1));
    left.send(packet(&pool, &udp(b"after it")));
    assert_eq!(right.receive().len(), 1);
}

#[test]
fn a_packet_from_a_pool_that_the_device_was_not_told_of_is_dropped_and_counted() {
    let (pool, other) = (pool(), pool());
    let [mut left, mut right] = ends(&pool, |config| config);
    left.send(packet(&other, &udp(b"from elsewhere")));
    assert!(right.receive().is_empty());
    assert_eq!(left.errors(), (0, 1));
    left.card.assert_clean();
    let [mut left, mut right] = ends(&pool, |config| config.tx_pools(std::slice::from_ref(&other)));
    left.send(packet(&other, &udp(b"made known")));
    assert_eq!(right.receive().len(), 1);
    left.card.assert_clean();
}

#[test]
fn received_checksums_types_and_hashes_are_told() {
    let pool = pool();
    let offloads = RxOffloads::IP_CHECKSUM
        | RxOffloads::L4_CHECKSUM
        | RxOffloads::RSS_HASH
        | RxOffloads::PACKET_TYPE;
    let types = RssTypes::IPV4_TCP | RssTypes::IPV4;
    let [mut left, mut right] =
        ends(&pool, |config| config.rx_offloads(offloads).rss(RssConfig::over(types)));
    let good = tcp4(&[1; 100]);
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    left.send(packet(&pool, &good));
    left.send(packet(&pool, &bad));
    let got = right.receive();
    let status: Vec<_> = got.iter().map(|one| (one.ip_checksum(), one.l4_checksum())).collect();
    use ChecksumStatus::{Bad, Good};
    assert_eq!(status, [(Good, Good), (Good, Bad)]);
    let kind = PacketType::from_bits(got[0].packet_type());
    assert_eq!((kind.l3(), kind.l4()), (L3::Ipv4, L4::Tcp));
    let key = ToeplitzKey::new(&RssKey::MICROSOFT);
    assert_eq!(got[0].rss_hash(), rss_hash(&parse(&good), types, &key));
}

#[test]
fn flows_spread_over_queues_as_their_hash_says() {
    let pool = pool();
    let rss = RssConfig { table: vec![0, 1, 1, 0], ..RssConfig::over(RssTypes::IPV4_UDP) };
    let [mut left, mut right] = ends(&pool, |config| {
        config.rx_queues(2).rss(rss.clone()).rx_offloads(RxOffloads::RSS_HASH)
    });
    let key = ToeplitzKey::new(&RssKey::MICROSOFT);
    for port in 1000..1064 {
        let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).udp(port, 53).to_vec();
        let frame = frame.expect("a frame");
        let hash = rss_hash(&parse(&frame), RssTypes::IPV4_UDP, &key).expect("a hash");
        left.send(packet(&pool, &frame));
        let queue = usize::from(rss.table[hash as usize % 4]);
        assert_eq!(right.receive_on(queue).len(), 1, "port {port}");
        assert!(right.receive_on(1 - queue).is_empty());
    }
}

#[test]
fn tags_are_inserted_and_stripped() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| {
        config.tx_offloads(TxOffloads::VLAN_INSERT).rx_offloads(RxOffloads::VLAN_STRIP)
    });
    let frame = udp(&[3; 40]);
    let mut tagged = packet(&pool, &frame);
    tagged.insert_vlan(0x2064);
    left.send(tagged);
    let got = right.receive();
    assert_eq!((got[0].vlan(), bytes(&got[0])), (Some(0x2064), frame));
}

#[test]
fn only_vlans_that_were_named_come_in() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_offloads(RxOffloads::VLAN_FILTER));
    right.port.set_vlan_filter(100, VlanFilter::Pass).expect("it filters");
    for vlan in [100, 101] {
        let frame = FrameBuilder::new(ALL, HERE).vlan(vlan).ipv4(FROM, TO).udp(1, 2).to_vec();
        left.send(packet(&pool, &frame.expect("a frame")));
    }
    assert_eq!(right.receive().len(), 1);
}

#[test]
fn a_vlan_filter_ends_with_the_configuration_that_asked_for_it() {
    let pool = pool();
    let [mut left, right] = ends(&pool, |config| config.rx_offloads(RxOffloads::VLAN_FILTER));
    let End { card, mut port, queues } = right;
    port.set_vlan_filter(100, VlanFilter::Pass).expect("it filters");
    drop(queues);
    let mut port = port.stop().expect("it stops");
    port.reconfigure(PortConfig::new(&pool)).expect("it can");
    let (port, queues) = port.start().expect("it starts");
    let mut right = End { card, port, queues };
    let frame = FrameBuilder::new(ALL, HERE).vlan(101).ipv4(FROM, TO).udp(1, 2).to_vec();
    left.send(packet(&pool, &frame.expect("a frame")));
    assert_eq!(right.receive().len(), 1);
}

#[test]
fn only_its_own_frames_come_in_unless_all_are_asked_for() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    let more = MacAddr([2, 0, 0, 0, 0, 0x77]);
    let own = right.port.mac();
    let mut counts = |right: &mut End| {
        [own, more, MacAddr([2, 0, 0, 0, 0, 0x78]), MacAddr([1, 0, 0x5E, 0, 0, 1]), ALL].map(|to| {
            let frame = FrameBuilder::new(to, HERE).ipv4(FROM, TO).udp(1, 2).to_vec();
            left.send(packet(&pool, &frame.expect("a frame")));
            right.receive().len()
        })
    };
    assert_eq!(counts(&mut right), [1, 0, 0, 0, 1]);
    right.port.add_mac(more).expect("it has room");
    assert_eq!(counts(&mut right), [1, 1, 0, 0, 1]);
    right.port.set_promiscuous(Promiscuous::On).expect("it can");
    assert_eq!(counts(&mut right), [1, 1, 1, 1, 1]);
    right.port.set_promiscuous(Promiscuous::Off).expect("it can");
    right.port.remove_mac(more).expect("it was added");
    assert_eq!(counts(&mut right), [1, 0, 0, 0, 1]);
}

#[test]
fn a_filter_is_left_alone_while_other_addresses_come_and_go() {
    let pool = pool();
    let [_left, mut right] = ends(&pool, |config| config);
    right.card.model().record_writes();
    let [one, other] = [0x77, 0x78].map(|last| MacAddr([2, 0, 0, 0, 0, last]));
    right.port.add_mac(one).expect("it has room");
    right.port.add_mac(other).expect("it has room");
    right.port.remove_mac(other).expect("it was added");
    let writes = right.card.model().take_journal().writes;
    let of = |at| writes.iter().filter(|write| Some(write.offset) == RAH.at(at)).count();
    assert_eq!([of(0), of(1), of(2), of(3)], [0, 2, 4, 0]);
}

#[test]
fn jumbo_frames_lie_in_several_buffers() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| {
        config.mtu(9000).rx_offloads(RxOffloads::SCATTER).tx_offloads(TxOffloads::MULTI_SEGMENT)
    });
    let frame = udp(&(0..8958u32).map(|i| (i / 3) as u8).collect::<Vec<_>>());
    left.send(packet(&pool, &frame));
    let got = right.receive();
    assert_eq!(got.len(), 1);
    assert_eq!((got[0].segment_count(), bytes(&got[0])), (5, frame));
}

#[test]
fn an_mtu_that_is_set_while_the_port_runs_is_sent_and_received() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    let marks = |end: &mut End| {
        let all = end.port.registers().expect("it is there");
        all.iter().find(|one| one.name == "FCRTH").expect("it has it").value
    };
    let before = marks(&mut left);
    for end in [&mut left, &mut right] {
        end.port.set_mtu(1900).expect("a buffer holds it");
    }
    assert!(marks(&mut left) < before, "room above for longer frames");
    let long = |pool| packet(pool, &udp(&[7; 1872]));
    left.send(long(&pool));
    assert_eq!(right.receive().first().map(bytes), Some(udp(&[7; 1872])));
    assert_eq!(left.errors(), (0, 0));
    left.port.set_mtu(1500).expect("it can");
    left.send(long(&pool));
    assert_eq!(left.errors(), (0, 1), "too long again");
    left.card.assert_clean();
}

#[test]
fn an_mtu_that_no_buffer_holds_is_refused_with_what_to_do() {
    let pool = pool();
    let card = Modelled::looped();
    let port = IxgbePort::open(Box::new(card), options()).expect("an 82599");
    let refused = Port::open(port).configure(PortConfig::new(&pool).mtu(3000));
    let text = refused.expect_err("2048 bytes do not hold it").to_string();
    assert!(text.contains("scattered receive"), "{text}");
}

#[test]
fn rules_choose_queues() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(3));
    let to = |queue| Action::Queue(QueueIndex(queue));
    let tuple = Rule::builder()
        .item(Ipv4Item { dst: Match::Exact(TO), ..Default::default() })
        .item(Item::Udp(PortsItem { dport: Match::Exact(53), ..Default::default() }))
        .action(to(1));
    let ether = Rule::builder()
        .item(EthItem { ether_type: Match::Exact(0x88B5), ..Default::default() })
        .action(to(2));
    let rules = [tuple, ether].map(|rule| rule.build().expect("a rule"));
    let ids = rules.each_ref().map(|rule| right.port.create_flow(rule).expect("it runs"));
    let dns = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).udp(5, 53).to_vec().expect("a frame");
    let test = FrameBuilder::new(ALL, HERE).ether_type(0x88B5).payload(&[0; 46]).to_vec();
    let frames = [udp(b"other"), dns, test.expect("a frame")];
    let mut where_to = |right: &mut End| {
        frames.each_ref().map(|frame| {
            left.send(packet(&pool, frame));
            (0..3).find(|queue| !right.receive_on(*queue).is_empty())
        })
    };
    assert_eq!(where_to(&mut right), [Some(0), Some(1), Some(2)]);
    assert!(right.port.create_flow(&rules[0]).is_err(), "twice");
    ids.iter().for_each(|id| right.port.destroy_flow(*id).expect("it ran"));
    assert_eq!(where_to(&mut right), [Some(0); 3]);
    assert!(right.port.destroy_flow(ids[0]).is_err(), "it runs no longer");
}

#[test]
fn what_was_set_holds_after_a_restart() {
    let pool = pool();
    let [mut left, right] = ends(&pool, |config| config.rx_queues(2));
    let End { card, mut port, queues } = right;
    port.set_promiscuous(Promiscuous::On).expect("it can");
    let rule = Rule::builder()
        .item(EthItem { ether_type: Match::Exact(0x88B5), ..Default::default() })
        .action(Action::Queue(QueueIndex(1)))
        .build();
    port.create_flow(&rule.expect("a rule")).expect("it runs");
    drop(queues);
    let (port, queues) = port.stop().expect("it stops").start().expect("it starts");
    let mut right = End { card, port, queues };
    let stranger = MacAddr([2, 0, 0, 0, 0, 0x78]);
    let frame = FrameBuilder::new(stranger, HERE).ether_type(0x88B5).payload(&[0; 46]).to_vec();
    left.send(packet(&pool, &frame.expect("a frame")));
    assert_eq!(right.receive_on(1).len(), 1);
}

#[test]
fn a_sleeper_wakes_when_a_frame_comes() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    let epoll = Epoll::new().expect("an epoll");
    epoll.add(right.queues.rx[0].arm().expect("it can be slept on").0, 1).expect("a file");
    let mut wakes = [Wake::default()];
    let woken = |wakes: &mut [Wake], millis| {
        epoll.wait(wakes, Some(Duration::from_millis(millis))).expect("a wait").len()
    };
    assert_eq!(woken(&mut wakes, 20), 0, "woken by nothing");
    left.send(packet(&pool, &udp(b"hello")));
    // Moderation: the interrupt may come a little later.
    let begin = std::time::Instant::now();
    while woken(&mut wakes, 1) == 0 && begin.elapsed() < Duration::from_secs(20) {
        right.card.tick();
    }
    assert_eq!(right.receive().len(), 1);
    right.queues.rx[0].arm();
    assert_eq!(woken(&mut wakes, 20), 0, "woken again by the same frame");
}

#[test]
fn the_link_is_told_of_when_it_changes() {
    let pool = pool();
    let card = Modelled::looped();
    let (mut port, _queues) = start(&card, PortConfig::new(&pool));
    assert_eq!(port.link().expect("a link").speed, Some(10_000));
    while port.next_event().expect("events").is_some() {}
    card.model().set_carrier(linecard_ixgbe_model::Carrier::Down);
    card.tick();
    let Some(Event::Link(link)) = port.next_event().expect("events") else { panic!("not told of") };
    assert_eq!(link.state, LinkState::Down);
    assert_eq!(port.next_event().expect("events"), None);
}

#[test]
fn a_sleeper_wakes_though_the_link_changes_while_its_interrupt_is_moderated() {
    let pool = pool();
    let options = options().interrupt_interval(Duration::from_micros(1022));
    let [mut left, mut right] = ends_with(&pool, &options, |config| config);
    let epoll = Epoll::new().expect("an epoll");
    epoll.add(right.queues.rx[0].arm().expect("it can be slept on").0, 1).expect("a file");
    let mut wakes = [Wake::default()];
    let mut wait = |end: &End| {
        let begin = std::time::Instant::now();
        let limit = Some(Duration::from_millis(1));
        while epoll.wait(&mut wakes, limit).expect("a wait").is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(20), "nobody rang");
            end.card.tick();
        }
    };
    left.send(packet(&pool, &udp(b"first")));
    wait(&right);
    assert_eq!(right.receive().len(), 1);
    right.queues.rx[0].arm();
    while right.port.next_event().expect("events").is_some() {}
    // Within the interval: its interrupt waits, unless this thread was slow, and then it has come.
    left.send(packet(&pool, &udp(b"second")));
    right.card.model().set_carrier(linecard_ixgbe_model::Carrier::OneGigabit);
    assert!(matches!(right.port.next_event(), Ok(Some(Event::Link(_)))));
    wait(&right);
    assert_eq!(right.receive().len(), 1);
}

#[test]
fn the_cards_own_counters_agree() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    for _ in 0..10 {
        left.send(packet(&pool, &udp(&[0; 100])));
    }
    assert_eq!(right.receive().len(), 10);
    assert_eq!(right.named("rx_mac_good_packets"), 10);
    assert_eq!(left.named("tx_mac_good_packets"), 10);
    assert_eq!(right.named("rx_broadcast_packets"), 10);
}

#[test]
fn frames_that_find_no_descriptor_are_missed_and_counted() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(2).rx_descriptors(64));
    for _ in 0..100 {
        left.send(packet(&pool, &udp(&[0; 100])));
        left.queues.tx[0].reclaim();
    }
    let mut got = 0;
    loop {
        match right.receive().len() {
            0 => break,
            n => got += n as u64,
        }
    }
    assert_eq!(got + right.port.stats().rx_missed, 100);
    assert!(right.port.stats().rx_missed > 0);
}

#[test]
fn what_was_missed_before_a_stop_is_counted_after_it() {
    let pool = pool();
    let [mut left, right] = ends(&pool, |config| config.rx_queues(2).rx_descriptors(64));
    for _ in 0..100 {
        left.send(packet(&pool, &udp(&[0; 100])));
        left.queues.tx[0].reclaim();
    }
    let End { port, queues, .. } = right;
    drop(queues);
    let stopped = port.stop().expect("it stops");
    assert!(stopped.stats().rx_missed > 0);
}

#[test]
fn everything_goes_home() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    left.send(packet(&pool, &udp(b"one")));
    drop(right.receive());
    let cards = [left.card.clone(), right.card.clone()];
    drop((left, right));
    assert_eq!(pool.in_use(), 0);
    cards.iter().for_each(Modelled::assert_clean);
    assert!(!cards[0].model().config().is_bus_master());
    let offset = CTRL_EXT.offset().into();
    let word = cards[0].model().read(linecard_ixgbe_model::Bar::Registers, offset, 4) as u32;
    assert!(!ctrl_ext::DRV_LOAD.is_set(word), "no driver has it any more");
    // Frames that come after the port is gone touch no memory.
    cards[0].receive(&udp(b"late"));
    cards[0].assert_clean();
}

#[test]
fn a_port_is_not_started_again_while_a_queue_lives() {
    let pool = pool();
    let card = Modelled::looped();
    let (port, queues) = start(&card, PortConfig::new(&pool));
    let port = port.stop().expect("it stops");
    let refused = port.start().expect_err("a queue lives");
    assert!(matches!(&refused.error, Error::Refused { what, .. } if what.contains("drop")));
    drop(queues);
    refused.port.start().expect("none lives");
}

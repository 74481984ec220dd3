//! What the card has besides packets, on two models that a cable joins.

use crate::bed::Modelled;
use crate::ends::*;
use linecard_ixgbe_model::Carrier;
use linecard_ixgbe_regs::registers::*;
use linecard_mbuf::{Burst, MbufPool};
use linecard_net::rss::RssTypes;
use linecard_net::rule::{Action, Ipv4Item, Item, Match, PortsItem, QueueIndex, Rule};
use linecard_net::{FrameBuilder, MacAddr};
use linecard_pmd_core::{
    Adjust, Controls, Direction, Error, Event, FlowControl, Led, LinkState, ModuleKind, Pause,
    PortConfig, RssConfig, RxOffloads, TimeSync, TxOffloads, TxRate,
};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use std::time::Duration;

fn lone(pool: &MbufPool) -> End {
    let card = Modelled::looped();
    let (port, queues) = start(&card, PortConfig::new(pool));
    End { card, port, queues }
}

/// A register of the card, as it stands.
fn register(card: &Modelled, register: &linecard_ixgbe_regs::Register, index: u32) -> u32 {
    let offset = register.at(index).expect("it is there");
    card.model().read(linecard_ixgbe_model::Bar::Registers, offset.into(), 4) as u32
}

#[test]
fn the_eeprom_is_shown_by_bytes() {
    let pool = pool();
    let mut end = lone(&pool);
    // The address of the default card stands at word 0x10.
    let mac = end.port.mac().0;
    assert_eq!(end.port.read_eeprom(0x20..0x26).expect("it is there"), mac);
    assert_eq!(end.port.read_eeprom(0x21..0x24).expect("odd"), mac[1..4]);
    assert_eq!(end.port.read_eeprom(8190..8192).expect("the end").len(), 2);
    let refused = end.port.read_eeprom(8190..8193).expect_err("beyond").to_string();
    assert!(refused.contains("8192"), "{refused}");
    end.card.assert_clean();
}

#[test]
fn the_module_is_read_with_its_diagnostics_and_missed_when_it_is_out() {
    let pool = pool();
    let mut end = lone(&pool);
    let module = end.port.module().expect("it is in");
    assert_eq!((module.kind, module.bytes.len()), (ModuleKind::Sff8472, 512));
    assert_eq!(&module.bytes[20..28], b"linecard");
    // 35 °C, in units of 1/256.
    assert_eq!(module.bytes[256 + 96..256 + 98], [35, 0]);
    end.card.model().set_module_present(false);
    let missed = end.port.module().expect_err("it is out").to_string();
    assert!(missed.contains("in the cage"), "{missed}");
    end.card.model().set_module_present(true);
    assert!(end.port.module().is_ok(), "the bus was left free");
}

#[test]
fn registers_are_shown_with_their_names_and_nothing_changes() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    left.send(packet(&pool, &udp(&[0; 100])));
    let all = right.port.registers().expect("it is there");
    let rah = all.iter().find(|one| (one.name, one.index) == ("RAH", 0)).expect("RAH(0)");
    assert_eq!((rah.offset, rah.value >> 31), (0xA204, 1));
    assert!(all.iter().all(|one| one.name != "GPRC"), "reading would clear it");
    assert!(all.len() > 2000, "{}", all.len());
    assert_eq!((right.named("rx_mac_good_packets"), right.receive().len()), (1, 1));
    right.card.assert_clean();
}

#[test]
fn the_firmware_is_told_by_its_track_id() {
    let pool = pool();
    let mut end = lone(&pool);
    assert_eq!(end.port.firmware().expect("it has one"), "0x80000001");
    end.card.model().set_eeprom_word(0x2D, 0xFFFF);
    end.card.model().set_eeprom_word(0x2E, 0xFFFF);
    assert!(end.port.firmware().expect_err("none").to_string().contains("no track id"));
}

#[test]
fn the_lamp_is_lit_and_gets_its_own_ways_back() {
    let pool = pool();
    let mut end = lone(&pool);
    let lamp = |end: &End| ledctl::LED2_MODE.of(register(&end.card, &LEDCTL, 0));
    let before = register(&end.card, &LEDCTL, 0);
    end.port.set_led(Led::On).expect("it can");
    assert_eq!(lamp(&end), 0xE);
    end.port.set_led(Led::Off).expect("it can");
    assert_eq!(lamp(&end), 0xF);
    end.port.set_led(Led::Normal).expect("it can");
    assert_eq!(register(&end.card, &LEDCTL, 0), before);
}

#[test]
fn the_other_end_is_asked_to_wait_when_receive_runs_out_of_room() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_descriptors(64));
    let ask =
        FlowControl { high: Some(20_000), low: Some(10_000), ..FlowControl::new(Pause::Both) };
    for end in [&mut left, &mut right] {
        end.port.set_flow_control(&ask).expect("it can");
        assert_eq!(end.port.flow_control().expect("it can"), ask);
    }
    let mut sent = 0;
    for _ in 0..200 {
        let mut burst = Burst::new();
        burst.push(packet(&pool, &udp(&[0; 1000]))).expect("room");
        sent += left.queues.tx[0].send(&mut burst);
        left.queues.tx[0].reclaim();
    }
    let mut got = 0;
    let begin = std::time::Instant::now();
    while got < sent && begin.elapsed() < Duration::from_secs(20) {
        got += right.receive().len();
        left.card.tick();
        right.card.tick();
    }
    assert_eq!(got, sent, "all that was sent has come");
    assert_eq!(right.port.stats().rx_missed, 0, "and nothing was missed");
    assert!(right.named("tx_xoff_packets") > 0 && left.named("rx_xoff_packets") > 0);
    left.card.assert_clean();
}

#[test]
fn a_pause_that_nobody_heeds_changes_nothing() {
    let pool = pool();
    let mut end = lone(&pool);
    let refused = FlowControl { high: Some(600_000), ..FlowControl::new(Pause::Sent) };
    let text = end.port.set_flow_control(&refused).expect_err("no such room").to_string();
    assert!(text.contains("high mark 600000"), "{text}");
    let mut pause = vec![1, 0x80, 0xC2, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 8, 0, 1, 0xFF, 0xFF];
    pause.resize(60, 0);
    end.card.receive(&pause);
    end.send(packet(&pool, &udp(&[0; 100])));
    assert_eq!(end.receive().len(), 1, "it was sent at once, and no pause frame came in");
    end.port.set_flow_control(&FlowControl::new(Pause::Heeded)).expect("it can");
    end.card.receive(&pause);
    assert_eq!(end.named("rx_xoff_packets"), 1);
}

#[test]
fn where_pauses_are_sent_a_full_queue_makes_frames_wait_instead_of_dropping_them() {
    let pool = pool();
    let config = |config: PortConfig| config.rx_queues(2).rx_descriptors(64);
    let [mut left, mut right] = ends(&pool, config);
    let mut go = |right: &mut End, n: usize| {
        (0..n).for_each(|_| left.send(packet(&pool, &udp(&[0; 100]))));
        let got: usize = (0..n).map(|_| right.receive().len()).sum();
        (got, right.port.stats().rx_missed)
    };
    let (got, missed) = go(&mut right, 100);
    assert!(got < 100 && got as u64 + missed == 100, "{got} and {missed}: others would go on");
    right.port.set_flow_control(&FlowControl::new(Pause::Sent)).expect("it can");
    assert_eq!(go(&mut right, 100), (100, missed));
    right.port.set_flow_control(&FlowControl::new(Pause::Off)).expect("it can");
    assert!(go(&mut right, 100).1 > missed);
}

#[test]
fn flow_control_is_there_again_after_a_restart() {
    let pool = pool();
    let End { card, mut port, queues } = lone(&pool);
    port.set_flow_control(&FlowControl::new(Pause::Both)).expect("it can");
    let marks = |card: &Modelled| [&FCRTH, &FCRTL, &FCCFG, &MFLCN].map(|r| register(card, r, 0));
    let before = marks(&card);
    assert!(before.iter().all(|word| *word != 0));
    drop(queues);
    let (_port, _queues) = port.stop().expect("it stops").start().expect("it starts");
    assert_eq!(marks(&card), before);
}

#[test]
fn a_queue_with_a_limit_sends_no_faster() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.tx_queues(2));
    left.port.set_tx_rate(0, TxRate::Megabits(10)).expect("it can");
    assert_eq!(
        register(&left.card, &RTTBCNRM, 0),
        4,
        "what is saved up for frames that are not jumbo"
    );
    let text = left.port.set_tx_rate(0, TxRate::Megabits(9)).expect_err("too slow").to_string();
    assert!(text.contains("10 to 10000"), "{text}");
    let text = left.port.set_tx_rate(2, TxRate::Unlimited).expect_err("no such queue").to_string();
    assert!(text.contains("transmit queue 2"), "{text}");
    let begin = std::time::Instant::now();
    for queue in [0, 1] {
        let mut burst = Burst::new();
        (0..20).for_each(|_| burst.push(packet(&pool, &udp(&[0; 1200]))).expect("room"));
        assert_eq!(left.queues.tx[queue].send(&mut burst), 20);
    }
    // The first of the limited ones, and all of the others.
    assert!(right.receive().len() >= 21);
    let mut got = 21;
    while got < 40 && begin.elapsed() < Duration::from_secs(20) {
        left.card.tick();
        got += right.receive().len();
    }
    // 1,266 bytes a frame on the wire, at 10 Mb/s: a millisecond each.
    assert!(begin.elapsed() > Duration::from_millis(19), "{:?}", begin.elapsed());
    left.port.set_tx_rate(0, TxRate::Unlimited).expect("it can");
    assert_eq!(left.card.model().rate_limit(0), 0);
}

#[test]
fn a_limit_ends_with_a_restart() {
    let pool = pool();
    let End { card, mut port, queues } = lone(&pool);
    port.set_tx_rate(0, TxRate::Megabits(10)).expect("it can");
    assert_ne!(card.model().rate_limit(0), 0);
    drop(queues);
    let (_port, _queues) = port.stop().expect("it stops").start().expect("it starts");
    assert_eq!(card.model().rate_limit(0), 0, "the card's memory of it has no reset");
}

#[test]
fn a_queue_is_stopped_and_started_while_others_run() {
    let pool = pool();
    let card = Modelled::looped();
    let rss = RssConfig { table: vec![1], ..RssConfig::over(RssTypes::IPV4_UDP) };
    let config = PortConfig::new(&pool).rx_queues(2).tx_queues(2).rss(rss);
    let (port, queues) = start(&card, config);
    let mut end = End { card, port, queues };
    let go = |end: &mut End, queue: usize| {
        let mut burst = Burst::new();
        burst.push(packet(&pool, &udp(&[0; 100]))).expect("room");
        let sent = end.queues.tx[queue].send(&mut burst);
        let got = [end.receive_on(0).len(), end.receive_on(1).len()];
        (sent, got)
    };
    assert_eq!(go(&mut end, 0), (1, [0, 1]));
    end.port.stop_queue(Direction::Receive, 1).expect("it stops");
    end.port.stop_queue(Direction::Transmit, 0).expect("it stops");
    assert_eq!(go(&mut end, 0), (0, [0, 0]), "a stopped queue takes nothing");
    assert_eq!(go(&mut end, 1), (1, [0, 0]), "and receives nothing");
    let text = end.port.start_rx_queue(1).err().expect("it lives").to_string();
    assert!(text.contains("receive queue 1 still lives"), "{text}");
    drop((end.queues.rx.remove(1), end.queues.tx.remove(0)));
    end.queues.rx.push(end.port.start_rx_queue(1).expect("it starts"));
    end.queues.tx.insert(0, end.port.start_tx_queue(0).expect("it starts"));
    assert_eq!(go(&mut end, 0), (1, [0, 1]));
    assert_eq!(end.port.stats().tx_packets, 3, "counted on");
    let End { card, port, queues } = end;
    drop(port.stop().expect("it stops"));
    drop(queues);
    assert_eq!(pool.in_use(), 0);
    card.assert_clean();
}

#[test]
fn a_queue_that_was_started_anew_is_slept_on_as_before() {
    let pool = pool();
    let mut end = lone(&pool);
    end.port.stop_queue(Direction::Receive, 0).expect("it stops");
    end.queues.rx.clear();
    end.queues.rx.push(end.port.start_rx_queue(0).expect("it starts"));
    let epoll = linecard_eal::event::Epoll::new().expect("an epoll");
    epoll.add(end.queues.rx[0].arm().expect("it can be slept on").0, 1).expect("a file");
    end.send(packet(&pool, &udp(b"hello")));
    let mut wakes = [linecard_eal::event::Wake::default()];
    let begin = std::time::Instant::now();
    let limit = Some(Duration::from_millis(1));
    while epoll.wait(&mut wakes, limit).expect("a wait").is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20), "nobody rang");
        end.card.tick();
    }
    assert_eq!(end.receive().len(), 1);
}

/// A PTP Sync message of version 2 over Ethernet.
fn sync() -> Vec<u8> {
    let mut body = vec![0x00, 0x02, 0x00, 44];
    body.resize(46, 0);
    let to = MacAddr([1, 0x1B, 0x19, 0, 0, 0]);
    FrameBuilder::new(to, HERE).ether_type(0x88F7).payload(&body).to_vec().expect("a frame")
}

#[test]
fn ptp_frames_are_stamped_by_a_clock_that_can_be_set() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.tx_offloads(TxOffloads::TIMESTAMP));
    assert!(left.port.clock().expect_err("it is off").to_string().contains("TimeSync::On"));
    for end in [&mut left, &mut right] {
        end.port.set_all_multicast(linecard_pmd_core::AllMulticast::On).expect("it can");
        end.port.set_time_sync(TimeSync::On).expect("it can");
        end.port.set_clock(Duration::from_secs(1_000_000)).expect("it can");
        assert_eq!((end.port.rx_stamp().unwrap(), end.port.tx_stamp().unwrap()), (None, None));
    }
    let mut message = packet(&pool, &sync());
    message.stamp();
    left.send(message);
    left.send(packet(&pool, &udp(&[0; 60])));
    assert_eq!(right.receive().len(), 2);
    let (sent, got) = (left.port.tx_stamp().unwrap(), right.port.rx_stamp().unwrap());
    for (stamp, end) in [(sent, &mut left), (got, &mut right)] {
        let stamp = stamp.expect("it was stamped");
        let now = end.port.clock().unwrap();
        assert!(stamp >= Duration::from_secs(1_000_000) && stamp <= now, "{stamp:?} {now:?}");
    }
    assert_eq!((left.port.tx_stamp().unwrap(), right.port.rx_stamp().unwrap()), (None, None));
    let before = left.port.clock().unwrap();
    left.port.adjust_clock(Adjust::Forward(Duration::from_secs(100))).expect("it can");
    assert!(left.port.clock().unwrap() >= before + Duration::from_secs(100));
    left.port.adjust_clock(Adjust::Back(Duration::from_secs(100))).expect("it can");
    assert!(left.port.clock().unwrap() < before + Duration::from_secs(100));
    left.card.assert_clean();
}

#[test]
fn the_clock_runs_on_through_a_restart() {
    let pool = pool();
    let End { card, mut port, queues } = lone(&pool);
    port.set_time_sync(TimeSync::On).expect("it can");
    port.set_clock(Duration::from_secs(500)).expect("it can");
    drop(queues);
    let (mut port, _queues) = port.stop().expect("it stops").start().expect("it starts");
    let now = port.clock().expect("it runs");
    assert!((500..600).contains(&now.as_secs()), "{now:?}");
    card.model().set_carrier(Carrier::OneGigabit);
    while port.next_event().expect("events").is_some() {}
    assert_eq!(timinca::INCREMENT.of(register(&card, &TIMINCA, 0)), 64 << 17, "another tick");
    assert!(port.clock().expect("it runs") >= now);
}

#[test]
fn a_clock_that_is_set_to_the_end_of_time_stays_there() {
    let pool = pool();
    let End { mut port, queues, card: _card } = lone(&pool);
    port.set_time_sync(TimeSync::On).expect("it can");
    port.set_clock(Duration::MAX).expect("it can");
    port.adjust_clock(Adjust::Forward(Duration::MAX)).expect("it can");
    drop(queues);
    let (mut port, _queues) = port.stop().expect("it stops").start().expect("it starts");
    assert_eq!(port.clock().expect("it runs"), Duration::from_nanos(u64::MAX));
}

#[test]
fn a_link_that_is_set_down_is_dark_at_the_other_end() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    while right.port.next_event().expect("events").is_some() {}
    for (state, told) in [(LinkState::Down, LinkState::Down), (LinkState::Up, LinkState::Up)] {
        left.port.set_link(state).expect("it has a laser");
        let Some(Event::Link(link)) = right.port.next_event().expect("events") else {
            panic!("not told of")
        };
        assert_eq!(link.state, told);
    }
    left.send(packet(&pool, &udp(b"light")));
    assert_eq!(right.receive().len(), 1);
}

#[test]
fn more_addresses_than_there_are_places_are_found_by_their_hash() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config);
    let group = |n: u16| MacAddr([1, 0, 0x5E, 0, (n >> 8) as u8, n as u8]);
    let station = |n: u16| MacAddr([2, 0, 0, 7, (n >> 8) as u8, n as u8]);
    (0..127).for_each(|n| right.port.add_mac(station(n)).expect("a place"));
    let hashed = [group(0x1230), station(0x4560)];
    hashed.iter().for_each(|mac| right.port.add_mac(*mac).expect("a hash"));
    assert!(right.port.add_mac(group(0x1230)).is_err(), "twice");
    let mut comes = |right: &mut End, to: MacAddr| {
        let frame = FrameBuilder::new(to, HERE).ipv4(FROM, TO).udp(1, 2).to_vec();
        left.send(packet(&pool, &frame.expect("a frame")));
        right.receive().len() == 1
    };
    assert!(hashed.iter().all(|mac| comes(&mut right, *mac)));
    assert!(comes(&mut right, station(126)) && !comes(&mut right, station(127)));
    assert!(!comes(&mut right, group(0x9990)));
    right.port.remove_mac(station(5)).expect("it was added");
    assert!(!comes(&mut right, station(5)));
    assert!(comes(&mut right, station(0x4560)), "it has a place of its own now");
    hashed.iter().for_each(|mac| right.port.remove_mac(*mac).expect("it was added"));
    assert!(!comes(&mut right, group(0x1230)));
}

#[test]
fn all_queues_that_the_card_has_without_pools_are_used() {
    let pool = MbufPool::builder("packets").size(16_383).build().expect("a pool");
    let [mut left, mut right] = ends(&pool, |config| {
        config.rx_queues(128).tx_queues(128).rx_descriptors(64).tx_descriptors(64)
    });
    let rule = |queue: u16| {
        let ports = PortsItem { dport: Match::Exact(1000 + queue), ..Default::default() };
        let ip = Ipv4Item { dst: Match::Exact(TO), ..Default::default() };
        let rule = Rule::builder().item(ip).item(Item::Udp(ports));
        rule.action(Action::Queue(QueueIndex(queue))).build().expect("a rule")
    };
    for queue in [0, 16, 63, 64, 127] {
        right.port.create_flow(&rule(queue)).expect("it runs");
        let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).udp(7, 1000 + queue).to_vec();
        let mut burst = Burst::new();
        burst.push(packet(&pool, &frame.expect("a frame"))).expect("room");
        assert_eq!(left.queues.tx[usize::from(queue)].send(&mut burst), 1);
        assert_eq!(right.receive_on(usize::from(queue)).len(), 1, "queue {queue}");
    }
    [&left, &right].iter().for_each(|end| end.card.assert_clean());
    let port = IxgbePort::open(Box::new(Modelled::looped()), IxgbeOptions::new()).expect("one");
    let refused =
        linecard_pmd_core::Port::open(port).configure(PortConfig::new(&pool).tx_queues(129));
    assert!(refused.expect_err("there are no more").to_string().contains("128"));
}

#[test]
fn every_transmit_queue_sends_frames_of_all_lengths_with_classes_and_without() {
    let pool = MbufPool::builder("packets").size(8191).build().expect("a pool");
    let rss = || RssConfig { table: vec![3, 1], ..RssConfig::over(RssTypes::IPV4_UDP) };
    let mut seen = Vec::new();
    for queues in [64, 65, 128] {
        let [mut left, mut right] = ends(&pool, |config| {
            let config = config.rx_queues(4).tx_queues(queues).rx_descriptors(64);
            let config = config.tx_descriptors(64).rss(rss()).mtu(9000);
            config.rx_offloads(RxOffloads::SCATTER).tx_offloads(TxOffloads::MULTI_SEGMENT)
        });
        let mut destinations = Vec::new();
        for queue in 0..queues {
            let port = 1000 + queue as u16;
            let payload = vec![queue as u8; if queue % 8 == 0 { 8000 } else { 40 }];
            // Tagged, by priorities that would be of other classes.
            let tagged = FrameBuilder::new(ALL, HERE).vlan((queue as u16 & 7) << 13 | 5);
            let frame = tagged.ipv4(FROM, TO).udp(7, port).payload(&payload).to_vec();
            let frame = frame.expect("a frame");
            let mut burst = Burst::new();
            burst.push(packet(&pool, &frame)).expect("room");
            assert_eq!(left.queues.tx[queue].send(&mut burst), 1);
            let to = (0..4).find_map(|rx| right.receive_on(rx).pop().map(|got| (rx, got)));
            let (rx, got) = to.expect("it comes");
            assert_eq!(got.len(), frame.len(), "queue {queue} of {queues}");
            destinations.push(rx);
        }
        assert!(destinations.iter().all(|rx| [1, 3].contains(rx)), "{destinations:?}");
        seen.push(destinations);
        let mut port = left.port;
        let control = FlowControl::new(Pause::Both);
        let paused = port.set_flow_control(&control);
        assert_eq!(paused.is_ok(), queues == 64, "{paused:?}");
        [&left.card, &right.card].iter().for_each(|card| card.assert_clean());
    }
    // RSS chooses as ever.
    assert!(seen[2].starts_with(&seen[1]) && seen[1].starts_with(&seen[0]));
    assert!(seen[2].contains(&1) && seen[2].contains(&3));
}

#[test]
fn queues_are_spread_over_in_another_way_while_the_port_runs() {
    let pool = pool();
    let rss = |table| RssConfig { table, ..RssConfig::over(RssTypes::IPV4_UDP) };
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(2).rss(rss(vec![0])));
    let mut queue = |right: &mut End| {
        left.send(packet(&pool, &udp(&[0; 60])));
        (0..2).find(|queue| right.receive_on(*queue).len() == 1)
    };
    assert_eq!(queue(&mut right), Some(0));
    right.port.set_rss(&rss(vec![1])).expect("it can");
    assert_eq!((queue(&mut right), right.port.rss()), (Some(1), Some(rss(vec![1]))));
    assert!(right.port.set_rss(&rss(vec![2])).is_err(), "there are two queues");
}

#[test]
fn what_an_sfp_card_can_do_is_said_up_front() {
    let pool = pool();
    let end = lone(&pool);
    let can = &end.port.info().capabilities;
    assert_eq!(can.controls, Controls::all() - Controls::EEPROM_WRITE, "that is to be asked for");
    assert!(can.rx_offloads.contains(RxOffloads::LRO | RxOffloads::MARK));
    assert!(can.tx_offloads.contains(TxOffloads::TIMESTAMP));
    // Without moderation nothing says when merged segments have waited long enough.
    let options = IxgbeOptions::new().interrupt_interval(Duration::ZERO);
    let port = IxgbePort::open(Box::new(Modelled::looped()), options).expect("an 82599");
    let asks = PortConfig::new(&pool).rx_offloads(RxOffloads::LRO);
    let refused = linecard_pmd_core::Port::open(port).configure(asks).expect_err("no interval");
    assert!(matches!(refused.error, Error::Offloads { .. }), "{refused}");
}

#[test]
fn behind_an_outer_tag_the_inner_one_is_filtered_stripped_and_inserted() {
    let pool = pool();
    let options = IxgbeOptions::new().outer_tag(0x88A8);
    let offloads = RxOffloads::VLAN_STRIP | RxOffloads::VLAN_FILTER | RxOffloads::L4_CHECKSUM;
    let [mut left, mut right] = ends_with(&pool, &options, |config| {
        config.rx_offloads(offloads).tx_offloads(TxOffloads::VLAN_INSERT)
    });
    right.port.set_vlan_filter(100, linecard_pmd_core::VlanFilter::Pass).expect("it filters");
    let mut frame = udp(&[5; 60]);
    frame.splice(12..12, [0x88, 0xA8, 0x00, 0x07]);
    for inner in [100, 101] {
        let mut one = packet(&pool, &frame);
        one.insert_vlan(inner);
        left.send(one);
    }
    let got = right.receive();
    assert_eq!(got.len(), 1, "the other one is filtered");
    assert_eq!((got[0].vlan(), bytes(&got[0])), (Some(100), frame));
    assert_eq!(got[0].l4_checksum(), linecard_mbuf::ChecksumStatus::Good);
    right.card.assert_clean();
}

#[test]
fn an_interrupt_interval_beyond_the_cards_is_refused() {
    let open = |micros| {
        let interval = Duration::from_micros(micros);
        let options = crate::options().interrupt_interval(interval);
        IxgbePort::open(Box::new(Modelled::looped()), options)
    };
    let refused = open(1023).unwrap_err().to_string();
    assert!(refused.contains("1.022ms"), "{refused}");
    assert!(open(1022).is_ok());
}

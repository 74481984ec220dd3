//! Ports on virtual functions of the model, with a driver of the physical function in this process.

use crate::bed::Modelled;
use crate::bed::function::ModelledFunction;
use crate::bed::host::{Host, Trust};
use crate::ends::{FROM, HERE, TO, bytes, packet, pool};
use linecard_eal::event::{Epoll, Wake};
use linecard_ixgbe_model::{Carrier, Identity, Presence};
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_net::{FrameBuilder, MacAddr};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{
    AllMulticast, Direction, Event, LinkState, Opened, Port, PortConfig, Promiscuous, Queues,
    RxOffloads, Started, TxOffloads, VlanFilter,
};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort, IxgbeVfPort};
use std::time::{Duration, Instant};

/// What the host gives the function unless it is told otherwise.
const GIVEN: MacAddr = MacAddr([0x02, 0xF0, 0, 0, 0, 1]);

struct End {
    card: Modelled,
    function: ModelledFunction,
    port: Port<Started>,
    queues: Queues,
}

fn open(function: &ModelledFunction) -> Port<Opened> {
    let port = IxgbeVfPort::open(Box::new(function.clone()), crate::function_options());
    Port::open(port.expect("a virtual function"))
}

/// A function of a card whose frames come back.
fn start_with(host: Host, config: PortConfig) -> End {
    let card = Modelled::looped();
    let function = card.function(host);
    let (port, queues) =
        open(&function).configure(config).expect("it can").start().expect("it starts");
    End { card, function, port, queues }
}

fn start(config: PortConfig) -> End {
    start_with(Host::default(), config)
}

fn frame_to(destination: MacAddr, port: u16) -> Vec<u8> {
    let frame = FrameBuilder::new(destination, HERE).ipv4(FROM, TO).udp(port, 9);
    frame.payload(&[7; 40]).to_vec().expect("a frame")
}

fn tagged(destination: MacAddr, vlan: u16) -> Vec<u8> {
    let frame = FrameBuilder::new(destination, HERE).vlan(vlan).ipv4(FROM, TO).udp(7, 9);
    frame.payload(&[7; 40]).to_vec().expect("a frame")
}

impl End {
    /// How many packets come in when these frames do.
    fn count(&mut self, frames: &[Vec<u8>]) -> usize {
        frames.iter().for_each(|frame| self.card.receive(frame));
        self.receive(0).len()
    }

    fn receive(&mut self, queue: usize) -> Vec<Mbuf> {
        let mut burst = Burst::with_limit(64);
        self.queues.rx[queue].receive(&mut burst);
        burst.drain(64).collect()
    }

    fn send(&mut self, pool: &MbufPool, frame: &[u8]) {
        let mut burst = Burst::new();
        burst.push(packet(pool, frame)).expect("room");
        assert_eq!(self.queues.tx[0].send(&mut burst), 1);
    }

    fn named(&self, name: &str) -> u64 {
        let all = self.port.extended_stats();
        all.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

struct Looped(Vec<ModelledFunction>);

impl Bed for Looped {
    fn open(&mut self) -> Port<Opened> {
        let function = Modelled::looped().function(Host::default());
        self.0.push(function.clone());
        open(&function)
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }
}

#[test]
fn a_virtual_function_keeps_every_promise() {
    let mut bed = Looped(Vec::new());
    conformance::run(&mut bed);
    bed.0.iter().for_each(ModelledFunction::assert_clean);
}

#[test]
fn its_address_is_the_one_that_the_host_gives() {
    let end = start(PortConfig::new(&pool()));
    assert_eq!(end.port.info().mac, GIVEN);
    assert_eq!(end.port.info().kind, "ixgbe_vf");
}

#[test]
fn without_one_it_makes_up_an_address_and_tells_the_host() {
    let host = Host { mac: None, ..Host::default() };
    let mut end = start_with(host, PortConfig::new(&pool()));
    let mac = end.port.info().mac;
    assert!(mac.0[0] & 3 == 2, "{mac} is not locally administered");
    assert_eq!(end.count(&[frame_to(mac, 1), frame_to(GIVEN, 1)]), 1);
}

#[test]
fn frames_for_it_and_for_all_come_in_and_others_do_not() {
    let mut end = start(PortConfig::new(&pool()));
    let other = MacAddr([0x02, 0xF0, 0, 0, 0, 2]);
    let all = MacAddr([0xFF; 6]);
    assert_eq!(end.count(&[frame_to(GIVEN, 1), frame_to(other, 1), frame_to(all, 1)]), 2);
    end.function.assert_clean();
}

#[test]
fn it_changes_its_address_and_accepts_more() {
    let mut end = start(PortConfig::new(&pool()));
    let [own, more, group, other] =
        [[2, 1, 0, 0, 0, 1], [2, 1, 0, 0, 0, 2], [3, 0, 0, 0, 0xAB, 0xCD], [2, 1, 0, 0, 0, 3]]
            .map(MacAddr);
    end.port.set_mac(own).unwrap();
    end.port.add_mac(more).unwrap();
    end.port.add_mac(group).unwrap();
    let frames = [own, more, group, other, GIVEN].map(|mac| frame_to(mac, 1));
    assert_eq!(end.count(&frames), 3);
    end.port.remove_mac(more).unwrap();
    assert_eq!(end.count(&frames[..2]), 1);
    let twice = end.port.add_mac(group).unwrap_err().to_string();
    assert!(twice.contains("already"), "{twice}");
}

#[test]
fn more_addresses_than_the_host_has_room_for_are_refused() {
    let mut end = start(PortConfig::new(&pool()));
    let mac = |i| MacAddr([2, 1, 0, 0, 0, i]);
    let refused = (1..=30).find_map(|i| end.port.add_mac(mac(i)).err().map(|e| (i, e)));
    let (at, error) = refused.expect("the host has room for 8");
    assert_eq!(at, 9);
    assert!(error.to_string().contains("refuses further addresses"), "{error}");
    // Those before it are still accepted.
    assert_eq!(end.count(&[frame_to(mac(8), 1), frame_to(mac(9), 1)]), 1);
}

#[test]
fn frames_of_a_vlan_come_in_once_it_has_been_named() {
    let offloads = RxOffloads::VLAN_FILTER | RxOffloads::VLAN_STRIP;
    let mut end = start(PortConfig::new(&pool()).rx_offloads(offloads));
    let frames = [tagged(GIVEN, 5), tagged(GIVEN, 6), frame_to(GIVEN, 1)];
    assert_eq!(end.count(&frames), 1);
    end.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    frames.iter().for_each(|frame| end.card.receive(frame));
    let got = end.receive(0);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].vlan().map(|tag| tag & 0xFFF), Some(5));
    assert_eq!(bytes(&got[0]).len(), frames[0].len() - 4, "the tag is taken off");
    drop(got);
    end.port.set_vlan_filter(5, VlanFilter::Drop).unwrap();
    assert_eq!(end.count(&frames), 1);
}

#[test]
fn a_host_that_does_not_trust_it_refuses_frames_for_others() {
    let host = Host { trust: Trust::No, ..Host::default() };
    let mut end = start_with(host, PortConfig::new(&pool()));
    let refused = end.port.set_promiscuous(Promiscuous::On).unwrap_err().to_string();
    assert!(refused.contains("physical function") && refused.contains("trust on"), "{refused}");
    let group = MacAddr([3, 0, 0, 0, 0, 1]);
    assert_eq!(end.count(&[frame_to(group, 1)]), 0);
    end.card.host(|host, _| host.trust = Trust::Yes);
    end.port.set_all_multicast(AllMulticast::On).unwrap();
    assert_eq!(end.count(&[frame_to(group, 1)]), 1);
}

#[test]
fn a_larger_mtu_is_asked_for_and_a_refusal_leaves_the_old_one() {
    let config = PortConfig::new(&pool()).rx_offloads(RxOffloads::SCATTER);
    let mut end = start_with(Host { largest: 4000, ..Host::default() }, config);
    end.port.set_mtu(3000).unwrap();
    let refused = end.port.set_mtu(4000).unwrap_err().to_string();
    assert!(refused.contains("refuses frames of this size"), "{refused}");
    assert_eq!(end.port.mtu(), 3000);
    let frame = FrameBuilder::new(GIVEN, HERE).ipv4(FROM, TO).udp(7, 9).payload(&[7; 2900]);
    let frame = frame.to_vec().unwrap();
    end.card.receive(&frame);
    let got = end.receive(0);
    assert_eq!(bytes(&got[0]), frame);
}

#[test]
fn two_queues_share_what_comes_in() {
    let mut end = start(PortConfig::new(&pool()).rx_queues(2).tx_queues(2));
    (0..64).for_each(|port| end.card.receive(&frame_to(GIVEN, port)));
    let [one, other] = [end.receive(0).len(), end.receive(1).len()];
    assert_eq!(one + other, 64);
    assert!(one > 8 && other > 8, "{one} and {other}");
}

#[test]
fn one_queue_gets_all_though_the_host_spreads_over_two() {
    let mut end = start(PortConfig::new(&pool()));
    let frames: Vec<_> = (0..64).map(|port| frame_to(GIVEN, port)).collect();
    assert_eq!(end.count(&frames), 64);
}

#[test]
fn sent_frames_go_to_the_wire_and_are_counted() {
    let pool = pool();
    let mut end = start(PortConfig::new(&pool));
    for port in 0..10 {
        end.send(&pool, &frame_to(GIVEN, port));
    }
    assert_eq!(end.receive(0).len(), 10);
    assert_eq!((end.named("tx_good_packets"), end.named("rx_good_packets")), (10, 10));
    assert!(end.named("rx_good_bytes") >= 10 * 64);
    end.function.assert_clean();
}

#[test]
fn a_sleeper_is_woken_by_its_queue() {
    let end = &mut start(PortConfig::new(&pool()).rx_queues(2));
    let epoll = Epoll::new().unwrap();
    for queue in 0..2u64 {
        let bell = end.queues.rx[queue as usize].arm().expect("it can be slept on");
        epoll.add(bell.0, queue).unwrap();
    }
    let mut wakes = [Wake::default(); 2];
    let mut woken = || epoll.wait(&mut wakes, Some(Duration::from_millis(1))).unwrap().len();
    assert_eq!(woken(), 0);
    end.card.receive(&frame_to(GIVEN, 1));
    // Moderation: the interrupt may come a little later.
    let begin = Instant::now();
    while woken() == 0 && begin.elapsed() < Duration::from_secs(20) {
        end.card.tick();
    }
    assert_eq!(end.receive(0).len() + end.receive(1).len(), 1);
}

#[test]
fn a_change_of_the_link_is_told() {
    let mut end = start(PortConfig::new(&pool()));
    assert_eq!(end.port.link().unwrap().state, LinkState::Up);
    end.card.model().set_carrier(Carrier::Down);
    let event = end.port.next_event().unwrap();
    assert!(matches!(event, Some(Event::Link(link)) if link.state == LinkState::Down), "{event:?}");
    assert_eq!(end.port.next_event().unwrap(), None);
}

#[test]
fn a_reset_of_the_physical_function_is_told_once_and_a_restart_says_all_again() {
    let pool = pool();
    let offloads = RxOffloads::VLAN_FILTER;
    let mut end = start(PortConfig::new(&pool).rx_offloads(offloads));
    let (own, group) = (MacAddr([2, 1, 0, 0, 0, 1]), MacAddr([3, 0, 0, 0, 0, 9]));
    end.port.set_mac(own).unwrap();
    end.port.add_mac(group).unwrap();
    end.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    end.card.host(Host::restart);
    assert_eq!(end.port.next_event().unwrap(), Some(Event::Reset));
    assert_eq!(end.port.next_event().unwrap(), None);
    let refused = end.port.set_mac(GIVEN).unwrap_err().to_string();
    assert!(refused.contains("stop the port, and start it again"), "{refused}");
    assert_eq!(end.count(&[frame_to(own, 1)]), 0);
    drop(end.queues);
    let (port, queues) = end.port.stop().unwrap().start().unwrap();
    let mut end = End { port, queues, card: end.card, function: end.function };
    assert_eq!(end.count(&[frame_to(own, 1), frame_to(group, 1), tagged(own, 5)]), 3);
    assert_eq!(end.port.info().mac, own);
    assert_eq!(end.port.next_event().unwrap(), None);
    end.function.assert_clean();
}

#[test]
fn an_old_host_gives_one_queue_and_no_modes() {
    let host = Host { version: 0, ..Host::default() };
    let mut end = start_with(host, PortConfig::new(&pool()));
    let can = &end.port.info().capabilities;
    assert_eq!((can.rx_queues, can.tx_queues), (1, 1));
    let refused = end.port.set_promiscuous(Promiscuous::On).unwrap_err().to_string();
    assert!(refused.contains("too old"), "{refused}");
    assert_eq!(end.count(&[frame_to(GIVEN, 1)]), 1);
}

#[test]
fn a_host_that_does_not_answer_is_an_error_in_time() {
    let function = Modelled::looped().function(Host { is_mute: true, ..Host::default() });
    let error = IxgbeVfPort::open(Box::new(function), crate::function_options()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("VFMAILBOX") && error.contains("answers"), "{error}");
}

#[test]
fn a_card_that_nobody_has_set_up_is_an_error_in_time() {
    let card = Modelled::looped();
    let function = card.function(Host::default());
    card.model().reset_function();
    let error = IxgbeVfPort::open(Box::new(function), crate::function_options()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("RSTI") && error.contains("driver of the physical"), "{error}");
}

#[test]
fn what_the_host_says_on_its_own_account_is_no_answer() {
    let mut end = start(PortConfig::new(&pool()));
    let known = 0x0100 | 1 << 29;
    end.card.host(|host, device| host.say(device, 0, &[known]));
    end.port.set_mac(MacAddr([2, 1, 0, 0, 0, 1])).unwrap();
    assert_eq!(end.port.next_event().unwrap(), None);
    end.card.host(|host, device| host.say(device, 0, &[0x0100]));
    assert_eq!(end.port.next_event().unwrap(), Some(Event::Reset));
}

#[test]
fn what_the_host_has_said_is_heard_though_something_else_is_asked_next() {
    let mut end = start(PortConfig::new(&pool()));
    end.card.host(|host, device| host.say(device, 0, &[0x0100]));
    end.port.set_mac(MacAddr([2, 1, 0, 0, 0, 1])).unwrap();
    assert_eq!(end.port.next_event().unwrap(), Some(Event::Reset));
}

#[test]
fn counters_go_on_over_a_reset_of_the_physical_function() {
    let mut end = start(PortConfig::new(&pool()));
    assert_eq!(end.count(&[frame_to(GIVEN, 1), frame_to(GIVEN, 2)]), 2);
    assert_eq!(end.named("rx_good_packets"), 2);
    end.card.host(Host::restart);
    assert_eq!((end.named("rx_good_packets"), end.named("rx_good_packets")), (2, 2));
}

#[test]
fn each_driver_refuses_the_others_device() {
    let card = Modelled::looped();
    let function = card.function(Host::default());
    let error = IxgbePort::open(Box::new(function), IxgbeOptions::new()).unwrap_err().to_string();
    assert!(error.contains("8086:10ed") && error.contains("ixgbe"), "{error}");
    let error =
        IxgbeVfPort::open(Box::new(card), crate::function_options()).unwrap_err().to_string();
    assert!(error.contains("8086:10fb") && error.contains("ixgbe_vf"), "{error}");
}

#[test]
fn functions_of_all_families_are_known() {
    for device_id in [0x10FB, 0x1528, 0x1563] {
        let card = Modelled::with(Identity { device_id, ..Identity::default() });
        let function = card.function(Host::default());
        drop(open(&function));
    }
}

#[test]
fn nothing_is_reached_after_the_end() {
    let pool = pool();
    let mut end = start(PortConfig::new(&pool));
    end.send(&pool, &frame_to(GIVEN, 1));
    drop(end.port);
    (0..10).for_each(|port| end.card.receive(&frame_to(GIVEN, port)));
    let mut burst = Burst::new();
    assert_eq!(end.queues.rx[0].receive(&mut burst), 0);
    drop(end.queues);
    (0..10).for_each(|port| end.card.receive(&frame_to(GIVEN, port)));
    end.function.assert_clean();
}

#[test]
fn removal_is_told_and_ends_everything() {
    let mut end = start(PortConfig::new(&pool()));
    end.card.model().faults().presence = Presence::Removed;
    assert_eq!(end.port.next_event().unwrap(), Some(Event::Gone));
    assert!(end.port.set_mac(GIVEN).is_err());
    assert!(end.receive(0).is_empty());
}

#[test]
fn queues_are_stopped_and_started_one_by_one() {
    let pool = pool();
    let mut end = start(PortConfig::new(&pool));
    end.port.stop_queue(Direction::Receive, 0).unwrap();
    assert_eq!(end.count(&[frame_to(GIVEN, 1)]), 0);
    end.queues.rx.clear();
    end.queues.rx.push(end.port.start_rx_queue(0).unwrap());
    assert_eq!(end.count(&[frame_to(GIVEN, 2)]), 1);
    end.port.stop_queue(Direction::Transmit, 0).unwrap();
    end.queues.tx.clear();
    end.queues.tx.push(end.port.start_tx_queue(0).unwrap());
    end.send(&pool, &frame_to(GIVEN, 3));
    assert_eq!(end.receive(0).len(), 1);
    end.function.assert_clean();
}

#[test]
fn a_tag_is_inserted_into_what_it_sends() {
    let pool = pool();
    let config = PortConfig::new(&pool).rx_offloads(RxOffloads::VLAN_FILTER);
    let mut end = start_with(Host::default(), config.tx_offloads(TxOffloads::VLAN_INSERT));
    end.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    let mut frame = packet(&pool, &frame_to(GIVEN, 1));
    frame.insert_vlan(5);
    let mut burst = Burst::new();
    burst.push(frame).expect("room");
    assert_eq!(end.queues.tx[0].send(&mut burst), 1);
    let got = end.receive(0);
    assert_eq!(bytes(&got[0])[12..16], [0x81, 0, 0, 5]);
}

#[test]
fn its_registers_are_shown_and_not_changed_by_it() {
    let mut end = start(PortConfig::new(&pool()));
    let shown = end.port.registers().unwrap();
    let value = |name| shown.iter().find(|one| one.name == name).expect("it is there").value;
    assert_eq!(value("VFRDLEN"), 512 * 16);
    assert!(shown.iter().all(|one| one.name != "VTEICR" && one.name != "VFMAILBOX"));
    assert_eq!(end.port.registers().unwrap().len(), shown.len());
    assert_eq!(end.count(&[frame_to(GIVEN, 1)]), 1);
}

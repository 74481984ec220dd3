//! Decisions against a walk through all rules by `linecard-net`'s reference.

use super::{
    Decision, Error, Fate, Kept, Limits, Overlaps, Packet, RuleCount, RuleName, RuleTable, split,
};
use linecard_net::header::TcpFlags;
use linecard_net::rss::RssTypes;
use linecard_net::rule::{
    Action, ArpItem, EthItem, FragmentMatch, IcmpItem, Ipv4Item, Ipv6Item, Item, ItemFault, Match,
    PortsItem, QueueIndex, RawItem, RssAction, Rule, RuleError, TcpItem, VlanItem,
};
use linecard_net::{FrameBuilder, MacAddr};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

const MACS: (MacAddr, MacAddr) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

fn v6(last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, last.into())
}

/// Frames of several kinds: what stands in a test is a frame's number.
fn frame(kind: u8, n: u8) -> Vec<u8> {
    let start = FrameBuilder::new(MACS.0, MACS.1);
    let start = if kind & 0x80 == 0 { start } else { start.vlan(n.into()) };
    let (a, b) = (n & 3, n >> 2 & 3);
    let (sport, dport) = (u16::from(n >> 4 & 3), u16::from(n >> 6));
    let mut bytes = vec![0; 128];
    let built = match kind & 7 {
        0 | 1 => start.ipv4(v4(a), v4(b)).udp(sport, dport).frame_len(128).write_to(&mut bytes),
        2 => start
            .ipv4(v4(a), v4(b))
            .tcp(sport, dport, TcpFlags::empty())
            .frame_len(128)
            .write_to(&mut bytes),
        3 => start.ipv6(v6(a), v6(b)).udp(sport, dport).frame_len(128).write_to(&mut bytes),
        4 => start
            .ipv6(v6(a), v6(b))
            .tcp(sport, dport, TcpFlags::empty())
            .frame_len(128)
            .write_to(&mut bytes),
        5 => {
            // The second fragment of a datagram: no ports.
            let built = start.ipv4(v4(a), v4(b)).udp(sport, dport).frame_len(128);
            let built = built.write_to(&mut bytes);
            let at = if kind & 0x80 == 0 { 14 } else { 18 };
            bytes[at + 7] = 4;
            built
        }
        _ => {
            // ARP, and something unknown.
            bytes[12..14].copy_from_slice(if n & 1 == 0 { &[8, 6] } else { &[0x12, 0x34] });
            bytes[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1 + (a & 1)]);
            Ok(128)
        }
    };
    assert_eq!(built.unwrap(), 128);
    bytes
}

fn ports() -> BoxedStrategy<Match<u16>> {
    prop_oneof![
        Just(Match::Any),
        (0..4u16).prop_map(Match::Exact),
        (0..3u16, 0..3u16).prop_map(|(lo, more)| Match::Range { lo, hi: lo + more }),
        Just(Match::Mask { value: 1, mask: 1 }),
    ]
    .boxed()
}

fn address<T: Copy + std::fmt::Debug + 'static>(
    of: fn(u8) -> T,
    bits: u8,
) -> BoxedStrategy<Match<T>> {
    let of_two = move |(n, less): (u8, u8)| Match::prefix(of(n), bits - less);
    prop_oneof![
        Just(Match::Any),
        (0..4u8).prop_map(move |n| Match::Exact(of(n))),
        (0..4u8, 0..8u8).prop_map(of_two),
        (0..2u8).prop_map(move |n| Match::Range { lo: of(n), hi: of(n + 2) }),
    ]
    .boxed()
}

/// Items of the network layer, if any.
fn network() -> BoxedStrategy<Vec<Item>> {
    let fragment = prop_oneof![
        3 => Just(FragmentMatch::Any),
        1 => Just(FragmentMatch::Whole),
        1 => Just(FragmentMatch::Later),
    ];
    let of_v4 = (address(v4, 32), address(v4, 32), fragment).prop_map(|(src, dst, fragment)| {
        vec![Item::Ipv4(Ipv4Item { src, dst, fragment, ..Ipv4Item::default() })]
    });
    let of_v6 = (address(v6, 128), address(v6, 128))
        .prop_map(|(src, dst)| vec![Item::Ipv6(Ipv6Item { src, dst, ..Ipv6Item::default() })]);
    prop_oneof![
        2 => Just(vec![]),
        3 => of_v4,
        2 => of_v6,
        1 => Just(vec![Item::Arp(ArpItem { operation: Match::Exact(1), ..ArpItem::default() })]),
    ]
    .boxed()
}

fn transport() -> BoxedStrategy<Vec<Item>> {
    let udp =
        (ports(), ports()).prop_map(|(sport, dport)| vec![Item::Udp(PortsItem { sport, dport })]);
    let tcp = (ports(), ports())
        .prop_map(|(sport, dport)| vec![Item::Tcp(TcpItem { sport, dport, ..TcpItem::default() })]);
    let icmp = Just(vec![Item::Icmp(IcmpItem::default())]);
    prop_oneof![3 => Just(vec![]), 3 => udp, 2 => tcp, 1 => icmp].boxed()
}

fn link() -> BoxedStrategy<Vec<Item>> {
    let eth = Item::Eth(EthItem { src: Match::Exact(MACS.1), ..EthItem::default() });
    prop_oneof![
        4 => Just(vec![]),
        1 => Just(vec![eth]),
        1 => (0..8u16).prop_map(|id| vec![Item::Vlan(VlanItem::id(id))]),
    ]
    .boxed()
}

/// The end of an untagged frame's IPv4 source, or nothing.
fn raw() -> BoxedStrategy<Vec<Item>> {
    let word = prop_oneof![
        (0..4u16).prop_map(|n| Match::Exact(0x0200 | n)),
        Just(Match::Mask { value: 1, mask: 1 }),
    ];
    let raw = word.prop_map(|word| vec![RawItem { offset: 28, word }.into()]);
    prop_oneof![4 => Just(vec![]), 1 => raw].boxed()
}

fn fate() -> BoxedStrategy<Action> {
    let rss = RssAction { queues: vec![QueueIndex(1)], types: RssTypes::all(), key: None };
    prop_oneof![
        2 => Just(Action::Drop),
        2 => (0..9u16).prop_map(|queue| Action::Queue(QueueIndex(queue))),
        3 => Just(Action::PassThrough),
        1 => Just(Action::Rss(rss)),
        1 => (0..9u16).prop_map(Action::Port),
        2 => (1..4u32).prop_map(Action::Jump),
    ]
    .boxed()
}

fn rule() -> BoxedStrategy<Rule> {
    let mark = prop_oneof![Just(None), (0..9u32).prop_map(|n| Some(Action::Mark(n)))];
    let of = ((link(), raw(), network(), transport()), fate(), mark, 0..3u32);
    of.prop_map(|((link, raw, network, transport), fate, mark, group)| {
        let items = [link, raw, network, transport].concat();
        let actions = std::iter::once(fate).chain(mark).collect();
        Rule { pattern: linecard_net::rule::Pattern { items }, actions, priority: 0, group }
    })
    .prop_filter("it makes sense", |rule| rule.validate().is_ok())
    .boxed()
}

/// What becomes of a packet, by walking through all rules; and which of them count it.
fn reference(rules: &[(RuleName, Rule)], packet: &Packet<'_>) -> (Decision, Vec<RuleName>) {
    let (mut decision, mut counted, mut group) = (Decision::default(), Vec::new(), 0);
    'group: loop {
        let mut of_group: Vec<_> = rules.iter().filter(|(_, rule)| rule.group == group).collect();
        of_group.sort_by_key(|(_, rule)| rule.priority);
        for (name, rule) in of_group {
            if !rule.matches(&packet.parsed, packet.frame) {
                continue;
            }
            counted.push(*name);
            for action in &rule.actions {
                if let Action::Mark(mark) = action {
                    decision.mark = decision.mark.or(Some(*mark));
                }
            }
            decision.fate = match rule.fate() {
                Some(Action::Drop) => Fate::Drop,
                Some(Action::Queue(queue)) => Fate::Queue(*queue),
                Some(Action::Port(port)) => Fate::Port(*port),
                Some(Action::Rss(rss)) => Fate::Queue(rss.queues[0]),
                Some(Action::Jump(to)) => {
                    group = *to;
                    continue 'group;
                }
                _ => continue,
            };
            decision.rule = Some(*name);
            return (decision, counted);
        }
        return (decision, counted);
    }
}

fn compare(table: &RuleTable, frames: &[Vec<u8>]) {
    let rules: Vec<_> = table.iter().map(|(name, rule, _)| (name, rule.clone())).collect();
    let packets: Vec<_> = frames.iter().map(|frame| Packet::new(frame)).collect();
    let before: Vec<_> = table.iter().map(|(.., count)| count).collect();
    let mut decisions = vec![Decision::default(); packets.len()];
    table.reader().decide_all(&packets, 5, &mut decisions);
    let mut counted = Vec::new();
    for (packet, decision) in packets.iter().zip(decisions) {
        let (wanted, by) = reference(&rules, packet);
        assert_eq!(decision, wanted, "{:02x?} by {rules:#?}", packet.frame);
        counted.extend(by);
    }
    for ((name, _, count), before) in table.iter().zip(before) {
        let times = counted.iter().filter(|by| **by == name).count() as u64;
        assert_eq!(
            (count.packets, count.bytes),
            (before.packets + times, before.bytes + times * 128)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn packets_meet_the_fate_that_a_walk_through_all_rules_finds(
        rules in prop::collection::vec(rule(), 0..40),
        kinds in prop::collection::vec((any::<u8>(), any::<u8>()), 1..100),
        gone in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let frames: Vec<_> = kinds.into_iter().map(|(kind, n)| frame(kind, n)).collect();
        let ranked = |(rule, priority)| Rule { priority, ..rule };
        let rules: Vec<_> = rules.into_iter().zip((0..1000).rev()).map(ranked).collect();
        let mut table = RuleTable::default();
        let names: Vec<_> = rules.iter().map(|rule| table.insert(rule.clone()).unwrap()).collect();
        compare(&table, &frames);
        for n in gone {
            if let Some(name) = names.get(usize::from(n)) {
                let _ = table.remove(*name);
            }
        }
        compare(&table, &frames);
        let _ = table.replace(rules).unwrap();
        compare(&table, &frames);
    }
}

fn udp_to(dport: u16, priority: u32, action: Action) -> Rule {
    let udp = PortsItem { dport: Match::Exact(dport), ..PortsItem::default() };
    Rule::builder().item(Item::Udp(udp)).action(action).priority(priority).build().unwrap()
}

#[test]
fn what_is_wrong_with_a_rule_is_named() {
    let limits = Limits { queues: 4, ports: 2, overlaps: Overlaps::Refused };
    let mut table = RuleTable::new(limits);
    let queue = udp_to(1, 0, Action::Queue(QueueIndex(4)));
    let refused = table.insert(queue);
    assert_eq!(refused, Err(Error::OutOfRange { action: "queue", value: 4, limit: 4 }));
    let first = table.insert(udp_to(1, 7, Action::Drop)).unwrap();
    let all = Rule::builder().action(Action::Drop);
    let refused = table.insert(all.clone().priority(7).build().unwrap());
    assert_eq!(refused, Err(Error::Overlap { with: first, priority: 7 }));
    assert!(table.insert(udp_to(2, 7, Action::Drop)).is_ok(), "another port");
    assert!(table.insert(all.priority(8).build().unwrap()).is_ok(), "another priority");
    let tcp_in_udp = Rule {
        pattern: [
            Item::Ipv4(Ipv4Item { proto: Match::Exact(17), ..Ipv4Item::default() }),
            Item::Tcp(TcpItem::default()),
        ]
        .into(),
        actions: vec![Action::Drop],
        ..Rule::default()
    };
    let fault = ItemFault::Contradiction { field: "proto", of: "ipv4" };
    let wrong = RuleError::Item { at: 1, name: "tcp", fault };
    assert_eq!(table.insert(tcp_in_udp.clone()), Err(Error::Rule(wrong)));
    let refused = table.replace(vec![udp_to(9, 0, Action::Drop), tcp_in_udp]);
    assert_eq!(refused, Err((1, Error::Rule(wrong))));
    assert_eq!(table.len(), 3, "nothing has changed");
}

#[test]
fn counters_begin_anew_with_a_rule_and_tell_when_it_was_seen() {
    let mut table = RuleTable::default();
    let frame = frame(0, 0b0100_0000);
    for round in 1..50u64 {
        let name = table.insert(udp_to(1, 0, Action::Drop)).unwrap();
        assert_eq!(table.query(name), Some(RuleCount::default()));
        let _ = table.reader().decide(&Packet::new(&frame), round);
        let seen = RuleCount { packets: 1, bytes: 128, last_seen: Some(round) };
        assert_eq!(table.query(name), Some(seen));
        assert_eq!(table.remove(name).map(|(_, count)| count), Some(seen));
        assert_eq!(table.query(name), None);
    }
}

#[test]
fn a_whole_set_is_replaced_at_once() {
    let (mut table, frame) = (RuleTable::default(), frame(0, 0b0100_0000));
    let set = |queue: u16| {
        let last = |n: u16| if n == 0 { Action::Queue(QueueIndex(queue)) } else { Action::Drop };
        (0..50).map(|n| udp_to(1 + n, n.into(), last(n))).collect::<Vec<_>>()
    };
    let _ = table.replace(set(0)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut reader = table.reader();
        let (frame, done) = (&frame, &done);
        let looks = scope.spawn(move || {
            let mut last = 0;
            // Relaxed: a flag to stop.
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let Fate::Queue(queue) = reader.decide(&Packet::new(frame), 0).fate else {
                    panic!("there is a rule at any time")
                };
                assert!(queue.0 >= last, "an old set came back");
                last = queue.0;
            }
        });
        (0..300).for_each(|queue| _ = table.replace(set(queue)).unwrap());
        // Relaxed: a flag to stop.
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        looks.join().unwrap();
    });
}

#[test]
fn a_split_never_lets_a_port_overtake_software() {
    let rules = [
        udp_to(1, 0, Action::Drop),
        udp_to(2, 1, Action::Queue(QueueIndex(1))),
        udp_to(3, 2, Action::Port(1)),
        Rule::builder().action(Action::Drop).priority(3).build().unwrap(),
        udp_to(1, 4, Action::Queue(QueueIndex(0))),
    ];
    let mut taken = Vec::new();
    let no_ports = |rule: &Rule| match rule.actions[..] {
        [Action::Port(_)] => Err("no ports".to_owned()),
        _ => Ok(rule.priority),
    };
    let split = split(&rules, no_ports, |flow| taken.push(flow));
    assert_eq!(split.port.keys().copied().collect::<Vec<_>>(), [0]);
    assert_eq!(split.software[&2], Kept::Port("no ports".into()));
    assert_eq!(split.software[&3], Kept::Behind(2), "it would drop what is to go to a port");
    assert_eq!(split.software[&1], Kept::Before(3), "rule 3 would drop it after all");
    assert_eq!(taken, [1], "and is taken back");
    assert!(split.software.contains_key(&4));
}

/// Both sets mark, jump and choose a queue, each by a number of its own.
#[test]
fn a_jump_stays_in_the_rules_that_it_began_in() {
    let set = |n: u16| {
        let first = Rule::builder().action(Action::Mark(n.into())).action(Action::Jump(1));
        let second = Rule::builder().group(1).action(Action::Queue(QueueIndex(n)));
        vec![first.build().unwrap(), second.build().unwrap()]
    };
    let mut table = RuleTable::default();
    let _ = table.replace(set(1)).unwrap();
    let mut reader = table.reader();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    // Relaxed: it says only that it is time to go; the thread is joined.
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let frame = frame(0, 0);
            let packet = Packet::new(&frame);
            while !is_done.load(order) {
                let Decision { fate, mark, .. } = reader.decide(&packet, 1);
                let mark = mark.expect("both mark");
                assert_eq!(fate, Fate::Queue(QueueIndex(mark as u16)));
            }
        });
        for turn in 0..3000 {
            let _ = table.replace(set(turn % 2 + 1)).unwrap();
            if reading.is_finished() {
                break;
            }
        }
        is_done.store(true, order);
    });
}

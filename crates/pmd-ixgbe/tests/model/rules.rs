//! Flow rules that the flow director carries out, on two models that a cable joins.

use crate::ends::*;
use linecard_mbuf::MbufPool;
use linecard_net::header::TcpFlags;
use linecard_net::rss::RssTypes;
use linecard_net::rule::{
    Action, EthItem, Ipv4Item, Ipv6Item, Item, Match, PortsItem, QueueIndex, RawItem, Rule,
    RuleBuilder, VlanItem,
};
use linecard_net::{FrameBuilder, parse};
use linecard_pmd_core::{Error, RssConfig, RxOffloads};
use linecard_pmd_ixgbe::{DirectorMemory, FlowDirector};
use std::net::{Ipv4Addr, Ipv6Addr};

fn to(queue: u16) -> Action {
    Action::Queue(QueueIndex(queue))
}

fn from_net(net: [u8; 4], len: u8) -> Ipv4Item {
    Ipv4Item { src: Match::prefix(net.into(), len), ..Default::default() }
}

fn dport(port: u16) -> Item {
    Item::Udp(PortsItem { dport: Match::Exact(port), ..Default::default() })
}

fn rule(pattern: impl FnOnce(RuleBuilder) -> RuleBuilder) -> Rule {
    pattern(Rule::builder()).build().expect("a sound rule")
}

fn udp_from(source: [u8; 4], port: u16) -> Vec<u8> {
    let frame = FrameBuilder::new(ALL, HERE).ipv4(source.into(), TO).udp(7, port);
    frame.payload(&[1; 30]).to_vec().expect("a frame")
}

/// Which of three queues a frame comes out of, and its mark.
fn whither(
    left: &mut End,
    right: &mut End,
    pool: &MbufPool,
    frame: &[u8],
) -> Option<(usize, Option<u32>)> {
    left.send(packet(pool, frame));
    (0..3).find_map(|queue| right.receive_on(queue).first().map(|got| (queue, got.mark())))
}

#[test]
fn networks_are_directed_dropped_and_marked() {
    let pool = pool();
    let [mut left, mut right] =
        ends(&pool, |config| config.rx_queues(3).rx_offloads(RxOffloads::MARK));
    let rules = [
        rule(|r| r.item(from_net([10, 1, 0, 0], 16)).action(to(2))),
        rule(|r| r.item(from_net([10, 2, 0, 0], 16)).action(Action::Drop)),
        rule(|r| {
            r.item(from_net([10, 3, 0, 0], 16)).action(to(1)).action(Action::Mark(0xDEAD_BEEF))
        }),
        rule(|r| {
            r.item(from_net([10, 4, 0, 0], 16)).action(Action::PassThrough).action(Action::Mark(0))
        }),
    ];
    let ids = rules.each_ref().map(|rule| right.port.create_flow(rule).expect("it runs"));
    let nets = [[10, 1, 2, 3], [10, 2, 2, 3], [10, 3, 0, 0], [10, 4, 255, 255], [10, 5, 2, 3]];
    let mut all =
        |right: &mut End| nets.map(|net| whither(&mut left, right, &pool, &udp_from(net, 53)));
    let ran =
        [Some((2, None)), None, Some((1, Some(0xDEAD_BEEF))), Some((0, Some(0))), Some((0, None))];
    assert_eq!(all(&mut right), ran);
    assert!(right.named("flow_director_matched_filters") >= 4);
    ids.iter().for_each(|id| right.port.destroy_flow(*id).expect("it ran"));
    assert_eq!(all(&mut right), [Some((0, None)); 5]);
    assert_eq!(right.card.model().flow_director_filters(), 0);
    assert_eq!(right.named("flow_director_added_filters"), 4);
    assert_eq!(right.named("flow_director_removed_filters"), 4);
    right.card.assert_clean();
}

#[test]
fn ports_and_tags_are_compared_under_masks() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(3));
    let high =
        PortsItem { dport: Match::Mask { value: 0x8000, mask: 0x8000 }, ..Default::default() };
    let ports =
        |item: PortsItem| rule(|r| r.item(Ipv4Item::default()).item(Item::Udp(item)).action(to(2)));
    let id = right.port.create_flow(&ports(high)).expect("it runs");
    let mut go = |right: &mut End, frame: &[u8]| {
        whither(&mut left, right, &pool, frame).map(|(queue, _)| queue)
    };
    let tcp = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).tcp(7, 0x8001, TcpFlags::ACK).to_vec();
    assert_eq!(go(&mut right, &udp_from([1, 2, 3, 4], 0x8123)), Some(2));
    assert_eq!(go(&mut right, &udp_from([1, 2, 3, 4], 0x7FFF)), Some(0));
    assert_eq!(go(&mut right, &tcp.expect("a frame")), Some(0), "another transport");
    right.port.destroy_flow(id).expect("it ran");
    let tagged = rule(|r| {
        r.item(EthItem::default()).item(VlanItem::id(100)).item(Ipv4Item::default()).action(to(1))
    });
    right.port.create_flow(&tagged).expect("it runs");
    let tag = |id| {
        FrameBuilder::new(ALL, HERE).vlan(id).ipv4(FROM, TO).udp(1, 2).to_vec().expect("a frame")
    };
    assert_eq!([100, 101].map(|id| go(&mut right, &tag(id))), [Some(1), Some(0)]);
    assert_eq!(go(&mut right, &udp_from([1, 2, 3, 4], 2)), Some(0), "no tag");
}

fn raw(offset: u16, word: u16) -> Item {
    Item::Raw(RawItem { offset, word: Match::Exact(word) })
}

/// Frames that go to `queue` are those that the rule's meaning names; others go to queue 0.
fn goes_as_it_says([left, right]: [&mut End; 2], pool: &MbufPool, rule: &Rule, queue: usize) {
    let all = frames_of_two_words();
    let wanted: Vec<_> =
        all.iter().map(|frame| usize::from(rule.matches(&parse(frame), frame)) * queue).collect();
    let got: Vec<_> =
        all.iter().map(|frame| whither(left, right, pool, frame).expect("it comes").0).collect();
    assert_eq!(got, wanted, "{rule:?}");
    assert!(got.contains(&0) && got.contains(&queue), "{rule:?}");
}

/// Frames that differ in their first bytes of payload, and in their tag.
fn frames_of_two_words() -> Vec<Vec<u8>> {
    let frame = |tag: Option<u16>, payload: &[u8]| {
        let frame = FrameBuilder::new(ALL, HERE);
        let frame = tag.into_iter().fold(frame, |frame, tag| frame.vlan(tag));
        frame.ipv4(Ipv4Addr::new(10, 1, 1, 1), TO).udp(7, 53).payload(payload).to_vec()
    };
    [
        frame(None, &[0xAB, 0xCD, 1, 2]),
        frame(None, &[0xCD, 0xAB, 1, 2]),
        frame(None, &[0, 0, 0xAB, 0xCD]),
        frame(Some(5), &[0xAB, 0xCD, 1, 2]),
        frame(Some(5), &[1, 2, 3, 4]),
    ]
    .map(|frame| frame.expect("a frame"))
    .into()
}

#[test]
fn a_flexible_word_is_compared_where_the_rule_says() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(3));
    for (queue, raw) in [(2, raw(42, 0xABCD)), (1, raw(12, 0x8100)), (2, raw(44, 0xABCD))] {
        let rule = rule(|r| r.item(raw).item(Ipv4Item::default()).action(to(queue)));
        let id = right.port.create_flow(&rule).expect("it runs");
        goes_as_it_says([&mut left, &mut right], &pool, &rule, usize::from(queue));
        right.port.destroy_flow(id).expect("it ran");
    }
    let tuple = rule(|r| r.item(from_net([10, 0, 0, 0], 8)).item(dport(53)).action(to(1)));
    right.port.create_flow(&tuple).expect("no word is compared now");
    assert!(frames_of_two_words().iter().all(|frame| {
        whither(&mut left, &mut right, &pool, frame).is_some_and(|(queue, _)| queue == 1)
    }));
    right.card.assert_clean();
}

#[test]
fn one_place_of_the_flexible_word_is_for_all_rules_and_outlives_a_restart() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(3));
    let net = from_net([10, 0, 0, 0], 8);
    let at = |offset, word, queue| rule(|r| r.item(net).item(raw(offset, word)).action(to(queue)));
    right.port.create_flow(&at(42, 0xABCD, 2)).expect("it runs");
    right.port.create_flow(&at(42, 0x0000, 1)).expect("it runs beside the other");
    let refused = right.port.create_flow(&at(44, 0xABCD, 1)).expect_err("another place");
    assert!(refused.to_string().contains("the bytes at 42"), "{refused}");
    for restart in [false, true] {
        if restart {
            let End { card, port, queues } = right;
            drop(queues);
            let (port, queues) = port.stop().expect("it stops").start().expect("it starts");
            right = End { card, port, queues };
        }
        let queues = frames_of_two_words()
            .iter()
            .map(|frame| whither(&mut left, &mut right, &pool, frame).expect("it comes").0)
            .collect::<Vec<_>>();
        // Behind a tag the bytes at 42 are others.
        assert_eq!(queues, [2, 0, 1, 0, 0], "{restart}");
    }
    right.card.assert_clean();
}

#[test]
fn signatures_have_a_flexible_word_too() {
    let pool = pool();
    let options = crate::options().flow_director(FlowDirector::Signature(DirectorMemory::KiB64));
    let [mut left, mut right] = ends_with(&pool, &options, |config| config.rx_queues(3));
    let src = Match::Exact(Ipv4Addr::new(10, 1, 1, 1));
    let ip = Ipv4Item { src, dst: Match::Exact(TO), ..Default::default() };
    let ports = Item::Udp(PortsItem { sport: Match::Exact(7), dport: Match::Exact(53) });
    let rule = rule(|r| r.item(ip).item(ports).item(raw(42, 0xABCD)).action(to(2)));
    let id = right.port.create_flow(&rule).expect("it runs");
    goes_as_it_says([&mut left, &mut right], &pool, &rule, 2);
    right.port.destroy_flow(id).expect("it ran");
    assert_eq!(right.card.model().flow_director_filters(), 0);
    right.card.assert_clean();
}

#[test]
fn all_rules_of_the_flow_director_share_one_mask() {
    let pool = pool();
    let [_left, mut right] = ends(&pool, |config| config);
    let wide = rule(|r| r.item(from_net([10, 0, 0, 0], 8)).action(Action::Drop));
    let narrow = rule(|r| r.item(from_net([10, 1, 0, 0], 16)).action(Action::Drop));
    let id = right.port.create_flow(&wide).expect("it runs");
    let refused = right.port.create_flow(&narrow).expect_err("another mask").to_string();
    assert!(refused.contains("share one mask") && refused.contains("255.0.0.0"), "{refused}");
    assert!(right.port.create_flow(&wide).expect_err("twice").to_string().contains("already"));
    right.port.destroy_flow(id).expect("it ran");
    right.port.create_flow(&narrow).expect("no mask is in use");
}

#[test]
fn a_rule_that_would_be_looked_at_too_late_is_refused() {
    let pool = pool();
    let [_left, mut right] = ends(&pool, |config| config);
    let exact = Ipv4Item { dst: Match::Exact(TO), ..Default::default() };
    let tuple =
        |priority, port| rule(|r| r.item(exact).item(dport(port)).action(to(0)).priority(priority));
    let drop = |priority| {
        rule(|r| r.item(from_net([10, 0, 0, 0], 8)).action(Action::Drop).priority(priority))
    };
    right.port.create_flow(&tuple(3, 53)).expect("it runs");
    let refused = right.port.create_flow(&drop(0)).expect_err("a filter is first").to_string();
    assert!(refused.contains("looked at first"), "{refused}");
    right.port.create_flow(&drop(3)).expect("as filters and flow director are");
    let refused = right.port.create_flow(&tuple(5, 54)).expect_err("the flow director is last");
    assert!(refused.to_string().contains("looked at after"), "{refused}");
}

#[test]
fn signatures_direct_ipv6_and_nothing_but_whole_flows() {
    let pool = pool();
    let options = crate::options().flow_director(FlowDirector::Signature(DirectorMemory::KiB64));
    let [mut left, mut right] = ends_with(&pool, &options, |config| config.rx_queues(3));
    let at = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    let ports = Item::Udp(PortsItem { sport: Match::Exact(7), dport: Match::Exact(53) });
    let six = Ipv6Item { src: Match::Exact(at(1)), dst: Match::Exact(at(2)), ..Default::default() };
    let ids = [
        right.port.create_flow(&rule(|r| r.item(six).item(ports).action(to(2)))).expect("it runs"),
        {
            let four = Ipv4Item {
                src: Match::Exact(Ipv4Addr::new(10, 1, 1, 1)),
                dst: Match::Exact(TO),
                ..Default::default()
            };
            // A whole 5-tuple of IPv4 has a filter of its own.
            right
                .port
                .create_flow(&rule(|r| r.item(four).item(ports).action(to(1))))
                .expect("it runs")
        },
    ];
    let v6 = |last, port| {
        FrameBuilder::new(ALL, HERE).ipv6(at(1), at(last)).udp(7, port).to_vec().expect("a frame")
    };
    let mut go = |right: &mut End, frame: &[u8]| {
        whither(&mut left, right, &pool, frame).map(|(queue, _)| queue)
    };
    assert_eq!(
        [(2, 53), (2, 54), (3, 53)].map(|(last, port)| go(&mut right, &v6(last, port))),
        [Some(2), Some(0), Some(0)]
    );
    assert_eq!(go(&mut right, &udp_from([10, 1, 1, 1], 53)), Some(1));
    assert_eq!(right.card.model().flow_director_filters(), 1);
    let drop = rule(|r| r.item(six).item(ports).action(Action::Drop));
    let refused = right.port.create_flow(&drop).expect_err("others might match").to_string();
    assert!(refused.contains("choose a queue and nothing else"), "{refused}");
    ids.iter().for_each(|id| right.port.destroy_flow(*id).expect("it ran"));
    assert_eq!(go(&mut right, &v6(2, 53)), Some(0));
    right.card.assert_clean();
}

#[test]
fn marks_are_asked_for_and_the_hash_of_other_packets_stays() {
    let pool = pool();
    let marked = rule(|r| r.item(from_net([10, 0, 0, 0], 8)).action(to(0)).action(Action::Mark(7)));
    let [_left, mut right] = ends(&pool, |config| config);
    let refused = right.port.create_flow(&marked).expect_err("not asked for").to_string();
    assert!(refused.contains("RxOffloads::MARK"), "{refused}");
    let offloads = RxOffloads::MARK | RxOffloads::RSS_HASH;
    let rss = RssConfig::over(RssTypes::IPV4_UDP);
    let [mut left, mut right] = ends(&pool, |config| config.rx_offloads(offloads).rss(rss.clone()));
    right.port.create_flow(&marked).expect("it runs");
    left.send(packet(&pool, &udp_from([10, 9, 9, 9], 1)));
    left.send(packet(&pool, &udp_from([11, 9, 9, 9], 1)));
    let got = right.receive();
    assert_eq!((got[0].mark(), got[0].rss_hash()), (Some(7), None));
    assert_eq!(got[1].mark(), None);
    assert!(got[1].rss_hash().is_some());
}

#[test]
fn the_flow_director_has_its_rules_again_after_a_restart() {
    let pool = pool();
    let [mut left, mut right] = ends(&pool, |config| config.rx_queues(3));
    let net = rule(|r| r.item(from_net([10, 0, 0, 0], 8)).action(to(2)));
    let id = right.port.create_flow(&net).expect("it runs");
    let End { card, port, queues } = right;
    drop(queues);
    let (port, queues) = port.stop().expect("it stops").start().expect("it starts");
    right = End { card, port, queues };
    assert_eq!(whither(&mut left, &mut right, &pool, &udp_from([10, 1, 2, 3], 1)), Some((2, None)));
    right.port.destroy_flow(id).expect("it runs");
    assert_eq!(whither(&mut left, &mut right, &pool, &udp_from([10, 1, 2, 3], 1)), Some((0, None)));
}

#[test]
fn without_a_flow_director_a_refusal_says_so() {
    let pool = pool();
    let options = crate::options().flow_director(FlowDirector::Off);
    let [_left, mut right] = ends_with(&pool, &options, |config| config);
    let drop = rule(|r| r.item(from_net([10, 0, 0, 0], 8)).action(Action::Drop));
    let refused = right.port.create_flow(&drop).expect_err("it is off");
    assert!(matches!(&refused, Error::Refused { what, .. } if what.contains("off")), "{refused}");
    assert_eq!(right.port.info().capabilities.flows.actions, ["queue"]);
}

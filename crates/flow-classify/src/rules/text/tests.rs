//! Texts and what they mean, or what is wrong with them.

use super::parse;
use linecard_net::MacAddr;
use linecard_net::rule::{
    Action, EthItem, FragmentMatch, Ipv4Item, Ipv6Item, Item, Match, PortsItem, QueueIndex,
    RawItem, TcpItem, VlanItem,
};

fn rules(text: &str) -> Vec<(Vec<Item>, Vec<Action>)> {
    let rules = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    rules.into_iter().map(|text| (text.rule.pattern.items, text.rule.actions)).collect()
}

fn pattern(text: &str) -> Vec<Item> {
    let [(items, _)] = rules(&format!("{text} -> drop")).try_into().expect("one rule");
    items
}

#[test]
fn every_shape_of_a_match_is_read() {
    let src = Match::prefix("192.0.2.0".parse().unwrap(), 24);
    let dst = Match::Exact("198.51.100.7".parse().unwrap());
    let ip =
        Ipv4Item { src, dst, tos: Match::Mask { value: 0x10, mask: 0xF0 }, ..Ipv4Item::default() };
    assert_eq!(pattern("ipv4 src 192.0.2.0/24 dst 198.51.100.7 tos 0x10&0xf0"), [ip.into()]);
    let [lo, hi] = ["2001:db8::1", "2001:db8::9"].map(|address| address.parse().unwrap());
    let src = Match::Range { lo, hi };
    let ip = Ipv6Item { src, fragment: FragmentMatch::Later, ..Ipv6Item::default() };
    assert_eq!(pattern("ipv6 src 2001:db8::1-2001:db8::9 fragment later"), [ip.into()]);
    let eth = EthItem { src: Match::Exact(MacAddr([2, 0, 0, 0, 0, 1])), ..EthItem::default() };
    let all = pattern("eth src 02:00:00:00:00:01 vlan id 7 any udp dport any");
    let rest = [VlanItem::id(7).into(), Item::Any, Item::Udp(PortsItem::default())];
    assert_eq!(all, [&[eth.into()], &rest[..]].concat());
    let raw = RawItem { offset: 42, word: Match::Mask { value: 0x4100, mask: 0xff00 } };
    assert_eq!(pattern("udp raw offset 42 word 0x4100&0xff00")[1], raw.into());
}

#[test]
fn a_list_of_ports_makes_a_rule_for_each() {
    let (a, b) = (Match::Exact(443), Match::Range { lo: 8000, hi: 8999 });
    let tcp = |dport| vec![Item::Tcp(TcpItem { dport, ..TcpItem::default() })];
    let drop = vec![Action::Drop];
    assert_eq!(rules("tcp dport 443,8000-8999 -> drop"), [(tcp(a), drop.clone()), (tcp(b), drop)]);
    assert_eq!(parse("udp sport 1,2,3 dport 4,5 -> drop").unwrap().len(), 6);
}

#[test]
fn actions_without_a_fate_pass_on() {
    let [(_, actions)] = rules("any -> mark 7, count").try_into().unwrap();
    assert_eq!(actions, [Action::Mark(7), Action::Count, Action::PassThrough]);
    let [(_, actions)] = rules("any -> queue 3,mark 0x10").try_into().unwrap();
    assert_eq!(actions, [Action::Queue(QueueIndex(3)), Action::Mark(16)]);
    let [(_, actions)] = rules("any -> rss 0 1 1, count").try_into().unwrap();
    assert!(matches!(&actions[..], [Action::Rss(rss), Action::Count] if rss.queues.len() == 3));
}

#[test]
fn order_is_priority_unless_a_line_gives_one() {
    let text = "any -> drop # all\n\n  # nothing\ngroup 2 priority 9 any -> pass\nany -> jump 2";
    let rules = parse(text).unwrap();
    let seen: Vec<_> = rules.iter().map(|t| (t.line, t.rule.priority, t.rule.group)).collect();
    assert_eq!(seen, [(1, 0, 0), (4, 9, 2), (5, 2, 0)]);
    assert_eq!(rules[0].text, "any -> drop");
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (text, expected) in [
        (
            "ipv4 scr 1.2.3.4 -> drop",
            "line 1, column 6: `scr`: wanted src, dst, proto, tos, ttl, fragment, any, eth",
        ),
        (
            "\nipv4 src 1.2.3 -> drop",
            "line 2, column 10: `1.2.3`: wanted an IPv4 address, VALUE/LEN",
        ),
        ("udp dport 70000 -> drop", "column 11: `70000`: wanted a number up to 65535"),
        ("udp dport 1,x -> drop", "`1,x`: wanted a number up to 65535"),
        ("udp dport -> drop", "column 11: `->`: wanted a number"),
        ("udp", "column 4: the line ends: wanted sport, dport, any"),
        ("udp ->", "column 7: the line ends: wanted an action: drop, pass"),
        ("udp -> fly", "column 8: `fly`: wanted an action: drop, pass"),
        ("udp -> drop mark 1", "column 13: `mark`: wanted `,`"),
        ("udp -> queue x", "column 14: `x`: wanted a queue"),
        ("-> drop", "column 1: `->`: wanted an item"),
        ("priority high any -> drop", "column 10: `high`: wanted a number"),
        ("ipv4 src 10.0.0.0/33 -> drop", "column 1: item 0 (ipv4): the prefix of src has 33 bits"),
        ("ipv4 proto 17 tcp -> drop", "item 1 (tcp): cannot match: proto of ipv4"),
        ("udp dport 9-3 -> drop", "the range of dport is empty"),
        ("any -> drop, pass", "two fates, drop and pass-through"),
        ("any -> jump 0", "a jump from group 0 to 0"),
        ("ipv4 fragment some -> drop", "`some`: wanted any, whole, fragment, first, later"),
        ("frob -> drop", "column 1: `frob`: wanted any, eth, vlan"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "((any|udp|ipv4|dport|->|drop|,|#|é|1|/|-|&| ){0,12}\n?){0,4}") {
        let _ = parse(&text);
    }
}

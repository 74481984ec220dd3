//! Every path against a walk through all the rules, while rules come and go.

use super::{Acl, AclReader, AclRule, Categories, Error, Key, Reach, RuleId, Verdict};
use crate::simd::Simd;
use linecard_net::flow::{KeyV4, KeyV6};
use linecard_net::rule::Match;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

/// A key whose parts tests can choose.
pub(super) trait TestKey: Key {
    fn address(bits: u32) -> Self::Address;
    fn of(src: u32, dst: u32, ports: (u16, u16), proto: u8) -> Self;
    fn parts(&self) -> (Self::Address, Self::Address, u16, u16, u8);
}

impl TestKey for KeyV4 {
    fn address(bits: u32) -> Ipv4Addr {
        bits.into()
    }

    fn of(src: u32, dst: u32, (sport, dport): (u16, u16), proto: u8) -> Self {
        let [src, dst] = [src, dst].map(u32::to_be_bytes);
        Self { src, dst, sport: sport.into(), dport: dport.into(), proto, zero: [0; 3] }
    }

    fn parts(&self) -> (Ipv4Addr, Ipv4Addr, u16, u16, u8) {
        (self.src.into(), self.dst.into(), self.sport.get(), self.dport.get(), self.proto)
    }
}

/// Spreads 32 bits over an IPv6 address, so that prefixes end in any part of it.
fn spread(bits: u32) -> Ipv6Addr {
    let byte = |at: u32| u128::from(bits >> (8 * at) & 0xFF);
    Ipv6Addr::from_bits(byte(3) << 120 | byte(2) << 80 | byte(1) << 56 | byte(0))
}

impl TestKey for KeyV6 {
    fn address(bits: u32) -> Ipv6Addr {
        spread(bits)
    }

    fn of(src: u32, dst: u32, (sport, dport): (u16, u16), proto: u8) -> Self {
        let [src, dst] = [src, dst].map(|bits| spread(bits).octets());
        Self { src, dst, sport: sport.into(), dport: dport.into(), proto, zero: [0; 3] }
    }

    fn parts(&self) -> (Ipv6Addr, Ipv6Addr, u16, u16, u8) {
        (self.src.into(), self.dst.into(), self.sport.get(), self.dport.get(), self.proto)
    }
}

/// The reference: `linecard-net` says what each field means.
pub(super) fn matches<K: TestKey>(rule: &AclRule<K>, key: &K) -> bool {
    let (src, dst, sport, dport, proto) = key.parts();
    rule.src.matches(src)
        && rule.dst.matches(dst)
        && rule.sport.matches(sport)
        && rule.dport.matches(dport)
        && rule.proto.matches(proto)
}

type Oracle<K> = BTreeMap<RuleId, AclRule<K>>;

fn best<K: TestKey>(oracle: &Oracle<K>, key: &K, categories: Categories) -> Option<RuleId> {
    let found = oracle.iter().filter(|(_, rule)| rule.categories.0 & categories.0 != 0);
    let found = found.filter(|(_, rule)| matches(rule, key));
    found.min_by_key(|(id, rule)| (rule.priority, **id)).map(|(id, _)| *id)
}

/// Few values, so that rules and keys meet.
fn bits() -> BoxedStrategy<u32> {
    prop_oneof![
        Just(0),
        Just(u32::MAX),
        0u32..8,
        (0u32..4).prop_map(|n| 0x0A00_0000 | n << 8),
        (0u32..4).prop_map(|n| n << 30),
        any::<u32>(),
    ]
    .boxed()
}

fn port() -> BoxedStrategy<u16> {
    prop_oneof![Just(0), Just(u16::MAX), 0u16..16, Just(53), Just(1024), any::<u16>()].boxed()
}

fn address<K: TestKey>() -> BoxedStrategy<Match<K::Address>> {
    prop_oneof![
        3 => Just(Match::Any),
        3 => bits().prop_map(|bits| Match::Exact(K::address(bits))),
        4 => (bits(), 0..=K::Address::WIDTH)
            .prop_map(|(bits, len)| Match::prefix(K::address(bits), len)),
        1 => (bits(), bits())
            .prop_map(|(value, mask)| Match::Mask { value: K::address(value), mask: K::address(mask) }),
        1 => (bits(), bits()).prop_map(|(a, b)| {
            let [a, b] = [a, b].map(K::address);
            Match::Range { lo: a.min(b), hi: a.max(b) }
        }),
    ].boxed()
}

/// The width of an address.
trait Width {
    const WIDTH: u8;
}

impl<T: linecard_net::rule::Field> Width for T {
    const WIDTH: u8 = T::BITS as u8;
}

fn ports() -> BoxedStrategy<Match<u16>> {
    prop_oneof![
        Just(Match::Any),
        port().prop_map(Match::Exact),
        (port(), port()).prop_map(|(a, b)| Match::Range { lo: a.min(b), hi: a.max(b) }),
        (port(), port()).prop_map(|(value, mask)| Match::Mask { value, mask }),
        (port(), 0..=16u8).prop_map(|(value, len)| Match::prefix(value, len)),
    ]
    .boxed()
}

fn proto() -> BoxedStrategy<Match<u8>> {
    prop_oneof![
        Just(Match::Any),
        prop_oneof![Just(6u8), Just(17), any::<u8>()].prop_map(Match::Exact),
        (0..9u8, 0..9u8).prop_map(|(a, b)| Match::Range { lo: a.min(b), hi: a.max(b) }),
        (any::<u8>(), 0..4u8).prop_map(|(value, mask)| Match::Mask { value, mask }),
    ]
    .boxed()
}

fn rule<K: TestKey>() -> BoxedStrategy<AclRule<K>> {
    let addresses = (address::<K>(), address::<K>());
    let rest = (ports(), ports(), proto(), 0..8u32);
    let categories = prop_oneof![4 => Just(1u16), 1 => 1u16..8];
    (addresses, rest, categories)
        .prop_map(|((src, dst), (sport, dport, proto, priority), bits)| {
            let categories = Categories(bits);
            AclRule { src, dst, sport, dport, proto, priority, categories, reach: Reach::Whole }
        })
        .boxed()
}

fn key<K: TestKey>() -> impl Strategy<Value = K> {
    let proto = prop_oneof![Just(6u8), Just(17), any::<u8>()];
    (bits(), bits(), (port(), port()), proto)
        .prop_map(|(src, dst, ports, proto)| K::of(src, dst, ports, proto))
}

#[derive(Clone, Debug)]
enum Operation<K: Key> {
    Insert(AclRule<K>),
    Remove(usize),
    Replace,
}

fn operation<K: TestKey>() -> impl Strategy<Value = Operation<K>> {
    prop_oneof![
        6 => rule().prop_map(Operation::Insert),
        3 => any::<usize>().prop_map(Operation::Remove),
        1 => Just(Operation::Replace),
    ]
}

fn apply<K: TestKey>(acl: &mut Acl<K>, oracle: &mut Oracle<K>, next: u32, op: Operation<K>) {
    match op {
        // The name of a rule that is gone may be another's later.
        Operation::Insert(rule) => {
            let id = RuleId(next);
            if let Some(old) = oracle.insert(id, rule) {
                assert_eq!(acl.insert(id, rule), Err(Error::Taken(id)));
                assert_eq!(acl.remove(id), Some(old));
            }
            acl.insert(id, rule).unwrap();
        }
        Operation::Remove(n) if !oracle.is_empty() => {
            let (id, rule) = oracle.iter().nth(n % oracle.len()).map(|(id, r)| (*id, *r)).unwrap();
            assert_eq!(acl.remove(id), Some(rule));
            let _ = oracle.remove(&id);
        }
        Operation::Remove(_) => assert_eq!(acl.remove(RuleId(next)), None),
        Operation::Replace => acl.replace(oracle.iter().map(|(id, rule)| (*id, *rule))).unwrap(),
    }
}

fn check<K: TestKey>(reader: &AclReader<K>, oracle: &Oracle<K>, keys: &[K]) {
    for categories in [1, 2, 5].map(Categories) {
        let mut verdicts = vec![Verdict::NONE; keys.len()];
        reader.classify_in(categories, keys, &mut verdicts);
        for (key, verdict) in keys.iter().zip(verdicts) {
            let wanted = best(oracle, key, categories);
            assert_eq!(verdict.rule(), wanted, "{key:?} on {}", reader.path());
        }
    }
}

/// Keys at the corners of what rules say, besides those that are given.
fn corners<K: TestKey>(oracle: &Oracle<K>, keys: &[K]) -> Vec<K> {
    let near = |rule: &AclRule<K>| {
        let end = |ports: Match<u16>| match ports {
            Match::Range { hi, .. } => hi,
            Match::Exact(port) | Match::Mask { value: port, .. } => port,
            _ => 7,
        };
        let proto = if let Match::Exact(proto) = rule.proto { proto } else { 3 };
        K::of(0, u32::MAX, (end(rule.sport), end(rule.dport)), proto)
    };
    keys.iter().copied().chain(oracle.values().map(near)).collect()
}

/// So few that names come again.
const NAMES: u32 = 60;

fn run<K: TestKey>(operations: Vec<Operation<K>>, keys: &[K]) {
    for simd in Simd::supported() {
        let mut acl = Acl::<K>::with_simd(simd).unwrap();
        let (reader, mut oracle) = (acl.reader(), Oracle::new());
        for (next, operation) in operations.iter().enumerate() {
            apply(&mut acl, &mut oracle, next as u32 % NAMES, operation.clone());
            if next % 8 == 7 || next + 1 == operations.len() {
                check(&reader, &oracle, &corners(&oracle, keys));
            }
        }
        assert_eq!(acl.len(), oracle.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_path_finds_what_a_search_through_all_v4_rules_finds(
        operations in prop::collection::vec(operation::<KeyV4>(), 0..120),
        keys in prop::collection::vec(key(), 1..70),
    ) {
        run(operations, &keys);
    }

    #[test]
    fn every_path_finds_what_a_search_through_all_v6_rules_finds(
        operations in prop::collection::vec(operation::<KeyV6>(), 0..80),
        keys in prop::collection::vec(key(), 1..70),
    ) {
        run(operations, &keys);
    }

    #[test]
    fn a_table_that_is_filled_at_once_finds_the_same(
        rules in prop::collection::vec(rule::<KeyV4>(), 0..600),
        keys in prop::collection::vec(key(), 1..70),
    ) {
        let oracle: Oracle<_> = (0..).map(RuleId).zip(rules).collect();
        let mut acl = Acl::new();
        acl.replace(oracle.iter().map(|(id, rule)| (*id, *rule))).unwrap();
        check(&acl.reader(), &oracle, &keys);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_table_that_was_filled_at_once_changes_as_one_that_grew(
        rules in prop::collection::vec(rule::<KeyV4>(), 50..400),
        operations in prop::collection::vec(operation::<KeyV4>(), 0..80),
        keys in prop::collection::vec(key(), 1..70),
    ) {
        let mut oracle: Oracle<_> = (0..).map(RuleId).zip(rules).collect();
        let mut acl = Acl::new();
        acl.replace(oracle.iter().map(|(id, rule)| (*id, *rule))).unwrap();
        let reader = acl.reader();
        for (nth, operation) in (0..).zip(operations) {
            apply(&mut acl, &mut oracle, nth * 37 % 450, operation);
            if nth % 8 == 7 {
                check(&reader, &oracle, &corners(&oracle, &keys));
            }
        }
        check(&reader, &oracle, &corners(&oracle, &keys));
    }
}

fn host(n: u32) -> AclRule<KeyV4> {
    AclRule { dst: Match::Exact(n.into()), priority: 10, ..AclRule::default() }
}

#[test]
fn all_wildcards_and_duplicates_are_won_by_the_first_of_them() {
    let mut acl = Acl::<KeyV4>::new();
    for id in 0..100 {
        acl.insert(RuleId(id), AclRule::default()).unwrap();
    }
    let key = KeyV4::of(1, 2, (3, 4), 5);
    assert_eq!(acl.reader().lookup(&key), Some(RuleId(0)));
    assert!(acl.remove(RuleId(0)).is_some());
    assert_eq!(acl.reader().lookup(&key), Some(RuleId(1)), "what was hidden is back");
}

#[test]
fn nested_prefixes_are_found_by_priority_whatever_their_length() {
    let mut acl = Acl::<KeyV4>::new();
    for len in 0..=32u8 {
        let src = Match::prefix(Ipv4Addr::new(10, 0, 0, 1), len);
        acl.insert(
            RuleId(len.into()),
            AclRule { src, priority: 32 - u32::from(len), ..AclRule::default() },
        )
        .unwrap();
    }
    let reader = acl.reader();
    for bit in 0..32 {
        let key = KeyV4::of(0x0A00_0001 ^ 1 << bit, 0, (0, 0), 0);
        assert_eq!(reader.lookup(&key), Some(RuleId(31 - bit)));
    }
}

#[test]
fn bursts_of_any_length_are_classified() {
    let mut acl = Acl::<KeyV4>::new();
    acl.replace((0..1000).map(|n| (RuleId(n), host(n)))).unwrap();
    let reader = acl.reader();
    for len in (0..130).chain([1000]) {
        let keys: Vec<_> = (0..len).map(|n| KeyV4::of(0, n, (0, 0), 0)).collect();
        let mut verdicts = vec![Verdict::NONE; keys.len()];
        reader.classify(&keys, &mut verdicts);
        assert!(verdicts.iter().zip(0..).all(|(verdict, n)| verdict.rule() == Some(RuleId(n))));
    }
}

#[test]
fn memory_returns_when_rules_go() {
    let mut acl = Acl::<KeyV4>::new();
    (0..2000).for_each(|n| acl.insert(RuleId(n), host(n * 77)).unwrap());
    let full = acl.cost();
    assert_eq!((full.rules, full.copies >= 2000), (2000, true));
    (0..1990).for_each(|n| assert!(acl.remove(RuleId(n)).is_some()));
    // Other tests of this process pin epochs as well: what waits is freed at last.
    while acl.collect() > 0 {
        std::thread::yield_now();
    }
    let few = acl.cost();
    assert!(few.bytes < full.bytes / 20, "{few:?} after {full:?}");
    assert_eq!(few.waiting_bytes, 0);
}

#[test]
fn rules_after_one_that_asks_more_than_the_key_are_visited() {
    let mut acl = Acl::<KeyV4>::new();
    let part = AclRule { reach: Reach::Part, ..AclRule::default() };
    acl.insert(RuleId(0), part).unwrap();
    for priority in 1..50 {
        acl.insert(RuleId(priority), AclRule { priority, ..part }).unwrap();
    }
    let (reader, key) = (acl.reader(), KeyV4::of(1, 2, (3, 4), 5));
    let mut seen = Vec::new();
    let found = reader.visit(&key, Categories::default(), |id| {
        seen.push(id.0);
        if id.0 == 20 { ControlFlow::Break(id) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((found, seen), (Some(RuleId(20)), (0..=20).collect()));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let mut acl = Acl::<KeyV4>::new();
    let range = Match::Range { lo: 2, hi: 1 };
    let empty = acl.insert(RuleId(1), AclRule { dport: range, ..AclRule::default() });
    assert_eq!(empty, Err(Error::EmptyRange { field: "dport" }));
    let long = AclRule { src: Match::prefix(Ipv4Addr::LOCALHOST, 33), ..AclRule::default() };
    let refused = acl.replace([(RuleId(0), AclRule::default()), (RuleId(7), long)]);
    assert_eq!(
        refused,
        Err((RuleId(7), Error::PrefixTooLong { field: "src", len: 33, limit: 32 }))
    );
    assert!(acl.is_empty(), "nothing has changed");
    acl.insert(RuleId(1), AclRule::default()).unwrap();
    assert_eq!(acl.insert(RuleId(1), AclRule::default()), Err(Error::Taken(RuleId(1))));
    let none = AclRule { categories: Categories(0), ..AclRule::default() };
    assert_eq!(acl.insert(RuleId(2), none), Err(Error::NoCategory));
    assert_eq!(acl.insert(RuleId(u32::MAX), AclRule::default()), Err(Error::ReservedId));
}

mod stress;

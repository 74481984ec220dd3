//! Route tables beside a linear list of routes, on every level of SIMD that the processor has.

use linecard_flow_classify::lpm::{NextHop, Prefix, Routable, Routes};
use linecard_flow_classify::simd::Simd;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

fn hop(number: u32) -> NextHop {
    NextHop::new(number).unwrap()
}

/// What the tests need of an address.
trait Number: Routable {
    const WIDTH: u8;

    /// From the first bits of a number.
    fn from_number(bits: u128) -> Self;

    fn next(self, step: i8) -> Self;
}

impl Number for Ipv4Addr {
    const WIDTH: u8 = 32;

    fn from_number(bits: u128) -> Self {
        Self::from_bits((bits >> 96) as u32)
    }

    fn next(self, step: i8) -> Self {
        Self::from_bits(self.to_bits().wrapping_add_signed(step.into()))
    }
}

impl Number for Ipv6Addr {
    const WIDTH: u8 = 128;

    fn from_number(bits: u128) -> Self {
        Self::from_bits(bits)
    }

    fn next(self, step: i8) -> Self {
        Self::from_bits(self.to_bits().wrapping_add_signed(step.into()))
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation<A: Routable> {
    Insert(Prefix<A>, u32),
    Remove(Prefix<A>),
}

/// Around a few addresses, so that prefixes nest; and of the lengths at which the tables change their
/// ways.
fn addr<A: Number>() -> impl Strategy<Value = A> {
    let bases = [0, 0x2001_0db8 << 96, 0x2001_0db8_0001 << 80 | 1, u128::MAX];
    (prop::sample::select(bases.to_vec()), 0_u32..128, 0_u32..128)
        .prop_map(|(base, one, two)| A::from_number(base ^ 1 << one ^ 1 << two))
}

fn prefix<A: Number>() -> impl Strategy<Value = Prefix<A>> {
    let edges = [0, 1, 7, 8, 16, 17, 19, 20, 23, 24, 25, 31, 32, 33, 48, 49, 64, 127, 128];
    let edges: Vec<u8> = edges.into_iter().filter(|len| *len <= A::WIDTH).collect();
    let len = prop_oneof![prop::sample::select(edges), 0..=A::WIDTH];
    (addr::<A>(), len).prop_map(|(addr, len)| Prefix::containing(addr, len).unwrap())
}

fn operation<A: Number>() -> impl Strategy<Value = Operation<A>> {
    let next_hop = prop_oneof![0_u32..4, Just(NextHop::MOST), 0..=NextHop::MOST];
    prop_oneof![
        3 => (prefix::<A>(), next_hop).prop_map(|(prefix, to)| Operation::Insert(prefix, to)),
        1 => prefix::<A>().prop_map(Operation::Remove),
    ]
}

/// Many routes close together, so that buckets overflow and nodes are made anew.
fn crowd<A: Number>(seed: u64, count: usize) -> Vec<Operation<A>> {
    let mut state = seed | 1;
    let mut draw = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state >> 33
    };
    let mut one = move || {
        let place =
            0x2001_0db8_u128 << 96 | u128::from(draw()) << 65 | u128::from(draw() % 8) << 61;
        let len = 17 + (draw() % u64::from(A::WIDTH - 16)) as u8;
        let prefix = Prefix::containing(A::from_number(place), len).unwrap();
        match draw() % 4 {
            0 => Operation::Remove(prefix),
            _ => Operation::Insert(prefix, draw() as u32 % 1000),
        }
    };
    (0..count).map(|_| one()).collect()
}

/// The list, and the tables of all levels.
struct Bench<A: Number> {
    oracle: BTreeMap<Prefix<A>, NextHop>,
    tables: Vec<Routes<A>>,
}

impl<A: Number> Bench<A> {
    fn new() -> Self {
        let tables = Simd::supported().map(|simd| Routes::with_simd(simd).unwrap());
        Self { oracle: BTreeMap::new(), tables: tables.collect() }
    }

    fn run(&mut self, operation: Operation<A>) {
        let expected = match operation {
            Operation::Insert(prefix, to) => self.oracle.insert(prefix, hop(to)),
            Operation::Remove(prefix) => self.oracle.remove(&prefix),
        };
        for table in &mut self.tables {
            let found = match operation {
                Operation::Insert(prefix, to) => table.insert(prefix, hop(to)).unwrap(),
                Operation::Remove(prefix) => table.remove(prefix),
            };
            assert_eq!(found, expected, "{operation:?}");
        }
    }

    /// The longest of all routes that hold the address.
    fn longest(&self, addr: A) -> Option<(Prefix<A>, NextHop)> {
        let holds = self.oracle.iter().filter(|(prefix, _)| prefix.contains(addr));
        holds.max_by_key(|(prefix, _)| prefix.len()).map(|(prefix, to)| (*prefix, *to))
    }

    fn check(&self, addrs: &[A]) {
        let expected: Vec<_> = addrs.iter().map(|addr| self.longest(*addr)).collect();
        let hops: Vec<_> = expected.iter().map(|it| it.map(|it| it.1)).collect();
        for table in &self.tables {
            let path = table.path();
            let reader = table.reader();
            let mut found = vec![None; addrs.len()];
            reader.lookup_bulk(addrs, &mut found);
            assert_eq!(found, hops, "{path}");
            for (addr, expected) in addrs.iter().zip(&expected) {
                assert_eq!(reader.lookup(*addr), expected.map(|it| it.1), "{addr} on {path}");
                assert_eq!(table.longest(*addr), *expected, "{addr} on {path}");
            }
            assert!(table.iter().eq(self.oracle.iter().map(|(prefix, to)| (*prefix, *to))));
        }
    }
}

/// The ends of a prefix, and the addresses beside them.
fn edges<A: Number>(prefix: Prefix<A>) -> [A; 4] {
    [prefix.first(), prefix.first().next(-1), prefix.last(), prefix.last().next(1)]
}

fn equals_a_list<A: Number>(operations: Vec<Operation<A>>, every: usize) {
    let mut bench = Bench::new();
    let mut addrs = Vec::new();
    for (i, operation) in operations.into_iter().enumerate() {
        let (Operation::Insert(prefix, _) | Operation::Remove(prefix)) = operation;
        bench.run(operation);
        addrs.extend(edges(prefix));
        if i % every == 0 {
            bench.check(&addrs);
        }
    }
    bench.check(&addrs);
    for prefix in bench.oracle.keys().copied().collect::<Vec<_>>() {
        bench.run(Operation::Remove(prefix));
    }
    bench.check(&addrs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ipv4_equals_a_list(operations in prop::collection::vec(operation::<Ipv4Addr>(), 0..90)) {
        equals_a_list(operations, 30);
    }

    #[test]
    fn ipv6_equals_a_list(operations in prop::collection::vec(operation::<Ipv6Addr>(), 0..90)) {
        equals_a_list(operations, 30);
    }

    #[test]
    fn walks_equal_a_list(
        routes in prop::collection::btree_map(prefix::<Ipv6Addr>(), 0_u32..9, 0..60),
        by in prefix::<Ipv6Addr>(),
    ) {
        let mut table = Routes::new();
        for (prefix, to) in &routes {
            table.insert(*prefix, hop(*to)).unwrap();
        }
        let numbers = routes.iter().map(|(prefix, to)| (*prefix, hop(*to)));
        prop_assert!(table.covered(by).eq(numbers.clone().filter(|it| by.covers(it.0))));
        prop_assert!(table.covering(by).eq(numbers.filter(|it| it.0.covers(by))));
        prop_assert_eq!(table.exact(by), routes.get(&by).and_then(|to| NextHop::new(*to)));
    }
}

#[test]
fn a_crowd_of_ipv4_routes_equals_a_list() {
    equals_a_list(crowd::<Ipv4Addr>(1, 1500), 500);
}

#[test]
fn a_crowd_of_ipv6_routes_equals_a_list() {
    equals_a_list(crowd::<Ipv6Addr>(2, 1500), 500);
}

#[test]
fn a_default_route_is_what_is_left() {
    let mut routes = Routes::<Ipv4Addr>::new();
    let reader = routes.reader();
    assert_eq!(reader.lookup(Ipv4Addr::LOCALHOST), None);
    routes.insert(Prefix::all(), hop(0)).unwrap();
    routes.insert("127.0.0.1/32".parse().unwrap(), hop(NextHop::MOST)).unwrap();
    assert_eq!(reader.lookup(Ipv4Addr::LOCALHOST), Some(hop(NextHop::MOST)));
    assert_eq!(reader.lookup(Ipv4Addr::BROADCAST), Some(hop(0)));
    routes.remove(Prefix::all());
    assert_eq!(reader.lookup(Ipv4Addr::BROADCAST), None);
}

#[test]
fn bulks_of_any_size_are_looked_up() {
    let mut routes = Routes::<Ipv6Addr>::new();
    routes.insert("2001:db8::/32".parse().unwrap(), hop(7)).unwrap();
    let reader = routes.reader();
    let addr: Ipv6Addr = "2001:db8::1".parse().unwrap();
    for count in 0..100 {
        let mut found = vec![None; count];
        reader.lookup_bulk(&vec![addr; count], &mut found);
        assert!(found.iter().all(|it| *it == NextHop::new(7)), "{count}");
    }
}

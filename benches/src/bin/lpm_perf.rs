//! What a look-up and an update of the route tables cost: the twin of `dpdk/lpm_perf.c`, which has the
//! method. `--table prefix-trie` measures that crate in the same cases, `--simd` one level alone.
#![expect(clippy::print_stderr, reason = "remarks are for who runs it, rows for who reads it")]

use clap::{Parser, ValueEnum};
use linecard_benches::routes::{self, ADDRESSES, Route};
use linecard_benches::{Options, cycles, pin, row};
use linecard_flow_classify::lpm::{NextHop, Prefix, Routable, RouteReader, Routes};
use linecard_flow_classify::simd::Simd;
use prefix_trie::PrefixMap;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;

const UNIT: &str = "cycles/lookup";
const UPDATE_UNIT: &str = "cycles/route";
const BULKS: [usize; 2] = [32, 64];
const UPDATE_STEP: usize = 64;

/// What DPDK is told to give where there is no route.
const NO_ROUTE: u64 = 0xff_ffff;

#[derive(Parser, Debug)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The folder that holds `bgp/`.
    #[arg(long, default_value = "../shared/data")]
    data: PathBuf,
    /// What to measure.
    #[arg(long, value_enum, default_value_t = Which::Linecard)]
    table: Which,
    /// The level of SIMD, or the best.
    #[arg(long)]
    simd: Option<Level>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Linecard,
    PrefixTrie,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Plain,
    Sse42,
    Avx2,
    Avx512,
}

impl Level {
    fn simd(self) -> Simd {
        match self {
            Self::Plain => Simd::Plain,
            Self::Sse42 => Simd::Sse42,
            Self::Avx2 => Simd::Avx2,
            Self::Avx512 => Simd::Avx512,
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    pin(0);
    let case = arguments.options.case.as_str();
    if !case.starts_with("lpm6") {
        if !case.starts_with("lpm4 million") {
            let real = routes::real_v4(&arguments.data);
            table(&arguments, "lpm4 real", &real, v4_addresses);
        }
        if !case.starts_with("lpm4 real") {
            table(&arguments, "lpm4 million", &routes::million(), v4_addresses);
        }
    }
    if !case.starts_with("lpm4") {
        let real = routes::real_v6(&arguments.data);
        table(&arguments, "lpm6 real", &real, |routes| vec![("routed", routes::routed_v6(routes))]);
    }
}

type Addresses<A> = Vec<(&'static str, Vec<A>)>;

fn v4_addresses(routes: &[Route<std::net::Ipv4Addr>]) -> Addresses<std::net::Ipv4Addr> {
    vec![("random", routes::random_v4()), ("routed", routes::routed_v4(routes))]
}

/// What is measured.
trait Table<A> {
    fn insert(&mut self, route: &Route<A>, next_hop: u32);
    fn remove(&mut self, route: &Route<A>) -> bool;
    fn look_up(&self, addrs: &[A], found: &mut [Option<NextHop>]);
    fn remark(&self) -> String;
}

struct Ours<A: Routable> {
    routes: Routes<A>,
    reader: RouteReader<A>,
}

impl<A: Routable> Ours<A> {
    fn new(level: Option<Level>) -> Self {
        let routes = match level {
            Some(level) => Routes::with_simd(level.simd()).expect("a level of this processor"),
            None => Routes::new(),
        };
        Self { reader: routes.reader(), routes }
    }
}

impl<A: Routable> Table<A> for Ours<A> {
    fn insert(&mut self, route: &Route<A>, next_hop: u32) {
        self.routes.insert(prefix(route), hop(next_hop)).expect("room");
    }

    fn remove(&mut self, route: &Route<A>) -> bool {
        self.routes.remove(prefix(route)).is_some()
    }

    #[inline]
    fn look_up(&self, addrs: &[A], found: &mut [Option<NextHop>]) {
        self.reader.lookup_bulk(addrs, found);
    }

    fn remark(&self) -> String {
        let routes = &self.routes;
        format!("{} routes, {:?}, {}", routes.len(), routes.memory(), routes.path())
    }
}

/// A map of prefixes that are numbers; its bulk is one by one.
impl<A: Routable> Table<A> for PrefixMap<(A::Bits, u8), NextHop>
where
    (A::Bits, u8): prefix_trie::Prefix,
{
    fn insert(&mut self, route: &Route<A>, next_hop: u32) {
        self.insert((route.addr.to_bits(), route.len), hop(next_hop));
    }

    fn remove(&mut self, route: &Route<A>) -> bool {
        self.remove(&(route.addr.to_bits(), route.len)).is_some()
    }

    #[inline]
    fn look_up(&self, addrs: &[A], found: &mut [Option<NextHop>]) {
        for (addr, found) in addrs.iter().zip(found) {
            let host = (addr.to_bits(), Prefix::host(*addr).len());
            *found = self.get_lpm(&host).map(|it| *it.1);
        }
    }

    fn remark(&self) -> String {
        format!("{} routes", self.len())
    }
}

fn table<A: Routable>(
    arguments: &Arguments,
    stem: &str,
    routes: &[Route<A>],
    addresses: fn(&[Route<A>]) -> Addresses<A>,
) where
    (A::Bits, u8): prefix_trie::Prefix,
{
    if routes.is_empty() {
        return eprintln!("{stem}: no table in {}", arguments.data.display());
    }
    let options = &arguments.options;
    match arguments.table {
        Which::Linecard => {
            measure(options, Ours::<A>::new(arguments.simd), stem, routes, addresses(routes));
        }
        Which::PrefixTrie => {
            measure(
                options,
                PrefixMap::<(A::Bits, u8), NextHop>::new(),
                stem,
                routes,
                addresses(routes),
            );
        }
    }
}

fn measure<A: Routable>(
    options: &Options,
    mut table: impl Table<A>,
    stem: &str,
    routes: &[Route<A>],
    addresses: Addresses<A>,
) {
    change(options, &mut table, stem, routes);
    let truth = truth(routes);
    for (kind, addresses) in addresses {
        let stem = format!("{stem} {kind}");
        agree(&table, &truth, &stem, &addresses);
        look_up(options, &table, &stem, &addresses);
    }
}

fn prefix<A: Routable>(route: &Route<A>) -> Prefix<A> {
    Prefix::containing(route.addr, route.len).expect("a length of an address")
}

fn hop(number: u32) -> NextHop {
    NextHop::new(number).expect("a small number")
}

/// Fills the table, and changes it: it ends as the routes say.
fn change<A: Routable>(
    options: &Options,
    table: &mut impl Table<A>,
    stem: &str,
    routes: &[Route<A>],
) {
    let updates = !options.case.contains("bulk");
    let few = || routes.iter().step_by(UPDATE_STEP);
    let report = |what: &str, count: usize, start: u64| {
        let spent = cycles() - start;
        if updates {
            row(&format!("{stem} {what}"), UPDATE_UNIT, spent as f64 / count as f64);
        }
    };
    let start = cycles();
    routes.iter().for_each(|route| table.insert(route, route.next_hop));
    report("add", routes.len(), start);
    let start = cycles();
    few().for_each(|route| table.insert(route, route.next_hop ^ 1));
    report("replace", few().count(), start);
    let start = cycles();
    few().for_each(|route| assert!(table.remove(route), "it was there"));
    report("delete", few().count(), start);
    few().for_each(|route| table.insert(route, route.next_hop));
    eprintln!("{stem}: {}", table.remark());
}

type Truth<A> = BTreeMap<Prefix<A>, NextHop>;

fn truth<A: Routable>(routes: &[Route<A>]) -> Truth<A> {
    routes.iter().map(|route| (prefix(route), hop(route.next_hop))).collect()
}

/// The longest route of an address, length by length.
fn longest<A: Routable>(truth: &Truth<A>, addr: A) -> Option<NextHop> {
    let lens = (0..=Prefix::host(addr).len()).rev();
    let mut prefixes = lens.filter_map(|len| Prefix::containing(addr, len).ok());
    prefixes.find_map(|prefix| truth.get(&prefix).copied())
}

/// Every 64th address finds what the routes say; and a sum of all, which DPDK's side prints too.
fn agree<A: Routable>(table: &impl Table<A>, truth: &Truth<A>, stem: &str, addresses: &[A]) {
    let mut found = vec![None; addresses.len()];
    table.look_up(addresses, &mut found);
    for (addr, found) in addresses.iter().zip(&found).step_by(64) {
        assert_eq!(*found, longest(truth, *addr), "{addr}");
    }
    let sum: u64 = found.iter().map(|it| it.map_or(NO_ROUTE, |hop| hop.number().into())).sum();
    eprintln!("{stem}: sum {sum}");
}

fn look_up<A: Routable>(options: &Options, table: &impl Table<A>, stem: &str, addresses: &[A]) {
    let budget = options.cycles(0.3);
    for bulk in BULKS {
        let name = format!("{stem} bulk {bulk}");
        if options.wants(&name) {
            row(&name, UNIT, cost(table, addresses, black_box(bulk), budget));
        }
    }
}

fn cost<A: Routable>(table: &impl Table<A>, addresses: &[A], bulk: usize, budget: u64) -> f64 {
    let mut found = vec![None; bulk];
    let (mut spent, mut times) = (0, 0);
    let mut turn = || {
        let start = cycles();
        for addresses in addresses.chunks_exact(bulk) {
            table.look_up(addresses, &mut found);
            black_box(&mut found);
        }
        cycles() - start
    };
    turn();
    while times == 0 || spent < budget {
        spent += turn();
        times += 1;
    }
    spent as f64 / (times * ADDRESSES) as f64
}

//! What a look-up and an update of the route tables cost: the twin of `dpdk/lpm_perf.c`, which has the
//! method. `--table prefix-trie` measures that crate in the same cases, `--simd` one level alone.
#![expect(clippy::print_stderr, reason = "remarks are for who runs it, rows for who reads it")]

use clap::{Parser, ValueEnum};
use linecard_benches::routes::{self, ADDRESSES, Route};
use linecard_benches::{Options, cycles, pin, row};
use linecard_flow_classify::lpm::{NextHop, Prefix, Routable, Routes};
use linecard_flow_classify::simd::Simd;
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
    /// The level of SIMD, or the best.
    #[arg(long)]
    simd: Option<Level>,
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

fn table<A: Routable>(
    arguments: &Arguments,
    stem: &str,
    routes: &[Route<A>],
    addresses: fn(&[Route<A>]) -> Addresses<A>,
) {
    if routes.is_empty() {
        return eprintln!("{stem}: no table in {}", arguments.data.display());
    }
    let table = filled(arguments, stem, routes);
    for (kind, addresses) in addresses(routes) {
        let stem = format!("{stem} {kind}");
        agree(&table, &stem, &addresses);
        look_up(&arguments.options, &table, &stem, &addresses);
    }
}

fn prefix<A: Routable>(route: &Route<A>) -> Prefix<A> {
    Prefix::containing(route.addr, route.len).expect("a length of an address")
}

fn hop(number: u32) -> NextHop {
    NextHop::new(number).expect("a small number")
}

fn filled<A: Routable>(arguments: &Arguments, stem: &str, routes: &[Route<A>]) -> Routes<A> {
    let mut table = match arguments.simd {
        Some(level) => Routes::with_simd(level.simd()).expect("a level of this processor"),
        None => Routes::new(),
    };
    let updates = !arguments.options.case.contains("bulk");
    let few = || routes.iter().step_by(UPDATE_STEP);
    let mut each = |what: &str, count: usize, update: &mut dyn FnMut(&mut Routes<A>)| {
        let start = cycles();
        update(&mut table);
        let spent = cycles() - start;
        if updates {
            row(&format!("{stem} {what}"), UPDATE_UNIT, spent as f64 / count as f64);
        }
    };
    let insert = |table: &mut Routes<A>, route: &Route<A>, to: u32| {
        table.insert(prefix(route), hop(to)).expect("room");
    };
    each("add", routes.len(), &mut |table| {
        routes.iter().for_each(|route| insert(table, route, route.next_hop));
    });
    each("replace", few().count(), &mut |table| {
        few().for_each(|route| insert(table, route, route.next_hop ^ 1));
    });
    each("delete", few().count(), &mut |table| {
        few().for_each(|route| assert!(table.remove(prefix(route)).is_some()));
    });
    few().for_each(|route| insert(&mut table, route, route.next_hop));
    eprintln!("{stem}: {} routes, {:?}, {}", table.len(), table.memory(), table.path());
    table
}

/// Every address finds what the control copy says; and a sum, which DPDK's side prints too.
fn agree<A: Routable>(table: &Routes<A>, stem: &str, addresses: &[A]) {
    let mut found = vec![None; addresses.len()];
    table.reader().lookup_bulk(addresses, &mut found);
    let mut sum = 0;
    for (addr, found) in addresses.iter().zip(&found) {
        assert_eq!(*found, table.longest(*addr).map(|it| it.1), "{addr}");
        sum += found.map_or(NO_ROUTE, |hop| hop.number().into());
    }
    eprintln!("{stem}: sum {sum}");
}

fn look_up<A: Routable>(options: &Options, table: &Routes<A>, stem: &str, addresses: &[A]) {
    let budget = options.cycles(0.3);
    for bulk in BULKS {
        let name = format!("{stem} bulk {bulk}");
        if options.wants(&name) {
            row(&name, UNIT, cost(table, addresses, black_box(bulk), budget));
        }
    }
}

fn cost<A: Routable>(table: &Routes<A>, addresses: &[A], bulk: usize, budget: u64) -> f64 {
    let reader = table.reader();
    let mut found = vec![None; bulk];
    let (mut spent, mut times) = (0, 0);
    let mut turn = || {
        let start = cycles();
        for addresses in addresses.chunks_exact(bulk) {
            reader.lookup_bulk(addresses, &mut found);
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

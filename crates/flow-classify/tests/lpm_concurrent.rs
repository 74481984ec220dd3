//! Route tables that are read while they change, and what they give back.

use linecard_flow_classify::lpm::{NextHop, Prefix, Routable, RouteReader, Routes};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const READERS: usize = 3;

/// How long writers and readers are let loose.
const TIME: Duration = Duration::from_millis(600);

fn hop(number: u32) -> NextHop {
    NextHop::new(number).unwrap()
}

fn parse<A: Routable>(texts: &[&str]) -> Vec<Prefix<A>> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The next hops of the prefix of this number. Every address is in prefixes of known numbers, and only
/// ever has their next hops.
fn hops(number: usize, turn: u32) -> NextHop {
    hop(number as u32 * 1000 + turn % 1000)
}

/// What a reader checks: an address always resolves to a next hop of a prefix that it is in. The first
/// prefix is always there, and holds all others.
fn read<A: Routable>(reader: &RouteReader<A>, prefixes: &[Prefix<A>], stop: &AtomicBool) -> u64 {
    let addrs: Vec<A> = prefixes.iter().flat_map(|it| [it.first(), it.last()]).collect();
    let allowed = |addr: A, found: Option<NextHop>| {
        let found = found.expect("the first prefix is always there").number() as usize / 1000;
        prefixes[found].contains(addr)
    };
    let mut found = vec![None; addrs.len()];
    let mut rounds = 0;
    // Relaxed: nothing else depends on it; the thread is joined.
    while !stop.load(Ordering::Relaxed) {
        reader.lookup_bulk(&addrs, &mut found);
        for (addr, found) in addrs.iter().zip(&found) {
            assert!(allowed(*addr, *found), "{addr} resolved to {found:?}");
            assert!(allowed(*addr, reader.lookup(*addr)), "{addr}");
        }
        rounds += 1;
    }
    rounds
}

/// Changes routes as fast as it can; some thousand routes more make the table grow and shrink.
fn write<A: Routable>(routes: &mut Routes<A>, prefixes: &[Prefix<A>], more: &[Prefix<A>]) -> u32 {
    let start = Instant::now();
    let mut turn = 0;
    while start.elapsed() < TIME {
        turn += 1;
        for (number, prefix) in prefixes.iter().enumerate() {
            if number == 0 || !(turn as usize + number).is_multiple_of(3) {
                routes.insert(*prefix, hops(number, turn)).unwrap();
            } else {
                routes.remove(*prefix);
            }
        }
        match turn % 64 {
            1 => more.iter().for_each(|it| assert!(routes.insert(*it, hop(turn)).is_ok())),
            32 => more.iter().for_each(|it| assert!(routes.remove(*it).is_some())),
            _ => {}
        }
    }
    turn
}

/// Stops the readers, also when the writer fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        // Relaxed: see `read`.
        self.0.store(true, Ordering::Relaxed);
    }
}

fn readers_see_only_what_was_there<A: Routable + Send + Sync>(texts: &[&str], more: &[Prefix<A>]) {
    let prefixes = parse::<A>(texts);
    let mut routes = Routes::new();
    routes.insert(prefixes[0], hops(0, 0)).unwrap();
    let stop = AtomicBool::new(false);
    let reader = routes.reader();
    thread::scope(|scope| {
        let read = || scope.spawn(|| read(&reader, &prefixes, &stop));
        let readers: Vec<_> = (0..READERS).map(|_| read()).collect();
        let running = Stop(&stop);
        assert!(write(&mut routes, &prefixes, more) > 0);
        drop(running);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn ipv4_readers_see_only_what_was_there() {
    let texts = [
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.1.0.0/16",
        "10.1.0.0/19",
        "10.1.0.0/20",
        "10.1.2.0/24",
        "10.1.2.0/25",
        "10.1.2.3/32",
        "10.1.2.4/30",
        "10.1.3.0/24",
        "10.255.255.255/32",
    ];
    let more = |i: u32| Prefix::host(Ipv4Addr::from_bits(172 << 24 | i << 8));
    readers_see_only_what_was_there(&texts, &(0..2000).map(more).collect::<Vec<_>>());
}

#[test]
fn ipv6_readers_see_only_what_was_there() {
    let texts = [
        "2000::/3",
        "2001::/16",
        "2001:db8::/32",
        "2001:db8::/33",
        "2001:db8::/48",
        "2001:db8::/64",
        "2001:db8::1/128",
        "2001:db8:1::/48",
        "2001:db8:1:2::/64",
        "2a00::/12",
    ];
    let more =
        |i: u128| Prefix::containing(Ipv6Addr::from_bits(0xfc00 << 112 | i << 84), 48).unwrap();
    readers_see_only_what_was_there(&texts, &(0..2000).map(more).collect::<Vec<_>>());
}

/// Some routes that stay, and very many that go.
fn memory_returns<A: Routable>(stays: &str, goes: impl Fn(u32) -> Prefix<A>) {
    let mut routes = Routes::<A>::new();
    let reader = routes.reader();
    let stays: Prefix<A> = stays.parse().unwrap();
    routes.insert(stays, hop(1)).unwrap();
    let before = routes.memory();
    (0..30_000).for_each(|i| assert_eq!(routes.insert(goes(i), hop(i)), Ok(None)));
    let full = routes.memory();
    assert!(full.table > before.table, "{before:?} {full:?}");
    (0..30_000).for_each(|i| assert_eq!(routes.remove(goes(i)), Some(hop(i))));
    // Other tests of this process may be pinned for a moment.
    while routes.memory().waiting > 0 {
        routes.reclaim();
    }
    let after = routes.memory();
    assert!(after.table <= before.table * 2, "{before:?} {full:?} {after:?}");
    assert_eq!(reader.lookup(stays.first()), Some(hop(1)));
    assert_eq!(reader.lookup(goes(0).first()), None);
}

#[test]
fn ipv4_memory_returns_after_deletes() {
    memory_returns("192.0.2.0/24", |i| Prefix::host(Ipv4Addr::from_bits(10 << 24 | i << 8 | 7)));
}

#[test]
fn ipv6_memory_returns_after_deletes() {
    memory_returns("2001:db8::/32", |i| {
        Prefix::containing(Ipv6Addr::from_bits(0x2a00 << 112 | u128::from(i) << 80), 48).unwrap()
    });
}

#[test]
fn a_reader_outlives_its_table() {
    let mut routes = Routes::<Ipv4Addr>::new();
    routes.insert(Prefix::all(), hop(5)).unwrap();
    let reader = routes.reader();
    let pinned = reader.pin();
    drop(routes);
    assert_eq!(pinned.lookup(Ipv4Addr::LOCALHOST), Some(hop(5)));
    assert_eq!(reader.clone().lookup(Ipv4Addr::LOCALHOST), Some(hop(5)));
}

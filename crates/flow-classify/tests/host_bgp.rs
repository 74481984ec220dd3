//! Real routing tables, where there are some: every route's first, last and neighbouring addresses, on every level of SIMD.

use linecard_flow_classify::lpm::{NextHop, Prefix, Routable, Routes};
use linecard_flow_classify::simd::Simd;
use linecard_testbed::{Need, needs};
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;

/// A file of `../shared/data/bgp`, beside the checkout; where there is none, routes made up, so that there
/// are always some. Nothing after saying that the test is skipped.
fn table<A: Routable>(name: &str, from: fn(u128) -> A) -> Option<Vec<(Prefix<A>, NextHop)>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let file = data.join("bgp").join(name);
    if !file.exists() {
        return Some(made_up(from));
    }
    if !needs(&[Need::Tool("zcat")]) {
        return None;
    }
    let output = Command::new("zcat").arg(&file).output().expect("zcat");
    let text = String::from_utf8(output.stdout).expect("text");
    let routes: Vec<_> = text.lines().filter_map(route).collect();
    assert!(routes.len() > 10_000, "{name} is cut off");
    Some(routes)
}

/// Of 8 bits and more; few bits are set, so that many are nested.
fn made_up<A: Routable>(from: fn(u128) -> A) -> Vec<(Prefix<A>, NextHop)> {
    let mut draw = fastrand::Rng::with_seed(1);
    let mut one = || {
        let addr = from(draw.u128(..) & draw.u128(..) & draw.u128(..));
        let len = draw.u8(8..=Prefix::host(addr).len());
        (
            Prefix::containing(addr, len).expect("a length"),
            NextHop::new(draw.u32(..1000)).expect("small"),
        )
    };
    (0..1000).map(|_| one()).collect()
}

fn route<A: Routable>(line: &str) -> Option<(Prefix<A>, NextHop)> {
    let (prefix, number) = line.split_once('\t')?;
    Some((prefix.parse().ok()?, NextHop::new(number.parse::<u32>().ok()? & NextHop::MOST)?))
}

/// The longest route of an address, tried length by length in a map: slow, and not a trie.
fn longest<A: Routable>(routes: &HashMap<Prefix<A>, NextHop>, addr: A) -> Option<NextHop> {
    let lens = (0..=Prefix::host(addr).len()).rev();
    let prefixes = lens.filter_map(|len| Prefix::containing(addr, len).ok());
    prefixes.into_iter().find_map(|prefix| routes.get(&prefix).copied())
}

fn equals_a_map<A: Routable>(routes: &[(Prefix<A>, NextHop)], beside: fn(A) -> [A; 2]) {
    let map: HashMap<_, _> = routes.iter().copied().collect();
    let ends = routes.iter().flat_map(|(prefix, _)| [prefix.first(), prefix.last()]);
    let addrs: Vec<A> = ends.flat_map(|end| [end, beside(end)[0], beside(end)[1]]).collect();
    let expected: Vec<_> = addrs.iter().map(|addr| longest(&map, *addr)).collect();
    for simd in Simd::supported() {
        let mut table = Routes::with_simd(simd).expect("a level of this processor");
        for (prefix, to) in routes {
            table.insert(*prefix, *to).expect("room");
        }
        let mut found = vec![None; addrs.len()];
        table.reader().lookup_bulk(&addrs, &mut found);
        assert!(found == expected, "{simd}");
        assert_eq!(table.len(), map.len());
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_real_ipv4_table_equals_a_map() {
    let Some(routes) = table("ipv4-2014-05-13.dat.gz", |bits| Ipv4Addr::from_bits(bits as u32))
    else {
        return;
    };
    equals_a_map(&routes, |addr| {
        [addr.to_bits().wrapping_sub(1), addr.to_bits().wrapping_add(1)].map(Ipv4Addr::from_bits)
    });
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_real_ipv6_table_equals_a_map() {
    let Some(routes) = table("ipv6-2015-11-01.dat.gz", Ipv6Addr::from_bits) else { return };
    equals_a_map(&routes, |addr| {
        [addr.to_bits().wrapping_sub(1), addr.to_bits().wrapping_add(1)].map(Ipv6Addr::from_bits)
    });
}

//! The routes and addresses of `lpm_perf`, the same as in `dpdk/lpm_inputs.h`: a real table, or one
//! made up with the lengths of a real table; addresses drawn from SplitMix64.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;

/// How many addresses are looked up in turn.
pub const ADDRESSES: usize = 1 << 20;

/// Next hops are below this: `rte_lpm6` has room for 21 bits.
pub const NEXT_HOPS: u32 = 1 << 20;

/// A prefix and its next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<A> {
    /// The first address.
    pub addr: A,
    /// The length of the prefix.
    pub len: u8,
    /// The next hop.
    pub next_hop: u32,
}

/// How many of 512,621 routes of a table of 2014 had each length, from 8 on.
const LENGTHS_SEEN: [u32; 25] = [
    16, 12, 30, 90, 259, 487, 974, 1726, 13017, 7050, 11917, 24936, 35828, 37624, 57782, 47385,
    270023, 918, 1060, 537, 138, 292, 331, 20, 169,
];

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A sequence of its own for every seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it does not end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number, below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// The lines of a file of `bgp/`: prefix, tab, number. None if it is not there.
fn lines(folder: &Path, name: &str) -> Vec<(IpAddr, u8, u32)> {
    let output = Command::new("zcat").arg(folder.join("bgp").join(name)).output();
    let text =
        output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<(IpAddr, u8, u32)> {
    let (prefix, number) = text.split_once('\t')?;
    let (addr, len) = prefix.split_once('/')?;
    Some((addr.parse().ok()?, len.parse().ok()?, number.parse::<u32>().ok()? % NEXT_HOPS))
}

/// The real IPv4 table, or nothing.
pub fn real_v4(folder: &Path) -> Vec<Route<Ipv4Addr>> {
    let v4 = |(addr, len, next_hop)| match addr {
        IpAddr::V4(addr) => Some(Route { addr, len, next_hop }),
        IpAddr::V6(_) => None,
    };
    lines(folder, "ipv4-2014-05-13.dat.gz").into_iter().filter_map(v4).collect()
}

/// The real IPv6 table, or nothing.
pub fn real_v6(folder: &Path) -> Vec<Route<Ipv6Addr>> {
    let v6 = |(addr, len, next_hop)| match addr {
        IpAddr::V6(addr) => Some(Route { addr, len, next_hop }),
        IpAddr::V4(_) => None,
    };
    lines(folder, "ipv6-2015-11-01.dat.gz").into_iter().filter_map(v6).collect()
}

/// Twice the lengths of the real table, anywhere in 1.0.0.0 to 223.255.255.255; what was drawn twice is there once.
pub fn million() -> Vec<Route<Ipv4Addr>> {
    let mut draw = Draw::new(1);
    let mut routes = Vec::new();
    for (len, seen) in (8_u8..).zip(LENGTHS_SEEN) {
        let mut address = || 0x0100_0000 + draw.below(0xdf00_0000) as u32;
        let mut addresses: Vec<u32> =
            (0..2 * seen).map(|_| address() & (u64::MAX << (32 - len)) as u32).collect();
        addresses.sort_unstable();
        addresses.dedup();
        for addr in addresses.into_iter().map(Ipv4Addr::from_bits) {
            routes.push(Route { addr, len, next_hop: draw.below(NEXT_HOPS.into()) as u32 });
        }
    }
    for i in (1..routes.len()).rev() {
        routes.swap(i, draw.below(i as u64 + 1) as usize);
    }
    routes
}

/// Any address at all.
pub fn random_v4() -> Vec<Ipv4Addr> {
    let mut draw = Draw::new(2);
    (0..ADDRESSES).map(|_| Ipv4Addr::from_bits(draw.next() as u32)).collect()
}

/// Any route, and any address in it.
pub fn routed_v4(routes: &[Route<Ipv4Addr>]) -> Vec<Ipv4Addr> {
    let mut draw = Draw::new(3);
    let mut one = || {
        let route = &routes[draw.below(routes.len() as u64) as usize];
        let host = draw.next() & ((1 << (32 - route.len)) - 1);
        Ipv4Addr::from_bits(route.addr.to_bits() | host as u32)
    };
    (0..ADDRESSES).map(|_| one()).collect()
}

/// Any route, and any address in it.
pub fn routed_v6(routes: &[Route<Ipv6Addr>]) -> Vec<Ipv6Addr> {
    let mut draw = Draw::new(4);
    let mut one = || {
        let route = &routes[draw.below(routes.len() as u64) as usize];
        let random = u128::from(draw.next()) << 64 | u128::from(draw.next());
        let host = random & u128::MAX.checked_shr(route.len.into()).unwrap_or(0);
        Ipv6Addr::from_bits(route.addr.to_bits() | host)
    };
    (0..ADDRESSES).map(|_| one()).collect()
}

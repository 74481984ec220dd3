//! Whether a network interface is needed for something.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Root;

/// What an interface is used for, so that it should not be taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Use {
    /// It carries an address. One that IPv6 gave itself for the link does not count.
    Address(IpAddr),
    /// What is for elsewhere goes there.
    DefaultRoute,
    /// Another interface is made of it: a bridge, a bond, a VLAN.
    Upper(String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "carries the address {address}"),
            Self::DefaultRoute => f.write_str("carries the default route"),
            Self::Upper(name) => write!(f, "is a part of {name}"),
        }
    }
}

/// What the interfaces of a machine, in this process's network namespace, are used for.
#[derive(Debug, Default)]
pub struct Uses(BTreeMap<String, Vec<Use>>);

impl Uses {
    /// As the tree at `root` tells. IPv4 addresses are asked of the running kernel, so that they are
    /// known of [`Root::host`] only.
    pub fn read_in(root: &Root) -> Self {
        let mut uses = Self::default();
        if *root == Root::host() {
            ipv4_addresses().into_iter().for_each(|(name, use_)| uses.add(name, use_));
        }
        let text = |path| root.text(path).unwrap_or_default();
        text("proc/net/if_inet6")
            .lines()
            .filter_map(ipv6_address)
            .for_each(|(n, u)| uses.add(n, u));
        text("proc/net/route").lines().filter_map(ipv4_default).for_each(|(n, u)| uses.add(n, u));
        text("proc/net/ipv6_route")
            .lines()
            .filter_map(ipv6_default)
            .for_each(|(n, u)| uses.add(n, u));
        for name in root.names("sys/class/net") {
            let entries = root.names(format!("sys/class/net/{name}"));
            let uppers = entries.iter().filter_map(|entry| entry.strip_prefix("upper_"));
            uppers.for_each(|upper| uses.add(name.clone(), Use::Upper(upper.to_owned())));
        }
        uses
    }

    /// What an interface is used for; the first reason found.
    pub fn of(&self, interface: &str) -> Option<&Use> {
        self.0.get(interface)?.first()
    }

    fn add(&mut self, interface: String, reason: Use) {
        self.0.entry(interface).or_default().push(reason);
    }
}

/// `fe80…0001 02 40 20 80 eth0`: address, interface number, prefix, scope, flags, name. Of scope
/// 20 (hexadecimal) are those of the link.
fn ipv6_address(line: &str) -> Option<(String, Use)> {
    let [address, _, _, scope, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
    (scope != "20").then(|| (name.to_owned(), Use::Address(address.into())))
}

/// `eth0 00000000 0102a8c0 0003 …`: name, destination, gateway, flags, then the mask as the 8th.
fn ipv4_default(line: &str) -> Option<(String, Use)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (name, to, mask) = (words.first()?, words.get(1)?, words.get(7)?);
    (*to == "00000000" && *mask == "00000000").then(|| ((*name).to_owned(), Use::DefaultRoute))
}

/// Destination, prefix length, source, its prefix, next hop, …, flags, name. The kernel has such a
/// route to `lo` too, which rejects.
fn ipv6_default(line: &str) -> Option<(String, Use)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (to, prefix, name) = (words.first()?, words.get(1)?, words.get(9)?);
    let all = to.bytes().all(|digit| digit == b'0') && *prefix == "00" && *name != "lo";
    all.then(|| ((*name).to_owned(), Use::DefaultRoute))
}

/// IPv4 addresses with their interfaces, from the C library's list.
fn ipv4_addresses() -> Vec<(String, Use)> {
    let mut list = std::ptr::null_mut();
    // SAFETY: `list` is where the head of a list is written, which is freed below, once.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Vec::new();
    }
    let (mut found, mut entry) = (Vec::new(), list.cast_const());
    // SAFETY: `entry` is null, or an entry of the list, which has not been freed yet.
    while let Some(one) = unsafe { entry.as_ref() } {
        found.extend(ipv4_address(one));
        entry = one.ifa_next;
    }
    // SAFETY: the head that getifaddrs gave; nothing points into the list any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

fn ipv4_address(entry: &libc::ifaddrs) -> Option<(String, Use)> {
    // SAFETY: null, or a socket address that starts with its family.
    let family = unsafe { entry.ifa_addr.as_ref() }?.sa_family;
    if libc::c_int::from(family) != libc::AF_INET {
        return None;
    }
    // SAFETY: of that family the address is a `sockaddr_in`, which the list may hold unaligned.
    let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
    let address = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    // SAFETY: a string of the list, ended by a zero.
    let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_str().ok()?;
    Some((name.to_owned(), Use::Address(address.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn addresses_default_routes_and_uppers_are_uses() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        fs::create_dir_all(dir.path().join("sys/class/net/e3/upper_br0")).unwrap();
        fs::write(
            dir.path().join("proc/net/if_inet6"),
            "20010db8000000000000000000000001 02 40 00 80 e0\n\
             fe800000000000000000000000000001 02 40 20 80 e9\nnonsense\n",
        )
        .unwrap();
        fs::write(
            dir.path().join("proc/net/route"),
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             e1 00000000 0102A8C0 0003 0 0 100 00000000 0 0 0\n\
             e9 0002A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0\n",
        )
        .unwrap();
        let zero = "0".repeat(32);
        let route = |name: &str| {
            format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000003 {name}\n")
        };
        fs::write(dir.path().join("proc/net/ipv6_route"), route("e2") + &route("lo")).unwrap();
        let uses = Uses::read_in(&Root::at(dir.path()));
        let address = "2001:db8::1".parse().unwrap();
        assert_eq!(uses.of("e0"), Some(&Use::Address(address)));
        assert_eq!(uses.of("e1"), Some(&Use::DefaultRoute));
        assert_eq!(uses.of("e2"), Some(&Use::DefaultRoute));
        assert_eq!(uses.of("e3"), Some(&Use::Upper("br0".into())));
        assert_eq!((uses.of("e9"), uses.of("lo")), (None, None));
    }

    #[test]
    fn the_list_of_this_machine_can_be_read() {
        let addresses = ipv4_addresses();
        assert!(addresses.iter().all(|(name, _)| !name.is_empty()));
    }
}

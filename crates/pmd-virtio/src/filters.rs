//! What a port was told besides its configuration, and says to its device again at every start:
//! addresses, receive modes, VLANs, how packets are spread.

use linecard_net::MacAddr;
use linecard_net::rss::{RssKey, RssTypes};
use linecard_pmd_core::{AllMulticast, Promiscuous, RssCapabilities, RssConfig, VlanFilter};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::NetConfig;
use linecard_virtqueue::net::control::{
    Command, HASH_IPV4, HASH_IPV6, HASH_IPV6_EX, HASH_TCPV4, HASH_TCPV6, HASH_TCPV6_EX, HASH_UDPV4,
    HASH_UDPV6, HASH_UDPV6_EX, RssFixed,
};
use std::collections::BTreeSet;
use zerocopy::IntoBytes;

/// Further addresses at most. The specification names no limit; devices that hold fewer let all in.
pub(crate) const MORE_ADDRESSES: usize = 64;

/// Entries of the indirection table at most: what fits a command.
const MOST_ENTRIES: u16 = 1024;

/// A command, and its data.
pub(crate) type Say = (Command, Vec<u8>);

/// What was said.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    pub(crate) promiscuous: Promiscuous,
    pub(crate) all_multicast: AllMulticast,
    /// The port's own address, if it was set.
    pub(crate) own: Option<MacAddr>,
    pub(crate) more: Vec<MacAddr>,
    pub(crate) vlans: BTreeSet<u16>,
    pub(crate) rss: Option<RssConfig>,
}

impl Default for Filters {
    fn default() -> Self {
        Filters {
            promiscuous: Promiscuous::Off,
            all_multicast: AllMulticast::Off,
            own: None,
            more: Vec::new(),
            vlans: BTreeSet::new(),
            rss: None,
        }
    }
}

impl Filters {
    /// All of it, for a device that has just been started with these features.
    pub(crate) fn all(&self, features: Features) -> Vec<Say> {
        let mut all = Vec::new();
        if features.contains(Features::CTRL_RX) {
            all.push(promiscuous(self.promiscuous));
            all.push(all_multicast(self.all_multicast));
            all.push(addresses(&self.more));
        }
        if let Some(own) = self.own.filter(|_| features.contains(Features::CTRL_MAC_ADDR)) {
            all.push((Command::MacAddress, own.0.to_vec()));
        }
        if features.contains(Features::CTRL_VLAN) {
            all.extend(self.vlans.iter().map(|vlan| self::vlan(*vlan, VlanFilter::Pass)));
        }
        all
    }
}

/// Frames for others too, or not.
pub(crate) fn promiscuous(promiscuous: Promiscuous) -> Say {
    (Command::Promiscuous, vec![u8::from(promiscuous == Promiscuous::On)])
}

/// All multicast, or not.
pub(crate) fn all_multicast(all: AllMulticast) -> Say {
    (Command::AllMulticast, vec![u8::from(all == AllMulticast::On)])
}

/// Two tables, stations and groups, each behind its count (§5.1.6.5.2).
pub(crate) fn addresses(more: &[MacAddr]) -> Say {
    let (groups, stations): (Vec<&MacAddr>, Vec<&MacAddr>) =
        more.iter().partition(|mac| mac.is_multicast());
    let mut data = Vec::new();
    for table in [stations, groups] {
        data.extend((table.len() as u32).to_le_bytes());
        table.iter().for_each(|mac| data.extend(mac.0));
    }
    (Command::MacTable, data)
}

/// A VLAN let through, or no longer.
pub(crate) fn vlan(vlan: u16, filter: VlanFilter) -> Say {
    let command = match filter {
        VlanFilter::Pass => Command::VlanAdd,
        VlanFilter::Drop => Command::VlanRemove,
    };
    (command, vlan.to_le_bytes().to_vec())
}

/// So many queue pairs (§5.1.6.5.5).
pub(crate) fn pairs(pairs: usize) -> Say {
    (Command::QueuePairs, (pairs as u16).to_le_bytes().to_vec())
}

/// What is hashed, for us and for the device (§5.1.6.4.3.1).
const TYPES: [(RssTypes, u32); 9] = [
    (RssTypes::IPV4, HASH_IPV4),
    (RssTypes::IPV4_TCP, HASH_TCPV4),
    (RssTypes::IPV4_UDP, HASH_UDPV4),
    (RssTypes::IPV6, HASH_IPV6),
    (RssTypes::IPV6_TCP, HASH_TCPV6),
    (RssTypes::IPV6_UDP, HASH_UDPV6),
    (RssTypes::IPV6_EX, HASH_IPV6_EX),
    (RssTypes::IPV6_TCP_EX, HASH_TCPV6_EX),
    (RssTypes::IPV6_UDP_EX, HASH_UDPV6_EX),
];

/// What a device hashes, in our words; nothing if it takes no key of ours.
pub(crate) fn hashes(config: &NetConfig) -> RssTypes {
    if usize::from(config.rss_max_key_size) < RssKey::LEN {
        return RssTypes::empty();
    }
    let bits = config.supported_hash_types;
    let known = TYPES.iter().filter(|(_, bit)| bits & bit != 0);
    known.fold(RssTypes::empty(), |all, (one, _)| all | *one)
}

fn bits(types: RssTypes) -> u32 {
    TYPES.iter().filter(|(one, _)| types.contains(*one)).fold(0, |all, (_, bit)| all | bit)
}

/// Entries of the table that we use: the most that are a power of two.
fn entries(config: &NetConfig) -> u16 {
    match config.rss_max_indirection_table_length.min(MOST_ENTRIES) {
        0 => 0,
        most => 1 << most.ilog2(),
    }
}

/// How a device spreads packets, if it does.
pub(crate) fn rss_capabilities(offered: Features, config: &NetConfig) -> Option<RssCapabilities> {
    let (types, table) = (hashes(config), usize::from(entries(config)));
    let can = offered.contains(Features::RSS | Features::CTRL_VQ);
    let longest = usize::from(config.rss_max_key_size);
    let keys = [RssKey::LEN, RssKey::MAX_LEN].into_iter().filter(|len| *len <= longest).collect();
    let whole = RssCapabilities { types, key_bytes: keys, table };
    (can && !types.is_empty() && table > 0).then_some(whole)
}

/// §5.1.6.5.7: spreads packets over `rx` queues; `pairs` are used.
pub(crate) fn rss(rss: &RssConfig, config: &NetConfig, (rx, pairs): (usize, usize)) -> Say {
    let entries = entries(config).max(1);
    let fixed = RssFixed {
        hash_types: bits(rss.types) & config.supported_hash_types,
        indirection_table_mask: entries - 1,
        unclassified_queue: 0,
    };
    let mut data = fixed.as_bytes().to_vec();
    let table = rss.full_table(usize::from(entries), rx);
    table.iter().for_each(|queue| data.extend(queue.to_le_bytes()));
    data.extend((pairs as u16).to_le_bytes());
    let own = RssKey::MICROSOFT;
    let key = rss.key.as_deref().unwrap_or(own.as_bytes());
    data.push(key.len() as u8);
    data.extend(key);
    (Command::Rss, data)
}

/// §5.1.6.5.6.4: reports all hashes that the device computes, and spreads nothing.
pub(crate) fn hash(config: &NetConfig) -> Say {
    let key = RssKey::MICROSOFT;
    let mut data = (bits(hashes(config)) & config.supported_hash_types).to_le_bytes().to_vec();
    data.extend([0; 8]);
    data.push(RssKey::LEN as u8);
    data.extend(key.as_bytes());
    (Command::Hash, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> NetConfig {
        NetConfig {
            rss_max_key_size: 40,
            rss_max_indirection_table_length: 200,
            supported_hash_types: 0x1FF,
            ..NetConfig::default()
        }
    }

    #[test]
    fn addresses_are_sorted_into_stations_and_groups() {
        let (station, group) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([1, 0, 0x5E, 0, 0, 1]));
        let (command, data) = addresses(&[group, station]);
        assert_eq!(command, Command::MacTable);
        assert_eq!(data, [[1, 0, 0, 0].as_slice(), &station.0, &[1, 0, 0, 0], &group.0].concat());
    }

    #[test]
    fn a_table_is_a_power_of_two_and_a_key_as_long_as_it_says() {
        let asked = RssConfig::over(RssTypes::TCP);
        let (_, data) = rss(&asked, &config(), (3, 4));
        assert_eq!(data.len(), 8 + 2 * 128 + 2 + 1 + 40);
        assert_eq!(data[..8], [0x92, 0, 0, 0, 127, 0, 0, 0]);
        assert_eq!(data[8..16], [0, 0, 1, 0, 2, 0, 0, 0]);
        assert_eq!(data[264..267], [4, 0, 40]);
    }

    #[test]
    fn a_device_that_takes_no_key_of_ours_hashes_nothing() {
        let short = NetConfig { rss_max_key_size: 39, ..config() };
        assert!(hashes(&short).is_empty());
        assert_eq!(rss_capabilities(Features::RSS | Features::CTRL_VQ, &short), None);
        let can = rss_capabilities(Features::RSS | Features::CTRL_VQ, &config()).unwrap();
        assert_eq!((can.table, can.key_bytes), (128, vec![40]));
    }
}

//! The items of a line.

use super::Faulty;
use super::words::Words;
use linecard_net::rule::{
    ArpItem, EthItem, FragmentMatch, GeneveItem, GreItem, GtpuItem, IcmpItem, Ipv4Item, Ipv6Item,
    Item, Match, MplsItem, PortsItem, RawItem, TcpItem, VlanItem, VxlanItem,
};

const KINDS: &[&str] = &[
    "any", "eth", "vlan", "mpls", "arp", "ipv4", "ipv6", "tcp", "udp", "sctp", "icmp", "icmpv6",
    "vxlan", "geneve", "gre", "gtpu", "ip-in-ip", "raw",
];

/// All patterns of a line: one, or as many as its lists of ports make.
pub(super) fn patterns(words: &mut Words<'_>) -> Result<Vec<Vec<Item>>, Faulty> {
    let mut patterns = vec![Vec::new()];
    let mut fields: &[&str] = &[];
    while let Some(kind) = words.take_one_of(KINDS) {
        let (items, its_fields) = item(kind, words)?;
        fields = its_fields;
        let with = |pattern: &Vec<Item>, item: &Item| [&pattern[..], &[*item]].concat();
        let each =
            patterns.iter().flat_map(|pattern| items.iter().map(move |item| with(pattern, item)));
        patterns = each.collect();
    }
    let ended = patterns.iter().any(|pattern| pattern.is_empty());
    if !words.is_arrow() {
        let of_last =
            if fields.is_empty() { String::new() } else { format!("{}, ", fields.join(", ")) };
        let arrow = if ended { "" } else { ", or ->" };
        return Err(words.wrong(&format!("{of_last}{}{arrow}", KINDS.join(", "))));
    }
    if ended {
        return Err(words.wrong("an item, such as any, ipv4, udp"));
    }
    Ok(patterns)
}

/// Reads fields into a default item, as long as there are some of these names.
macro_rules! fields {
    ($words:ident, $item:expr, $($name:literal => |$it:ident, $w:ident| $read:expr),* $(,)?) => {{
        const FIELDS: &[&str] = &[$($name),*];
        let mut item = $item;
        while let Some(field) = $words.take_one_of(FIELDS) {
            match field {
                $($name => { let ($it, $w) = (&mut item, &mut *$words); $read })*
                _ => {}
            }
        }
        (item, FIELDS)
    }};
}

type Items = (Vec<Item>, &'static [&'static str]);

fn one((item, fields): (impl Into<Item>, &'static [&'static str])) -> Result<Items, Faulty> {
    Ok((vec![item.into()], fields))
}

fn item(kind: &str, words: &mut Words<'_>) -> Result<Items, Faulty> {
    match kind {
        "eth" => one(fields!(words, EthItem::default(),
            "src" => |it, w| it.src = w.matching()?,
            "dst" => |it, w| it.dst = w.matching()?,
            "type" => |it, w| it.ether_type = w.matching()?)),
        "vlan" => one(fields!(words, VlanItem::default(),
            "id" => |it, w| *it = VlanItem::id(w.value("a VLAN id")?),
            "tci" => |it, w| it.tci = w.matching()?)),
        "mpls" => one(fields!(words, MplsItem::default(),
            "label" => |it, w| it.label = w.matching()?)),
        "arp" => one(fields!(words, ArpItem::default(),
            "operation" => |it, w| it.operation = w.matching()?,
            "sender" => |it, w| it.sender = w.matching()?,
            "target" => |it, w| it.target = w.matching()?)),
        "ipv4" => one(ipv4(words)?),
        "ipv6" => one(ipv6(words)?),
        "tcp" => tcp(words),
        "udp" => ports(words, Item::Udp),
        "sctp" => ports(words, Item::Sctp),
        "icmp" => one(icmp(words, Item::Icmp)?),
        "icmpv6" => one(icmp(words, Item::Icmpv6)?),
        "raw" => one(fields!(words, RawItem::default(),
            "offset" => |it, w| it.offset = w.value("an offset in the frame")?,
            "word" => |it, w| it.word = w.matching()?)),
        _ => tunnel(kind, words),
    }
}

fn tunnel(kind: &str, words: &mut Words<'_>) -> Result<Items, Faulty> {
    match kind {
        "vxlan" => one(fields!(words, VxlanItem::default(),
            "vni" => |it, w| it.vni = w.matching()?)),
        "geneve" => one(fields!(words, GeneveItem::default(),
            "vni" => |it, w| it.vni = w.matching()?)),
        "gre" => one(fields!(words, GreItem::default(),
            "protocol" => |it, w| it.protocol = w.matching()?,
            "key" => |it, w| it.key = w.matching()?)),
        "gtpu" => one(fields!(words, GtpuItem::default(),
            "teid" => |it, w| it.teid = w.matching()?)),
        "ip-in-ip" => one((Item::IpInIp, &[])),
        _ => one((Item::Any, &[])),
    }
}

fn ipv4(words: &mut Words<'_>) -> Result<(Ipv4Item, &'static [&'static str]), Faulty> {
    Ok(fields!(words, Ipv4Item::default(),
        "src" => |it, w| it.src = w.matching()?,
        "dst" => |it, w| it.dst = w.matching()?,
        "proto" => |it, w| it.proto = w.matching()?,
        "tos" => |it, w| it.tos = w.matching()?,
        "ttl" => |it, w| it.ttl = w.matching()?,
        "fragment" => |it, w| it.fragment = fragment(w)?))
}

fn ipv6(words: &mut Words<'_>) -> Result<(Ipv6Item, &'static [&'static str]), Faulty> {
    Ok(fields!(words, Ipv6Item::default(),
        "src" => |it, w| it.src = w.matching()?,
        "dst" => |it, w| it.dst = w.matching()?,
        "proto" => |it, w| it.proto = w.matching()?,
        "traffic-class" => |it, w| it.traffic_class = w.matching()?,
        "flow-label" => |it, w| it.flow_label = w.matching()?,
        "hop-limit" => |it, w| it.hop_limit = w.matching()?,
        "fragment" => |it, w| it.fragment = fragment(w)?))
}

fn fragment(words: &mut Words<'_>) -> Result<FragmentMatch, Faulty> {
    let names = ["any", "whole", "fragment", "first", "later"];
    let found = words.take_one_of(&names).ok_or_else(|| words.wrong(&names.join(", ")))?;
    Ok(match found {
        "whole" => FragmentMatch::Whole,
        "fragment" => FragmentMatch::Fragment,
        "first" => FragmentMatch::First,
        "later" => FragmentMatch::Later,
        _ => FragmentMatch::Any,
    })
}

/// Ports as lists.
#[derive(Default)]
struct Lists {
    sport: Vec<Match<u16>>,
    dport: Vec<Match<u16>>,
    flags: Match<u8>,
}

impl Lists {
    /// Each source port with each destination port.
    fn pairs(&self) -> impl Iterator<Item = (Match<u16>, Match<u16>)> {
        let or_any = |list: &[Match<u16>]| match list {
            [] => vec![Match::Any],
            list => list.to_vec(),
        };
        let dports = or_any(&self.dport);
        or_any(&self.sport)
            .into_iter()
            .flat_map(move |sport| dports.clone().into_iter().map(move |dport| (sport, dport)))
    }
}

fn tcp(words: &mut Words<'_>) -> Result<Items, Faulty> {
    let (lists, fields) = fields!(words, Lists::default(),
        "sport" => |it, w| it.sport = w.matchings()?,
        "dport" => |it, w| it.dport = w.matchings()?,
        "flags" => |it, w| it.flags = w.matching()?);
    let item = |(sport, dport)| Item::Tcp(TcpItem { sport, dport, flags: lists.flags });
    Ok((lists.pairs().map(item).collect(), fields))
}

fn ports(words: &mut Words<'_>, item: fn(PortsItem) -> Item) -> Result<Items, Faulty> {
    let (lists, fields) = fields!(words, Lists::default(),
        "sport" => |it, w| it.sport = w.matchings()?,
        "dport" => |it, w| it.dport = w.matchings()?);
    let item = |(sport, dport)| item(PortsItem { sport, dport });
    Ok((lists.pairs().map(item).collect(), fields))
}

fn icmp(
    words: &mut Words<'_>,
    item: fn(IcmpItem) -> Item,
) -> Result<(Item, &'static [&'static str]), Faulty> {
    let (icmp, fields) = fields!(words, IcmpItem::default(),
        "type" => |it, w| it.kind = w.matching()?,
        "code" => |it, w| it.code = w.matching()?);
    Ok((item(icmp), fields))
}

//! What a rule means: the reference matcher, one item after another.

use super::{
    ArpItem, EthItem, GreItem, IcmpItem, Ipv4Item, Ipv6Item, Item, Match, MplsItem, Pattern,
    PortsItem, RawItem, Rule, TcpItem,
};
use crate::header::{
    Arp, Ethernet, Geneve, Gre, Gtpu, Icmp, Ipv4, Ipv6, MplsStack, Tcp, Vlan, Vxlan,
};
use crate::packet_type::{L2, L4, Tunnel};
use crate::parse::{Layers, Parsed};

impl Rule {
    /// Whether the rule's pattern matches the frame; `parsed` is what [`crate::parse()`] found
    /// in it. Priority and group are for the caller to heed.
    pub fn matches(&self, parsed: &Parsed, frame: &[u8]) -> bool {
        self.pattern.matches(parsed, frame)
    }
}

impl Pattern {
    /// Whether the pattern matches the frame that `parsed` describes.
    pub fn matches(&self, parsed: &Parsed, frame: &[u8]) -> bool {
        self.matches_quietly(parsed, frame).is_some()
    }

    /// `Some` when every item matches.
    fn matches_quietly(&self, parsed: &Parsed, frame: &[u8]) -> Option<()> {
        let mut place = Place { layers: Some(&parsed.outer), tags: 0, labels: 0 };
        for item in &self.items {
            match item {
                Item::Any => {}
                Item::Raw(item) => raw(item, frame).then_some(())?,
                Item::Vxlan(_) | Item::Geneve(_) | Item::Gre(_) | Item::Gtpu(_) | Item::IpInIp => {
                    tunnel(item, parsed, frame).then_some(())?;
                    place = Place { layers: parsed.inner.as_ref(), tags: 0, labels: 0 };
                }
                _ => place.matches(item, frame)?.then_some(())?,
            }
        }
        Some(())
    }
}

/// How far into the packet the items have come.
struct Place<'a> {
    layers: Option<&'a Layers>,
    tags: usize,
    labels: usize,
}

impl Place<'_> {
    /// Whether one item matches; `None` when its layer is not there.
    fn matches(&mut self, item: &Item, frame: &[u8]) -> Option<bool> {
        let layers = self.layers?;
        match item {
            Item::Eth(item) => eth(item, layers, frame),
            Item::Vlan(item) => {
                self.tags += 1;
                Some(item.tci.matches(*layers.vlans.as_slice().get(self.tags - 1)?))
            }
            Item::Mpls(item) => {
                self.labels += 1;
                mpls(item, self.labels - 1, layers, frame)
            }
            Item::Arp(item) => arp(item, layers, frame),
            Item::Ipv4(item) => ipv4(item, layers, frame),
            Item::Ipv6(item) => ipv6(item, layers, frame),
            Item::Tcp(item) => tcp(item, layers, frame),
            Item::Udp(item) => ports(item, L4::Udp, layers),
            Item::Sctp(item) => ports(item, L4::Sctp, layers),
            Item::Icmp(item) => icmp(item, layers, frame).filter(|_| layers.l3.is_ipv4()),
            Item::Icmpv6(item) => icmp(item, layers, frame).filter(|_| layers.l3.is_ipv6()),
            _ => None,
        }
    }
}

fn raw(item: &RawItem, frame: &[u8]) -> bool {
    let word = frame.get(usize::from(item.offset)..).and_then(|bytes| bytes.first_chunk());
    word.is_some_and(|word| item.word.matches(u16::from_be_bytes(*word)))
}

fn eth(item: &EthItem, layers: &Layers, frame: &[u8]) -> Option<bool> {
    let bytes = frame.get(usize::from(layers.l2_offset)..).filter(|_| layers.has_ethernet)?;
    let (eth, _) = Ethernet::ref_from_prefix(bytes)?;
    Some(
        item.src.matches(eth.src)
            && item.dst.matches(eth.dst)
            && item.ether_type.matches(eth.ether_type.get()),
    )
}

fn mpls(item: &MplsItem, n: usize, layers: &Layers, frame: &[u8]) -> Option<bool> {
    if layers.l2 != L2::Mpls {
        return None;
    }
    let ethernet = if layers.has_ethernet { Ethernet::LEN } else { 0 };
    let at = ethernet + layers.vlans.as_slice().len() * Vlan::LEN;
    let (start, end) = (usize::from(layers.l2_offset) + at, usize::from(layers.l3_offset));
    let label = MplsStack::new(frame.get(start..end)?).nth(n)?;
    Some(item.label.matches(label.label()))
}

fn arp(item: &ArpItem, layers: &Layers, frame: &[u8]) -> Option<bool> {
    let bytes = Some(layers.l3_bytes(frame)).filter(|_| layers.l2 == L2::Arp)?;
    let (arp, _) = Arp::ref_from_prefix(bytes).filter(|(arp, _)| arp.is_ipv4())?;
    Some(
        item.operation.matches(arp.operation.get())
            && item.sender.matches(arp.sender_ip.into())
            && item.target.matches(arp.target_ip.into()),
    )
}

fn ipv4(item: &Ipv4Item, layers: &Layers, frame: &[u8]) -> Option<bool> {
    let bytes = Some(layers.l3_bytes(frame)).filter(|_| layers.l3.is_ipv4())?;
    let (ip, _) = Ipv4::ref_from_prefix(bytes)?;
    Some(
        item.src.matches(ip.src_addr())
            && item.dst.matches(ip.dst_addr())
            && item.proto.matches(ip.protocol)
            && item.tos.matches(ip.tos)
            && item.ttl.matches(ip.ttl)
            && item.fragment.matches(layers.fragment),
    )
}

fn ipv6(item: &Ipv6Item, layers: &Layers, frame: &[u8]) -> Option<bool> {
    let bytes = Some(layers.l3_bytes(frame)).filter(|_| layers.l3.is_ipv6())?;
    let (ip, _) = Ipv6::ref_from_prefix(bytes)?;
    Some(
        item.src.matches(ip.src_addr())
            && item.dst.matches(ip.dst_addr())
            && item.proto.matches(layers.flow?.proto())
            && item.traffic_class.matches(ip.traffic_class())
            && item.flow_label.matches(ip.flow_label())
            && item.hop_limit.matches(ip.hop_limit)
            && item.fragment.matches(layers.fragment),
    )
}

fn tcp(item: &TcpItem, layers: &Layers, frame: &[u8]) -> Option<bool> {
    let bytes = Some(layers.l4_bytes(frame)).filter(|_| layers.l4 == L4::Tcp)?;
    let (tcp, _) = Tcp::ref_from_prefix(bytes)?;
    Some(
        item.sport.matches(tcp.src_port.get())
            && item.dport.matches(tcp.dst_port.get())
            && item.flags.matches(tcp.flags),
    )
}

fn ports(item: &PortsItem, l4: L4, layers: &Layers) -> Option<bool> {
    let (sport, dport) = layers.flow.filter(|_| layers.l4 == l4)?.ports();
    Some(item.sport.matches(sport) && item.dport.matches(dport))
}

fn icmp(item: &IcmpItem, layers: &Layers, frame: &[u8]) -> Option<bool> {
    let bytes = Some(layers.l4_bytes(frame)).filter(|_| layers.l4 == L4::Icmp)?;
    let (icmp, _) = Icmp::ref_from_prefix(bytes)?;
    Some(item.kind.matches(icmp.kind) && item.code.matches(icmp.code))
}

/// Whether the packet has the tunnel that `item` names, with such a header.
fn tunnel(item: &Item, parsed: &Parsed, frame: &[u8]) -> bool {
    let bytes = frame.get(usize::from(parsed.tunnel_offset)..).unwrap_or_default();
    let vni =
        |matching: &Match<u32>, vni: Option<u32>| vni.is_some_and(|vni| matching.matches(vni));
    match (item, parsed.packet_type.tunnel()) {
        (Item::Vxlan(item), Tunnel::Vxlan) => {
            vni(&item.vni, Vxlan::ref_from_prefix(bytes).map(|(vxlan, _)| vxlan.vni()))
        }
        (Item::Geneve(item), Tunnel::Geneve) => {
            vni(&item.vni, Geneve::ref_from_prefix(bytes).map(|(geneve, _)| geneve.vni()))
        }
        (Item::Gtpu(item), Tunnel::Gtpu) => {
            vni(&item.teid, Gtpu::ref_from_prefix(bytes).map(|(gtpu, _)| gtpu.teid.get()))
        }
        (Item::Gre(item), Tunnel::Gre) => gre(item, bytes).unwrap_or(false),
        (Item::IpInIp, Tunnel::Ip) => true,
        _ => false,
    }
}

fn gre(item: &GreItem, bytes: &[u8]) -> Option<bool> {
    let (gre, fields, _) = Gre::split(bytes)?;
    Some(item.protocol.matches(gre.protocol.get()) && item.key.matches_optional(fields.key))
}

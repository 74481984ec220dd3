//! Whether a rule makes sense: items in order and able to match, one fate.

use super::item::Rank;
use super::{Action, Field, Item, ItemFault, Match, Rule, RuleError};
use crate::header::{MAX_LABELS, ethertype};
use crate::parse::MAX_VLANS;

/// Validates fields, each with its width in bits, under their own names.
macro_rules! check {
    ($($item:ident.$field:ident: $width:literal),*) => {{
        $($item.$field.validate(stringify!($field), $width)?;)*
        Ok(())
    }};
}

impl Rule {
    /// Checks that the rule makes sense, whatever is to carry it out.
    ///
    /// # Errors
    /// [`RuleError`], which names the item or the actions at fault.
    pub fn validate(&self) -> Result<(), RuleError> {
        self.pattern.validate()?;
        self.validate_fate()?;
        for (at, action) in self.actions.iter().enumerate() {
            validate_action(action, self.group)?;
            let is_same = |other: &Action| other.name() == action.name();
            if self.actions[..at].iter().any(is_same) {
                return Err(RuleError::Twice(action.name()));
            }
        }
        Ok(())
    }

    fn validate_fate(&self) -> Result<(), RuleError> {
        let mut fates = self.actions.iter().filter(|action| action.is_fate()).map(Action::name);
        let first = fates.next().ok_or(RuleError::NoFate)?;
        fates.next().map_or(Ok(()), |second| Err(RuleError::TwoFates { first, second }))
    }
}

fn validate_action(action: &Action, group: u32) -> Result<(), RuleError> {
    match action {
        Action::Rss(rss) if rss.queues.is_empty() => Err(RuleError::NoQueue),
        Action::Jump(to) if *to <= group => Err(RuleError::JumpBack { from: group, to: *to }),
        _ => Ok(()),
    }
}

impl super::Pattern {
    /// Checks that items are in order and can match.
    ///
    /// # Errors
    /// [`RuleError::Item`], which names the item.
    pub fn validate(&self) -> Result<(), RuleError> {
        for (at, item) in self.items.iter().enumerate() {
            let checked = check_fields(item).and_then(|()| check_place(item, &self.items[..at]));
            checked.map_err(|fault| RuleError::Item { at, name: item.name(), fault })?;
        }
        Ok(())
    }
}

fn check_place(item: &Item, before: &[Item]) -> Result<(), ItemFault> {
    let Some(rank) = item.rank() else {
        return Ok(());
    };
    let tunnel = before.iter().rposition(|item| item.rank() == Some(Rank::Tunnel));
    if let (Some(tunnel), Rank::Tunnel) = (tunnel, rank) {
        return Err(ItemFault::OutOfOrder { after: before[tunnel].name() });
    }
    let same_packet = &before[tunnel.map_or(0, |at| at + 1)..];
    let mut ranked = same_packet.iter().filter(|item| item.rank().is_some());
    let Some(last) = ranked.next_back() else {
        return check_first(item, tunnel.map(|at| &before[at]));
    };
    if !may_follow(item, last) {
        return Err(ItemFault::OutOfOrder { after: last.name() });
    }
    check_count(item, same_packet)?;
    check_protocols(item, last, same_packet)
}

/// The first item of a packet inside a tunnel must be something that the tunnel can carry.
fn check_first(item: &Item, tunnel: Option<&Item>) -> Result<(), ItemFault> {
    match tunnel {
        Some(tunnel @ (Item::Gtpu(_) | Item::IpInIp))
            if item.rank() < Some(Rank::Network) || matches!(item, Item::Arp(_)) =>
        {
            Err(ItemFault::OutOfOrder { after: tunnel.name() })
        }
        _ => Ok(()),
    }
}

fn may_follow(item: &Item, last: &Item) -> bool {
    match (item, last) {
        (_, Item::Arp(_)) => false,
        (Item::Icmp(_), Item::Ipv6(_)) | (Item::Icmpv6(_), Item::Ipv4(_)) => false,
        (Item::Arp(_), Item::Mpls(_)) => false,
        (Item::Vlan(_), Item::Vlan(_)) | (Item::Mpls(_), Item::Mpls(_)) => true,
        (Item::Vxlan(_) | Item::Geneve(_) | Item::Gtpu(_), Item::Udp(_)) => true,
        (_, last) if item.rank() == Some(Rank::Tunnel) => last.rank() < Some(Rank::Transport),
        _ => item.rank() > last.rank(),
    }
}

fn check_count(item: &Item, same_packet: &[Item]) -> Result<(), ItemFault> {
    let limit = match item {
        Item::Vlan(_) => MAX_VLANS,
        Item::Mpls(_) => MAX_LABELS,
        _ => return Ok(()),
    };
    let others = same_packet.iter().filter(|other| other.rank() == item.rank()).count();
    if others < limit { Ok(()) } else { Err(ItemFault::TooMany { limit }) }
}

/// Whether protocol fields of lower items allow this one above them.
fn check_protocols(item: &Item, last: &Item, same_packet: &[Item]) -> Result<(), ItemFault> {
    for lower in same_packet {
        let (field, allows) = match (lower, last) {
            (Item::Ipv4(ip), _) => ("proto", allows(&ip.proto, item.ip_protocol())),
            (Item::Ipv6(ip), _) => ("proto", allows(&ip.proto, item.ip_protocol())),
            (Item::Eth(eth), Item::Eth(_)) => ("ether_type", allows_above(&eth.ether_type, item)),
            _ => continue,
        };
        if !allows {
            return Err(ItemFault::Contradiction { field, of: lower.name() });
        }
    }
    Ok(())
}

fn allows<T: Field>(field: &Match<T>, demanded: Option<T>) -> bool {
    demanded.is_none_or(|demanded| field.matches(demanded))
}

/// Between Ethernet and what the pattern names next there may be tags and labels.
fn allows_above(ether_type: &Match<u16>, item: &Item) -> bool {
    use ethertype::{MPLS, MPLS_UPSTREAM, QINQ, QINQ_OLD, VLAN};
    let between = [VLAN, QINQ, QINQ_OLD, MPLS, MPLS_UPSTREAM];
    let any = |types: &[u16]| types.iter().any(|&value| ether_type.matches(value));
    match item {
        Item::Vlan(_) => any(&between[..3]),
        Item::Mpls(_) => any(&between),
        _ => allows(ether_type, item.ether_type()) || any(&between),
    }
}

/// Checks each field of an item against its width on the wire.
fn check_fields(item: &Item) -> Result<(), ItemFault> {
    match item {
        Item::Any | Item::IpInIp => Ok(()),
        Item::Eth(eth) => check!(eth.src: 48, eth.dst: 48, eth.ether_type: 16),
        Item::Vlan(vlan) => check!(vlan.tci: 16),
        Item::Mpls(mpls) => check!(mpls.label: 20),
        Item::Arp(arp) => check!(arp.operation: 16, arp.sender: 32, arp.target: 32),
        Item::Ipv4(ip) => check!(ip.src: 32, ip.dst: 32, ip.proto: 8, ip.tos: 8, ip.ttl: 8),
        Item::Ipv6(ip) => {
            check!(ip.src: 128, ip.dst: 128, ip.proto: 8, ip.traffic_class: 8)?;
            check!(ip.flow_label: 20, ip.hop_limit: 8)
        }
        Item::Tcp(tcp) => check!(tcp.sport: 16, tcp.dport: 16, tcp.flags: 8),
        Item::Udp(ports) | Item::Sctp(ports) => check!(ports.sport: 16, ports.dport: 16),
        Item::Icmp(icmp) | Item::Icmpv6(icmp) => check!(icmp.kind: 8, icmp.code: 8),
        Item::Vxlan(vxlan) => check!(vxlan.vni: 24),
        Item::Geneve(geneve) => check!(geneve.vni: 24),
        Item::Gre(gre) => check!(gre.protocol: 16, gre.key: 32),
        Item::Gtpu(gtpu) => check!(gtpu.teid: 32),
        Item::Raw(raw) => check!(raw.word: 16),
    }
}

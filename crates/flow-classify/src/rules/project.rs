//! The part of a rule that flow keys can say.

use super::overlap::meets;
use crate::acl::{AclRule, Categories, Key, Reach};
use linecard_net::flow::{KeyV4, KeyV6};
use linecard_net::header::protocol;
use linecard_net::rule::{Action, FragmentMatch, Item, Match, Rule};

/// What wildcard rules stand for a rule.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) v4: Option<AclRule<KeyV4>>,
    pub(super) v6: Option<AclRule<KeyV6>>,
    /// Whether frames without IP may match.
    pub(super) without_ip: bool,
    pub(super) asks: Asks,
}

/// Whether a rule asks more than a flow key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// What the key says, and nothing else.
    Key,
    /// More: packets must be compared with its pattern.
    More,
}

impl Projection {
    pub(super) fn of(rule: &Rule) -> Self {
        let mut all = Self::any();
        let outer = rule.pattern.items.iter().take_while(|item| !is_tunnel(item));
        outer.for_each(|item| all.narrow(item));
        if rule.pattern.items.iter().any(is_tunnel) {
            all.asks = Asks::More;
            all.without_ip = false;
        }
        let goes_on = rule.fate() == Some(&Action::PassThrough);
        let whole = all.asks == Asks::Key && !goes_on;
        let reach = if whole { Reach::Whole } else { Reach::Part };
        let (priority, categories) = (rule.priority, Categories::default());
        all.v4 = all.v4.map(|v4| AclRule { priority, categories, reach, ..v4 });
        all.v6 = all.v6.map(|v6| AclRule { priority, categories, reach, ..v6 });
        all
    }

    fn any() -> Self {
        let (v4, v6) = (Some(AclRule::default()), Some(AclRule::default()));
        Self { v4, v6, without_ip: true, asks: Asks::Key }
    }

    /// Leaves only what an item of the outermost headers allows.
    fn narrow(&mut self, item: &Item) {
        match item {
            Item::Any => return,
            Item::Ipv4(ip) => {
                (self.v6, self.without_ip) = (None, false);
                if let Some(v4) = &mut self.v4 {
                    (v4.src, v4.dst, v4.proto) = (ip.src, ip.dst, ip.proto);
                }
                if ip.tos.is_any() && ip.ttl.is_any() && ip.fragment == FragmentMatch::Any {
                    return;
                }
            }
            Item::Ipv6(ip) => {
                (self.v4, self.without_ip) = (None, false);
                if let Some(v6) = &mut self.v6 {
                    (v6.src, v6.dst, v6.proto) = (ip.src, ip.dst, ip.proto);
                }
                let rest = ip.traffic_class.is_any() && ip.flow_label.is_any();
                if rest && ip.hop_limit.is_any() && ip.fragment == FragmentMatch::Any {
                    return;
                }
            }
            Item::Arp(_) => (self.v4, self.v6) = (None, None),
            Item::Tcp(tcp) => self.transport(protocol::TCP, tcp.sport, tcp.dport),
            Item::Udp(udp) => self.transport(protocol::UDP, udp.sport, udp.dport),
            Item::Sctp(sctp) => self.transport(protocol::SCTP, sctp.sport, sctp.dport),
            Item::Icmp(_) => {
                self.v6 = None;
                self.transport(protocol::ICMP, Match::Any, Match::Any);
            }
            Item::Icmpv6(_) => {
                self.v4 = None;
                self.transport(protocol::ICMPV6, Match::Any, Match::Any);
            }
            _ => {}
        }
        self.asks = Asks::More;
    }

    fn transport(&mut self, protocol: u8, sport: Match<u16>, dport: Match<u16>) {
        self.without_ip = false;
        let proto = Match::Exact(protocol);
        self.v4 = self.v4.map(|v4| AclRule { sport, dport, proto, ..v4 });
        self.v6 = self.v6.map(|v6| AclRule { sport, dport, proto, ..v6 });
    }
}

fn is_tunnel(item: &Item) -> bool {
    matches!(item, Item::Vxlan(_) | Item::Geneve(_) | Item::Gre(_) | Item::Gtpu(_) | Item::IpInIp)
}

/// Whether some key may match both rules; exact for masks and for ranges, not for one with the other.
pub(super) fn meet<K: Key>(one: &AclRule<K>, other: &AclRule<K>) -> bool {
    meets(&one.src, &other.src)
        && meets(&one.dst, &other.dst)
        && meets(&one.sport, &other.sport)
        && meets(&one.dport, &other.dport)
        && meets(&one.proto, &other.proto)
}

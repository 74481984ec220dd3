//! EtherType (§7.1.2.3), TCP SYN (§7.1.2.6) and 5-tuple filters (§7.1.2.5). Each can only choose a
//! queue; which one a rule needs is decided by its pattern alone.

use super::pattern::{exact, plain_eth, plain_ipv4, too_much};
use crate::registers::Registers;
use linecard_ixgbe_regs::registers::*;
use linecard_net::rule::{EthItem, Ipv4Item, Item, Match, PortsItem, Rule, TcpItem};

/// EtherType filters that there are (the last one finds PTP), and 5-tuple filters.
pub(super) const TYPES: u32 = crate::clock::PTP_FILTER;
pub(super) const TUPLES: u32 = 128;

/// IPv4 and IPv6 are not for EtherType filters (§7.1.2.3).
const IP_TYPES: [u16; 2] = [0x0800, 0x86DD];

/// The flag that a SYN filter looks at.
const SYN: u8 = 0x02;

/// What a rule becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    EtherType(u16),
    Syn,
    Tuple(Tuple),
}

/// FTQF.PROTOCOL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp = 0,
    Udp = 1,
    Sctp = 2,
}

/// Fields to compare; `None` for any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tuple {
    src: Option<u32>,
    dst: Option<u32>,
    sport: Option<u16>,
    dport: Option<u16>,
    protocol: Option<Protocol>,
}

impl Filter {
    /// The filter for a pattern. The text of an error says what is too much.
    pub(super) fn of(rule: &Rule) -> Result<Self, String> {
        let filter = filter(rule)?;
        match filter {
            Filter::Tuple(_) if rule.priority <= 6 => Ok(filter),
            Filter::Tuple(_) => {
                Err(format!("priority {}: 5-tuple filters have 0 (the first) to 6", rule.priority))
            }
            _ if rule.priority == 0 => Ok(filter),
            _ => Err(format!("priority {}: this kind of filter has only 0", rule.priority)),
        }
    }

    /// How many of the kind there are.
    pub(super) fn count(self) -> u32 {
        match self {
            Filter::EtherType(_) => TYPES,
            Filter::Tuple(_) => TUPLES,
            Filter::Syn => 1,
        }
    }

    /// Whether it takes a register of the same kind.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Has it choose `queue`, in the register of its kind `at`. 0 is the first priority.
    pub(super) fn set(self, registers: &Registers, at: u32, priority: u32, queue: u16) {
        let queue = u32::from(queue);
        match self {
            Filter::EtherType(ether_type) => {
                let word = etqs::RX_QUEUE.put(etqs::QUEUE_EN.mask(), queue);
                registers.write_at(&ETQS, at, word);
                let word = etqf::ETYPE.put(etqf::EN.mask(), u32::from(ether_type));
                registers.write_at(&ETQF, at, word);
            }
            Filter::Syn => {
                // Before 5-tuples: none has a priority before 0.
                let word = synqf::QUEUE_EN.mask() | synqf::SYNQFP.mask();
                registers.write(&SYNQF, synqf::RX_QUEUE.put(word, queue));
            }
            Filter::Tuple(tuple) => tuple.set(registers, at, priority, queue),
        }
    }

    /// The register's filter is off.
    pub(super) fn clear(self, registers: &Registers, at: u32) {
        match self {
            Filter::EtherType(_) => {
                registers.write_at(&ETQF, at, 0);
                registers.write_at(&ETQS, at, 0);
            }
            Filter::Syn => registers.write(&SYNQF, 0),
            Filter::Tuple(_) => registers.write_at(&FTQF, at, 0),
        }
    }
}

fn filter(rule: &Rule) -> Result<Filter, String> {
    let mut items = rule.pattern.items.iter().filter(|item| !matches!(item, Item::Any)).peekable();
    if let Some(Item::Eth(eth)) = items.peek() {
        if let Some(ether_type) = exact("eth", "ether_type", eth.ether_type)? {
            return ether_filter(eth, ether_type, items.count());
        }
        plain_eth(eth)?;
        items.next();
    }
    let mut tuple = Tuple::default();
    let mut addresses = false;
    if let Some(Item::Ipv4(ip)) = items.peek() {
        (tuple.src, tuple.dst) = ipv4(ip)?;
        addresses = true;
        items.next();
    }
    match items.next() {
        Some(Item::Tcp(tcp)) if !tcp.flags.is_any() => {
            syn(tcp, addresses)?;
            return last(items.next(), Filter::Syn);
        }
        Some(Item::Tcp(tcp)) => {
            tuple.ports(Protocol::Tcp, "tcp", tcp.sport, tcp.dport)?;
        }
        Some(Item::Udp(PortsItem { sport, dport })) => {
            tuple.ports(Protocol::Udp, "udp", *sport, *dport)?;
        }
        Some(Item::Sctp(PortsItem { sport, dport })) => {
            tuple.ports(Protocol::Sctp, "sctp", *sport, *dport)?;
        }
        None if addresses => {}
        None => return Err("an empty pattern: name an EtherType, IPv4 addresses or ports".into()),
        Some(other) => return Err(too_much(other)),
    }
    if !addresses {
        return Err(
            "ports of any IP version: 5-tuple filters are for IPv4, add an ipv4 item".into()
        );
    }
    last(items.next(), Filter::Tuple(tuple))
}

fn last(rest: Option<&Item>, filter: Filter) -> Result<Filter, String> {
    rest.map_or(Ok(filter), |item| Err(too_much(item)))
}

fn ether_filter(eth: &EthItem, ether_type: u16, items: usize) -> Result<Filter, String> {
    plain_eth(eth)?;
    if IP_TYPES.contains(&ether_type) {
        let what = "EtherType filters are not for IPv4 and IPv6: use an ipv4 item";
        return Err(format!("eth ether_type {ether_type:#06x}: {what}"));
    }
    match items {
        1 => Ok(Filter::EtherType(ether_type)),
        _ => Err("an EtherType and more: EtherType filters look at nothing else".into()),
    }
}

fn ipv4(ip: &Ipv4Item) -> Result<(Option<u32>, Option<u32>), String> {
    plain_ipv4(ip)?;
    // As it is in the packet: the first byte on the wire is the lowest in the register.
    let word = |address: std::net::Ipv4Addr| u32::from_le_bytes(address.octets());
    let [src, dst] = [exact("ipv4", "src", ip.src)?, exact("ipv4", "dst", ip.dst)?];
    Ok((src.map(word), dst.map(word)))
}

fn syn(tcp: &TcpItem, addresses: bool) -> Result<(), String> {
    if addresses || !tcp.sport.is_any() || !tcp.dport.is_any() {
        return Err("tcp flags: the SYN filter looks at no address and no port".into());
    }
    match tcp.flags.to_mask() {
        Some((value, mask)) if value == u128::from(SYN) && mask == u128::from(SYN) => Ok(()),
        _ => Err("tcp flags: the SYN filter looks at SYN alone, value 0x02 under mask 0x02".into()),
    }
}

impl Tuple {
    fn ports(
        &mut self,
        protocol: Protocol,
        item: &str,
        sport: Match<u16>,
        dport: Match<u16>,
    ) -> Result<(), String> {
        self.protocol = Some(protocol);
        self.sport = exact(item, "sport", sport)?;
        self.dport = exact(item, "dport", dport)?;
        Ok(())
    }

    fn set(&self, registers: &Registers, at: u32, priority: u32, queue: u32) {
        registers.write_at(&SAQF, at, self.src.unwrap_or(0));
        registers.write_at(&DAQF, at, self.dst.unwrap_or(0));
        // Ports as they are in the packet too (§8.2.3.7.17).
        let port = |port: Option<u16>| u32::from(port.unwrap_or(0).swap_bytes());
        let word = sdpqf::SOURCE.put(0, port(self.sport));
        registers.write_at(&SDPQF, at, sdpqf::DESTINATION.put(word, port(self.dport)));
        // Bit 19, reserved, and SIZE_BP are set, as §8.2.3.7.19 wants them.
        let word = l34timir::RX_QUEUE.put(l34timir::SIZE_BP.mask() | 1 << 19, queue);
        registers.write_at(&L34TIMIR, at, word);
        // 1 to 7, the highest first (§8.2.3.7.18).
        registers.write_at(&FTQF, at, self.control(7 - priority));
    }

    /// FTQF: what to compare.
    fn control(&self, priority: u32) -> u32 {
        let word = ftqf::PROTOCOL.put(0, self.protocol.map_or(3, |protocol| protocol as u32));
        let word = ftqf::PRIORITY.put(word, priority);
        let masks = [
            (ftqf::MASK_SOURCE, self.src.is_none()),
            (ftqf::MASK_DESTINATION, self.dst.is_none()),
            (ftqf::MASK_SOURCE_PORT, self.sport.is_none()),
            (ftqf::MASK_DESTINATION_PORT, self.dport.is_none()),
            (ftqf::MASK_PROTOCOL, self.protocol.is_none()),
            // Whatever the pool.
            (ftqf::POOL_MASK, true),
            (ftqf::QUEUE_ENABLE, true),
        ];
        masks.iter().fold(word, |word, (field, on)| field.put(word, u32::from(*on)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_net::rule::{Action, QueueIndex, RuleBuilder};
    use std::net::Ipv4Addr;

    fn chosen(pattern: impl FnOnce(RuleBuilder) -> RuleBuilder) -> Result<Filter, String> {
        let rule = pattern(Rule::builder()).action(Action::Queue(QueueIndex(1)));
        Filter::of(&rule.build().expect("a sound rule"))
    }

    #[test]
    fn a_five_tuple_becomes_a_tuple_filter() {
        let src = Match::Exact(Ipv4Addr::new(192, 0, 2, 1));
        let rule = chosen(|rule| {
            rule.item(Ipv4Item { src, ..Default::default() })
                .item(Item::Udp(PortsItem { dport: Match::Exact(53), ..Default::default() }))
        });
        let Ok(Filter::Tuple(tuple)) = rule else { panic!("{rule:?}") };
        assert_eq!(tuple.src, Some(u32::from_le_bytes([192, 0, 2, 1])));
        let expected = (None, Some(53), Some(Protocol::Udp));
        assert_eq!((tuple.sport, tuple.dport, tuple.protocol), expected);
    }

    #[test]
    fn an_ether_type_becomes_a_filter_unless_it_is_ip() {
        let eth = |n| EthItem { ether_type: Match::Exact(n), ..Default::default() };
        assert_eq!(chosen(|rule| rule.item(eth(0x88F7))), Ok(Filter::EtherType(0x88F7)));
        let refused = chosen(|rule| rule.item(eth(0x0800))).expect_err("IPv4");
        assert!(refused.contains("not for IPv4"), "{refused}");
    }

    #[test]
    fn only_syn_alone_becomes_the_syn_filter() {
        let flags =
            |value, mask| TcpItem { flags: Match::Mask { value, mask }, ..Default::default() };
        assert_eq!(chosen(|rule| rule.item(flags(2, 2))), Ok(Filter::Syn));
        let refused = chosen(|rule| rule.item(flags(2, 0x12))).expect_err("SYN without ACK");
        assert!(refused.contains("SYN alone"), "{refused}");
    }

    #[test]
    fn what_no_filter_can_do_is_refused_by_name() {
        let part = Match::prefix(Ipv4Addr::new(10, 0, 0, 0), 8);
        let refused = chosen(|rule| rule.item(Ipv4Item { dst: part, ..Default::default() }));
        assert!(refused.expect_err("a prefix").starts_with("ipv4 dst:"));
        let refused = chosen(|rule| rule.item(Item::Ipv6(Default::default())));
        assert!(refused.expect_err("IPv6").starts_with("item ipv6:"));
    }
}

//! The flow director (§7.1.2.7): filters in a part of the packet buffer, perfect or by signature.
//!
//! Perfect filters compare IPv4 addresses, ports, transport, VLAN tag and a flexible word under one mask,
//! which all share. Signature filters compare two hashes of it all, IPv6 as well: what is equal in both
//! matches too, however unlikely that is.

use super::hash::{BUCKET_KEY, SIGNATURE_KEY, Stream, hash};
use super::mask::Mask;
use super::pattern::{any, exact, masked, plain_eth, plain_ipv4, plain_ipv6, too_much};
use crate::hardware::PATIENCE;
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::*;
use linecard_net::rule::{Item, Match, RawItem, Rule, VlanItem};

/// How the flow director works, if it does. It cannot change while the card runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowDirector {
    /// It is off, and receive has the whole packet buffer.
    Off,
    /// Perfect filters: IPv4, under masks. Packets that do not match are never taken for some that do.
    Perfect(DirectorMemory),
    /// Signature filters: whole 5-tuples of IPv4 and IPv6, four times as many. A packet of another flow
    /// with the same two hashes (31 bits) is taken for one that matches.
    Signature(DirectorMemory),
}

/// How much of the packet buffer (512 KiB, 384 of an X540 or X550) the flow director takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectorMemory {
    /// 2,046 perfect or 8,190 signature filters.
    KiB64 = 1,
    /// 4,094, or 16,382.
    KiB128 = 2,
    /// 8,190, or 32,766.
    KiB256 = 3,
}

/// Packets that a rule drops go to a queue that is never used (§8.2.3.17.1).
const DROP_QUEUE: u32 = 127;

/// FDIRCMD.CMD.
const ADD: u32 = 1;
const REMOVE: u32 = 2;
const QUERY: u32 = 3;

/// Bits of a hash that tell buckets apart (§7.1.2.7.5), and signatures.
const BUCKET: u16 = 0x7FFF;

/// Up to where the flexible word may be. FDIRCTRL has room for 62, but the smallest frame ends at byte 60:
/// what is compared behind is its check sequence.
const LAST_FLEX: u16 = 58;

/// What becomes of a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Queue(u16),
    Drop,
    /// RSS chooses the queue, as if there were no rule.
    Pass,
}

/// FDIRCMD.L4TYPE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transport {
    #[default]
    Any = 0,
    Udp = 1,
    Tcp = 2,
    Sctp = 3,
}

/// What signatures are of, but for the flexible word.
const SIGNED: Mask = Mask {
    src: u32::MAX,
    dst: u32::MAX,
    sport: u16::MAX,
    dport: u16::MAX,
    vlan: 0,
    transport: true,
    flex: None,
};

/// What a rule looks for: the words of the filter's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    transport: Transport,
    /// Destination and source, as in the stream.
    dst: [u32; 4],
    src: [u32; 4],
    is_ipv6: bool,
    sport: u16,
    dport: u16,
    vlan: u16,
    flex: u16,
    pub(super) mask: Mask,
}

impl FlowDirector {
    /// KiB of the packet buffer that it takes.
    pub(crate) fn buffer(self) -> u32 {
        match self {
            FlowDirector::Off => 0,
            FlowDirector::Perfect(memory) | FlowDirector::Signature(memory) => 32 << memory as u32,
        }
    }

    /// How many filters it has.
    pub(crate) fn rules(self) -> usize {
        match self {
            FlowDirector::Off => 0,
            FlowDirector::Perfect(memory) => (1024 << memory as usize) - 2,
            FlowDirector::Signature(memory) => (4096 << memory as usize) - 2,
        }
    }

    pub(super) fn is_perfect(self) -> bool {
        matches!(self, FlowDirector::Perfect(_))
    }

    /// §7.1.2.7.6: as receive is set up, for filters with this mask. `marks`: the index of the filter that
    /// matched is in the descriptor, in the RSS hash's place.
    pub(super) fn start(
        self,
        registers: &Registers,
        marks: bool,
        mask: Option<Mask>,
    ) -> Result<(), Trouble> {
        let memory = match self {
            FlowDirector::Off => return Ok(()),
            FlowDirector::Perfect(memory) | FlowDirector::Signature(memory) => memory,
        };
        registers.write(&FDIRHKEY, BUCKET_KEY);
        registers.write(&FDIRSKEY, SIGNATURE_KEY);
        let fields = [
            (fdirctrl::PBALLOC, memory as u32),
            (fdirctrl::PERFECT_MATCH, u32::from(self.is_perfect())),
            (fdirctrl::REPORT_STATUS, u32::from(marks)),
            (fdirctrl::DROP_QUEUE, DROP_QUEUE),
            (fdirctrl::FLEX_OFFSET, mask.and_then(|mask| mask.flex).map_or(0, u32::from)),
            // Buckets of more than ten, and less than 64 free, are told of (§8.2.3.17.1).
            (fdirctrl::MAX_LENGTH, 10),
            (fdirctrl::FULL_THRESH, 4),
        ];
        let word = fields.iter().fold(0, |word, (field, value)| field.put(word, *value));
        registers.write(&FDIRCTRL, word);
        registers.wait(&Until::set(&FDIRCTRL, fdirctrl::INIT_DONE, PATIENCE))?;
        match mask {
            Some(mask) => mask.set(registers, self),
            None if self.is_perfect() => Ok(()),
            None => SIGNED.set(registers, self),
        }
    }

    /// The entry for a pattern, and whether it can have that fate. The text of an error says what is
    /// too much.
    pub(super) fn entry(self, rule: &Rule, fate: Fate, queues: usize) -> Result<Entry, String> {
        let entry = match self {
            FlowDirector::Off => return Err("it is off: open the port with one".into()),
            FlowDirector::Perfect(_) => Entry::of(rule)?.perfect()?,
            FlowDirector::Signature(_) => Entry::of(rule)?.signature()?,
        };
        match (self, fate) {
            (FlowDirector::Signature(_), Fate::Drop | Fate::Pass) => {
                Err("signature filters choose a queue and nothing else: a packet of another flow \
                     may match them"
                    .into())
            }
            (_, Fate::Drop) if queues > DROP_QUEUE as usize => {
                Err(format!("action drop: it takes queue {DROP_QUEUE}, have a queue less"))
            }
            _ => Ok(entry),
        }
    }
}

impl Entry {
    fn of(rule: &Rule) -> Result<Self, String> {
        let items = || rule.pattern.items.iter();
        let mut raw = items().filter_map(|item| match item {
            Item::Raw(raw) => Some(raw),
            _ => None,
        });
        let mut items = items().filter(|item| !matches!(item, Item::Any | Item::Raw(_))).peekable();
        let mut entry = Entry {
            transport: Transport::Any,
            dst: [0; 4],
            src: [0; 4],
            is_ipv6: false,
            sport: 0,
            dport: 0,
            vlan: 0,
            flex: 0,
            mask: Mask::default(),
        };
        if let Some(raw) = raw.next() {
            entry.raw(raw)?;
        }
        if raw.next().is_some() {
            return Err("two raw items: it compares two bytes at one place".into());
        }
        if let Some(Item::Eth(eth)) = items.peek() {
            plain_eth(eth)?;
            any("eth", "ether_type", eth.ether_type)?;
            items.next();
        }
        if let Some(Item::Vlan(vlan)) = items.peek() {
            entry.vlan(vlan)?;
            items.next();
        }
        let network = items.next().ok_or("no ipv4 or ipv6 item: it looks at IP packets only")?;
        entry.network(network)?;
        if let Some(transport) = items.next() {
            entry.transport(transport)?;
        }
        items.next().map_or(Ok(entry), |item| Err(too_much(item)))
    }

    fn vlan(&mut self, vlan: &VlanItem) -> Result<(), String> {
        let (value, mask) = masked("vlan", "tci", vlan.tci)?;
        if !matches!(mask, 0x0FFF | 0xE000 | 0xEFFF) {
            return Err("vlan tci: masks are 0x0fff, 0xe000 and 0xefff".into());
        }
        if value == 0 {
            return Err("vlan tci: a tag of 0 is like none to it".into());
        }
        (self.vlan, self.mask.vlan) = (value as u16, mask as u16);
        Ok(())
    }

    fn raw(&mut self, raw: &RawItem) -> Result<(), String> {
        if !raw.offset.is_multiple_of(2) || raw.offset > LAST_FLEX {
            let can = format!("the flow director looks at even ones up to {LAST_FLEX}");
            return Err(format!("raw offset {}: {can}", raw.offset));
        }
        let all = "raw word: the flow director compares all 16 bits";
        self.flex = exact("raw", "word", raw.word)?.ok_or(all)?;
        self.mask.flex = Some((raw.offset / 2) as u8);
        Ok(())
    }

    fn network(&mut self, item: &Item) -> Result<(), String> {
        match item {
            Item::Ipv4(ip) => {
                plain_ipv4(ip)?;
                let word = |(value, mask): (u128, u128)| (value as u32, mask as u32);
                (self.src[0], self.mask.src) = word(masked("ipv4", "src", ip.src)?);
                (self.dst[0], self.mask.dst) = word(masked("ipv4", "dst", ip.dst)?);
                Ok(())
            }
            Item::Ipv6(ip) => {
                plain_ipv6(ip)?;
                self.is_ipv6 = true;
                let words = |value: u128| [96, 64, 32, 0].map(|shift| (value >> shift) as u32);
                let all =
                    |item, match_: Match<std::net::Ipv6Addr>| match masked("ipv6", item, match_)? {
                        (value, u128::MAX) => Ok(words(value)),
                        _ => Err(format!("ipv6 {item}: signature filters compare all of it")),
                    };
                (self.src, self.dst) = (all("src", ip.src)?, all("dst", ip.dst)?);
                (self.mask.src, self.mask.dst) = (u32::MAX, u32::MAX);
                Ok(())
            }
            other => Err(too_much(other)),
        }
    }

    fn transport(&mut self, item: &Item) -> Result<(), String> {
        let (transport, name, sport, dport) = match item {
            Item::Tcp(tcp) => {
                any("tcp", "flags", tcp.flags)?;
                (Transport::Tcp, "tcp", tcp.sport, tcp.dport)
            }
            Item::Udp(ports) => (Transport::Udp, "udp", ports.sport, ports.dport),
            Item::Sctp(ports) => (Transport::Sctp, "sctp", ports.sport, ports.dport),
            other => return Err(too_much(other)),
        };
        let half = |(value, mask): (u128, u128)| (value as u16, mask as u16);
        (self.sport, self.mask.sport) = half(masked(name, "sport", sport)?);
        (self.dport, self.mask.dport) = half(masked(name, "dport", dport)?);
        (self.transport, self.mask.transport) = (transport, true);
        Ok(())
    }

    fn perfect(self) -> Result<Self, String> {
        if self.is_ipv6 {
            return Err("item ipv6: perfect filters are for IPv4, FlowDirector::Signature is for \
                        both"
                .into());
        }
        let ports = self.mask.sport | self.mask.dport;
        if self.transport == Transport::Sctp && ports != 0 {
            return Err("sctp ports: perfect filters of the 82599 have no mask for them".into());
        }
        Ok(self)
    }

    fn signature(self) -> Result<Self, String> {
        match self.mask {
            mask if Mask { flex: None, ..mask } == SIGNED => Ok(self),
            mask if mask.vlan != 0 => Err("vlan: signature filters are set to ignore tags".into()),
            _ => {
                Err("signature filters compare all of a 5-tuple: name both addresses, a transport \
                      and both ports, in full"
                    .into())
            }
        }
    }

    /// 4 for IPv6, and the transport.
    fn kind(&self) -> u32 {
        u32::from(self.is_ipv6) << 2 | self.transport as u32
    }

    fn stream(&self) -> Stream {
        let mut stream = [0; 11];
        stream[0] = self.kind() << 16 | u32::from(self.vlan);
        stream[1..5].copy_from_slice(&self.dst);
        stream[5..9].copy_from_slice(&self.src);
        stream[9] = u32::from(self.sport) << 16 | u32::from(self.dport);
        stream[10] = u32::from(self.flex) << 16;
        stream
    }

    /// FDIRHASH: bucket, and index or signature.
    fn hash(&self, director: FlowDirector, index: u16) -> u32 {
        let stream = self.stream();
        let second = match director.is_perfect() {
            true => index,
            false => hash(SIGNATURE_KEY, &stream) & BUCKET,
        };
        let bucket = u32::from(hash(BUCKET_KEY, &stream) & BUCKET);
        fdirhash::SIGNATURE_OR_INDEX.put(fdirhash::HASH.put(0, bucket), u32::from(second))
    }

    /// FDIRCMD, but for the command.
    fn command(&self, fate: Fate) -> u32 {
        let word = fdircmd::L4TYPE.put(0, self.transport as u32);
        let word = fdircmd::IPV6.put(word, u32::from(self.is_ipv6));
        let to = |queue| fdircmd::RX_QUEUE.put(fdircmd::QUEUE_EN.mask(), queue);
        word | match fate {
            Fate::Queue(queue) => to(u32::from(queue)),
            Fate::Drop => to(DROP_QUEUE) | fdircmd::DROP.mask(),
            Fate::Pass => 0,
        }
    }

    /// Adds the filter (§7.1.2.7.9). `Ok(false)` if the card has no room for it.
    pub(super) fn add(
        &self,
        registers: &Registers,
        director: FlowDirector,
        index: u16,
        fate: Fate,
    ) -> Result<bool, Trouble> {
        if director.is_perfect() {
            registers.write(&FDIRIPSA, self.src[0].swap_bytes());
            registers.write(&FDIRIPDA, self.dst[0].swap_bytes());
            let word = fdirport::DESTINATION.put(u32::from(self.sport), u32::from(self.dport));
            registers.write(&FDIRPORT, word);
            // The flexible word as it is in the packet, its first byte the lowest.
            let flex = u32::from(self.flex.swap_bytes());
            registers.write(&FDIRVLAN, fdirvlan::FLEX.put(u32::from(self.vlan), flex));
        }
        // A read clears what failed before.
        let _ = registers.read(&FDIRFSTAT);
        registers.write(&FDIRHASH, self.hash(director, index));
        let word = self.command(fate) | fdircmd::FILTER_UPDATE.mask() | fdircmd::LAST.mask();
        command(registers, fdircmd::CMD.put(word, ADD))?;
        Ok(registers.field(&FDIRFSTAT, fdirfstat::FADD) == 0)
    }

    /// Removes the filter (§7.1.2.7.10).
    pub(super) fn remove(
        &self,
        registers: &Registers,
        director: FlowDirector,
        index: u16,
    ) -> Result<(), Trouble> {
        let word = self.command(Fate::Pass);
        registers.write(&FDIRHASH, self.hash(director, index));
        command(registers, fdircmd::CMD.put(word, QUERY))?;
        if registers.field(&FDIRCMD, fdircmd::FILTER_VALID) == 1 {
            registers.write(&FDIRHASH, self.hash(director, index));
            command(registers, fdircmd::CMD.put(word, REMOVE))?;
        }
        Ok(())
    }
}

/// A command, and its end.
fn command(registers: &Registers, word: u32) -> Result<(), Trouble> {
    registers.write(&FDIRCMD, word);
    registers.wait(&Until::clear(&FDIRCMD, fdircmd::CMD, PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_net::rule::{Action, EthItem, Ipv4Item, Ipv6Item, PortsItem, RuleBuilder};
    use std::net::{Ipv4Addr, Ipv6Addr};

    const PERFECT: FlowDirector = FlowDirector::Perfect(DirectorMemory::KiB64);
    const SIGNATURE: FlowDirector = FlowDirector::Signature(DirectorMemory::KiB64);

    fn entry(
        director: FlowDirector,
        pattern: impl FnOnce(RuleBuilder) -> RuleBuilder,
    ) -> Result<Entry, String> {
        let rule = pattern(Rule::builder()).action(Action::Drop).build().expect("a sound rule");
        director.entry(&rule, if director.is_perfect() { Fate::Drop } else { Fate::Queue(0) }, 1)
    }

    fn net(len: u8) -> Item {
        Ipv4Item { dst: Match::prefix(Ipv4Addr::new(10, 1, 2, 3), len), ..Default::default() }
            .into()
    }

    fn port(dport: Match<u16>) -> Item {
        Item::Udp(PortsItem { dport, ..Default::default() })
    }

    #[test]
    fn a_pattern_becomes_words_and_a_mask() {
        let dport = Match::Mask { value: 0x1200, mask: 0xFF00 };
        let found = entry(PERFECT, |rule| {
            rule.item(EthItem::default()).item(VlanItem::id(7)).item(net(8)).item(port(dport))
        });
        let found = found.expect("it can");
        assert_eq!((found.dst[0], found.mask.dst), (0x0A00_0000, 0xFF00_0000));
        assert_eq!((found.dport, found.mask.dport), (0x1200, 0xFF00));
        assert_eq!((found.vlan, found.mask.vlan), (7, 0x0FFF));
        assert_eq!((found.transport, found.mask.src), (Transport::Udp, 0));
    }

    #[test]
    fn what_it_cannot_do_is_refused_by_name() {
        let v6 = || Item::Ipv6(Ipv6Item::default());
        let range = Match::Range { lo: 1, hi: 9 };
        let sctp = Item::Sctp(PortsItem { dport: Match::Exact(1), ..Default::default() });
        let whole = VlanItem { tci: Match::Exact(5) };
        let raw = |offset| Item::Raw(RawItem { offset, word: Match::Exact(1) });
        let any_raw = RawItem { offset: 2, word: Match::Any };
        for (refused, why) in [
            (entry(PERFECT, |rule| rule.item(net(8)).item(port(range))), "udp dport: a range"),
            (entry(PERFECT, |rule| rule.item(v6())), "ipv6 src"),
            (entry(PERFECT, |rule| rule.item(net(32)).item(sctp)), "sctp ports"),
            (entry(PERFECT, |rule| rule.item(EthItem::default()).item(whole)), "vlan tci"),
            (entry(PERFECT, |rule| rule.item(port(Match::Any))), "item udp"),
            (entry(SIGNATURE, |rule| rule.item(net(8)).item(port(Match::Any))), "in full"),
            (entry(FlowDirector::Off, |rule| rule.item(net(8))), "off"),
            (entry(PERFECT, |rule| rule.item(net(8)).item(raw(43))), "raw offset 43"),
            (entry(PERFECT, |rule| rule.item(raw(60)).item(net(8))), "even ones up to 58"),
            (entry(PERFECT, |rule| rule.item(net(8)).item(raw(2)).item(raw(4))), "two raw items"),
            (entry(PERFECT, |rule| rule.item(net(8)).item(any_raw)), "all 16 bits"),
            (entry(PERFECT, |rule| rule.item(raw(12))), "IP packets only"),
        ] {
            let text = refused.expect_err(why);
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn signatures_are_for_ipv6_too() {
        let at = |last| Match::Exact(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        let ip = Ipv6Item { src: at(1), dst: at(2), ..Default::default() };
        let ports = PortsItem { sport: Match::Exact(7), dport: Match::Exact(9) };
        let found = entry(SIGNATURE, |rule| rule.item(ip).item(Item::Udp(ports)));
        assert_eq!(found.expect("it can").stream()[4], 2);
        let refused = entry(PERFECT, |rule| rule.item(ip).item(Item::Udp(ports)));
        assert!(refused.expect_err("IPv6").contains("FlowDirector::Signature"));
    }

    #[test]
    fn there_are_as_many_filters_as_the_datasheet_says() {
        let all = [DirectorMemory::KiB64, DirectorMemory::KiB128, DirectorMemory::KiB256];
        let count = |director: fn(DirectorMemory) -> FlowDirector| all.map(|m| director(m).rules());
        assert_eq!(count(FlowDirector::Perfect), [2046, 4094, 8190]);
        assert_eq!(count(FlowDirector::Signature), [8190, 16_382, 32_766]);
        assert_eq!(all.map(|m| FlowDirector::Perfect(m).buffer()), [64, 128, 256]);
    }
}

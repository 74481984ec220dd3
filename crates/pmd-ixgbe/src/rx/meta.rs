//! What a receive descriptor says of a packet (§7.1.6.2), by tables.

use linecard_ixgbe_regs::descriptor::{packet_type as bits, receive};
use linecard_mbuf::{Flags, Mbuf};
use linecard_net::packet_type::{L2, L3, L4, PacketType};
use linecard_pmd_core::RxOffloads;

/// The device's packet types, and its statuses, in the house's words.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    /// By [`type_index`].
    types: Box<[u32; 512]>,
    /// By [`flag_index`].
    flags: Box<[Flags; 256]>,
    is_wanted: bool,
}

/// The headers' bits, EtherType filter, VLAN: 9 bits.
#[inline(always)]
fn type_index(first: u64) -> usize {
    let word = receive::PACKET_TYPE.of(first);
    ((word & 0x7F) | (word >> 4 & 0x180)) as usize
}

/// L4 checked, IPv4 checked, L4 wrong, IPv4 wrong, tag, UDP, hash, flow director: 8 bits.
#[inline(always)]
fn flag_index(first: u64, status: u64) -> usize {
    let checked = status >> 5 & 0b11;
    let wrong = status >> 28 & 0b1100;
    let tag = status << 1 & 0b1_0000;
    let udp = first >> receive::PACKET_TYPE.lsb & bits::UDP;
    let hash = u64::from(first & receive::RSS_TYPE.mask() != 0) << 6;
    let director = status << 5 & 0b1000_0000;
    (checked | wrong | tag | udp | hash | director) as usize
}

impl Meaning {
    /// What is told, of what was asked for.
    pub(crate) fn new(offloads: RxOffloads) -> Self {
        let mut types = Box::new([0; 512]);
        types.iter_mut().enumerate().for_each(|(index, entry)| *entry = packet_type(index).bits());
        let mut flags = Box::new([Flags::empty(); 256]);
        flags.iter_mut().enumerate().for_each(|(index, entry)| *entry = told(index, offloads));
        let nothing = RxOffloads::SCATTER | RxOffloads::VLAN_FILTER | RxOffloads::LRO;
        Meaning { types, flags, is_wanted: !nothing.contains(offloads) }
    }

    /// Whether anybody asked what descriptors say, but for lengths.
    #[inline(always)]
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// A packet's type and flags.
    #[inline(always)]
    pub(crate) fn of(&self, first: u64, status: u64) -> (u32, Flags) {
        self.tables().of(first, status)
    }

    /// Both tables, for a loop that should not look for them again with each packet that it writes.
    #[inline(always)]
    pub(super) fn tables(&self) -> Tables<'_> {
        Tables { types: &self.types, flags: &self.flags }
    }
}

/// The tables of a [`Meaning`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables<'a> {
    types: &'a [u32; 512],
    flags: &'a [Flags; 256],
}

impl Tables<'_> {
    /// A packet's type and flags.
    #[inline(always)]
    pub(super) fn of(&self, first: u64, status: u64) -> (u32, Flags) {
        (self.packet_type(type_index(first)), self.flags(flag_index(first, status)))
    }

    /// By an index that has no more bits than it should.
    #[inline(always)]
    pub(super) fn packet_type(&self, index: usize) -> u32 {
        self.types[index % 512]
    }

    /// As above.
    #[inline(always)]
    pub(super) fn flags(&self, index: usize) -> Flags {
        self.flags[index % 256]
    }
}

fn packet_type(index: usize) -> PacketType {
    let has = |bit: u64| index as u64 & bit != 0;
    if index & 0x80 != 0 {
        // An EtherType filter matched: what is behind, nobody looked.
        return PacketType::new(L2::Ethernet, L3::Unknown, L4::Unknown);
    }
    let l2 = if index & 0x100 != 0 { L2::Vlan } else { L2::Ethernet };
    let l3 = match () {
        () if has(bits::IPV4) => L3::Ipv4,
        () if has(bits::IPV4_EXTENSIONS) => L3::Ipv4Options,
        () if has(bits::IPV6) => L3::Ipv6,
        () if has(bits::IPV6_EXTENSIONS) => L3::Ipv6Extensions,
        () => L3::Unknown,
    };
    let l4 = match () {
        () if l3 == L3::Unknown => L4::Unknown,
        () if has(bits::TCP) => L4::Tcp,
        () if has(bits::UDP) => L4::Udp,
        () if has(bits::SCTP) => L4::Sctp,
        () => L4::Unknown,
    };
    PacketType::new(l2, l3, l4)
}

fn told(index: usize, offloads: RxOffloads) -> Flags {
    let has = |bit: usize| index >> bit & 1 == 1;
    let mut flags = Flags::empty();
    if offloads.contains(RxOffloads::L4_CHECKSUM) && has(0) {
        flags |= match (has(2), has(5)) {
            (false, _) => Flags::L4_CHECKSUM_GOOD,
            // §7.1.11: UDP datagrams without a checksum are reported as wrong too.
            (true, true) => Flags::empty(),
            (true, false) => Flags::L4_CHECKSUM_BAD,
        };
    }
    if offloads.contains(RxOffloads::IP_CHECKSUM) && has(1) {
        flags |= if has(3) { Flags::IP_CHECKSUM_BAD } else { Flags::IP_CHECKSUM_GOOD };
    }
    flags.set(Flags::VLAN_STRIPPED, offloads.contains(RxOffloads::VLAN_STRIP) && has(4));
    flags.set(Flags::RSS_HASH, offloads.contains(RxOffloads::RSS_HASH) && has(6));
    if offloads.contains(RxOffloads::MARK) && has(7) {
        // The index of the filter is where the hash would be: `Marks::put` has the rest.
        flags |= Flags::MARK | Flags::RSS_HASH;
    }
    flags
}

/// Puts the next piece of a frame behind its beginning. What is said of it is said with its last
/// piece, so the last one counts. `None`, both dropped, if it does not fit a packet.
pub(super) fn join(mut head: Mbuf, piece: Mbuf) -> Option<Mbuf> {
    let (kind, flags) = (piece.packet_type(), piece.flags());
    let (vlan, hash) = (piece.vlan(), piece.rss_hash());
    head.chain(piece).ok()?;
    head.set_packet_type(kind);
    head.change_flags(flags, Flags::all());
    vlan.into_iter().for_each(|tci| head.set_vlan(tci));
    hash.into_iter().for_each(|hash| head.set_rss_hash(hash));
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(packet_type: u64, rss_type: u64) -> u64 {
        receive::RSS_TYPE.put(receive::PACKET_TYPE.put(0, packet_type), rss_type)
    }

    #[test]
    fn types_are_told_by_their_headers() {
        let meaning = Meaning::new(RxOffloads::all());
        let told = |bits| PacketType::from_bits(meaning.of(first(bits, 0), 0).0);
        let expected = PacketType::new(L2::Ethernet, L3::Ipv4, L4::Tcp);
        assert_eq!(told(bits::IPV4 | bits::TCP), expected);
        let expected = PacketType::new(L2::Vlan, L3::Ipv6Extensions, L4::Udp);
        assert_eq!(told(bits::VLAN | bits::IPV6_EXTENSIONS | bits::UDP), expected);
        assert_eq!(told(bits::ETHERTYPE | 3).l3(), L3::Unknown);
    }

    #[test]
    fn checksums_are_told_when_asked_for() {
        let status = receive::L4CS.mask() | receive::IPCS.mask() | receive::L4E.mask();
        let tcp = first(bits::IPV4 | bits::TCP, 1);
        let (_, flags) = Meaning::new(RxOffloads::all()).of(tcp, status);
        assert_eq!(flags, Flags::L4_CHECKSUM_BAD | Flags::IP_CHECKSUM_GOOD | Flags::RSS_HASH);
        let (_, flags) = Meaning::new(RxOffloads::empty()).of(tcp, status);
        assert_eq!(flags, Flags::empty());
    }

    #[test]
    fn a_wrong_udp_checksum_is_not_told_since_it_may_be_absent() {
        let status = receive::L4CS.mask() | receive::L4E.mask();
        let udp = first(bits::IPV4 | bits::UDP, 0);
        let (_, flags) = Meaning::new(RxOffloads::all()).of(udp, status);
        assert_eq!(flags, Flags::empty());
    }
}

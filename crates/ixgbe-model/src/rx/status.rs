//! What a receive descriptor says of its packet (§7.1.6.2).

use linecard_ixgbe_regs::descriptor::{packet_type, receive, receive_legacy};
use linecard_ixgbe_regs::registers::*;

use super::Held;
use crate::checksum::{crc32c, sum};
use crate::device::Device;
use crate::parse::{Network, Parsed, Transport};
use crate::time::Stamp;

/// The words of a packet's last descriptor, but for its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    words: [u64; 2],
}

impl Status {
    pub(super) fn new(device: &Device, held: &Held, header: usize) -> Self {
        let mut status = Self { words: [0; 2] };
        status.kind(held);
        status.hash(device, held);
        status.tag(held);
        status.checksums(held);
        if header > 0 {
            status.set(receive::HDR_LEN, header as u64);
            status.set(receive::SPH, 1);
        }
        if held.is_inexact {
            status.set(receive::PIF, 1);
        }
        match held.stamp {
            Stamp::None => {}
            Stamp::Kept => status.set(receive::TS, 1),
            Stamp::Behind(_) => status.set(receive::TSIP, 1),
        }
        status
    }

    fn set(&mut self, field: linecard_ixgbe_regs::WideField, value: u64) {
        let word = &mut self.words[usize::from(field.word)];
        *word = field.put(*word, value);
    }

    fn kind(&mut self, held: &Held) {
        let kind = match held.destination.ether_type_filter {
            Some(index) => packet_type::ETHERTYPE | u64::from(index),
            None => kind_of(&held.parsed),
        };
        self.set(receive::PACKET_TYPE, kind);
    }

    fn hash(&mut self, device: &Device, held: &Held) {
        let control = device.file.get(&FDIRCTRL);
        let director = held.destination.director;
        self.set(receive::FLM, u64::from(director.is_some()));
        if let Some(found) = director.filter(|_| fdirctrl::REPORT_STATUS.is_set(control)) {
            self.set(receive::RSS_TYPE, 0xF);
            self.set(receive::FDIR_HASH, u64::from(found.hash));
            self.set(receive::FDIR_INDEX, u64::from(found.index));
        } else if device.file.has(&RXCSUM, rxcsum::PCSD) {
            self.set(receive::RSS_TYPE, held.destination.hash.kind);
            self.set(receive::HASH, u64::from(held.destination.hash.value));
        }
    }

    fn tag(&mut self, held: &Held) {
        self.set(receive::VEXT, u64::from(held.parsed.tag > 12));
        if let Some(tag) = held.parsed.vlan {
            self.set(receive::VP, 1);
            self.set(receive::VLAN, u64::from(tag));
        }
    }

    fn checksums(&mut self, held: &Held) {
        let (frame, parsed) = (&held.frame, &held.parsed);
        if parsed.network == Network::Ipv4 {
            self.set(receive::IPCS, 1);
            let header = &frame[parsed.l3..header_end(frame, parsed)];
            self.set(receive::IPE, u64::from(sum(header, 0) != 0xFFFF));
        }
        if let Some(is_good) = transport_is_good(frame, parsed) {
            self.set(receive::L4CS, 1);
            self.set(receive::UDPCS, u64::from(parsed.transport == Transport::Udp));
            self.set(receive::L4E, u64::from(!is_good));
        }
    }

    /// Both checksums were looked at, and are right.
    pub(super) fn is_good(&self) -> bool {
        let word = self.words[1];
        let wrong = receive::IPE.is_set(word) || receive::L4E.is_set(word);
        receive::IPCS.is_set(word) && receive::L4CS.is_set(word) && !wrong
    }

    pub(super) fn is_wrong_l4(&self) -> bool {
        receive::L4E.is_set(self.words[1])
    }

    /// The last descriptor, with `len` bytes in its buffer.
    pub(super) fn last(&self, len: usize) -> [u64; 2] {
        let end = receive::DD.mask() | receive::EOP.mask();
        [self.words[0], receive::PKT_LEN.put(self.words[1] | end, len as u64)]
    }

    /// One before the last: what the packet is, is told in the last only.
    pub(super) fn more(&mut self, len: usize, next: u32) -> [u64; 2] {
        let word = receive::PKT_LEN.put(receive::DD.mask(), len as u64);
        [0, receive::NEXTP.put(word, u64::from(next))]
    }
}

fn header_end(frame: &[u8], parsed: &Parsed) -> usize {
    parsed.l3 + usize::from(frame[parsed.l3] & 0xF) * 4
}

fn kind_of(parsed: &Parsed) -> u64 {
    let network = match (parsed.network, parsed.has_extensions) {
        (Network::None, _) => 0,
        (Network::Ipv4, false) => packet_type::IPV4,
        (Network::Ipv4, true) => packet_type::IPV4 | packet_type::IPV4_EXTENSIONS,
        (Network::Ipv6, false) => packet_type::IPV6,
        (Network::Ipv6, true) => packet_type::IPV6 | packet_type::IPV6_EXTENSIONS,
    };
    let transport = match parsed.transport {
        Transport::None => 0,
        Transport::Tcp => packet_type::TCP,
        Transport::Udp => packet_type::UDP,
        Transport::Sctp => packet_type::SCTP,
    };
    network | transport | if parsed.vlan.is_some() { packet_type::VLAN } else { 0 }
}

/// `None` if there is no checksum to check.
fn transport_is_good(frame: &[u8], parsed: &Parsed) -> Option<bool> {
    let segment = frame.get(parsed.l4..parsed.end)?;
    match parsed.transport {
        Transport::None => return None,
        Transport::Sctp => return Some(sctp_is_good(segment)),
        Transport::Udp if segment[6..8] == [0, 0] => return None,
        Transport::Tcp | Transport::Udp => {}
    }
    let (source, destination) = parsed.addresses(frame);
    let pseudo = sum(source, u32::from(parsed.protocol) + segment.len() as u32);
    Some(sum(segment, sum(destination, pseudo)) == 0xFFFF)
}

fn sctp_is_good(segment: &[u8]) -> bool {
    let stored = u32::from_le_bytes([segment[8], segment[9], segment[10], segment[11]]);
    crc32c(&[&segment[..8], &[0; 4], &segment[12..]]) == stored
}

/// The same in the legacy layout.
pub(super) fn legacy(address: u64, words: [u64; 2]) -> [u64; 2] {
    use receive_legacy as old;
    let pairs = [
        (receive::DD, old::DD),
        (receive::EOP, old::EOP),
        (receive::VP, old::VP),
        (receive::UDPCS, old::UDPCS),
        (receive::L4CS, old::L4CS),
        (receive::IPCS, old::IPCS),
        (receive::PIF, old::PIF),
        (receive::RXE, old::RXE),
        (receive::L4E, old::L4E),
        (receive::IPE, old::IPE),
        (receive::PKT_LEN, old::LENGTH),
        (receive::VLAN, old::VLAN),
    ];
    let word = pairs.iter().fold(0, |word, (from, to)| to.put(word, from.of(words[1])));
    [address, word]
}

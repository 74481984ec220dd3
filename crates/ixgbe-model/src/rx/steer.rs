//! Which queue a packet goes to (§7.1.2): EtherType filters, SYN filter, 5-tuple filters, flow
//! director, RSS, in this order.

use linecard_ixgbe_regs::registers::*;

use super::rss::Hash;
use crate::device::Device;
use crate::flow_director::Verdict;
use crate::parse::{Network, Parsed, Transport};

const SYN: u8 = 0x02;

/// Where to, and what the descriptor says of how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) queue: u32,
    pub(super) hash: Hash,
    /// The EtherType filter that matched.
    pub(super) ether_type_filter: Option<u32>,
    /// The flow director's filter that matched.
    pub(super) director: Option<Verdict>,
    pub(super) is_dropped: bool,
}

impl Device {
    /// In a pool, if there are pools: but for RSS, all of these are for the default pool only.
    pub(super) fn steer(
        &mut self,
        frame: &[u8],
        parsed: &Parsed,
        pool: Option<u32>,
    ) -> Destination {
        let hash = self.rss(frame, parsed);
        let entry = hash.map_or(0, |hash| self.redirect(hash.value));
        let mut destination = Destination {
            queue: match pool {
                Some(pool) => self.queue_in_pool(pool, entry),
                None => self.first_of_class(parsed) + entry,
            },
            hash: hash.unwrap_or_default(),
            ..Destination::default()
        };
        if pool.is_some_and(|pool| pool != self.default_pool()) {
            return destination;
        }
        destination.director = self.direct(frame, parsed);
        destination.ether_type_filter = self.ether_type_filter(parsed);
        if let Some(queue) = self.filtered(frame, parsed, &destination) {
            destination.queue = queue;
            return destination;
        }
        if let Some(verdict) = destination.director {
            destination.is_dropped = verdict.is_dropped;
            destination.queue = verdict.queue.unwrap_or(destination.queue);
        }
        destination
    }

    /// The queue of the filters before the flow director.
    fn filtered(&self, frame: &[u8], parsed: &Parsed, found: &Destination) -> Option<u32> {
        let by_type = found.ether_type_filter.and_then(|index| self.ether_type_queue(index));
        if by_type.is_some() {
            return by_type;
        }
        let syn = self.syn_queue(frame, parsed);
        let tuple = self.tuple_queue(frame, parsed);
        match self.file.has(&SYNQF, synqf::SYNQFP) {
            true => syn.or(tuple),
            false => tuple.or(syn),
        }
    }

    fn ether_type_filter(&self, parsed: &Parsed) -> Option<u32> {
        (0..ETQF.count()).find(|&index| {
            let word = self.file.at(&ETQF, index);
            etqf::EN.is_set(word) && etqf::ETYPE.of(word) == u32::from(parsed.ether_type)
        })
    }

    fn ether_type_queue(&self, index: u32) -> Option<u32> {
        let word = self.file.at(&ETQS, index);
        etqs::QUEUE_EN.is_set(word).then(|| etqs::RX_QUEUE.of(word))
    }

    fn syn_queue(&self, frame: &[u8], parsed: &Parsed) -> Option<u32> {
        let word = self.file.get(&SYNQF);
        let is_syn = parsed.tcp_flags(frame) & 0x17 == SYN;
        (is_syn && synqf::QUEUE_EN.is_set(word)).then(|| synqf::RX_QUEUE.of(word))
    }

    /// Of the 5-tuple filters that match, the one of the highest priority, and of these the first.
    fn tuple_queue(&self, frame: &[u8], parsed: &Parsed) -> Option<u32> {
        if parsed.network != Network::Ipv4 || parsed.is_fragment {
            return None;
        }
        let matching = (0..FTQF.count()).filter(|&index| self.tuple_matches(index, frame, parsed));
        let best = matching.min_by_key(|&index| {
            (std::cmp::Reverse(ftqf::PRIORITY.of(self.file.at(&FTQF, index))), index)
        })?;
        Some(l34timir::RX_QUEUE.of(self.file.at(&L34TIMIR, best)))
    }

    fn tuple_matches(&self, index: u32, frame: &[u8], parsed: &Parsed) -> bool {
        let word = self.file.at(&FTQF, index);
        if !ftqf::QUEUE_ENABLE.is_set(word) {
            return false;
        }
        let (source, destination) = parsed.addresses(frame);
        let (source_port, destination_port) = wire_ports(frame, parsed);
        let ports = self.file.at(&SDPQF, index);
        let protocol = match parsed.transport {
            Transport::Tcp => 0,
            Transport::Udp => 1,
            Transport::Sctp => 2,
            Transport::None => 3,
        };
        let field_matches = [
            (ftqf::MASK_SOURCE, as_register(source) == self.file.at(&SAQF, index)),
            (ftqf::MASK_DESTINATION, as_register(destination) == self.file.at(&DAQF, index)),
            (ftqf::MASK_SOURCE_PORT, source_port == sdpqf::SOURCE.of(ports)),
            (ftqf::MASK_DESTINATION_PORT, destination_port == sdpqf::DESTINATION.of(ports)),
            (ftqf::MASK_PROTOCOL, protocol == ftqf::PROTOCOL.of(word)),
        ];
        field_matches.iter().all(|(mask, matches)| *matches || mask.is_set(word))
    }
}

/// An IPv4 address as registers have it: the first byte on the wire is the lowest.
pub(crate) fn as_register(address: &[u8]) -> u32 {
    address.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Ports as SDPQF has them: the first byte on the wire is the lowest.
fn wire_ports(frame: &[u8], parsed: &Parsed) -> (u32, u32) {
    let (source, destination) = parsed.ports(frame);
    (u32::from(source.swap_bytes()), u32::from(destination.swap_bytes()))
}

//! Flow director: perfect and signature filters (§7.1.2.7).

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::parse::{Network, Parsed, Transport};

/// What of a packet filters look at, as eleven words of a stream in network order: flow type and
/// VLAN, destination, source, ports, flexible word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tuple {
    words: [u32; 11],
}

/// A filter.
#[derive(Clone, Copy, Debug)]
struct Filter {
    tuple: Tuple,
    hash: u32,
    /// Signature, or software index.
    index: u32,
    queue: Option<u32>,
    is_dropped: bool,
}

/// What a matching filter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) hash: u32,
    pub(crate) index: u32,
    pub(crate) queue: Option<u32>,
    pub(crate) is_dropped: bool,
}

#[derive(Debug, Default)]
pub(crate) struct FlowDirector {
    filters: Vec<Filter>,
}

/// Bits of a bucket's hash with the least memory, for filters of both kinds; twice the memory has one more.
const PERFECT_BUCKET: u32 = 0x7FF;
const SIGNATURE_BUCKET: u32 = 0x1FFF;

/// Bits of a signature.
const SIGNATURE: u32 = 0x7FFF;

/// The hash of §7.1.2.7.3: the exclusive or of the stream, shifted to each bit of the key.
fn hash(key: u32, tuple: &Tuple) -> u32 {
    let flow = tuple.words[0];
    let common = tuple.words[1..].iter().fold(0, |sum, word| sum ^ word);
    let high = common ^ flow ^ flow >> 16;
    let first = common.rotate_left(16);
    let low = first ^ flow ^ flow << 16;
    let mut hash = 0;
    for bit in 0..16 {
        if key >> bit & 1 != 0 {
            hash ^= if bit == 0 { first } else { low >> bit };
        }
        if key >> (bit + 16) & 1 != 0 {
            hash ^= high >> bit;
        }
    }
    hash & 0xFFFF
}

/// 1: UDP; 2: TCP; 3: SCTP; and 4 for IPv6, as in FDIRCMD.
fn flow_type(parsed: &Parsed) -> Option<u32> {
    let transport = match parsed.transport {
        Transport::None => 0,
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Sctp => 3,
    };
    match parsed.network {
        Network::None => None,
        Network::Ipv4 => Some(transport),
        Network::Ipv6 => Some(4 | transport),
    }
}

fn address_words(address: &[u8]) -> impl Iterator<Item = u32> {
    address.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

impl Device {
    fn is_perfect(&self) -> bool {
        self.file.has(&FDIRCTRL, fdirctrl::PERFECT_MATCH)
    }

    fn director_is_on(&self) -> bool {
        fdirctrl::PBALLOC.of(self.file.get(&FDIRCTRL)) != 0
    }

    /// The filter that a packet matches.
    pub(crate) fn direct(&mut self, frame: &[u8], parsed: &Parsed) -> Option<Verdict> {
        if !self.director_is_on() {
            return None;
        }
        if self.director.filters.is_empty() {
            self.file.count(&FDIRMISS, 0, u32::from(parsed.network != Network::None));
            return None;
        }
        let tuple = self.tuple_of(frame, parsed)?;
        let bucket = hash(self.file.get(&FDIRHKEY), &tuple);
        let found = match self.is_perfect() {
            true => self.find_perfect(&tuple, bucket),
            false => self.find_signature(&tuple, bucket),
        };
        self.file.count(if found.is_some() { &FDIRMATCH } else { &FDIRMISS }, 0, 1);
        found.map(|Filter { hash, index, queue, is_dropped, .. }| Verdict {
            hash,
            index,
            queue,
            is_dropped,
        })
    }

    fn find_perfect(&self, tuple: &Tuple, bucket: u32) -> Option<Filter> {
        let mut filters = self.director.filters.iter();
        let is_it = |filter: &&Filter| {
            filter.tuple == *tuple && (filter.hash ^ bucket) & self.buckets() == 0
        };
        filters.find(is_it).copied()
    }

    fn find_signature(&self, tuple: &Tuple, bucket: u32) -> Option<Filter> {
        let signature = hash(self.file.get(&FDIRSKEY), tuple);
        let kind = tuple.words[0] >> 16;
        let mut filters = self.director.filters.iter();
        let is_it = |filter: &&Filter| {
            (filter.hash ^ bucket) & self.buckets() == 0
                && (filter.index ^ signature) & SIGNATURE == 0
                && filter.tuple.words[0] >> 16 == kind
        };
        filters.find(is_it).copied()
    }

    fn tuple_of(&self, frame: &[u8], parsed: &Parsed) -> Option<Tuple> {
        let mut tuple = Tuple::default();
        tuple.words[0] = flow_type(parsed)? << 16 | u32::from(parsed.vlan.unwrap_or(0));
        let (source, destination) = parsed.addresses(frame);
        let (source_port, destination_port) = parsed.ports(frame);
        put_addresses(&mut tuple, source, destination);
        tuple.words[9] = u32::from(source_port) << 16 | u32::from(destination_port);
        let at = 2 * fdirctrl::FLEX_OFFSET.of(self.file.get(&FDIRCTRL)) as usize;
        tuple.words[10] = u32::from(crate::parse::be16(frame, at).unwrap_or(0)) << 16;
        Some(self.masked(tuple))
    }

    /// With what the masks ignore cleared.
    fn masked(&self, mut tuple: Tuple) -> Tuple {
        let mask = self.file.get(&FDIRM);
        let words = &mut tuple.words;
        // Ports have the mask of their own transport, whether that is compared or not.
        let transport = words[0] >> 16 & 3;
        let clear = |word: &mut u32, field: linecard_ixgbe_regs::Field, bits: u32| {
            if field.is_set(mask) {
                *word &= !bits;
            }
        };
        clear(&mut words[0], fdirm::VLANID, 0x0FFF);
        clear(&mut words[0], fdirm::VLANP, 0xE000);
        clear(&mut words[0], fdirm::L4P, 0x3 << 16);
        clear(&mut words[10], fdirm::FLEX, 0xFFFF_0000);
        if self.is_perfect() {
            words[1] &= !self.file.get(&FDIRDIP4M).swap_bytes();
            words[5] &= !self.file.get(&FDIRSIP4M).swap_bytes();
            let ports = match transport {
                1 => self.file.get(&FDIRUDPM),
                2 => self.file.get(&FDIRTCPM),
                3 => self.file.get(&FDIRSCTPM) | self.file.get(&FDIRTCPM),
                _ => 0,
            };
            words[9] &= !port_mask(ports);
        }
        tuple
    }

    /// Memory is ready at once.
    pub(crate) fn write_fdirctrl(&mut self, value: u32) {
        if fdirctrl::PBALLOC.of(value) == 0 {
            self.director.filters.clear();
            return;
        }
        self.file.set(&FDIRCTRL, 0, value | fdirctrl::INIT_DONE.mask());
        self.late(&FDIRCTRL, 0, fdirctrl::INIT_DONE.mask(), 0);
        self.tell_free();
    }

    /// Bits of a hash that choose a bucket: as many as there are buckets (§7.1.2.7.5).
    fn buckets(&self) -> u32 {
        let least = if self.is_perfect() { PERFECT_BUCKET } else { SIGNATURE_BUCKET };
        let more = fdirctrl::PBALLOC.of(self.file.get(&FDIRCTRL)).saturating_sub(1);
        ((least + 1) << more) - 1
    }

    fn capacity(&self) -> usize {
        let control = self.file.get(&FDIRCTRL);
        let per_buffer = if self.is_perfect() { 2048 } else { 8192 };
        (per_buffer << fdirctrl::PBALLOC.of(control).saturating_sub(1)) - 2
    }

    fn tell_free(&mut self) {
        let free = self.capacity().saturating_sub(self.director.filters.len());
        self.file.set(&FDIRFREE, 0, free as u32);
    }

    pub(crate) fn write_fdircmd(&mut self, value: u32) {
        if fdircmd::CLEARHT.is_set(value) {
            self.director.filters.clear();
        }
        let answer = match fdircmd::CMD.of(value) {
            1 => self.add_filter(value),
            2 => self.remove_filter(value),
            3 => self.query_filter(value),
            _ => value,
        };
        self.file.set(&FDIRCMD, 0, fdircmd::CMD.put(answer, 0));
        self.late(&FDIRCMD, 0, fdircmd::CMD.mask(), value);
        self.tell_free();
    }

    fn add_filter(&mut self, command: u32) -> u32 {
        let filter = self.described(command);
        let same = self.position(&filter);
        let collides = same.is_some() && !fdircmd::FILTER_UPDATE.is_set(command);
        match same {
            Some(at) => self.director.filters[at] = filter,
            None if self.director.filters.len() < self.capacity() => {
                self.director.filters.push(filter);
            }
            None => {
                self.file.count(&FDIRFSTAT, 0, 1);
                return command;
            }
        }
        let sum = self.file.get(&FDIRUSTAT);
        self.file.set(&FDIRUSTAT, 0, fdirustat::ADD.put(sum, fdirustat::ADD.of(sum) + 1));
        fdircmd::COLLISION.put(command, u32::from(collides))
    }

    fn remove_filter(&mut self, command: u32) -> u32 {
        let filter = self.described(command);
        match self.position(&filter) {
            Some(at) => {
                self.director.filters.remove(at);
                self.file.count(&FDIRUSTAT, 0, 1 << fdirustat::REMOVE.lsb);
            }
            None => self.file.count(&FDIRFSTAT, 0, 1 << fdirfstat::FREMOVE.lsb),
        }
        command
    }

    fn query_filter(&mut self, command: u32) -> u32 {
        let found = self.position(&self.described(command)).is_some();
        fdircmd::FILTER_VALID.put(command, u32::from(found))
    }

    fn position(&self, filter: &Filter) -> Option<usize> {
        let mask = self.buckets();
        self.director
            .filters
            .iter()
            .position(|known| (known.hash ^ filter.hash) & mask == 0 && known.index == filter.index)
    }

    /// The filter that the registers and a command describe.
    fn described(&self, command: u32) -> Filter {
        let word = self.file.get(&FDIRHASH);
        let mut tuple = Tuple::default();
        let kind = fdircmd::IPV6.of(command) << 2 | fdircmd::L4TYPE.of(command);
        let vlan = self.file.get(&FDIRVLAN);
        tuple.words[0] = kind << 16 | fdirvlan::VLAN.of(vlan);
        tuple.words[1] = self.file.get(&FDIRIPDA).swap_bytes();
        tuple.words[5] = self.file.get(&FDIRIPSA).swap_bytes();
        let ports = self.file.get(&FDIRPORT);
        tuple.words[9] = fdirport::SOURCE.of(ports) << 16 | fdirport::DESTINATION.of(ports);
        tuple.words[10] = (fdirvlan::FLEX.of(vlan) as u16).swap_bytes().into();
        tuple.words[10] <<= 16;
        let is_dropped = fdircmd::DROP.is_set(command);
        let queue = fdircmd::QUEUE_EN.is_set(command).then(|| fdircmd::RX_QUEUE.of(command));
        Filter {
            tuple: if self.is_perfect() { self.masked(tuple) } else { tuple },
            hash: fdirhash::HASH.of(word),
            index: fdirhash::SIGNATURE_OR_INDEX.of(word),
            queue,
            is_dropped,
        }
    }

    /// Filters in the flow director's memory.
    pub fn flow_director_filters(&self) -> usize {
        self.director.filters.len()
    }
}

/// Destination before source; an IPv4 address is in the first of four words.
fn put_addresses(tuple: &mut Tuple, source: &[u8], destination: &[u8]) {
    for (at, word) in address_words(destination).enumerate() {
        tuple.words[1 + at] = word;
    }
    for (at, word) in address_words(source).enumerate() {
        tuple.words[5 + at] = word;
    }
}

/// FDIRTCPM and its kin have the bits of each port in reverse, the source's in the low half.
fn port_mask(word: u32) -> u32 {
    let source = (word as u16).reverse_bits();
    let destination = ((word >> 16) as u16).reverse_bits();
    u32::from(source) << 16 | u32::from(destination)
}

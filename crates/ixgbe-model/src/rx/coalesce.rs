//! Receive side coalescing (§7.11): segments of one TCP connection that follow one another go into the
//! same buffers, and are told of as one large packet when its time is over, or when something comes
//! that does not follow.
//!
//! A context has the descriptor that it fills to itself, and takes another from the ring when the
//! buffer is full: by then others may have taken those between, so that each descriptor says which
//! one is its next (NEXTP).

use linecard_ixgbe_regs::descriptor::receive;
use linecard_ixgbe_regs::registers::*;

use super::Held;
use super::status::Status;
use crate::checksum::{finish, sum};
use crate::device::Device;
use crate::fault::Garbage;
use crate::interrupt::QueueKind;
use crate::parse::{Network, Transport};

/// The most contexts of the device (§7.11.2).
const CONTEXTS: usize = 32;

/// RSCCNT has four bits, and says one more than the packets in the buffer.
const MOST_IN_BUFFER: u64 = 14;

/// By RSCCTL.MAXDESC.
const MOST_DESCRIPTORS: [u32; 4] = [1, 4, 8, 16];

/// The longest packet of IPv4.
const LONGEST: usize = 65_535;

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// What tells connections apart, on a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Connection {
    queue: u32,
    addresses: Vec<u8>,
    ports: (u16, u16),
    vlan: Option<u16>,
}

/// A segment that may be coalesced, as it is stored.
struct Segment {
    connection: Connection,
    frame: Vec<u8>,
    l3: usize,
    l4: usize,
    /// Where the payload begins, and ends.
    payload: std::ops::Range<usize>,
    sequence: u32,
    flags: u8,
}

/// A descriptor whose buffer is being filled.
#[derive(Clone, Copy, Debug)]
struct Open {
    descriptor: u64,
    buffer: u64,
    filled: usize,
    /// Packets that have bytes in the buffer.
    packets: u64,
}

/// Segments that are being put together.
#[derive(Debug)]
pub(super) struct Context {
    connection: Connection,
    first: Held,
    /// Where the headers are, and what they will be.
    headers: (u64, Vec<u8>),
    l3: usize,
    l4: usize,
    /// Bytes of IP and TCP headers and of payload.
    len: usize,
    next: u32,
    packets: u32,
    descriptors: u32,
    open: Open,
    until: u64,
}

impl Device {
    /// Puts a frame into a context, if it can be coalesced; whether it did. Contexts that the frame
    /// ends are closed before.
    pub(super) fn coalesce(&mut self, held: &Held, frame: &[u8]) -> bool {
        let queue = held.destination.queue;
        if !self.coalesces(queue) {
            return false;
        }
        let segment = self.segment_of(held, frame);
        let connection = connection(held);
        let at = self.receiving.contexts.iter().position(|open| open.connection == connection);
        match (at, segment) {
            (Some(at), Some(segment)) if self.follows(at, &segment) => self.append(at, &segment),
            (at, Some(segment)) => {
                at.into_iter().for_each(|at| self.close(at));
                self.begin(held, segment)
            }
            (at, None) => {
                at.into_iter().for_each(|at| self.close(at));
                false
            }
        }
    }

    /// Whether a queue coalesces: it has a buffer a descriptor, and check sequences are stripped.
    fn coalesces(&self, queue: u32) -> bool {
        rscctl::RSCEN.is_set(self.file.at(&RSCCTL, queue))
            && !self.file.has(&RFCTL, rfctl::RSC_DIS)
            && self.file.has(&RDRXCTL, rdrxctl::RSCACKC)
            && self.file.has(&RDRXCTL, rdrxctl::CRCSTRIP)
            && self.file.has(&HLREG0, hlreg0::RXCRCSTRP)
            && srrctl::DESCTYPE.of(self.file.at(&SRRCTL, queue)) == 1
    }

    /// §7.11.1: data of TCP over plain IPv4, with good checksums, and no flags but ACK and PSH.
    fn segment_of(&self, held: &Held, frame: &[u8]) -> Option<Segment> {
        let parsed = &held.parsed;
        let plain = parsed.network == Network::Ipv4
            && parsed.transport == Transport::Tcp
            && !parsed.has_extensions
            && held.destination.ether_type_filter.is_none();
        if !plain || !Status::new(self, held, 0).is_good() {
            return None;
        }
        let shift = held.frame.len() - frame.len();
        let [l3, l4, end] = [parsed.l3, parsed.l4, parsed.end].map(|at| at - shift);
        let flags = frame[l4 + 13];
        let begin = l4 + usize::from(frame[l4 + 12] >> 4) * 4;
        // No options, or one time stamp, aligned.
        let options = match frame.get(l4 + 20..begin)? {
            [] => true,
            [1, 1, 8, 10, stamps @ ..] => stamps.len() == 8,
            _ => false,
        };
        let sequence = u32::from_be_bytes(frame[l4 + 4..l4 + 8].try_into().ok()?);
        (options && flags & !PSH == ACK && begin < end).then(|| Segment {
            connection: connection(held),
            frame: frame.to_vec(),
            l3,
            l4,
            payload: begin..end,
            sequence,
            flags,
        })
    }

    fn follows(&mut self, at: usize, segment: &Segment) -> bool {
        let queue = segment.connection.queue;
        let free = self.ring(queue).map_or(0, |ring| ring.free());
        let context = &self.receiving.contexts[at];
        let more = segment.payload.len();
        let buffer = self.buffer_of(queue);
        let needs = (context.open.filled + more).saturating_sub(1) / buffer;
        let most = MOST_DESCRIPTORS[rscctl::MAXDESC.of(self.file.at(&RSCCTL, queue)) as usize];
        context.next == segment.sequence
            && context.headers.1.len() == segment.payload.start
            && context.len + more <= LONGEST
            && context.descriptors + needs as u32 <= most
            && context.open.packets < MOST_IN_BUFFER
            && needs as u32 <= free
    }

    fn buffer_of(&self, queue: u32) -> usize {
        (srrctl::BSIZEPACKET.of(self.file.at(&SRRCTL, queue)) as usize * 1024).max(1024)
    }

    /// The first segment of a context. False if there is no descriptor for it.
    fn begin(&mut self, held: &Held, segment: Segment) -> bool {
        if self.receiving.contexts.len() == CONTEXTS {
            self.close(0);
        }
        let queue = segment.connection.queue;
        let needs = segment.frame.len().div_ceil(self.buffer_of(queue)) as u32;
        if self.ring(queue).is_none_or(|ring| ring.free() < needs) {
            return false;
        }
        let Some(open) = self.take_descriptor(queue) else { return false };
        let until = self.now + self.interval_of(queue);
        let Segment { connection, frame, l3, l4, payload, sequence, flags } = segment;
        self.receiving.contexts.push(Context {
            connection,
            first: held.clone(),
            headers: (open.buffer, frame[..payload.start].to_vec()),
            l3,
            l4,
            len: payload.end - l3,
            next: sequence.wrapping_add(payload.len() as u32),
            packets: 1,
            descriptors: 1,
            open: Open { packets: 1, ..open },
            until,
        });
        let at = self.receiving.contexts.len() - 1;
        self.fill(at, &frame[..payload.end]);
        self.end_of_segment(at, flags, frame.len());
        true
    }

    fn append(&mut self, at: usize, segment: &Segment) -> bool {
        let payload = &segment.frame[segment.payload.clone()];
        let context = &mut self.receiving.contexts[at];
        context.next = context.next.wrapping_add(payload.len() as u32);
        context.len += payload.len();
        context.packets += 1;
        context.open.packets += 1;
        // Acknowledgement, window, flags and time stamps are the last one's; PSH of any of them.
        let (headers, l4) = (&mut context.headers.1, context.l4);
        headers[l4 + 8..].copy_from_slice(&segment.frame[l4 + 8..segment.payload.start]);
        headers[l4 + 13] |= segment.flags & PSH;
        self.fill(at, payload);
        self.end_of_segment(at, segment.flags, segment.frame.len());
        true
    }

    /// PSH ends it, and so does a queue without a time to wait.
    fn end_of_segment(&mut self, at: usize, flags: u8, len: usize) {
        let context = &self.receiving.contexts[at];
        let (queue, is_over) = (context.connection.queue, context.until <= self.now);
        self.count_placed(queue, len);
        if flags & PSH != 0 || is_over {
            self.close(at);
        }
    }

    /// The interval of the vector that the queue's cause goes to; without one there is none.
    fn interval_of(&self, queue: u32) -> u64 {
        if let Some(function) = self.owner(queue) {
            return self.interval_of_function(function, queue);
        }
        let word = self.file.at(&IVAR, queue / 2);
        let (vector, valid) = match queue % 2 {
            0 => (ivar::RX_EVEN, ivar::RX_EVEN_VALID),
            _ => (ivar::RX_ODD, ivar::RX_ODD_VALID),
        };
        let units = eitr::INTERVAL.of(self.file.at(&EITR, vector.of(word)));
        if valid.is_set(word) { u64::from(units) * 2_000 } else { 0 }
    }

    /// The next descriptor of the ring.
    fn take_descriptor(&mut self, queue: u32) -> Option<Open> {
        let ring = self.ring(queue).filter(|ring| ring.free() > 0)?;
        let descriptor = ring.address(0);
        let posted = self.read_descriptor(queue, descriptor)?;
        self.file.set(&RDH, queue, (ring.head + 1) % ring.size);
        Some(Open { descriptor, buffer: posted[0], filled: 0, packets: 0 })
    }

    /// Puts bytes behind those that are there.
    fn fill(&mut self, at: usize, mut bytes: &[u8]) {
        let queue = self.receiving.contexts[at].connection.queue;
        let size = self.buffer_of(queue);
        while !bytes.is_empty() {
            let open = self.receiving.contexts[at].open;
            if open.filled == size && !self.go_on(at, queue) {
                return;
            }
            let open = self.receiving.contexts[at].open;
            let (part, rest) = bytes.split_at(bytes.len().min(size - open.filled));
            self.dma_write(queue, open.buffer + open.filled as u64, part);
            self.receiving.contexts[at].open.filled += part.len();
            bytes = rest;
        }
    }

    /// The buffer is full: on with another, which the full one's descriptor names.
    fn go_on(&mut self, at: usize, queue: u32) -> bool {
        let before = self.receiving.contexts[at].open;
        let next = match self.faults.garbage {
            Some(Garbage::WrongNext) => u32::MAX,
            _ => self.file.at(&RDH, queue),
        };
        let Some(open) = self.take_descriptor(queue) else { return false };
        let word = receive::PKT_LEN.put(receive::DD.mask(), before.filled as u64);
        let words = [
            receive::RSC_COUNT.put(0, before.packets + 1),
            receive::NEXTP.put(word, u64::from(next)),
        ];
        self.write_back(queue, before.descriptor, words);
        let context = &mut self.receiving.contexts[at];
        context.descriptors += 1;
        context.open = open;
        true
    }

    /// Tells of a context, with the headers of all of it.
    fn close(&mut self, at: usize) {
        let context = self.receiving.contexts.remove(at);
        let queue = context.connection.queue;
        let (address, headers) = (context.headers.0, context.whole_headers());
        if context.packets > 1 {
            self.dma_write(queue, address, &headers);
        }
        let [first, second] = Status::new(self, &context.first, 0).last(context.open.filled);
        let count = if context.packets > 1 { context.open.packets + 1 } else { 0 };
        let words = [receive::RSC_COUNT.put(first, count), second];
        let words = self.spoil(words, self.buffer_of(queue));
        self.write_back(queue, context.open.descriptor, words);
        self.raise_queue(queue, QueueKind::Receive);
    }

    /// Closes what has waited long enough.
    pub(crate) fn run_coalescing(&mut self) {
        while let Some(at) = self.receiving.contexts.iter().position(|open| open.until <= self.now)
        {
            self.close(at);
        }
    }

    /// Closes all of a queue.
    pub(super) fn close_queue(&mut self, queue: u32) {
        let is_its = |open: &Context| open.connection.queue == queue;
        while let Some(at) = self.receiving.contexts.iter().position(is_its) {
            self.close(at);
        }
    }

    /// Forgets all of a queue that is reset: nothing is told of them.
    pub(crate) fn forget_contexts(&mut self, queue: u32) {
        self.receiving.contexts.retain(|open| open.connection.queue != queue);
    }

    /// When the next is to be closed.
    pub(crate) fn coalescing_until(&self) -> Option<u64> {
        self.receiving.contexts.iter().map(|open| open.until).min()
    }
}

impl Context {
    /// Length and checksum of IPv4 are those of the whole; that of TCP stays what it was.
    fn whole_headers(&self) -> Vec<u8> {
        let mut headers = self.headers.1.clone();
        let ip = &mut headers[self.l3..self.l4];
        ip[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
        ip[10..12].fill(0);
        let checksum = finish(sum(ip, 0));
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        headers
    }
}

fn connection(held: &Held) -> Connection {
    let (source, destination) = held.parsed.addresses(&held.frame);
    Connection {
        queue: held.destination.queue,
        addresses: [source, destination].concat(),
        ports: held.parsed.ports(&held.frame),
        vlan: held.parsed.vlan,
    }
}

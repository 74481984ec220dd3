//! Receive: from the ring into packets.

use super::arrived::{Arrived, Tag, Walk, Whole};
use crate::sys::PacketSocket;
use crate::unfinished;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{Gate, Path, RxCounters, RxOffloads, RxQueue, WakeUp};
use linecard_virtqueue::net::{GSO_UDP_L4, VNET, VnetHdr};
use linecard_virtqueue::offload::{Segments, TAG, settle};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The largest frame that is taken: more than the kernel makes unless told to (`gso_max_size`).
const LARGE: usize = 128 * 1024;
/// Bytes of the two addresses, behind which a tag goes.
const ADDRESSES: usize = 12;

/// A receive queue.
pub(super) struct PacketRx<R> {
    ring: R,
    sink: Sink,
    gate: Gate,
}

/// Where frames go.
pub(super) struct Sink {
    pub(super) socket: Arc<PacketSocket>,
    pub(super) pool: MbufPool,
    pub(super) counters: Arc<RxCounters>,
    pub(super) asked: RxOffloads,
    /// Whether tags are taken off, which may change while the port runs.
    pub(super) strip: Arc<AtomicBool>,
    pub(super) port: u16,
    /// Segments of a large frame that the last burst had no room for.
    pending: VecDeque<Mbuf>,
    /// A frame from the socket, and a segment of a large one.
    large: Vec<u8>,
    segment: Vec<u8>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Its place in the ring is free.
    Yes,
    /// There is no buffer for it: it stays where it is.
    No,
}

/// Why there is no packet of a frame.
enum Failure {
    NoBuffer,
    Unfit,
}

impl<R: Walk> PacketRx<R> {
    pub(super) fn new(ring: R, sink: Sink, gate: Gate) -> Self {
        PacketRx { ring, sink, gate }
    }

    /// Takes frames until the burst is full or there are no more.
    fn walk(&mut self, burst: &mut Burst) {
        while !burst.is_full() {
            let Some(next) = self.ring.peek() else { break };
            let taken = match next {
                Ok(arrived) => self.sink.take(arrived, burst),
                Err(_) => self.sink.unfit(),
            };
            if taken == Taken::No {
                break;
            }
            self.ring.release();
        }
    }
}

impl Sink {
    pub(super) fn new(
        socket: Arc<PacketSocket>,
        pool: MbufPool,
        counters: Arc<RxCounters>,
        asked: RxOffloads,
        strip: Arc<AtomicBool>,
        port: u16,
    ) -> Self {
        let (large, segment) = (vec![0; LARGE], vec![0; LARGE]);
        let pending = VecDeque::with_capacity(64);
        Sink { socket, pool, counters, asked, strip, port, pending, large, segment }
    }

    /// Hands out what the last burst had no room for.
    fn hand_out(&mut self, burst: &mut Burst) {
        while !burst.is_full() {
            let Some(packet) = self.pending.pop_front() else { break };
            // There is room: the loop's condition.
            let _ = burst.push(packet);
        }
    }

    #[cold]
    fn unfit(&self) -> Taken {
        self.counters.errors.add(1);
        Taken::Yes
    }

    #[inline]
    fn take(&mut self, arrived: Arrived<'_>, burst: &mut Burst) -> Taken {
        match arrived.whole {
            Whole::Here if !self.must_cut(arrived.vnet) => self.push(arrived, burst),
            Whole::Here => self.cut(arrived, burst),
            Whole::Queued => self.fetch(arrived, burst),
            Whole::Cut => self.unfit(),
            Whole::Outgoing => Taken::Yes,
        }
    }

    fn must_cut(&self, vnet: VnetHdr) -> bool {
        let uncut = match vnet.gso_type {
            GSO_UDP_L4 => RxOffloads::LARGE_UDP,
            _ => RxOffloads::LRO,
        };
        vnet.is_large() && !self.asked.contains(uncut)
    }

    /// A frame that becomes one packet.
    #[inline]
    fn push(&self, arrived: Arrived<'_>, burst: &mut Burst) -> Taken {
        match self.packet(arrived) {
            Ok(packet) => {
                // There is room: `walk`'s condition.
                let _ = burst.push(packet);
                Taken::Yes
            }
            Err(Failure::NoBuffer) => {
                self.counters.no_buffer.add(1);
                Taken::No
            }
            Err(Failure::Unfit) => self.unfit(),
        }
    }

    /// A large frame that nobody asked for: the segments that a wire would have carried.
    fn cut(&mut self, arrived: Arrived<'_>, burst: &mut Burst) -> Taken {
        let Some(mut segments) = Segments::of(arrived.frame, arrived.vnet) else {
            return self.unfit();
        };
        let mut room = std::mem::take(&mut self.segment);
        while let Some(frame) = segments.next(&mut room) {
            let segment = Arrived { frame, vnet: VnetHdr::default(), ..arrived };
            match self.packet(segment) {
                Ok(packet) => self.pending.push_back(packet),
                Err(Failure::NoBuffer) => self.counters.no_buffer.add(1),
                Err(Failure::Unfit) => self.counters.errors.add(1),
            }
        }
        self.segment = room;
        self.hand_out(burst);
        Taken::Yes
    }

    /// A frame of which the ring has only the beginning.
    #[cold]
    fn fetch(&mut self, arrived: Arrived<'_>, burst: &mut Burst) -> Taken {
        let mut room = std::mem::take(&mut self.large);
        // A second try: the first may give an error that waited at the socket.
        let got = self.socket.receive(&mut room).or_else(|_| self.socket.receive(&mut room));
        let taken = match got {
            Ok(n) if (VNET..=room.len()).contains(&n) => {
                let (vnet, frame) = (VnetHdr::read(&room), &room[VNET..n]);
                let whole = Arrived { frame, vnet, whole: Whole::Here, ..arrived };
                self.take(whole, burst)
            }
            _ => self.unfit(),
        };
        self.large = room;
        // It has left the socket, and so it leaves the ring.
        let _ = taken;
        Taken::Yes
    }

    #[inline]
    fn packet(&self, arrived: Arrived<'_>) -> Result<Mbuf, Failure> {
        let mut packet = self.pool.alloc().ok_or(Failure::NoBuffer)?;
        packet.set_port(self.port);
        let tag = arrived.tag.filter(|tag| !self.strips(*tag));
        match tag {
            None => self.fill(&mut packet, arrived.frame)?,
            Some(tag) => {
                let split = arrived.frame.split_at_checked(ADDRESSES);
                let (addresses, rest) = split.ok_or(Failure::Unfit)?;
                self.fill(&mut packet, addresses)?;
                self.fill(&mut packet, &tag.bytes())?;
                self.fill(&mut packet, rest)?;
            }
        }
        if !arrived.vnet.is_plain() {
            let shift = if tag.is_some() { TAG as u16 } else { 0 };
            let vnet = arrived.vnet.shifted(shift);
            settle(&mut packet, vnet, unfinished(self.asked)).map_err(|_| Failure::Unfit)?;
        }
        if let (Some(stripped), None) = (arrived.tag, tag) {
            packet.set_vlan(stripped.tci);
        }
        if self.asked.contains(RxOffloads::TIMESTAMP) {
            packet.set_timestamp(arrived.time);
        }
        Ok(packet)
    }

    fn strips(&self, tag: Tag) -> bool {
        // Relaxed: a switch; frames a moment earlier or later do not matter.
        tag.is_customer() && self.strip.load(Ordering::Relaxed)
    }

    #[inline]
    fn fill(&self, packet: &mut Mbuf, bytes: &[u8]) -> Result<(), Failure> {
        if let Ok(room) = packet.append(bytes.len()) {
            room.copy_from_slice(bytes);
            return Ok(());
        }
        if !self.asked.contains(RxOffloads::SCATTER) {
            return Err(Failure::Unfit);
        }
        packet.extend(&self.pool, bytes).ok_or(Failure::NoBuffer)
    }
}

impl<R: Walk> RxQueue for PacketRx<R> {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            self.sink.pending.clear();
            return 0;
        }
        let before = burst.len();
        self.sink.hand_out(burst);
        self.walk(burst);
        let packets = burst.len() - before;
        if packets > 0 {
            let bytes = burst[before..].iter().map(|p| p.len() as u64).sum();
            self.sink.counters.received(packets, bytes);
        }
        packets
    }

    fn path(&self) -> Path {
        let (name, reason) = self.ring.path();
        Path { name, reason: reason.into() }
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        // An interface that went down leaves an error that would wake at once.
        self.sink.socket.take_error();
        Some(WakeUp(self.sink.socket.as_fd()))
    }
}

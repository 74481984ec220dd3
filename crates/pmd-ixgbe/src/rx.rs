//! Receive (§7.1): descriptors that are done become packets, and others are posted in their place.

mod lro;
mod meta;
mod path;
mod whole;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::flows::Marks;
use crate::interrupts::Bell;
use crate::queue::{Descriptors, QueueControl};
use linecard_eal::barrier;
use linecard_eal::device::BarRegister;
use linecard_ixgbe_regs::descriptor::receive;
use linecard_mbuf::driver::{buffer, received};
use linecard_mbuf::header::RxFields;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_mempool::Object;
use linecard_pmd_core::{Gate, Path, RxCounters, RxQueue, WakeUp};
use linecard_ring::Sink;
use lro::Heads;
pub(crate) use meta::Meaning;
pub use path::ReceivePath;
use std::sync::Arc;
pub(crate) use whole::Frames;
use whole::Taken;

/// So many descriptors are posted at once: a bulk from the pool, a write of the tail. Divides every
/// ring's size, so that a run does not wrap while all goes well.
const BATCH: u32 = 32;

/// What a receive queue is made of; [`Receive`] is the queue.
pub(crate) struct Parts {
    pub(crate) ring: Descriptors,
    pub(crate) tail: BarRegister<u32>,
    pub(crate) control: Arc<QueueControl>,
    pub(crate) pool: MbufPool,
    /// What takes whole frames.
    pub(crate) frames: Frames,
    pub(crate) scatter: Scatter,
    /// If packets are to carry the marks of rules.
    pub(crate) marks: Option<Arc<Marks>>,
    pub(crate) gate: Gate,
    pub(crate) counters: Arc<RxCounters>,
    pub(crate) bell: Option<Arc<Bell>>,
    /// What the ring and the pool need to stay known to the device; and that the queue lives.
    pub(crate) keeps: crate::engine::Keeps,
}

/// Whether a frame may lie in several buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scatter {
    No,
    Yes,
    /// In several that do not stand together: segments are merged (RSC).
    Apart,
}

/// A receive queue.
pub(crate) struct Receive {
    parts: Parts,
    /// The next to look at, and the first that is not posted; positions that count up.
    next: u32,
    posted: u32,
    /// A frame whose end has not come yet.
    partial: Partial,
    /// Or several, if segments are merged.
    heads: Option<Heads>,
    /// The device has written what no device would.
    broken: bool,
}

enum Partial {
    None,
    /// Its beginning.
    Some(Mbuf),
    /// It is being thrown away: it is longer than may be, or has no room in a packet.
    Skip,
}

/// What a look at a descriptor gave.
enum Found {
    Packet(Mbuf),
    /// Done, and part of a frame that is not whole yet, or thrown away.
    Part,
}

impl Receive {
    /// A queue that has been enabled. Posts its first buffers.
    pub(crate) fn new(parts: Parts) -> Self {
        let partial = Partial::None;
        let slots = parts.ring.cells().len() as usize;
        let heads = (parts.scatter == Scatter::Apart).then(|| Heads::new(slots));
        let mut queue = Receive { parts, next: 0, posted: 0, partial, heads, broken: false };
        queue.fill();
        queue
    }

    /// Posts buffers in all batches that are free, and rings once. One descriptor always stays
    /// empty, since head and tail that are equal mean none (§7.1.9): here, a batch.
    fn fill(&mut self) {
        let before = self.posted;
        while self.free() >= BATCH && self.post_batch() {}
        if self.posted == self.next && self.posted == before {
            self.post_few();
        }
        if self.posted != before {
            self.parts.tail.write(self.parts.ring.cells().slot(self.posted) as u32);
        }
    }

    fn free(&self) -> u32 {
        self.parts.ring.cells().len() - BATCH - self.posted.wrapping_sub(self.next)
    }

    /// Posts as many as make the position a multiple of the batch again.
    fn post_batch(&mut self) -> bool {
        let slot = self.parts.ring.cells().slot(self.posted);
        let n = (BATCH - self.posted % BATCH) as usize;
        let run = &mut self.parts.frames.shadow[slot..slot + n];
        if !self.parts.pool.raw().take_bulk(run) {
            self.parts.counters.no_buffer.add(1);
            return false;
        }
        self.post(n as u32);
        true
    }

    /// With nothing posted the queue would stand still: whatever the pool has.
    #[cold]
    fn post_few(&mut self) {
        while self.posted.wrapping_sub(self.next) < BATCH
            && let Some(object) = self.parts.pool.raw().take()
        {
            let slot = self.parts.ring.cells().slot(self.posted);
            self.parts.frames.shadow[slot] = object;
            self.post(1);
        }
    }

    /// Writes the descriptors of the `n` buffers that are in the shadow from `posted` on, which do
    /// not wrap. A second quadword of 0 says that it is not done.
    #[inline(always)]
    fn post(&mut self, n: u32) {
        let headroom = usize::from(self.parts.frames.rearm.data_off);
        let ring = self.parts.ring.cells();
        let (slot, run) = (ring.slot(self.posted), ring.run(self.posted));
        for (index, object) in self.parts.frames.shadow[slot..slot + n as usize].iter().enumerate()
        {
            // SAFETY: taken from the pool of packets just now. The shadow is as long as the ring, so
            // that a place in it is a place in the ring.
            unsafe { run.write(index, [buffer(*object, headroom).iova, 0]) };
        }
        self.posted = self.posted.wrapping_add(n);
    }

    /// Receives up to `limit` packets to where `into` points; says how many, and their bytes.
    ///
    /// # Safety
    /// `into` can be written `limit` times.
    #[inline(always)]
    unsafe fn receive_into(&mut self, into: *mut Mbuf, limit: usize) -> (usize, u64) {
        // SAFETY: the caller's promise.
        let Taken { packets: mut got, mut bytes } = unsafe { self.whole_frames(into, limit) };
        // What stopped it may be a frame in pieces.
        while got < limit
            && let Some(found) = self.other_frame()
        {
            if let Found::Packet(packet) = found {
                bytes += packet.len() as u64;
                // SAFETY: `got` is below the limit.
                unsafe { into.add(got).write(packet) };
                got += 1;
            }
        }
        (got, bytes)
    }

    /// Takes frames of one descriptor each, until one is not done or anything else.
    ///
    /// # Safety
    /// `into` can be written `limit` times.
    #[inline(always)]
    unsafe fn whole_frames(&mut self, into: *mut Mbuf, limit: usize) -> Taken {
        if !self.is_between() || self.heads.is_some() {
            return Taken::NOTHING;
        }
        let waits = self.posted.wrapping_sub(self.next) as usize;
        // SAFETY: buffers are posted between `next` and `posted`, from the pool of this queue, and are given
        // up as `next` goes on. `into` is the caller's promise.
        let taken = unsafe { self.parts.frames.take(self.next, into, limit.min(waits)) };
        self.next = self.next.wrapping_add(taken.packets as u32);
        taken
    }

    /// Whether no frame is incomplete.
    fn is_between(&self) -> bool {
        matches!(self.partial, Partial::None)
    }

    /// What the next descriptor has brought, if it is done: a frame in pieces, or a lie.
    #[inline(never)]
    fn other_frame(&mut self) -> Option<Found> {
        if self.heads.is_some() {
            return self.coalesced();
        }
        let status = self.parts.ring.cells().status(self.next);
        if self.next == self.posted || !receive::DD.is_set(status) {
            return None;
        }
        // Pairs with the device's order, as in `whole_frames`.
        barrier::dma_observe();
        let found = self.take(status)?;
        self.next = self.next.wrapping_add(1);
        Some(found)
    }

    /// What the descriptor at `next`, which is done, has brought. `None` if it cannot be.
    fn take(&mut self, status: u64) -> Option<Found> {
        let len = receive::PKT_LEN.of(status) as u16;
        if len.wrapping_sub(1) >= self.parts.frames.room {
            return self.lie();
        }
        let packet = self.packet(self.parts.ring.cells().first(self.next), status, len);
        match receive::EOP.is_set(status) && self.is_between() {
            true => Some(Found::Packet(packet)),
            false => Some(self.piece(packet, status)),
        }
    }

    /// The buffer at `next`, with `len` bytes that its descriptor tells of.
    fn packet(&self, first: u64, status: u64, len: u16) -> Mbuf {
        let (packet_type, flags) = self.parts.frames.meaning.of(first, status);
        let fields = RxFields {
            packet_type,
            packet_len: u32::from(len),
            data_len: len,
            vlan: receive::VLAN.of(status) as u16,
            rss_hash: receive::HASH.of(first) as u32,
            ..RxFields::default()
        };
        let object = self.parts.frames.shadow[self.parts.ring.cells().slot(self.next)];
        // SAFETY: as in `whole_frames`.
        unsafe { received(object, self.parts.frames.rearm, flags, fields) }
    }

    /// A piece of a frame of several. What it means is said with its last piece (§7.1.6.2).
    #[cold]
    fn piece(&mut self, piece: Mbuf, status: u64) -> Found {
        let ends = receive::EOP.is_set(status);
        let before = std::mem::replace(&mut self.partial, Partial::Skip);
        let joined = match (before, self.parts.scatter) {
            (Partial::None, Scatter::Yes) => Some(piece),
            (Partial::Some(head), Scatter::Yes) => meta::join(head, piece),
            _ => None,
        };
        match (joined, ends) {
            (Some(packet), true) => {
                self.partial = Partial::None;
                return Found::Packet(packet);
            }
            (Some(packet), false) => self.partial = Partial::Some(packet),
            (None, true) => {
                self.parts.counters.errors.add(1);
                self.partial = Partial::None;
            }
            (None, false) => {}
        }
        Found::Part
    }

    /// The device said that it wrote more than it was given, or nothing.
    #[cold]
    fn lie(&mut self) -> Option<Found> {
        self.parts.counters.errors.add(1);
        self.broken = true;
        None
    }
}

impl RxQueue for Receive {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.parts.gate.is_open() || self.broken {
            return 0;
        }
        let (room, limit) = burst.room();
        // SAFETY: the burst has room for `limit`, and owns what has been written there.
        let (got, bytes) = unsafe {
            let (got, bytes) = self.receive_into(room, limit);
            burst.gave(got);
            (got, bytes)
        };
        if self.free() >= BATCH || self.posted == self.next {
            self.fill();
        }
        if let Some(marks) = &self.parts.marks {
            let before = burst.len() - got;
            burst[before..].iter_mut().for_each(|packet| marks.put(packet));
        }
        if got > 0 {
            self.parts.counters.received(got, bytes);
        }
        got
    }

    fn path(&self) -> Path {
        let scatter = match self.parts.scatter {
            Scatter::No => "one buffer holds the largest frame",
            Scatter::Yes => "frames may lie in several buffers, one by one",
            Scatter::Apart => "TCP segments are merged, one descriptor at a time",
        };
        let told = match self.parts.frames.meaning.is_wanted() {
            true => "tells what was asked for",
            false => "tells lengths only, as no more was asked for",
        };
        let path = self.parts.frames.path;
        let reason = path.reason();
        Path {
            name: if self.heads.is_some() { "lro" } else { path.name() },
            reason: format!("{reason}; {scatter}; {told}; posts {BATCH} descriptors at a time"),
        }
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        let most = (self.posted.wrapping_sub(self.next) as usize).min(limit);
        let done = |i: &usize| {
            let status = self.parts.ring.cells().status(self.next.wrapping_add(*i as u32));
            receive::DD.is_set(status)
        };
        Some((0..most).take_while(done).count())
    }

    fn is_finished(&self) -> bool {
        self.broken
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        self.parts.bell.as_ref().map(|bell| bell.arm())
    }
}

impl Drop for Receive {
    /// The device stops first; then buffers and ring go, or are kept if it did not.
    fn drop(&mut self) {
        let slots = self.parts.frames.shadow.len() as u32;
        let filler = self.parts.pool.raw().filler();
        let posted: Vec<Object> = (0..self.posted.wrapping_sub(self.next))
            .map(|i| self.parts.frames.shadow[(self.next.wrapping_add(i) % slots) as usize])
            .collect();
        self.parts.frames.shadow.fill(filler);
        let buffers = Posted { pool: self.parts.pool.clone(), objects: posted };
        self.parts.control.retire((buffers, self.parts.keeps.memory()));
    }
}

/// Buffers that were posted, on their way home.
struct Posted {
    pool: MbufPool,
    objects: Vec<Object>,
}

impl Drop for Posted {
    fn drop(&mut self) {
        // SAFETY: taken from this pool, posted, and never made packets of; the device is done.
        unsafe { self.pool.raw().put_bulk(&self.objects) }
    }
}

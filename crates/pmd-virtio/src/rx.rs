//! Receive: from filled buffers to packets, and new buffers to the device.

use crate::bell::Bell;
use crate::latch::Latch;
use crate::queues::Leave;
use crate::ring::{Empty, Filled, Lie, RxRing};
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use linecard_eal::device::Vector;
use linecard_mbuf::driver::{Rearm, RxFields, buffer, received};
use linecard_mbuf::{BURST, Burst, Flags, Mbuf, MbufPool};
use linecard_mempool::Object;
use linecard_pmd_core::{Path, RxCounters, RxQueue, WakeUp};
use linecard_ring::Sink;
use linecard_virtqueue::net::{HASHED, HashReport, MERGED, VNET, VnetHashed, VnetHdr};
use linecard_virtqueue::offload::{Unfinished, settle};
use std::os::fd::AsFd;
use std::sync::Arc;
use zerocopy::FromBytes;

/// Buffers that are asked of the pool at once.
const BATCH: usize = BURST;

/// Bytes of an Ethernet header: no frame is shorter.
const SHORTEST: u32 = 14;

/// What a receive queue is made with, besides its ring.
pub(crate) struct RxSetup {
    pub(crate) pool: MbufPool,
    pub(crate) port: u16,
    /// Bytes of the virtio-net header.
    pub(crate) header: u32,
    /// Whether a frame may go over several buffers.
    pub(crate) merge: bool,
    /// Whether headers may say something.
    pub(crate) speaks: bool,
    pub(crate) unfinished: Unfinished,
    pub(crate) counters: Arc<RxCounters>,
    pub(crate) bell: Bell,
    pub(crate) path: Path,
    /// Shared as long as the queue's handle lives.
    pub(crate) _lease: Arc<()>,
}

/// A receive queue.
pub(crate) struct RxCore<R> {
    ring: R,
    setup: RxSetup,
    rearm: Rearm,
    /// From a buffer's start to where the device writes.
    offset: usize,
    /// Bytes that the device may write into a buffer.
    room: u32,
    /// Free descriptors from which on it pays to post.
    threshold: usize,
    /// The beginning of a frame over several buffers, and how many are missing.
    partial: Option<Partial>,
    /// What an earlier device had filled.
    late: Vec<Filled>,
    armed: bool,
    filled: [Filled; BURST],
    empty: [Empty; BATCH],
}

struct Partial {
    packet: Mbuf,
    missing: u16,
    vnet: VnetHdr,
    hash: Option<u32>,
}

impl<R: RxRing> RxCore<R> {
    /// Over an empty ring. The pool has room for the header before the data: `fits`.
    pub(crate) fn new(ring: R, setup: RxSetup) -> Self {
        let rearm = setup.pool.rearm(setup.port);
        let filler = setup.pool.raw().filler();
        let header = setup.header;
        RxCore {
            offset: usize::from(rearm.data_off).saturating_sub(header as usize),
            room: header + setup.pool.data_room() as u32,
            threshold: (ring.free() / 4).clamp(1, BATCH),
            ring,
            rearm,
            partial: None,
            late: Vec::new(),
            armed: false,
            filled: [Filled { object: filler, len: 0 }; BURST],
            empty: [Empty { object: filler, addr: 0 }; BATCH],
            setup,
        }
    }

    /// Gives the device buffers for all free descriptors, as far as the pool has them. It is told by
    /// `greet`, once it runs.
    pub(crate) fn fill(&mut self) {
        while self.ring.free() > 0 && self.post(self.ring.free().min(BATCH)) {}
    }

    /// Tells a device that has just been started that there are buffers.
    pub(crate) fn greet(&mut self) {
        // What it asked for before it ran counts for nothing.
        let _ = self.ring.wants_doorbell();
        self.setup.bell.ring(self.ring.place());
    }

    /// Takes what the device had filled, to be received later: it has been stopped.
    fn settle(&mut self) {
        loop {
            let n = self.ring.take(&mut self.filled);
            self.late.extend_from_slice(&self.filled[..n]);
            if n < self.filled.len() {
                break;
            }
        }
        if self.late.is_empty() {
            // The rest of it never comes.
            self.partial = None;
        }
    }

    /// Leaves the ring to another device as it is; says where that goes on, unless the ring is broken.
    pub(crate) fn hand_over(&mut self) -> Option<u32> {
        self.settle();
        self.ring.lie().is_none().then(|| self.ring.base())
    }

    /// Makes the ring as new and gives the device the same buffers again: it has been stopped. What it
    /// had filled is kept to be received.
    pub(crate) fn restart(&mut self) {
        self.settle();
        let objects = self.ring.recall();
        self.ring.reset();
        self.ring.quiet();
        for some in objects.chunks(BATCH) {
            for (object, empty) in some.iter().zip(&mut self.empty) {
                // SAFETY: a buffer of this pool that the ring had.
                let addr = unsafe { buffer(*object, self.offset).iova };
                *empty = Empty { object: *object, addr };
            }
            self.ring.post(&self.empty[..some.len()]);
        }
        if self.armed {
            self.ring.wake();
        }
    }

    /// Takes all buffers back to the pool, and makes the ring as new. The device has been stopped.
    pub(crate) fn reset(&mut self) {
        self.partial = None;
        let mut objects = self.ring.recall();
        objects.extend(self.late.drain(..).map(|filled| filled.object));
        // SAFETY: objects of this pool that the ring had, which has let go of them.
        unsafe { self.setup.pool.raw().put_bulk(&objects) };
        self.ring.reset();
        self.ring.quiet();
    }

    /// What the device said that cannot be.
    pub(crate) fn lie(&self) -> Option<Lie> {
        self.ring.lie()
    }

    #[inline]
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.late.is_empty() {
            return self.receive_late(burst);
        }
        let spare = burst.spare();
        let n = self.ring.take(&mut self.filled[..spare]);
        let before = burst.len();
        let mut bytes = 0;
        if n > 0 {
            // An empty poll leaves it armed: whoever arms polls once more before it sleeps.
            if self.armed {
                self.armed = false;
                self.ring.quiet();
            }
            let quick = self.quick(n, burst, &mut bytes);
            for i in quick..n {
                self.slow(self.filled[i], burst, &mut bytes);
            }
            self.setup.counters.received(burst.len() - before, bytes);
        }
        self.refill();
        burst.len() - before
    }

    /// Receives what an earlier device had filled. A frame of which it had not filled all is dropped.
    #[cold]
    fn receive_late(&mut self, burst: &mut Burst) -> usize {
        let (before, mut bytes) = (burst.len(), 0);
        let n = self.late.len().min(burst.spare());
        let late: Vec<_> = self.late.drain(..n).collect();
        late.into_iter().for_each(|filled| self.slow(filled, burst, &mut bytes));
        if self.late.is_empty() {
            self.partial = None;
        }
        self.setup.counters.received(burst.len() - before, bytes);
        burst.len() - before
    }

    /// Makes packets of the first of `n` filled buffers, as long as each is a whole frame of which
    /// the header says nothing; says how many.
    ///
    /// With merged buffers a frame of several fills all but the last (§5.1.6.4.1), so that a buffer
    /// which is not full is a frame by itself, and its header need not be read.
    #[inline(always)]
    fn quick(&mut self, n: usize, burst: &mut Burst, bytes: &mut u64) -> usize {
        let (header, rearm) = (self.setup.header, self.rearm);
        if self.setup.speaks || self.partial.is_some() {
            return 0;
        }
        let limit = if self.setup.merge { self.room } else { self.room + 1 };
        let (room, most) = burst.room();
        let mut done = 0;
        for filled in &self.filled[..n.min(most)] {
            if !(header + SHORTEST..limit).contains(&filled.len) {
                break;
            }
            let len = filled.len - header;
            let fields = RxFields { packet_len: len, data_len: len as u16, ..RxFields::default() };
            // SAFETY: a buffer of this pool that the ring had; the device wrote `len` bytes behind
            // its header, which ends at `data_off`, and `len` is within the data room. The burst has
            // room for `most`.
            unsafe { room.add(done).write(received(filled.object, rearm, Flags::empty(), fields)) };
            *bytes += u64::from(len);
            done += 1;
        }
        // SAFETY: so many were written.
        unsafe { burst.gave(done) };
        done
    }

    /// Makes a packet of a filled buffer, or a part of one.
    #[inline(never)]
    fn slow(&mut self, filled: Filled, burst: &mut Burst, bytes: &mut u64) {
        let header = if self.partial.is_some() { 0 } else { self.setup.header };
        if !(header..=self.room).contains(&filled.len) {
            self.wrong_length(filled);
            return;
        }
        if header == 0 {
            self.go_on(filled);
        } else {
            self.begin(filled);
        }
        let whole = self.partial.take_if(|partial| partial.missing == 0);
        if let Some(packet) = whole.and_then(|partial| self.finish(partial)) {
            *bytes += packet.len() as u64;
            // There is room: no more frames than filled buffers.
            let _ = burst.push(packet);
        }
    }

    #[cold]
    fn wrong_length(&mut self, filled: Filled) {
        // SAFETY: an object of this pool that the ring has let go of.
        unsafe { self.setup.pool.raw().put_bulk(&[filled.object]) };
        let (header, room) = (self.setup.header, self.room);
        self.ring.accuse(Lie::Length { said: filled.len, header, room });
        self.setup.counters.errors.add(1);
    }

    /// A frame's first buffer: its header says the rest.
    fn begin(&mut self, filled: Filled) {
        let len = filled.len - self.setup.header;
        let fields = RxFields { packet_len: len, data_len: len as u16, ..RxFields::default() };
        // SAFETY: the device may write there no more, and the object is a buffer of this pool; the
        // header begins at `offset` and is within what is posted.
        let (head, packet) = unsafe {
            let at = buffer(filled.object, self.offset).address;
            let bytes = core::slice::from_raw_parts(at.as_ptr(), self.setup.header as usize);
            (Head::read(bytes), received(filled.object, self.rearm, Flags::empty(), fields))
        };
        let missing = if self.setup.merge { head.buffers.saturating_sub(1) } else { 0 };
        self.partial = Some(Partial { packet, missing, vnet: head.vnet, hash: head.hash });
    }

    /// A further buffer of a frame: no header, the data from where the header would be.
    fn go_on(&mut self, filled: Filled) {
        let Some(partial) = &mut self.partial else { return };
        let offset = self.offset as u16;
        let mut rearm = self.rearm;
        rearm.data_off = offset;
        let fields =
            RxFields { packet_len: filled.len, data_len: filled.len as u16, ..RxFields::default() };
        // SAFETY: a buffer of this pool that the ring had; the device wrote `len` bytes from
        // `offset` on, no more than it was given.
        let more = unsafe { received(filled.object, rearm, Flags::empty(), fields) };
        partial.missing -= 1;
        if partial.packet.chain(more).is_err() {
            // More segments than a packet may have.
            partial.vnet.gso_type = u8::MAX;
        }
    }

    /// A frame whose buffers are all there: does what its header says.
    #[inline]
    fn finish(&mut self, partial: Partial) -> Option<Mbuf> {
        let Partial { mut packet, vnet, hash, .. } = partial;
        let vnet =
            if self.setup.speaks || vnet.gso_type == u8::MAX { vnet } else { VnetHdr::default() };
        let short = packet.len() < SHORTEST as usize;
        if short || settle(&mut packet, vnet, self.setup.unfinished).is_err() {
            self.setup.counters.errors.add(1);
            return None;
        }
        if let Some(hash) = hash {
            packet.set_rss_hash(hash);
        }
        Some(packet)
    }

    #[inline(always)]
    fn refill(&mut self) {
        let free = self.ring.free();
        if free >= self.threshold {
            while self.post(self.ring.free().min(BATCH)) && self.ring.free() >= BATCH {}
            self.tell();
        }
    }

    /// Posts `n` buffers, or as many as the pool has; says whether it had all.
    #[inline(always)]
    fn post(&mut self, n: usize) -> bool {
        let mut objects = [MaybeUninit::<Object>::uninit(); BATCH];
        let at = objects.as_mut_ptr().cast::<Object>();
        let raw = self.setup.pool.raw();
        let mut got = n;
        // SAFETY: there is room for BATCH, and `n` is no more.
        while !unsafe { raw.take_into(at, got) } {
            if got == n {
                self.setup.counters.no_buffer.add(1);
            }
            got /= 2;
            if got == 0 {
                return false;
            }
        }
        for (object, empty) in objects[..got].iter().zip(&mut self.empty) {
            // SAFETY: the first `got` have been written, and are buffers of this pool.
            unsafe {
                let object = object.assume_init();
                *empty = Empty { object, addr: buffer(object, self.offset).iova };
            }
        }
        self.ring.post(&self.empty[..got]);
        got == n
    }

    #[inline(always)]
    fn tell(&mut self) {
        if self.ring.wants_doorbell() {
            self.setup.bell.ring(self.ring.place());
        }
    }
}

/// What a header says, whichever of the three it is.
struct Head {
    vnet: VnetHdr,
    buffers: u16,
    hash: Option<u32>,
}

impl Head {
    fn read(bytes: &[u8]) -> Self {
        let vnet = VnetHdr::read(bytes);
        let buffers = match bytes.get(VNET..MERGED) {
            Some(count) => u16::from_le_bytes([count[0], count[1]]),
            None => 1,
        };
        let hashed = bytes.get(..HASHED).and_then(|all| VnetHashed::read_from_bytes(all).ok());
        let reported = hashed.filter(|h| h.hash_report != HashReport::None as u16);
        Head { vnet, buffers, hash: reported.map(|h| h.hash()) }
    }
}

/// What the user has of a receive queue.
pub(crate) struct Rx<R> {
    latch: Arc<Latch<RxCore<R>>>,
    /// What to sleep on, if there is something.
    wake: Option<Arc<Vector>>,
    _leave: Option<Leave>,
    /// One thread at a time, also for what takes `&self`.
    _one: PhantomData<Cell<()>>,
}

impl<R: RxRing> Rx<R> {
    /// The one handle of this queue.
    pub(crate) fn new(
        latch: &Arc<Latch<RxCore<R>>>,
        wake: Option<Arc<Vector>>,
        leave: Option<Leave>,
    ) -> Self {
        Rx { latch: Arc::clone(latch), wake, _leave: leave, _one: PhantomData }
    }

    #[inline(always)]
    fn enter<T>(&self, act: impl FnOnce(&mut RxCore<R>) -> T) -> Option<T> {
        // SAFETY: there is one `Rx` of a latch, which is not `Sync`; nothing here calls it again.
        unsafe { self.latch.enter(act) }
    }
}

impl<R: RxRing> RxQueue for Rx<R> {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        self.enter(|core| core.receive(burst)).unwrap_or(0)
    }

    fn path(&self) -> Path {
        let path = self.enter(|core| match core.lie() {
            None => core.setup.path.clone(),
            Some(lie) => Path { name: "broken", reason: lie.to_string() },
        });
        path.unwrap_or_else(|| Path { name: "paused", reason: "no device is there".into() })
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        self.enter(|core| core.ring.waiting(limit))
    }

    fn is_finished(&self) -> bool {
        self.enter(|core| core.lie().is_some()).unwrap_or(false)
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        let wake = self.wake.as_ref()?;
        // Nothing to take is what it should be.
        let _ = wake.take();
        self.enter(|core| {
            core.armed = true;
            core.ring.wake();
        });
        Some(WakeUp(wake.as_fd()))
    }
}

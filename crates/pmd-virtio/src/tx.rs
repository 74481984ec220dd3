//! Transmit: packets as descriptors, and packets home that the device is done with.

use crate::bell::Bell;
use crate::latch::Latch;
use crate::queues::Leave;
use crate::ring::{Lie, Part, Token, TxRing};
use crate::tables::Tables;
use core::cell::Cell;
use core::marker::PhantomData;
use linecard_mbuf::driver::{free_plain, from_address, into_address, into_plain};
use linecard_mbuf::{BURST, Burst, L4Checksum, Mbuf, Segmentation, TxRequest};
use linecard_mempool::Home;
use linecard_pmd_core::{Path, TxCounters, TxQueue};
use linecard_ring::Source;
use linecard_virtqueue::Features;
use linecard_virtqueue::net::VnetHdr;
use linecard_virtqueue::offload::{is_simple, prepare};
use std::ops::Range;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// The most parts of a packet: header and segments.
pub(crate) const MAX_PARTS: usize = 64;

/// What a transmit queue is made with, besides its ring.
pub(crate) struct TxSetup {
    /// Pools that the device knows, those most likely first.
    pub(crate) homes: Vec<Home>,
    /// Memory that the device knows: addresses here, and what to add for the device's.
    pub(crate) known: Arc<[Known]>,
    /// Bytes of the virtio-net header.
    pub(crate) header: usize,
    /// What was negotiated.
    pub(crate) features: Features,
    /// The longest frame that is not to be cut.
    pub(crate) longest: usize,
    /// Headers and indirect tables, one for each descriptor.
    pub(crate) tables: Tables,
    pub(crate) counters: Arc<TxCounters>,
    pub(crate) bell: Bell,
    pub(crate) path: Path,
    /// Shared as long as the queue's handle lives.
    pub(crate) _lease: Arc<()>,
}

/// A stretch of memory that the device knows.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) here: Range<usize>,
}

/// A transmit queue.
pub(crate) struct TxCore<R> {
    ring: R,
    setup: TxSetup,
    /// Descriptors that should be free before a burst.
    reserve: usize,
    tokens: [Token; BURST],
    /// Packets of an earlier life of the ring that the device had not sent.
    again: Vec<Token>,
}

// SAFETY: tokens are packets that the queue owns.
unsafe impl<R: Send> Send for TxCore<R> {}

/// Takes packets out of a burst, oldest first. The burst keeps the others, also if somebody panics.
struct Taking<'a> {
    burst: &'a mut Burst,
    taken: usize,
}

impl<'a> Taking<'a> {
    #[inline(always)]
    fn from(burst: &'a mut Burst) -> Self {
        Taking { burst, taken: 0 }
    }

    #[inline(always)]
    fn next(&mut self) -> Option<Mbuf> {
        let packet: *const Mbuf = self.burst.items().get(self.taken)?;
        self.taken += 1;
        // SAFETY: a packet of the burst, counted as taken before anything can be done with it: the
        // burst forgets it when this is dropped.
        Some(unsafe { packet.read() })
    }

    /// Leaves the last packet in the burst after all.
    ///
    /// # Safety
    /// There is one, and it was forgotten.
    #[inline(always)]
    unsafe fn put_back(&mut self) {
        self.taken -= 1;
    }
}

impl Drop for Taking<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the first `taken` packets were moved out, and none of them is in the burst's use.
        unsafe { self.burst.took(self.taken) };
    }
}

/// What became of a packet.
enum Put {
    /// It is in the ring.
    Yes,
    /// There is no room now.
    NotNow,
    /// It can never be sent.
    Never,
}

impl<R: TxRing> TxCore<R> {
    /// Over an empty ring.
    pub(crate) fn new(ring: R, setup: TxSetup) -> Self {
        let reserve = (ring.free() / 4).clamp(1, BURST);
        TxCore { ring, setup, reserve, tokens: [Token::dangling(); BURST], again: Vec::new() }
    }

    /// Leaves the ring to another device as it is; says where that goes on, unless the ring is broken.
    pub(crate) fn hand_over(&mut self) -> Option<u32> {
        self.harvest();
        self.ring.lie().is_none().then(|| self.ring.base())
    }

    /// Makes the ring as new; packets that the device has not sent are sent again. The device has
    /// been stopped.
    pub(crate) fn restart(&mut self) {
        self.harvest();
        let mut all = self.ring.recall();
        all.append(&mut self.again);
        self.ring.reset();
        self.ring.quiet();
        self.again = all;
        self.repeat();
    }

    /// Puts what is left of an earlier life into the ring, as far as there is room.
    #[cold]
    fn repeat(&mut self) {
        let left = std::mem::take(&mut self.again);
        let mut sent = 0;
        for token in &left {
            if !self.put_again(*token) {
                break;
            }
            sent += 1;
        }
        self.again.extend_from_slice(&left[sent..]);
        self.show();
    }

    /// Shows the device what was put into the ring, and tells it if it wants to be told.
    #[inline(always)]
    fn show(&mut self) {
        self.ring.publish();
        if self.ring.wants_doorbell() {
            self.setup.bell.ring(self.ring.place());
        }
    }

    /// Tells a device that has just been started what there is for it from before.
    pub(crate) fn greet(&mut self) {
        if self.ring.free() < self.ring.size() {
            self.setup.bell.ring(self.ring.place());
        }
    }

    /// Takes all packets back to their pools, and makes the ring as new. The device has been stopped.
    pub(crate) fn reset(&mut self) {
        let mut all = self.ring.recall();
        all.append(&mut self.again);
        for token in all {
            // SAFETY: a packet that the ring owned, and no longer does.
            drop(unsafe { from_address(token) });
        }
        self.ring.reset();
        self.ring.quiet();
    }

    /// Sends frames of up to so many bytes from now on.
    pub(crate) fn set_longest(&mut self, longest: usize) {
        self.setup.longest = longest;
    }

    /// What the device said that cannot be.
    pub(crate) fn lie(&self) -> Option<Lie> {
        self.ring.lie()
    }

    #[inline]
    fn send(&mut self, burst: &mut Burst) -> usize {
        if self.ring.free() < self.reserve.max(burst.len()) {
            self.reclaim();
        }
        if self.ring.lie().is_some() {
            return 0;
        }
        self.look_ahead(burst);
        let (mut bytes, mut errors, mut taking) = (0, 0, Taking::from(burst));
        while let Some(packet) = taking.next() {
            let len = packet.len();
            match self.put(packet) {
                Put::Yes => {}
                Put::Never => errors += 1,
                Put::NotNow => {
                    // SAFETY: `put` forgot the packet.
                    unsafe { taking.put_back() };
                    break;
                }
            }
            bytes += len as u64;
        }
        let taken = taking.taken;
        drop(taking);
        self.setup.counters.sent(taken, bytes, burst.len());
        if errors > 0 {
            self.setup.counters.errors.add(errors);
        }
        if taken > 0 {
            self.show();
        }
        taken
    }

    /// Asks for the lines of the headers, which another core may have: all at once, as one after the
    /// other would be waited for.
    #[inline(always)]
    fn look_ahead(&self, burst: &Burst) {
        for packet in burst.iter() {
            let at = packet.place().address.as_ptr().wrapping_sub(self.setup.header);
            prefetch(at);
        }
    }

    /// Puts a packet into the ring. It is forgotten if there is no room: the caller still has it.
    #[inline(always)]
    fn put(&mut self, packet: Mbuf) -> Put {
        if self.ring.free() == 0 {
            core::mem::forget(packet);
            return Put::NotNow;
        }
        let (header, len, place) = (self.setup.header, packet.len(), packet.place());
        let plain = is_simple(&packet) && packet.headroom() >= header;
        if !plain || !self.is_ours(&packet) || !(14..=self.setup.longest).contains(&len) {
            return self.put_other(packet);
        }
        match into_plain(packet) {
            Ok(object) => {
                let (addr, len) = (place.iova - header as u64, (len + header) as u32);
                // SAFETY: the packet is a buffer of its own with as much headroom.
                unsafe { silent_header(place.address.as_ptr(), header) };
                self.ring.push(Part { addr, len }, object.cast());
                Put::Yes
            }
            Err(packet) => self.put_other(packet),
        }
    }

    #[inline(always)]
    fn is_ours(&self, packet: &Mbuf) -> bool {
        let home = packet.home();
        self.setup.homes.first() == Some(&home) || self.setup.homes.contains(&home)
    }

    /// A packet that asks for something, or is more than a buffer of a pool of ours.
    #[cold]
    #[inline(never)]
    fn put_other(&mut self, mut packet: Mbuf) -> Put {
        let parts = packet.segment_count() + 1;
        if parts > MAX_PARTS || !self.can(&packet) {
            return Put::Never;
        }
        let indirect = self.setup.tables.takes(parts);
        let needed = if indirect { 1 } else { parts };
        if needed > self.ring.free() {
            self.harvest();
        }
        if needed > self.ring.free() {
            let ever = needed <= self.ring.size();
            if ever {
                core::mem::forget(packet);
            }
            return if ever { Put::NotNow } else { Put::Never };
        }
        match prepare(&mut packet) {
            // Asked afterwards: an alias that was written to lies in a buffer of its own now.
            Ok(vnet) if self.reaches(&packet) => self.put_parts(packet, vnet, indirect),
            _ => Put::Never,
        }
    }

    /// Puts a packet with its header in a place of its own into the ring; there is room.
    fn put_parts(&mut self, packet: Mbuf, vnet: VnetHdr, indirect: bool) -> Put {
        let slot = self.ring.next_slot();
        let mut parts = [Part { addr: 0, len: 0 }; MAX_PARTS];
        parts[0] = self.setup.tables.write_header(slot, vnet.as_bytes(), self.setup.header);
        let mut n = 1;
        for (place, len) in packet.device_segments().filter(|(_, len)| *len > 0) {
            parts[n] = Part { addr: place.iova, len: len as u32 };
            n += 1;
        }
        let token = into_address(packet);
        if indirect {
            let table = self.setup.tables.write_table(slot, &parts[..n]);
            self.ring.push_indirect(table, token);
        } else {
            self.ring.push_chain(&parts[..n], token);
        }
        Put::Yes
    }

    /// Puts a packet of an earlier life into the ring, if there is room. A large frame, whose headers
    /// were changed already, is dropped and counted: its sender will send it again.
    fn put_again(&mut self, token: Token) -> bool {
        // SAFETY: a packet that the ring gave back, once; forgotten below if it is not taken.
        let mut packet = unsafe { from_address(token) };
        let parts = packet.segment_count() + 1;
        let indirect = self.setup.tables.takes(parts);
        if self.ring.free() < if indirect { 1 } else { parts } {
            core::mem::forget(packet);
            return false;
        }
        let request = packet.tx_request().unwrap_or_default();
        let vnet = match request.segmentation {
            Segmentation::None => prepare(&mut packet).ok(),
            Segmentation::Tcp(_) | Segmentation::Udp(_) => None,
        };
        match vnet {
            Some(vnet) if self.reaches(&packet) => drop(self.put_parts(packet, vnet, indirect)),
            _ => self.setup.counters.errors.add(1),
        }
        true
    }

    /// Whether what the packet asks for was negotiated, and it is no longer than may be.
    fn can(&self, packet: &Mbuf) -> bool {
        let asked = packet.tx_request().unwrap_or_default();
        let needed = features_for(&asked);
        let large = asked.segmentation != Segmentation::None;
        let longest = if large { 65_535 + 14 } else { self.setup.longest };
        self.setup.features.contains(needed) && (14..=longest).contains(&packet.len())
    }

    /// Whether the device knows all memory of the packet.
    fn reaches(&self, packet: &Mbuf) -> bool {
        packet.device_segments().all(|(place, len)| {
            let start = place.address.as_ptr().addr();
            let within = |known: &Known| {
                known.here.start <= start
                    && start.checked_add(len).is_some_and(|e| e <= known.here.end)
            };
            self.setup.known.iter().any(within)
        })
    }

    /// Returns packets that the device is done with, and makes use of the room; says how many.
    #[inline]
    fn reclaim(&mut self) -> usize {
        let all = self.harvest();
        if !self.again.is_empty() {
            self.repeat();
        }
        all
    }

    /// Returns packets that the device is done with; says how many.
    #[inline]
    fn harvest(&mut self) -> usize {
        let mut all = 0;
        loop {
            // Asked before they are taken: whether it had others.
            let plain = self.ring.is_plain();
            let n = self.ring.done(&mut self.tokens);
            match self.setup.homes[..] {
                [home] if plain => {
                    let tokens = self.tokens.as_ptr().cast::<Option<Token>>();
                    // SAFETY: the first `n` are packets that the ring owned, given back once; by `put`,
                    // which alone pushes, each is one plain buffer of a pool in `homes`, which has
                    // but this one. `Some` of a pointer is that pointer.
                    unsafe { free_plain(home, core::slice::from_raw_parts(tokens, n)) };
                }
                _ => self.free(n),
            }
            all += n;
            if n < BURST {
                return all;
            }
        }
    }

    /// Returns the first `n` packets of `tokens`, whatever they are.
    #[cold]
    #[inline(never)]
    fn free(&mut self, n: usize) {
        let mut gone = Burst::with_limit(BURST);
        for token in &self.tokens[..n] {
            // SAFETY: a packet that the ring owned, given back once. There is room.
            let _ = gone.push(unsafe { from_address(*token) });
        }
    }
}

/// What a device must take for this to be asked of it.
fn features_for(asked: &TxRequest) -> Features {
    let mut needed = match asked.l4_checksum {
        L4Checksum::None => Features::empty(),
        L4Checksum::Tcp | L4Checksum::Udp | L4Checksum::Sctp => Features::CSUM,
    };
    needed |= match (asked.segmentation, asked.ipv6) {
        (Segmentation::None, _) => Features::empty(),
        (Segmentation::Tcp(_), false) => Features::HOST_TSO4,
        (Segmentation::Tcp(_), true) => Features::HOST_TSO6,
        (Segmentation::Udp(_), _) => Features::HOST_USO,
    };
    needed
}

/// Brings a line here that will be read soon.
#[inline(always)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, for which any address will do.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Has a header that says nothing in front of the data.
///
/// A packet that came from a device has one already, as a rule, and it is only read: its line stays in the
/// caches of both sides, where a written one would have to cross to the other core and back. DEPARTURE:
/// `num_buffers`, the last two bytes of 12, is to be zero (§5.1.6.2), and is left as it is if the rest says
/// nothing. Devices do not look at it here; DPDK's driver leaves it at what its device wrote, too.
///
/// # Safety
/// There are `header` bytes in front of `data` that belong to the packet, which is ours.
#[inline(always)]
unsafe fn silent_header(data: *mut u8, header: usize) {
    // SAFETY: the caller's promise; 12 is by far the most frequent, and two stores.
    unsafe {
        if header == 12 {
            let (front, back) = (data.sub(12).cast::<u64>(), data.sub(4).cast::<u32>());
            let said = front.read_unaligned() | u64::from(back.read_unaligned().to_le() & 0xFFFF);
            if said != 0 {
                front.write_unaligned(0);
                back.write_unaligned(0);
            }
        } else {
            silent_header_of(data, header);
        }
    }
}

/// As [`silent_header`], of any length. Out of line, or both would become one call of `memset`.
///
/// # Safety
/// As for [`silent_header`].
#[cold]
#[inline(never)]
unsafe fn silent_header_of(data: *mut u8, header: usize) {
    // SAFETY: the caller's promise.
    unsafe { data.sub(header).write_bytes(0, header) };
}

/// What the user has of a transmit queue.
pub(crate) struct Tx<R> {
    latch: Arc<Latch<TxCore<R>>>,
    _leave: Option<Leave>,
    /// One thread at a time, also for what takes `&self`.
    _one: PhantomData<Cell<()>>,
}

impl<R: TxRing> Tx<R> {
    /// The one handle of this queue.
    pub(crate) fn new(latch: &Arc<Latch<TxCore<R>>>, leave: Option<Leave>) -> Self {
        Tx { latch: Arc::clone(latch), _leave: leave, _one: PhantomData }
    }

    #[inline(always)]
    fn enter<T>(&self, act: impl FnOnce(&mut TxCore<R>) -> T) -> Option<T> {
        // SAFETY: there is one `Tx` of a latch, which is not `Sync`; nothing here calls it again.
        unsafe { self.latch.enter(act) }
    }
}

impl<R: TxRing> TxQueue for Tx<R> {
    fn send(&mut self, burst: &mut Burst) -> usize {
        self.enter(|core| core.send(burst)).unwrap_or(0)
    }

    fn reclaim(&mut self) -> usize {
        self.enter(TxCore::reclaim).unwrap_or(0)
    }

    fn path(&self) -> Path {
        let path = self.enter(|core| match core.lie() {
            None => core.setup.path.clone(),
            Some(lie) => Path { name: "broken", reason: lie.to_string() },
        });
        path.unwrap_or_else(|| Path { name: "paused", reason: "no device is there".into() })
    }

    fn room(&self, limit: usize) -> Option<usize> {
        self.enter(|core| core.ring.free().min(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_mbuf::MbufPool;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_panic_while_sending_frees_no_packet_twice() {
        let pool = MbufPool::builder("panic").size(7).cache(0).build().expect("a pool");
        let mut burst = Burst::new();
        (0..4).for_each(|_| burst.push(pool.alloc().expect("a buffer")).expect("room"));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut taking = Taking::from(&mut burst);
            let (_first, second) = (taking.next(), taking.next());
            core::mem::forget(second);
            // SAFETY: the second was forgotten.
            unsafe { taking.put_back() };
            let _second = taking.next();
            panic!("within");
        }));
        assert!(panicked.is_err());
        assert_eq!((burst.len(), pool.in_use()), (2, 2));
        drop(burst);
        assert_eq!(pool.in_use(), 0);
    }
}

//! Receive: from the guest's transmit ring into packets of our own.

use super::copy::{self, Reader};
use crate::bell::Bell;
use crate::fault::Trouble;
use crate::memory::Span;
use crate::ring::{Driven, SPEAKING, Work};
use linecard_mbuf::driver::{RxFields, buffer, receive_with};
use linecard_mbuf::{Burst, Flags, Mbuf, MbufPool};
use linecard_net::MacAddr;
use linecard_pmd_core::{Gate, Path, PortConfig, RxCounters, RxOffloads, RxQueue, WakeUp};
use linecard_virtqueue::net::{VNET, VnetHdr};
use linecard_virtqueue::offload::{Unfinished, settle};
use std::os::fd::AsFd;
use std::sync::Arc;

/// Bytes of an Ethernet header: no frame is shorter.
const ETHERNET: usize = 14;
/// The largest frame: 64 KiB behind its headers and tags.
const LARGEST: usize = 65_536 + ETHERNET + 8;
/// The longest header before a frame.
const HEADER: usize = 20;

/// A receive queue.
pub(super) struct VhostRx {
    driven: Driven,
    pool: MbufPool,
    how: How,
    counters: Arc<RxCounters>,
    gate: Gate,
    bell: Arc<Bell>,
}

/// What is done with a frame.
#[derive(Clone, Copy)]
struct How {
    port: u16,
    unfinished: Unfinished,
    scatter: bool,
}

/// A frame that is none, or has no room.
struct Bad;

impl VhostRx {
    pub(super) fn new(
        driven: Driven,
        config: &PortConfig,
        queue: usize,
        counters: Arc<RxCounters>,
        gate: Gate,
        bell: Arc<Bell>,
    ) -> Self {
        let asked = config.rx_offloads_asked();
        let mut unfinished = Unfinished::empty();
        unfinished.set(Unfinished::CHECKSUM, asked.contains(RxOffloads::L4_CHECKSUM));
        unfinished.set(Unfinished::LARGE_TCP, asked.contains(RxOffloads::LRO));
        unfinished.set(Unfinished::LARGE_UDP, asked.contains(RxOffloads::LARGE_UDP));
        let scatter = asked.contains(RxOffloads::SCATTER);
        let how = How { port: config.number(), unfinished, scatter };
        VhostRx { driven, pool: config.pool(queue).clone(), how, counters, gate, bell }
    }

    #[cold]
    fn trouble(&mut self, trouble: Trouble) {
        self.driven.trouble(trouble);
    }
}

impl RxQueue for VhostRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let Some(mut work) = self.driven.enter() else { return 0 };
        let outcome = work.begin(burst.spare());
        let whole = !matches!(outcome, Err(Trouble::Fault(_)));
        let n = if whole { work.parcels.len() } else { 0 };
        let (mut got, announces) = (0, work.rarp.is_some());
        if n > 0 {
            got = take(&mut work, burst, n, &self.pool, self.how, &self.counters);
        }
        if announces {
            got += announce(&mut work, burst, &self.pool, self.how, &self.counters);
        }
        if got == 0 && (n > 0 || announces) && work.is_listening() {
            // Something is there, and nothing came of it: whoever is about to sleep looks again.
            self.bell.ring();
        }
        drop(work);
        if let Err(trouble) = outcome {
            self.trouble(trouble);
        }
        got
    }

    fn path(&self) -> Path {
        self.driven.path()
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        self.bell.silence();
        match self.driven.enter_any() {
            Some(mut work) => work.listen(true),
            // Control is inside: it may be about to bring something.
            None => self.bell.ring(),
        }
        Some(WakeUp(self.bell.as_fd()))
    }
}

/// Takes `n` gathered chains as packets; says how many packets that was.
#[inline(always)]
fn take(
    work: &mut Work,
    burst: &mut Burst,
    n: usize,
    pool: &MbufPool,
    how: How,
    counters: &RxCounters,
) -> usize {
    let before = burst.len();
    let (n, mut bytes, mut odd) = fill_plain(work, burst, n, pool, how, counters);
    let mut bad = 0u64;
    while odd != 0 {
        let i = odd.trailing_zeros() as usize;
        odd &= odd - 1;
        let parcel = &work.parcels.list()[i];
        let (spans, len) = (work.parcels.spans(parcel), parcel.len as usize);
        match fill(&mut burst[before + i], spans, len, work.header, pool, how) {
            Ok(frame) => bytes += frame as u64,
            Err(Bad) => bad |= 1 << i,
        }
    }
    work.commit(n);
    let wrong = bad.count_ones() as usize;
    if work.is_listening() && n > wrong {
        work.listen(false);
    }
    if wrong > 0 {
        remove(burst, before, bad);
        counters.errors.add(wrong as u64);
    }
    counters.received(n - wrong, bytes);
    n - wrong
}

/// Adds up to `n` packets, as many as the pool has: filled with those frames that lie in one piece and whose
/// headers say nothing, and are not looked at: on another core they were just written, and reading them
/// costs more than the rest. Says how many packets, of how many bytes; and which are odd, and empty.
#[inline(always)]
fn fill_plain(
    work: &Work,
    burst: &mut Burst,
    n: usize,
    pool: &MbufPool,
    how: How,
    counters: &RxCounters,
) -> (usize, u64, u64) {
    let (header, rearm) = (work.header, pool.rearm(how.port));
    let (headroom, room) = (pool.headroom(), pool.data_room());
    let speaks = work.features.intersects(SPEAKING);
    let (mut n, mut i, mut bytes, mut odd) = (n, 0, 0, 0u64);
    let mut fields = |object| {
        let parcel = &work.parcels.list()[i];
        let span = parcel.only().filter(|_| !speaks).unwrap_or(Span::NONE);
        let frame = (span.len as usize).wrapping_sub(header);
        let plain = (ETHERNET..=room).contains(&frame);
        let len = if plain { frame } else { 0 };
        if plain {
            // SAFETY: a buffer of this pool, with `room` bytes behind its headroom.
            unsafe {
                copy::take(
                    span.skip(header as u32),
                    buffer(object, headroom).address.as_ptr(),
                    frame,
                )
            };
        } else {
            odd |= 1 << i;
        }
        bytes += len as u64;
        i += 1;
        let fields =
            RxFields { packet_len: len as u32, data_len: len as u16, ..RxFields::default() };
        (rearm, Flags::empty(), fields)
    };
    // SAFETY: so many bytes were copied behind the headroom, and they fit.
    while n > 0 && !unsafe { receive_with(pool, burst, n, &mut fields) } {
        counters.no_buffer.add(1);
        n /= 2;
    }
    (n, bytes, odd)
}

/// Takes out those behind `before` whose bit is set.
#[cold]
fn remove(burst: &mut Burst, before: usize, bad: u64) {
    let mut at = 0;
    burst.retain(|_| {
        let keep = at < before || bad >> (at - before) & 1 == 0;
        at += 1;
        keep
    });
}

/// Fills a packet with the frame of a chain; says how long it is.
fn fill(
    packet: &mut Mbuf,
    spans: &[Span],
    len: usize,
    header: usize,
    pool: &MbufPool,
    how: How,
) -> Result<usize, Bad> {
    let frame = len.wrapping_sub(header);
    if len < header + ETHERNET || frame > LARGEST {
        return Err(Bad);
    }
    let mut reader = Reader::new(spans);
    let mut bytes = [0; HEADER];
    reader.read(&mut bytes[..header]);
    packet.set_port(how.port);
    let room = packet.tailroom();
    let first = frame.min(room);
    reader.read(packet.append(first).map_err(|_| Bad)?);
    if first < frame {
        chain(packet, &mut reader, frame - first, pool, how)?;
    }
    settle(packet, VnetHdr::read(&bytes[..VNET]), how.unfinished).map_err(|_| Bad)?;
    Ok(frame)
}

/// The rest of a frame that is longer than a buffer.
#[cold]
fn chain(
    packet: &mut Mbuf,
    reader: &mut Reader<'_>,
    mut left: usize,
    pool: &MbufPool,
    how: How,
) -> Result<(), Bad> {
    if !how.scatter {
        return Err(Bad);
    }
    while left > 0 {
        let mut more = pool.alloc().ok_or(Bad)?;
        let n = left.min(more.tailroom());
        reader.read(more.append(n).map_err(|_| Bad)?);
        packet.chain(more).map_err(|_| Bad)?;
        left -= n;
    }
    Ok(())
}

/// The frame with which a guest that has moved here is announced: a RARP request about itself.
/// It waits for room in the burst, and for a buffer.
#[cold]
fn announce(
    work: &mut Work,
    burst: &mut Burst,
    pool: &MbufPool,
    how: How,
    counters: &RxCounters,
) -> usize {
    let Some(mac) = work.rarp.filter(|_| !burst.is_full()) else { return 0 };
    let Some(mut packet) = pool.alloc() else {
        counters.no_buffer.add(1);
        return 0;
    };
    work.rarp = None;
    let frame = rarp(MacAddr(mac));
    packet.set_port(how.port);
    let Ok(room) = packet.append(frame.len()) else { return 0 };
    room.copy_from_slice(&frame);
    usize::from(burst.push(packet).is_ok())
}

/// RFC 903, as QEMU and others send it for a guest.
fn rarp(mac: MacAddr) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].fill(0xFF);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..14].copy_from_slice(&0x8035u16.to_be_bytes());
    // Ethernet, IPv4, six bytes, four bytes, request reverse.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 3]);
    frame[22..28].copy_from_slice(&mac.0);
    frame[32..38].copy_from_slice(&mac.0);
    frame
}

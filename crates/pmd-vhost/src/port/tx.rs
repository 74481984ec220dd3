//! Transmit: from packets into the guest's receive ring.

use super::copy::{Writer, put, put_plain_header};
use crate::fault::Trouble;
use crate::ring::{Driven, Work};
use linecard_mbuf::{Burst, ChecksumStatus, Mbuf};
use linecard_net::checksum::{fold, sum};
use linecard_pmd_core::{Gate, Path, TxCounters, TxQueue};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::{
    DATA_VALID, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VNET, VnetHashed,
    VnetHdr,
};
use linecard_virtqueue::offload::{Head, Segments, is_simple};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// The largest frame that is made whole: 64 KiB behind its headers and tags.
const LARGEST: usize = 65_536 + 22;

/// A transmit queue.
pub(super) struct VhostTx {
    driven: Driven,
    counters: Arc<TxCounters>,
    gate: Gate,
    desk: Desk,
}

/// Where frames are made that the guest does not take as they are.
struct Desk {
    frame: Vec<u8>,
    piece: Vec<u8>,
}

/// What became of a packet.
enum Put {
    /// It lies in so many chains.
    In(usize),
    /// Not now: too few chains.
    Full,
    /// It cannot be sent.
    Never,
    /// Not now, for this reason.
    Trouble(Trouble),
}

impl VhostTx {
    pub(super) fn new(driven: Driven, counters: Arc<TxCounters>, gate: Gate) -> Self {
        let [frame, piece] = [0, 1].map(|_| Vec::with_capacity(LARGEST));
        VhostTx { driven, counters, gate, desk: Desk { frame, piece } }
    }
}

impl TxQueue for VhostTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() || burst.is_empty() {
            return 0;
        }
        let Some(mut work) = self.driven.enter() else {
            self.counters.sent(0, 0, burst.len());
            return 0;
        };
        let mut trouble = work.begin(burst.len()).err();
        let (mut chains, mut taken, mut bytes, mut errors) = (0, 0, 0, 0);
        if !matches!(trouble, Some(Trouble::Fault(_))) {
            for packet in burst.iter() {
                if send_plain(&mut work, chains, packet) {
                    chains += 1;
                } else {
                    match send_other(&mut work, chains, packet, &mut self.desk) {
                        Put::In(n) => chains += n,
                        Put::Never => errors += 1,
                        Put::Full => break,
                        Put::Trouble(why) => {
                            trouble = Some(why);
                            break;
                        }
                    }
                }
                taken += 1;
                bytes += packet.len() as u64;
            }
        }
        if !matches!(trouble, Some(Trouble::Fault(_))) {
            work.commit(chains);
        }
        drop(work);
        finish(burst, taken);
        self.counters.sent(taken, bytes, burst.len());
        if errors > 0 {
            self.counters.errors.add(errors);
        }
        if let Some(trouble) = trouble {
            self.driven.trouble(trouble);
        }
        taken
    }

    fn path(&self) -> Path {
        self.driven.path()
    }
}

/// Drops what was copied.
#[inline(always)]
fn finish(burst: &mut Burst, taken: usize) {
    if taken == burst.len() {
        burst.clear();
    } else {
        drop(burst.drain(taken));
    }
}

/// Copies a packet that is one piece into the chain at `at`, if that lies together and has room.
#[inline(always)]
fn send_plain(work: &mut Work, at: usize, packet: &Mbuf) -> bool {
    let Some(parcel) = work.parcels.list().get(at) else { return false };
    let (len, header) = (packet.len(), work.header);
    let all = (header + len) as u32;
    let Some(span) = parcel.only().filter(|span| span.len >= all) else { return false };
    if !is_simple(packet) || packet.segment_count() != 1 {
        return false;
    }
    put_plain_header(&work.view, span, header, plain_flags(work, packet));
    put(&work.view, span.skip(header as u32), packet.data());
    work.parcels.list_mut()[at].written = all;
    true
}

/// Copies any packet into the chains from `at` on.
#[cold]
#[inline(never)]
fn send_other(work: &mut Work, at: usize, packet: &Mbuf, desk: &mut Desk) -> Put {
    if !is_simple(packet) {
        return send_asking(work, at, packet, desk);
    }
    let vnet = VnetHdr { flags: plain_flags(work, packet), ..VnetHdr::default() };
    spread(work, at, vnet, packet.len(), packet.segments())
}

/// The flags in the header of a frame that is whole.
#[inline(always)]
fn plain_flags(work: &Work, packet: &Mbuf) -> u8 {
    let good = packet.l4_checksum() == ChecksumStatus::Good;
    if good && work.features.contains(Features::GUEST_CSUM) { DATA_VALID } else { 0 }
}

/// The longest header; the guest gets as much of it as it has negotiated.
#[inline(always)]
fn head_of(vnet: VnetHdr, buffers: u16) -> VnetHashed {
    let mut head = VnetHashed::default();
    (head.merged.vnet, head.merged.num_buffers) = (vnet, buffers);
    head
}

/// Copies a frame in pieces into as many chains as it takes. Nothing is given back to the guest yet:
/// a frame that does not fit has left no trace but in buffers that are still ours.
fn spread<'a>(
    work: &mut Work,
    at: usize,
    vnet: VnetHdr,
    len: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Put {
    let (header, total) = (work.header, work.header + len);
    let n = match reserve(work, at, total) {
        Ok(n) => n,
        Err(other) => return other,
    };
    let head = head_of(vnet, n as u16);
    let mut left = total;
    for parcel in &mut work.parcels.list_mut()[at..at + n] {
        parcel.written = left.min(parcel.len as usize) as u32;
        left -= parcel.written as usize;
    }
    let parcels = &work.parcels;
    let chains = parcels.list()[at..at + n].iter().map(|parcel| parcels.spans(parcel));
    let mut writer = Writer::new(&work.view, chains);
    // There is room for all: it has been reserved.
    writer.write(&head.as_bytes()[..header]);
    pieces.for_each(|piece| writer.write(piece));
    Put::In(n)
}

/// How many chains from `at` on have room for `total` bytes.
fn reserve(work: &mut Work, at: usize, total: usize) -> Result<usize, Put> {
    let merges = work.features.contains(Features::MRG_RXBUF);
    let (mut n, mut room) = (0, 0);
    while room < total {
        if at + n >= work.parcels.len() {
            let before = work.parcels.len();
            match work.more(16) {
                Ok(now) if now == before => return Err(Put::Full),
                Ok(_) => {}
                Err(trouble) => return Err(Put::Trouble(trouble)),
            }
        }
        room += work.parcels.list()[at + n].len as usize;
        n += 1;
        let hopeless = if merges { n >= usize::from(work.size()) } else { true };
        if room < total && hopeless {
            return Err(Put::Never);
        }
    }
    Ok(n)
}

/// A packet that asks for something: as the guest takes it, or made good here.
fn send_asking(work: &mut Work, at: usize, packet: &Mbuf, desk: &mut Desk) -> Put {
    let Ok(head) = Head::of(packet) else { return Put::Never };
    let vnet = VnetHdr::read(head.bytes());
    if takes(work.features, vnet) {
        let len = head.frame_len(packet.len());
        return spread(work, at, vnet, len, pieces(packet, &head));
    }
    desk.frame.clear();
    pieces(packet, &head).for_each(|piece| desk.frame.extend_from_slice(piece));
    if vnet.is_large() {
        return cut(work, at, vnet, desk);
    }
    match complete(&mut desk.frame, vnet) {
        Some(()) => {
            let frame = std::iter::once(desk.frame.as_slice());
            spread(work, at, VnetHdr::default(), desk.frame.len(), frame)
        }
        None => Put::Never,
    }
}

/// The bytes of a frame: its changed headers, and the rest of its segments.
fn pieces<'a>(packet: &'a Mbuf, head: &'a Head) -> impl Iterator<Item = &'a [u8]> {
    let mut skip = head.replaces();
    let rest = packet.segments().map(move |segment| {
        let n = skip.min(segment.len());
        skip -= n;
        &segment[n..]
    });
    std::iter::once(&head.bytes()[VNET..]).chain(rest)
}

/// Whether the guest has said that it takes such frames.
fn takes(features: Features, vnet: VnetHdr) -> bool {
    let needed = match vnet.gso_type & !GSO_ECN {
        GSO_NONE if vnet.flags & NEEDS_CSUM == 0 => Features::empty(),
        GSO_NONE => Features::GUEST_CSUM,
        GSO_TCPV4 => Features::GUEST_TSO4,
        GSO_TCPV6 => Features::GUEST_TSO6,
        GSO_UDP_L4 => Features::GUEST_USO4 | Features::GUEST_USO6,
        _ => return false,
    };
    let ecn = vnet.gso_type & GSO_ECN != 0;
    features.contains(needed) && (!ecn || features.contains(Features::GUEST_ECN))
}

/// Cuts the large frame on the desk, as a wire would carry it: all pieces, or none.
fn cut(work: &mut Work, at: usize, vnet: VnetHdr, desk: &mut Desk) -> Put {
    desk.piece.resize(LARGEST, 0);
    let Some(mut segments) = Segments::of(&desk.frame, vnet) else { return Put::Never };
    let mut n = 0;
    while let Some(segment) = segments.next(&mut desk.piece) {
        let (plain, whole) = (VnetHdr::default(), std::iter::once(segment));
        match spread(work, at + n, plain, segment.len(), whole) {
            Put::In(more) => n += more,
            // More pieces than the ring has buffers will never fit.
            Put::Full if n + 1 >= usize::from(work.size()) => return Put::Never,
            other => return other,
        }
    }
    work.counters.cut.add(1);
    Put::In(n)
}

/// Computes the checksum that was left open.
fn complete(frame: &mut [u8], vnet: VnetHdr) -> Option<()> {
    let start = usize::from(vnet.csum_start);
    let checksum = !fold(u64::from(sum(frame.get(start..)?)));
    // UDP's 0 means none (RFC 768).
    let checksum = if vnet.csum_offset == 6 && checksum == 0 { 0xFFFF } else { checksum };
    let at = start + usize::from(vnet.csum_offset);
    frame.get_mut(at..at + 2)?.copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

//! Making the sockets and rings of a port.

use super::arrived::Walk;
use super::blocks::BlockRing;
use super::direct::Direct;
use super::frames::FrameRing;
use super::options::{AfPacketOptions, Fanout, Qdisc, RxRing};
use super::rx::{PacketRx, Sink};
use super::slots::TxRing;
use crate::sys::{Filter, Interface, PacketSocket, RingRequest, SharedArea};
use linecard_pmd_core::{Gate, RxQueue};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Bytes before a frame in a slot: headers, address, alignment, the kernel's header, and a tag.
const BEFORE: usize = 128;
/// The largest slot: larger frames go another way.
const MAX_SLOT: usize = 16 * 1024;
/// Bytes of a page: the least block.
const PAGE: usize = 4096;
/// Bytes of a `TPACKET_V3` block: a large TCP frame fits.
const BLOCK: usize = 128 * 1024;
/// Milliseconds after which a block is handed over that is not full: the least there is.
const RETIRE: u32 = 1;
/// Room for frames that wait at a socket, whole.
const BUFFER: usize = 8 << 20;

const TPACKET_V2: libc::c_int = 1;
const TPACKET_V3: libc::c_int = 2;

/// A receive socket with its ring.
pub(super) struct Receiver {
    pub(super) socket: Arc<PacketSocket>,
    ring: Ring,
}

enum Ring {
    Frames(FrameRing),
    Blocks(BlockRing),
}

impl Receiver {
    /// A socket that is bound and lets nothing through yet.
    pub(super) fn open(
        options: &AfPacketOptions,
        interface: &Interface,
        frames: usize,
        mtu: usize,
    ) -> io::Result<Self> {
        let socket = PacketSocket::open()?;
        socket.filter(Filter::Drop)?;
        let ring = match options.rx_ring {
            RxRing::Frames => Ring::Frames(frame_ring(&socket, frames, mtu)?),
            RxRing::Blocks => Ring::Blocks(block_ring(&socket, frames)?),
        };
        // Kernels before 4.20 do not know how: what this machine sends is told apart then.
        let _ = socket.set(libc::PACKET_IGNORE_OUTGOING, &1i32);
        socket.bind(interface.index(), libc::ETH_P_ALL)?;
        Ok(Receiver { socket: Arc::new(socket), ring })
    }

    /// The queue.
    pub(super) fn into_queue(self, sink: Sink, gate: Gate) -> Box<dyn RxQueue> {
        fn boxed(ring: impl Walk + 'static, sink: Sink, gate: Gate) -> Box<dyn RxQueue> {
            Box::new(PacketRx::new(ring, sink, gate))
        }
        match self.ring {
            Ring::Frames(ring) => boxed(ring, sink, gate),
            Ring::Blocks(ring) => boxed(ring, sink, gate),
        }
    }
}

/// Has the kernel spread frames over the sockets.
pub(super) fn spread(receivers: &[Receiver], fanout: Fanout) -> io::Result<()> {
    let [first, others @ ..] = receivers else { return Ok(()) };
    if others.is_empty() {
        return Ok(());
    }
    let kind = kind(fanout) | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
    // The kernel chooses a number that nobody has.
    let unique = (kind | libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16;
    first.socket.set(libc::PACKET_FANOUT, &unique)?;
    let group: u32 = first.socket.option(libc::SOL_PACKET, libc::PACKET_FANOUT)?;
    let joined = kind << 16 | group & 0xFFFF;
    others.iter().try_for_each(|other| other.socket.set(libc::PACKET_FANOUT, &joined))
}

fn kind(fanout: Fanout) -> u32 {
    match fanout {
        Fanout::Hash => libc::PACKET_FANOUT_HASH,
        Fanout::LoadBalance => libc::PACKET_FANOUT_LB,
        Fanout::Cpu => libc::PACKET_FANOUT_CPU,
        Fanout::Rollover => libc::PACKET_FANOUT_ROLLOVER,
        Fanout::Random => libc::PACKET_FANOUT_RND,
        Fanout::QueueMapping => libc::PACKET_FANOUT_QM,
    }
}

/// Bytes of a slot that holds frames of this MTU, unless they are too large for any.
fn slot(mtu: usize) -> usize {
    (BEFORE + mtu + crate::OVERHEAD).next_power_of_two().clamp(2048, MAX_SLOT)
}

/// A ring of slots: a block is no smaller than a page.
fn slots(slot: usize, frames: usize) -> RingRequest {
    let block = slot.max(PAGE);
    let blocks = frames.div_ceil(block / slot);
    RingRequest {
        block_size: block as u32,
        blocks: blocks as u32,
        frame_size: slot as u32,
        frames: (blocks * (block / slot)) as u32,
        ..RingRequest::default()
    }
}

fn frame_ring(socket: &PacketSocket, frames: usize, mtu: usize) -> io::Result<FrameRing> {
    socket.set(libc::PACKET_VERSION, &TPACKET_V2)?;
    socket.set(libc::PACKET_VNET_HDR, &1i32)?;
    socket.set(libc::PACKET_COPY_THRESH, &1i32)?;
    socket.set_buffers(BUFFER);
    let request = slots(slot(mtu), frames);
    socket.set_ring_v2(libc::PACKET_RX_RING, &request)?;
    let area = SharedArea::map(socket.as_fd(), request.len())?;
    Ok(FrameRing::new(area, request.frame_size as usize, request.frames as usize))
}

fn block_ring(socket: &PacketSocket, frames: usize) -> io::Result<BlockRing> {
    socket.set(libc::PACKET_VERSION, &TPACKET_V3)?;
    socket.set(libc::PACKET_VNET_HDR, &1i32)?;
    let blocks = (frames * 2048).div_ceil(BLOCK).max(4);
    let request = RingRequest {
        block_size: BLOCK as u32,
        blocks: blocks as u32,
        frame_size: 2048,
        frames: (blocks * BLOCK / 2048) as u32,
        retire: RETIRE,
        ..RingRequest::default()
    };
    socket.set_ring(libc::PACKET_RX_RING, &request)?;
    let area = SharedArea::map(socket.as_fd(), request.len())?;
    Ok(BlockRing::new(area, BLOCK, blocks))
}

/// A transmit socket with its ring, and those without.
pub(super) fn sender(
    options: &AfPacketOptions,
    interface: &Interface,
    frames: usize,
    mtu: usize,
) -> io::Result<(TxRing, (PacketSocket, Direct))> {
    let socket = sending(options.qdisc)?;
    socket.set(libc::PACKET_VERSION, &TPACKET_V2)?;
    let request = slots(slot(mtu), frames);
    socket.set_ring_v2(libc::PACKET_TX_RING, &request)?;
    let area = SharedArea::map(socket.as_fd(), request.len())?;
    socket.bind(interface.index(), 0)?;
    let straight = sending(options.qdisc)?;
    straight.bind(interface.index(), 0)?;
    let passing = match options.qdisc {
        Qdisc::Bypass => Some(sending(Qdisc::Pass)?),
        Qdisc::Pass => None,
    };
    passing.iter().try_for_each(|socket| socket.bind(interface.index(), 0))?;
    let direct = Direct::new(straight, passing);
    let ring = TxRing::new(area, request.frame_size as usize, request.frames as usize);
    Ok((ring, (socket, direct)))
}

fn sending(qdisc: Qdisc) -> io::Result<PacketSocket> {
    let socket = PacketSocket::open()?;
    socket.set(libc::PACKET_VNET_HDR, &1i32)?;
    socket.set_buffers(BUFFER);
    if qdisc == Qdisc::Bypass {
        socket.set(libc::PACKET_QDISC_BYPASS, &1i32)?;
    }
    Ok(socket)
}

//! Transmit: from packets into the ring, and one `send` a burst.
//!
//! The kernel copies the first bytes of a frame and takes the rest as pages of the ring; how many it
//! copies is ours to say (`hdr_len`). Small frames are copied whole: that costs less than pages do,
//! and much less where the receiver is on this machine and the pages would be copied then. Measured on
//! a `veth` that gives back what it gets: 0.61 million frames of 64 bytes a second and 0.55 of 1400,
//! against 0.46 and 0.44 with pages.

use super::direct::Direct;
use super::slots::TxRing;
use crate::sys::{Interface, PacketSocket};
use linecard_mbuf::{Burst, Mbuf};
use linecard_pmd_core::{Gate, Path, TxCounters, TxQueue};
use linecard_virtqueue::net::{VNET, VnetHdr};
use linecard_virtqueue::offload::{Head, is_simple};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Frames up to this length are copied by the kernel.
const COPIED: usize = 2048;
/// An Ethernet header, and a tag, that a frame has besides its MTU.
const OVERHEAD: usize = 14 + 4;

/// A transmit queue.
pub(super) struct PacketTx {
    ring: TxRing,
    /// The socket that the ring belongs to.
    socket: PacketSocket,
    /// Those without a ring.
    direct: Direct,
    interface: Arc<Interface>,
    mtu: usize,
    counters: Arc<TxCounters>,
    gate: Gate,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    Never,
    NotNow,
}

impl PacketTx {
    pub(super) fn new(
        ring: TxRing,
        (socket, direct): (PacketSocket, Direct),
        interface: Arc<Interface>,
        mtu: usize,
        counters: Arc<TxCounters>,
        gate: Gate,
    ) -> Self {
        PacketTx { ring, socket, direct, interface, mtu, counters, gate }
    }

    #[inline]
    fn put(&mut self, packet: &Mbuf) -> Sent {
        let len = packet.len();
        if is_simple(packet) && len <= self.ring.most() {
            if len > self.mtu + OVERHEAD && !self.is_mtu_larger(len) || len < 14 {
                return Sent::Never;
            }
            if !self.has_room() {
                return Sent::NotNow;
            }
            let hdr_len = len.min(COPIED) as u16;
            let vnet = VnetHdr { hdr_len, ..VnetHdr::default() };
            return filled(self.ring.fill(vnet.as_bytes(), packet, 0));
        }
        self.put_other(packet)
    }

    /// A frame that asks for something, or is larger than a slot.
    fn put_other(&mut self, packet: &Mbuf) -> Sent {
        let Ok(head) = Head::of(packet) else { return Sent::Never };
        let len = head.frame_len(packet.len());
        if len < 14 || !head.is_large() && len > self.mtu + OVERHEAD && !self.is_mtu_larger(len) {
            return Sent::Never;
        }
        if head.is_large() || len > self.ring.most() {
            return self.write(packet, &head);
        }
        if !self.has_room() {
            return Sent::NotNow;
        }
        filled(self.ring.fill(head.bytes(), packet, head.replaces()))
    }

    /// Whether the next slot is free, after a nudge if it was not.
    fn has_room(&mut self) -> bool {
        self.ring.has_room() || {
            self.kick();
            self.ring.has_room()
        }
    }

    /// Whether a frame fits the interface's MTU after all, which others may have changed.
    #[cold]
    fn is_mtu_larger(&mut self, len: usize) -> bool {
        self.mtu = self.interface.mtu().unwrap_or(self.mtu);
        len <= self.mtu + OVERHEAD
    }

    /// Writes a frame past the ring, in order: what is in the ring goes first.
    fn write(&mut self, packet: &Mbuf, head: &Head) -> Sent {
        self.kick();
        if !self.ring.settle() {
            return Sent::NotNow;
        }
        self.direct.write(packet, head)
    }

    /// Has the kernel send what is in the ring.
    fn kick(&mut self) {
        // A refusal leaves frames in the ring: for the next time, or to be taken out as wrong.
        while self.socket.kick().is_err() && self.ring.drop_wrong() {
            self.counters.errors.add(1);
        }
    }
}

fn filled(done: Option<()>) -> Sent {
    done.map_or(Sent::Never, |()| Sent::Yes)
}

impl TxQueue for PacketTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let (mut taken, mut bytes, mut errors) = (0, 0, 0);
        for packet in burst.iter() {
            match self.put(packet) {
                Sent::Yes => {}
                Sent::Never => errors += 1,
                Sent::NotNow => break,
            }
            taken += 1;
            bytes += packet.len() as u64;
        }
        self.reclaim();
        if taken == burst.len() {
            burst.clear();
        } else {
            drop(burst.drain(taken));
        }
        self.counters.sent(taken, bytes, burst.len());
        if errors > 0 {
            self.counters.errors.add(errors);
        }
        taken
    }

    /// Frames were copied: no buffers are held. What the kernel would not take before is offered
    /// again.
    fn reclaim(&mut self) -> usize {
        if self.gate.is_open() && !self.ring.settle() {
            self.kick();
        }
        0
    }

    fn path(&self) -> Path {
        Path { name: "tpacket-v2", reason: "a ring, and one call a burst".into() }
    }

    fn room(&self, limit: usize) -> Option<usize> {
        Some(self.ring.room(limit))
    }
}

const _: () = assert!(VNET + COPIED <= u16::MAX as usize);

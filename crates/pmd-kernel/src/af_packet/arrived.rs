//! A frame in a receive ring, as the kernel describes it, checked against the ring's bounds.

use crate::sys::SharedArea;
use linecard_virtqueue::net::{VNET, VnetHdr};
use linecard_virtqueue::offload::tag;
use std::ops::Range;

/// A frame that the kernel has put into a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived<'a> {
    /// Its bytes.
    pub(super) frame: &'a [u8],
    /// Whether they are all of it.
    pub(super) whole: Whole,
    /// What is unfinished about it.
    pub(super) vnet: VnetHdr,
    /// The VLAN tag that the kernel took off.
    pub(super) tag: Option<Tag>,
    /// When it arrived, in nanoseconds since 1970.
    pub(super) time: u64,
}

/// Whether a frame is in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// All of it.
    Here,
    /// Its beginning; all of it waits at the socket.
    Queued,
    /// Its beginning, and the rest is lost.
    Cut,
    /// It was sent by this machine, not received.
    Outgoing,
}

/// A VLAN tag: its type, and its control information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) tpid: u16,
    pub(super) tci: u16,
}

impl Tag {
    /// As it stands in a frame.
    pub(super) fn bytes(self) -> [u8; 4] {
        tag(self.tpid, self.tci)
    }

    /// Whether it is a customer's tag, as offloads mean them.
    pub(super) fn is_customer(self) -> bool {
        self.tpid == CUSTOMER
    }
}

/// The type of a customer's tag (IEEE 802.1Q).
const CUSTOMER: u16 = 0x8100;

/// What the kernel wrote contradicts the ring's own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// What both versions of the header say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) status: u32,
    pub(super) len: u32,
    pub(super) snaplen: u32,
    pub(super) mac: u16,
    pub(super) sec: u32,
    pub(super) nsec: u32,
    pub(super) tci: u16,
    pub(super) tpid: u16,
    /// Where the `sockaddr_ll` is, from the header on.
    pub(super) address: usize,
}

/// Where the type of a packet is in a `sockaddr_ll`.
const PACKET_TYPE: usize = 10;
/// Bytes of a `sockaddr_ll`.
const ADDRESS: usize = 20;

impl Said {
    /// The frame of which this was said by a header at the start of `slot`.
    pub(super) fn frame(
        self,
        area: &SharedArea,
        slot: Range<usize>,
    ) -> Result<Arrived<'_>, Garbage> {
        let (mac, snaplen) = (usize::from(self.mac), self.snaplen as usize);
        // The frame and the header before it lie behind what describes them, and within the slot.
        let first = self.address + ADDRESS + VNET;
        let at = slot.start + mac;
        if mac < first || snaplen > slot.end.saturating_sub(at) {
            return Err(Garbage);
        }
        let frame = area.bytes(at, snaplen).ok_or(Garbage)?;
        let vnet = area.bytes(at - VNET, VNET).map(VnetHdr::read).ok_or(Garbage)?;
        let kind: u8 = area.read(slot.start + self.address + PACKET_TYPE).ok_or(Garbage)?;
        let whole = self.whole(kind);
        Ok(Arrived { frame, whole, vnet, tag: self.tag(), time: self.time() })
    }

    fn whole(&self, kind: u8) -> Whole {
        match () {
            () if kind == libc::PACKET_OUTGOING => Whole::Outgoing,
            () if self.status & libc::TP_STATUS_COPY != 0 => Whole::Queued,
            () if self.snaplen < self.len => Whole::Cut,
            () => Whole::Here,
        }
    }

    fn tag(&self) -> Option<Tag> {
        let has = |flag| self.status & flag != 0;
        let tpid = if has(libc::TP_STATUS_VLAN_TPID_VALID) { self.tpid } else { CUSTOMER };
        has(libc::TP_STATUS_VLAN_VALID).then_some(Tag { tpid, tci: self.tci })
    }

    fn time(&self) -> u64 {
        u64::from(self.sec) * 1_000_000_000 + u64::from(self.nsec)
    }
}

/// A receive ring, walked in order.
pub(super) trait Walk: Send {
    /// The next frame, if the kernel has one for us.
    fn peek(&mut self) -> Option<Result<Arrived<'_>, Garbage>>;
    /// Done with it: the kernel may have its place.
    fn release(&mut self);
    /// What the ring is, for [`Path`](linecard_pmd_core::Path).
    fn path(&self) -> (&'static str, &'static str);
}

//! Receive with coalescing (RSC, §7.11): a packet's descriptors need not stand together, each says which
//! one is the next of its packet.

use super::{Found, Partial, Receive, meta};
use linecard_eal::barrier;
use linecard_ixgbe_regs::descriptor::receive;
use linecard_mbuf::{Flags, Mbuf};

/// Beginnings of packets, by the slot in which they go on.
pub(super) struct Heads(Box<[Partial]>);

impl Heads {
    /// For a ring of so many descriptors.
    pub(super) fn new(slots: usize) -> Self {
        Heads((0..slots).map(|_| Partial::None).collect())
    }
}

/// Where a piece goes on.
enum On {
    /// It is the last.
    Nowhere,
    At(usize),
}

impl Receive {
    /// What the next descriptor has brought, if it is done: the end of a packet, or a piece.
    pub(super) fn coalesced(&mut self) -> Option<Found> {
        let status = self.parts.ring.cells().status(self.next);
        if self.next == self.posted || !receive::DD.is_set(status) {
            return None;
        }
        // Pairs with the device's order, as in `whole_frames`.
        barrier::dma_observe();
        let len = receive::PKT_LEN.of(status) as u16;
        if len.wrapping_sub(1) >= self.parts.frames.room {
            return self.lie();
        }
        let first = self.parts.ring.cells().first(self.next);
        let Some(on) = self.goes_on(first, status) else { return self.lie() };
        let slot = self.parts.ring.cells().slot(self.next);
        let piece = self.packet(first, status, len);
        let head = std::mem::replace(&mut self.heads.as_mut()?.0[slot], Partial::None);
        self.next = self.next.wrapping_add(1);
        let joined = match head {
            Partial::None => Some(piece),
            Partial::Some(head) => meta::join(head, piece),
            Partial::Skip => None,
        };
        Some(self.carry(joined, on, receive::RSC_COUNT.of(first)))
    }

    /// Where the packet goes on. `None` if it is said to go on where it cannot: in a descriptor that is
    /// not posted, or in which another goes on.
    fn goes_on(&self, first: u64, status: u64) -> Option<On> {
        if receive::EOP.is_set(status) {
            return Some(On::Nowhere);
        }
        let cells = self.parts.ring.cells();
        let posted = self.posted.wrapping_sub(self.next);
        // A frame that is not merged goes on in the descriptor behind, be it the first that is not posted
        // yet: the device waits for it.
        let (next, end) = match receive::RSC_COUNT.of(first) {
            0 => (cells.slot(self.next.wrapping_add(1)), posted + 1),
            _ => (receive::NEXTP.of(status) as usize, posted),
        };
        let ahead = (next as u32).wrapping_sub(self.next) & (cells.len() - 1);
        let is_posted = ahead > 0 && ahead < end;
        let is_free = matches!(self.heads.as_ref()?.0.get(next)?, Partial::None);
        (is_posted && is_free).then_some(On::At(next))
    }

    fn carry(&mut self, joined: Option<Mbuf>, on: On, count: u64) -> Found {
        match (joined, on) {
            (Some(mut packet), On::Nowhere) => {
                if count > 0 {
                    packet.change_flags(Flags::LRO, Flags::empty());
                }
                return Found::Packet(packet);
            }
            (None, On::Nowhere) => self.parts.counters.errors.add(1),
            (joined, On::At(slot)) => {
                let rest = joined.map_or(Partial::Skip, Partial::Some);
                if let Some(heads) = &mut self.heads {
                    heads.0[slot] = rest;
                }
            }
        }
        Found::Part
    }
}

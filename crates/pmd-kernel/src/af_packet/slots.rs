//! The `TPACKET_V2` transmit ring: a slot a frame, filled here and emptied by the kernel.

use crate::sys::SharedArea;
use linecard_mbuf::Mbuf;
use linecard_virtqueue::net::VNET;

/// Where a slot's length is.
const LENGTH: usize = 4;
/// Where a slot's frame is, with the header before it: behind `struct tpacket2_hdr`.
const FRAME: usize = size_of::<libc::tpacket2_hdr>();
const _: () = assert!(FRAME.is_multiple_of(16));

/// The ring. Cursors run freely; a slot's number is the cursor's rest.
#[derive(Debug)]
pub(super) struct TxRing {
    area: SharedArea,
    slot: usize,
    slots: usize,
    /// The next to be filled.
    head: usize,
    /// The next that the kernel will look at, as far as has been seen.
    taken: usize,
}

impl TxRing {
    /// A ring of `slots` slots of `slot` bytes.
    pub(super) fn new(area: SharedArea, slot: usize, slots: usize) -> Self {
        TxRing { area, slot, slots, head: 0, taken: 0 }
    }

    /// The most bytes of a frame.
    pub(super) fn most(&self) -> usize {
        self.slot - FRAME - VNET
    }

    fn start(&self, cursor: usize) -> usize {
        cursor % self.slots * self.slot
    }

    fn status(&self, cursor: usize) -> u32 {
        self.area.read_status(self.start(cursor))
    }

    /// Whether the next slot is free.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.status(self.head) == libc::TP_STATUS_AVAILABLE
    }

    /// Free slots; at most `limit` are counted.
    pub(super) fn room(&self, limit: usize) -> usize {
        let free = |i: &usize| self.status(self.head + i) == libc::TP_STATUS_AVAILABLE;
        (0..limit.min(self.slots)).take_while(free).count()
    }

    /// Fills the next slot, which is free: with `head`, and the packet from `skip` on. `None` if they
    /// are larger than a slot.
    #[inline]
    pub(super) fn fill(&mut self, head: &[u8], packet: &Mbuf, skip: usize) -> Option<()> {
        let start = self.start(self.head);
        let len = head.len() + packet.len() - skip;
        let slot = self.area.bytes_mut(start + LENGTH, self.slot - LENGTH)?;
        let frame = slot.get_mut(FRAME - LENGTH..)?.get_mut(..len)?;
        frame[..head.len()].copy_from_slice(head);
        packet.copy_to(skip, &mut frame[head.len()..]);
        slot[..4].copy_from_slice(&(len as u32).to_ne_bytes());
        self.area.write_status(start, libc::TP_STATUS_SEND_REQUEST);
        self.head = self.head.wrapping_add(1);
        Some(())
    }

    /// Looks how far the kernel has come; whether it has everything.
    pub(super) fn settle(&mut self) -> bool {
        let waits = libc::TP_STATUS_SEND_REQUEST | libc::TP_STATUS_WRONG_FORMAT;
        while self.taken != self.head && self.status(self.taken) & waits == 0 {
            self.taken = self.taken.wrapping_add(1);
        }
        self.taken == self.head
    }

    /// Takes out the frame that the kernel has stopped at, if it found it wrong: those behind it move
    /// up, as the kernel looks at the same slot again. Whether there was one.
    pub(super) fn drop_wrong(&mut self) -> bool {
        let wrong = !self.settle() && self.status(self.taken) & libc::TP_STATUS_WRONG_FORMAT != 0;
        if !wrong {
            return false;
        }
        let mut scratch = vec![0; self.slot - LENGTH];
        let last = self.head.wrapping_sub(1);
        while self.taken != last && self.move_up(&mut scratch).is_some() {
            self.taken = self.taken.wrapping_add(1);
        }
        self.area.write_status(self.start(last), libc::TP_STATUS_AVAILABLE);
        self.head = last;
        self.taken = self.first_waiting();
        true
    }

    /// Moves the frame behind the one at `taken` to its place.
    fn move_up(&mut self, scratch: &mut [u8]) -> Option<()> {
        let (to, from) = (self.start(self.taken), self.start(self.taken.wrapping_add(1)));
        scratch.copy_from_slice(self.area.bytes(from + LENGTH, scratch.len())?);
        self.area.bytes_mut(to + LENGTH, scratch.len())?.copy_from_slice(scratch);
        self.area.write_status(to, libc::TP_STATUS_SEND_REQUEST);
        Some(())
    }

    /// The first slot before `head` that waits for the kernel.
    fn first_waiting(&self) -> usize {
        let waits = |i: &usize| self.status(*i) == libc::TP_STATUS_SEND_REQUEST;
        let before = (1..=self.slots).map(|i| self.head.wrapping_sub(i));
        before.take_while(waits).last().unwrap_or(self.head)
    }

    /// What a test does in the kernel's place.
    #[cfg(test)]
    pub(super) fn kernel<T>(&self, act: impl FnOnce(&SharedArea) -> T) -> T {
        act(&self.area)
    }
}

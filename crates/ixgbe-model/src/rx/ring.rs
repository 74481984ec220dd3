//! Receive rings: frames into buffers, and descriptors back (§7.1.5 to §7.1.10).

use linecard_ixgbe_regs::descriptor;
use linecard_ixgbe_regs::registers::*;

use super::status::Status;
use super::{CRC_BYTES, Held};
use crate::device::Device;
use crate::fault::Garbage;
use crate::interrupt::QueueKind;
use crate::journal::Breach;
use crate::parse::Network;
use crate::time::Stamp;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Written, or dropped and counted.
    Done,
    /// It waits.
    NoDescriptor,
}

/// A ring, as the registers have it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    queue: u32,
    base: u64,
    pub(super) size: u32,
    pub(super) head: u32,
    tail: u32,
    split: u32,
}

impl Ring {
    pub(super) fn free(&self) -> u32 {
        (self.tail + self.size - self.head) % self.size
    }

    pub(super) fn address(&self, ahead: u32) -> u64 {
        self.base + u64::from((self.head + ahead) % self.size) * descriptor::BYTES as u64
    }
}

/// A frame cut to the buffers that it goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Bytes of the frame that go to the header buffer.
    header: usize,
    buffer: usize,
    /// Descriptors.
    count: u32,
}

impl Device {
    pub(super) fn place(&mut self, held: &Held) -> Placed {
        let queue = held.destination.queue;
        if self.ring(queue).is_none() {
            return self.drop_frame(queue);
        }
        let frame = self.as_stored(held);
        if !matches!(held.stamp, Stamp::Behind(_)) && self.coalesce(held, &frame) {
            return Placed::Done;
        }
        let Some(ring) = self.ring(queue) else { return self.drop_frame(queue) };
        let layout = self.layout(&ring, &frame, held);
        if layout.count >= ring.size {
            return self.drop_frame(queue);
        }
        if layout.count > ring.free() {
            // What others hold back may be what the driver waits for.
            self.close_queue(queue);
            return match srrctl::DROP_EN.is_set(ring.split) || self.drops_in_pools(queue) {
                true => self.drop_frame(queue),
                false => Placed::NoDescriptor,
            };
        }
        self.write_frame(&ring, &frame, layout, held);
        Placed::Done
    }

    /// The ring of an enabled queue.
    pub(super) fn ring(&mut self, queue: u32) -> Option<Ring> {
        let size = self.file.at(&RDLEN, queue) / descriptor::BYTES as u32;
        let tail = self.file.at(&RDT, queue);
        if size == 0 || !rxdctl::ENABLE.is_set(self.file.at(&RXDCTL, queue)) {
            return None;
        }
        if tail >= size {
            self.journal.breach(Breach::TailBeyondRing);
            return None;
        }
        Some(Ring {
            queue,
            base: u64::from(self.file.at(&RDBAL, queue))
                | u64::from(self.file.at(&RDBAH, queue)) << 32,
            size,
            head: self.file.at(&RDH, queue) % size,
            tail,
            split: self.file.at(&SRRCTL, queue),
        })
    }

    /// Counted by the queue's counter.
    fn drop_frame(&mut self, queue: u32) -> Placed {
        let counter = self.counter_of(&RQSMR, queue);
        self.file.count(&QPRDC, counter, 1);
        Placed::Done
    }

    /// Which of sixteen counters counts a queue.
    pub(crate) fn counter_of(&self, map: &linecard_ixgbe_regs::Register, queue: u32) -> u32 {
        self.file.at(map, queue / 4) >> (8 * (queue % 4)) & 0xF
    }

    /// The frame without its tag if that is stripped, with its check sequence if that is not, and perhaps with its stamp.
    fn as_stored(&self, held: &Held) -> Vec<u8> {
        let mut frame = held.frame.clone();
        if self.strips_tag(held) {
            frame.drain(held.parsed.tag..held.parsed.tag + 4);
        }
        let strips_check =
            self.file.has(&RDRXCTL, rdrxctl::CRCSTRIP) || self.file.has(&HLREG0, hlreg0::RXCRCSTRP);
        if !strips_check {
            frame.extend(crate::checksum::frame_check(&held.frame).to_le_bytes());
        }
        if let Stamp::Behind(bytes) = held.stamp {
            frame.extend(bytes);
        }
        frame
    }

    fn strips_tag(&self, held: &Held) -> bool {
        let control = self.file.at(&RXDCTL, held.destination.queue);
        held.parsed.vlan.is_some() && rxdctl::VME.is_set(control)
    }

    fn layout(&mut self, ring: &Ring, frame: &[u8], held: &Held) -> Layout {
        let mut buffer = srrctl::BSIZEPACKET.of(ring.split) as usize * 1024;
        if buffer == 0 {
            self.journal.breach(Breach::BadBufferSize);
            buffer = 1024;
        }
        let header = self.split_at(ring, held);
        let count = (frame.len() - header).div_ceil(buffer).max(1) as u32;
        Layout { header, buffer, count }
    }

    /// Bytes of the headers that are split off, for the kinds of packets that PSRTYPE names.
    fn split_at(&self, ring: &Ring, held: &Held) -> usize {
        if !matches!(srrctl::DESCTYPE.of(ring.split), 2 | 5) || held.parsed.network == Network::None
        {
            return 0;
        }
        let room = srrctl::BSIZEHEADER.of(ring.split) as usize * 64;
        let tag = if self.strips_tag(held) { 4 } else { 0 };
        let header = self.header_end(held).saturating_sub(tag);
        if header <= room { header } else { 0 }
    }

    fn header_end(&self, held: &Held) -> usize {
        let pool = self.pool_of(held.destination.queue).unwrap_or(0);
        let kinds = self.file.at(&PSRTYPE, pool);
        let parsed = &held.parsed;
        match parsed.transport {
            crate::parse::Transport::Tcp if psrtype::TCP.is_set(kinds) => {
                parsed.l4 + usize::from(held.frame[parsed.l4 + 12] >> 4) * 4
            }
            crate::parse::Transport::Udp if psrtype::UDP.is_set(kinds) => parsed.l4 + 8,
            _ if kinds & (psrtype::IPV4.mask() | psrtype::IPV6.mask()) != 0 => parsed.l4,
            _ => 0,
        }
    }

    fn write_frame(&mut self, ring: &Ring, frame: &[u8], layout: Layout, held: &Held) {
        let mut status = self.status_of(held, layout.header);
        let (header, mut rest) = frame.split_at(layout.header);
        for ahead in 0..layout.count {
            let address = ring.address(ahead);
            let Some(posted) = self.read_descriptor(ring.queue, address) else { return };
            if ahead == 0 && !header.is_empty() {
                self.dma_write(ring.queue, posted[1], header);
            }
            let (part, after) = rest.split_at(rest.len().min(layout.buffer));
            rest = after;
            self.dma_write(ring.queue, posted[0], part);
            let words = match ahead + 1 == layout.count {
                true => self.spoil(status.last(part.len()), layout.buffer),
                false => status.more(part.len(), (ring.head + ahead + 1) % ring.size),
            };
            let is_legacy = srrctl::DESCTYPE.of(ring.split) == 0;
            let words = if is_legacy { super::status::legacy(posted[0], words) } else { words };
            self.write_back(ring.queue, address, words);
        }
        self.file.set(&RDH, ring.queue, (ring.head + layout.count) % ring.size);
        self.count_placed(ring.queue, held.frame.len());
        if held.frame[0] & 1 != 0 {
            self.count_multicast_of_function(ring.queue);
        }
        self.raise_queue(ring.queue, QueueKind::Receive);
    }

    /// What the faults make of the last descriptor of a frame.
    pub(super) fn spoil(&self, mut words: [u64; 2], buffer: usize) -> [u64; 2] {
        use descriptor::receive::{EOP, PKT_LEN};
        match self.faults.garbage {
            None | Some(Garbage::WrongNext) => {}
            Some(Garbage::HugeLength) => words[1] = PKT_LEN.put(words[1], buffer as u64 + 1),
            Some(Garbage::ZeroLength) => words[1] = PKT_LEN.put(words[1], 0),
            Some(Garbage::NoEnd) => words[1] = EOP.put(words[1], 0),
            Some(Garbage::AllOnes) => words = [u64::MAX; 2],
        }
        words
    }

    pub(super) fn count_placed(&mut self, queue: u32, len: usize) {
        let counter = self.counter_of(&RQSMR, queue);
        let len = len as u32 + CRC_BYTES;
        self.file.count(&QPRC, counter, 1);
        self.file.count_wide(&QBRC_L, &QBRC_H, counter, len);
        self.file.count(&RXDGPC, 0, 1);
        self.file.count_wide(&RXDGBCL, &RXDGBCH, 0, len);
        self.count_received_of_function(queue, len);
    }

    fn status_of(&mut self, held: &Held, header: usize) -> Status {
        let status = Status::new(self, held, header);
        if status.is_wrong_l4() {
            self.file.count(&XEC, 0, 1);
        }
        status
    }
}

//! The `TPACKET_V3` receive ring: blocks of frames of any size, one after the other
//! (`Documentation/networking/packet_mmap.rst`).

use super::arrived::{Arrived, Garbage, Said, Walk};
use crate::sys::SharedArea;
use zerocopy::FromBytes;

/// Where a block's status is.
const STATUS: usize = 8;

/// `struct tpacket_hdr_v1`, as far as it is needed, from [`STATUS`] on.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
struct BlockHeader {
    status: u32,
    frames: u32,
    first: u32,
}

/// `struct tpacket3_hdr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
struct Header {
    next: u32,
    sec: u32,
    nsec: u32,
    snaplen: u32,
    len: u32,
    status: u32,
    mac: u16,
    net: u16,
    hash: u32,
    tci: u32,
    tpid: u16,
    padding: [u16; 5],
}

const _: () = assert!(size_of::<Header>() == size_of::<libc::tpacket3_hdr>());

/// The ring.
#[derive(Debug)]
pub(super) struct BlockRing {
    area: SharedArea,
    block: usize,
    blocks: usize,
    at: usize,
    /// In the block that is being walked: frames left, and where the next one is.
    left: u32,
    offset: usize,
}

impl BlockRing {
    /// A ring of `blocks` blocks of `block` bytes.
    pub(super) fn new(area: SharedArea, block: usize, blocks: usize) -> Self {
        BlockRing { area, block, blocks, at: 0, left: 0, offset: 0 }
    }

    fn start(&self) -> usize {
        self.at * self.block
    }

    /// Whether there is a frame to be looked at: in the block at hand, or in the next that is ours.
    #[inline]
    fn enter(&mut self) -> bool {
        // A block without frames is no use, and all of them could be such.
        for _ in 0..self.blocks {
            if self.left > 0 {
                return true;
            }
            let at = self.start() + STATUS;
            if self.area.read_status(at) & libc::TP_STATUS_USER == 0 {
                return false;
            }
            let Some(header) = self.area.read::<BlockHeader>(at) else { return false };
            (self.left, self.offset) = (header.frames, header.first as usize);
            if self.left == 0 {
                self.leave();
            }
        }
        false
    }

    /// Gives the block back and goes to the next.
    fn leave(&mut self) {
        self.area.write_status(self.start() + STATUS, libc::TP_STATUS_KERNEL);
        self.at = if self.at + 1 == self.blocks { 0 } else { self.at + 1 };
        self.left = 0;
    }

    /// The header of the frame at hand, if it lies in the block.
    fn header(&self) -> Option<Header> {
        let end = self.offset.checked_add(size_of::<Header>())?;
        (end <= self.block).then(|| self.area.read(self.start() + self.offset))?
    }

    /// What the header says of a frame; the block's rest is given up if it is garbage.
    fn frame(&self, header: Header) -> Result<Arrived<'_>, Garbage> {
        let said = Said {
            status: header.status,
            len: header.len,
            snaplen: header.snaplen,
            mac: header.mac,
            sec: header.sec,
            nsec: header.nsec,
            tci: header.tci as u16,
            tpid: header.tpid,
            address: size_of::<Header>(),
        };
        let start = self.start();
        said.frame(&self.area, start + self.offset..start + self.block)
    }
}

impl Walk for BlockRing {
    #[inline]
    fn peek(&mut self) -> Option<Result<Arrived<'_>, Garbage>> {
        if !self.enter() {
            return None;
        }
        let Some(header) = self.header() else {
            // Nothing tells where the block's other frames are.
            self.left = 1;
            return Some(Err(Garbage));
        };
        Some(self.frame(header))
    }

    #[inline]
    fn release(&mut self) {
        let next = if self.left > 1 { self.header().map_or(0, |h| h.next) } else { 0 };
        if next == 0 {
            return self.leave();
        }
        self.left -= 1;
        self.offset = self.offset.saturating_add(next as usize);
    }

    fn path(&self) -> (&'static str, &'static str) {
        ("tpacket-v3", "blocks of frames, each seen when it is full or a millisecond old")
    }
}

//! The `TPACKET_V2` receive ring: a slot a frame (`Documentation/networking/packet_mmap.rst`).
//!
//! A frame larger than a slot waits at the socket, whole, and its slot says so
//! (`PACKET_COPY_THRESH`): slots need not be as large as the largest frame.

use super::arrived::{Arrived, Garbage, Said, Walk};
use crate::sys::SharedArea;
use zerocopy::FromBytes;

/// `struct tpacket2_hdr`, whose first word is the status.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
struct Header {
    status: u32,
    len: u32,
    snaplen: u32,
    mac: u16,
    net: u16,
    sec: u32,
    nsec: u32,
    tci: u16,
    tpid: u16,
    padding: [u8; 4],
}

const _: () = assert!(size_of::<Header>() == size_of::<libc::tpacket2_hdr>());

/// The ring.
#[derive(Debug)]
pub(super) struct FrameRing {
    area: SharedArea,
    slot: usize,
    slots: usize,
    at: usize,
}

impl FrameRing {
    /// A ring of `slots` slots of `slot` bytes.
    pub(super) fn new(area: SharedArea, slot: usize, slots: usize) -> Self {
        FrameRing { area, slot, slots, at: 0 }
    }

    fn start(&self) -> usize {
        self.at * self.slot
    }
}

impl Walk for FrameRing {
    #[inline]
    fn peek(&mut self) -> Option<Result<Arrived<'_>, Garbage>> {
        let start = self.start();
        let status = self.area.read_status(start);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let Some(header) = self.area.read::<Header>(start) else { return Some(Err(Garbage)) };
        let said = Said {
            status,
            len: header.len,
            snaplen: header.snaplen,
            mac: header.mac,
            sec: header.sec,
            nsec: header.nsec,
            tci: header.tci,
            tpid: header.tpid,
            address: size_of::<Header>(),
        };
        Some(said.frame(&self.area, start..start + self.slot))
    }

    #[inline]
    fn release(&mut self) {
        self.area.write_status(self.start(), libc::TP_STATUS_KERNEL);
        self.at += 1;
        if self.at == self.slots {
            self.at = 0;
        }
    }

    fn path(&self) -> (&'static str, &'static str) {
        ("tpacket-v2", "a slot a frame, seen as soon as it is there")
    }
}

//! Headers that have no place in a packet, and indirect tables: a place of each for every
//! descriptor, in memory that the device sees.

use crate::ring::Part;
use core::ptr::NonNull;
use linecard_eal::mem::Segment;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::net::HASHED;
use linecard_virtqueue::split::Desc;
use std::sync::Arc;

/// Bytes for a header.
const HEADER: usize = HASHED.next_multiple_of(32);
/// Entries of an indirect table.
const ENTRIES: usize = 16;

/// Which descriptors an indirect table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indirect {
    /// Not negotiated.
    No,
    /// Those of a split ring, linked (§2.7.5.3).
    Split,
    /// Those of a packed ring, one after the other (§2.8.8).
    Packed,
}

/// Headers and tables of one queue.
pub(crate) struct Tables {
    base: NonNull<u8>,
    /// What to add to an address here for the device's.
    to_device: u64,
    slots: u16,
    indirect: Indirect,
    _memory: Arc<Segment>,
}

// SAFETY: the memory stays mapped, and the queue that owns the tables is the only one to write them.
unsafe impl Send for Tables {}

impl Tables {
    /// Bytes for a queue of `slots` descriptors.
    pub(crate) fn bytes(slots: u16) -> usize {
        usize::from(slots) * (HEADER + ENTRIES * size_of::<Desc>())
    }

    /// At `offset` of a segment, a multiple of 16; the device knows its start as `device`.
    pub(crate) fn new(
        memory: &Arc<Segment>,
        offset: usize,
        slots: u16,
        device: u64,
        indirect: Indirect,
    ) -> Self {
        assert!(offset + Self::bytes(slots) <= memory.len() && offset.is_multiple_of(16));
        // SAFETY: within the segment, as just checked.
        let base = unsafe { memory.base().add(offset) };
        let to_device = device.wrapping_sub(memory.base().as_ptr().addr() as u64);
        Tables { base, to_device, slots, indirect, _memory: Arc::clone(memory) }
    }

    /// Whether packets of so many parts go into a table.
    pub(crate) fn takes(&self, parts: usize) -> bool {
        self.indirect != Indirect::No && (2..=ENTRIES).contains(&parts)
    }

    /// Writes a header of `len` bytes, which begins as `vnet` and is zero behind it.
    pub(crate) fn write_header(&self, slot: u16, vnet: &[u8], len: usize) -> Part {
        let at = self.place(usize::from(slot) * HEADER, slot);
        let (said, len) = (vnet.len().min(HEADER), len.min(HEADER));
        // SAFETY: the slot's own bytes, which the device reads only while it has the packet that
        // they belong to, and this one it does not have yet.
        unsafe {
            at.as_ptr().write_bytes(0, HEADER);
            at.as_ptr().copy_from_nonoverlapping(vnet.as_ptr(), said);
        }
        Part { addr: self.device(at), len: len as u32 }
    }

    /// Writes a table of these parts.
    pub(crate) fn write_table(&self, slot: u16, parts: &[Part]) -> Part {
        let tables = usize::from(self.slots) * HEADER;
        let at = self.place(tables + usize::from(slot) * ENTRIES * size_of::<Desc>(), slot);
        let table = at.cast::<Desc>();
        for (i, part) in parts[..parts.len().min(ENTRIES)].iter().enumerate() {
            let (flags, next) = match self.indirect {
                Indirect::Split if i + 1 < parts.len() => (DescFlags::NEXT.bits(), i as u16 + 1),
                _ => (0, 0),
            };
            let desc = match self.indirect {
                // Packed: 16 bits of number, then the flags, which say nothing in a table.
                Indirect::Packed => Desc { addr: part.addr, len: part.len, flags: 0, next: 0 },
                _ => Desc { addr: part.addr, len: part.len, flags, next },
            };
            // SAFETY: within the slot's table, at a multiple of 16; as in `write_header`.
            unsafe { table.add(i).write(desc) };
        }
        Part { addr: self.device(at), len: (parts.len() * size_of::<Desc>()) as u32 }
    }

    fn place(&self, offset: usize, slot: u16) -> NonNull<u8> {
        assert!(slot < self.slots, "a slot of ours");
        // SAFETY: `slot` is one of those that `bytes` has room for.
        unsafe { self.base.add(offset) }
    }

    fn device(&self, at: NonNull<u8>) -> u64 {
        (at.as_ptr().addr() as u64).wrapping_add(self.to_device)
    }
}

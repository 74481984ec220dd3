//! The memory of a port's rings: one segment, and what lies where.

use crate::ring::{ControlRing, Notify, PackedMemory, Part, SplitMemory};
use crate::tables::{Indirect, Tables};
use core::ptr::NonNull;
use linecard_eal::device::{DeviceError, Dma, Mapping, Place as DmaPlace};
use linecard_eal::mem::{IovaMode, MemError, PagePolicy, Request, Segment};
use linecard_virtqueue::{Features, packed, split};
use std::ops::Range;
use std::sync::Arc;

/// Parts lie at multiples of this: legacy devices want pages, others share no line.
const ALIGN: usize = 4096;
/// No part crosses a multiple of this, as far as it is not larger itself: behind it, physical memory
/// may go on elsewhere.
const HUGE: usize = 2 << 20;
/// Bytes for a control command and its answer: a MAC table of 64 addresses, or an RSS table of 1024.
const COMMAND: usize = 4096;

/// A part of the segment, and what to add to an address in it here for the device's.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    len: usize,
    to_device: u64,
}

/// One queue's place in the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) size: u16,
    ring: Piece,
    /// Headers and indirect tables; a command, in the control queue.
    tables: Piece,
}

/// Which rings there are to be.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) name: &'a str,
    /// Descriptors, which the features allow; every second queue sends.
    pub(crate) sizes: &'a [u16],
    /// Descriptors of the control queue, if there is one.
    pub(crate) control: Option<u16>,
    pub(crate) features: Features,
}

/// Why there are no rings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingsError {
    #[error(transparent)]
    Memory(#[from] MemError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{bytes} bytes of a ring are not contiguous for the device: take fewer descriptors")]
    Scattered { bytes: usize },
}

/// The rings of a port.
pub(crate) struct Rings {
    /// Before the memory: the device forgets it first.
    _mapping: Option<Mapping>,
    pub(crate) memory: Arc<Segment>,
    features: Features,
    pub(crate) places: Vec<Place>,
    control: Option<Place>,
}

impl Rings {
    /// Memory for rings, which the device behind `dma` knows by its own addresses; without one, by
    /// ours.
    pub(crate) fn map(shape: &Shape<'_>, dma: Option<&dyn Dma>) -> Result<Self, RingsError> {
        let features = shape.features;
        let mut end = 0;
        let mut place = |size: u16, tables: usize| {
            let ring = piece(&mut end, ring_bytes(size, features));
            Place { size, ring, tables: piece(&mut end, tables) }
        };
        let places: Vec<_> = shape.sizes.iter().map(|n| place(*n, Tables::bytes(*n))).collect();
        let control = shape.control.map(|n| place(n, COMMAND));
        let request = Request::new(end.max(ALIGN)).name(shape.name);
        let physical = dma.is_some_and(|dma| dma.limits().mode == IovaMode::Physical);
        let request = if physical { request.pages(PagePolicy::Huge) } else { request };
        let memory = request.map()?;
        let mapping = match dma {
            // SAFETY: the device is told of rings and tables, which are read and written as memory
            // that it shares; it is stopped before this is dropped, or this never is.
            Some(dma) => Some(unsafe { dma.map(&memory, DmaPlace::Native) }?),
            None => None,
        };
        let memory = Arc::new(memory);
        let mut rings = Rings { _mapping: mapping, memory, features, places, control };
        rings.locate()?;
        Ok(rings)
    }

    /// Finds out what the device calls each part.
    fn locate(&mut self) -> Result<(), RingsError> {
        let Some(mapping) = &self._mapping else { return Ok(()) };
        let base = self.memory.base().as_ptr().addr() as u64;
        for place in self.places.iter_mut().chain(&mut self.control) {
            for piece in [&mut place.ring, &mut place.tables] {
                let there = mapping.contiguous(piece.start, piece.len);
                let there = there.ok_or(RingsError::Scattered { bytes: piece.len })?;
                piece.to_device = there.raw().wrapping_sub(base).wrapping_sub(piece.start as u64);
            }
        }
        Ok(())
    }

    /// Where the memory is, here.
    pub(crate) fn range(&self) -> Range<usize> {
        let start = self.memory.base().as_ptr().addr();
        start..start + self.memory.len()
    }

    /// How each side is told.
    fn notify(&self) -> Notify {
        if self.features.contains(Features::EVENT_IDX) { Notify::Index } else { Notify::Flag }
    }

    /// The split ring of a queue.
    pub(crate) fn split(&self, queue: usize) -> SplitMemory {
        self.split_at(&self.places[queue])
    }

    fn split_at(&self, place: &Place) -> SplitMemory {
        let layout = split::Layout::new(place.size, ALIGN).expect("checked when configured");
        SplitMemory::new(&self.memory, place.ring.start, layout, self.notify())
    }

    /// The packed ring of a queue.
    pub(crate) fn packed(&self, queue: usize) -> PackedMemory {
        self.packed_at(&self.places[queue])
    }

    fn packed_at(&self, place: &Place) -> PackedMemory {
        let layout = packed::Layout::new(place.size, 64).expect("checked when configured");
        PackedMemory::new(&self.memory, place.ring.start, layout, self.notify())
    }

    /// The headers and indirect tables of a queue.
    pub(crate) fn tables(&self, queue: usize) -> Tables {
        let place = self.places[queue];
        let base = self.memory.base().as_ptr().addr() as u64;
        let indirect = match self.features {
            f if !f.contains(Features::INDIRECT_DESC) => Indirect::No,
            f if f.contains(Features::RING_PACKED) => Indirect::Packed,
            _ => Indirect::Split,
        };
        let device = base.wrapping_add(place.tables.to_device);
        Tables::new(&self.memory, place.tables.start, place.size, device, indirect)
    }

    /// Where a queue's descriptors, driver's part and device's part are, for the device.
    pub(crate) fn addresses(&self, queue: usize) -> [u64; 3] {
        self.addresses_of(&self.places[queue])
    }

    fn addresses_of(&self, place: &Place) -> [u64; 3] {
        let parts = if self.features.contains(Features::RING_PACKED) {
            packed::Layout::new(place.size, 64)
                .map(|l| [l.ring().start, l.driver().start, l.device().start])
        } else {
            split::Layout::new(place.size, ALIGN)
                .map(|l| [l.table().start, l.avail().start, l.used().start])
        };
        let base = (self.memory.base().as_ptr().addr() + place.ring.start) as u64;
        let parts = parts.expect("checked when configured");
        parts.map(|part| base.wrapping_add(part as u64).wrapping_add(place.ring.to_device))
    }

    /// The control queue, if there is one: where it is for the device, its ring, and a place for
    /// commands.
    pub(crate) fn control(&self) -> Option<([u64; 3], ControlRing, Scratch)> {
        let place = self.control.as_ref()?;
        let ring = match self.features.contains(Features::RING_PACKED) {
            true => ControlRing::packed(self.packed_at(place)),
            false => ControlRing::split(self.split_at(place)),
        };
        let memory = Arc::clone(&self.memory);
        Some((self.addresses_of(place), ring, Scratch { memory, piece: place.tables }))
    }
}

/// Memory for a command and its answer.
pub(crate) struct Scratch {
    memory: Arc<Segment>,
    piece: Piece,
}

impl Scratch {
    /// Bytes of it.
    pub(crate) const LEN: usize = COMMAND;

    /// Writes bytes at an offset, while the device does not look; says where they are for it.
    ///
    /// # Panics
    /// If they do not fit: a mistake of ours.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) -> Part {
        let place = self.place(at, bytes.len());
        // SAFETY: within the piece, which is ours alone while the device has no command.
        unsafe { place.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        let addr = (place.as_ptr().addr() as u64).wrapping_add(self.piece.to_device);
        Part { addr, len: bytes.len() as u32 }
    }

    /// Reads a byte that the device has written.
    pub(crate) fn read(&self, at: usize) -> u8 {
        // SAFETY: within the piece. The device may write there at any time, hence volatile.
        unsafe { self.place(at, 1).as_ptr().read_volatile() }
    }

    fn place(&self, at: usize, len: usize) -> NonNull<u8> {
        assert!(at + len <= self.piece.len, "a command fits");
        // SAFETY: the piece is within the segment, and `at` within the piece.
        unsafe { self.memory.base().add(self.piece.start + at) }
    }
}

/// The next part of `len` bytes.
fn piece(end: &mut usize, len: usize) -> Piece {
    let (mut start, last) = (*end, *end + len.max(1) - 1);
    if start / HUGE != last / HUGE && len <= HUGE {
        start = start.next_multiple_of(HUGE);
    }
    *end = (start + len).next_multiple_of(ALIGN);
    Piece { start, len, to_device: 0 }
}

fn ring_bytes(size: u16, features: Features) -> usize {
    if features.contains(Features::RING_PACKED) {
        packed::Layout::new(size, 64).map_or(0, |layout| layout.bytes())
    } else {
        split::Layout::new(size, ALIGN).map_or(0, |layout| layout.bytes())
    }
}

//! The memory of a port's rings: one segment, and what lies where.

use crate::ring::{Notify, PackedMemory, SplitMemory};
use crate::tables::{Indirect, Tables};
use linecard_eal::mem::{MemError, Request, Segment};
use linecard_virtqueue::{Features, packed, split};
use std::sync::Arc;

/// Parts lie at multiples of this: legacy devices want pages, others share no line.
const ALIGN: usize = 4096;

/// One queue's place in the segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) size: u16,
    ring: usize,
    tables: usize,
}

/// The rings of a port.
pub(crate) struct Rings {
    pub(crate) memory: Arc<Segment>,
    features: Features,
    pub(crate) places: Vec<Place>,
    /// What to add to an address here for the device's.
    pub(crate) to_device: u64,
}

impl Rings {
    /// Memory for rings of these sizes, which the features allow; every second one sends.
    pub(crate) fn map(name: &str, sizes: &[u16], features: Features) -> Result<Self, MemError> {
        let mut end = 0;
        let mut places = Vec::new();
        for size in sizes {
            let ring = end;
            let tables = (ring + ring_bytes(*size, features)).next_multiple_of(ALIGN);
            end = (tables + Tables::bytes(*size)).next_multiple_of(ALIGN);
            places.push(Place { size: *size, ring, tables });
        }
        let memory = Arc::new(Request::new(end.max(ALIGN)).name(name).map()?);
        Ok(Rings { memory, features, places, to_device: 0 })
    }

    /// How each side is told.
    fn notify(&self) -> Notify {
        if self.features.contains(Features::EVENT_IDX) { Notify::Index } else { Notify::Flag }
    }

    /// The split ring of a queue.
    pub(crate) fn split(&self, queue: usize) -> SplitMemory {
        let place = self.places[queue];
        let layout = split::Layout::new(place.size, ALIGN).expect("checked when configured");
        SplitMemory::new(&self.memory, place.ring, layout, self.notify())
    }

    /// The packed ring of a queue.
    pub(crate) fn packed(&self, queue: usize) -> PackedMemory {
        let place = self.places[queue];
        let layout = packed::Layout::new(place.size, 64).expect("checked when configured");
        PackedMemory::new(&self.memory, place.ring, layout, self.notify())
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
        let device = base.wrapping_add(self.to_device);
        Tables::new(&self.memory, place.tables, place.size, device, indirect)
    }

    /// Where a queue's descriptors, driver's part and device's part are, for the device.
    pub(crate) fn addresses(&self, queue: usize) -> [u64; 3] {
        let place = self.places[queue];
        let parts = if self.features.contains(Features::RING_PACKED) {
            packed::Layout::new(place.size, 64)
                .map(|l| [l.ring().start, l.driver().start, l.device().start])
        } else {
            split::Layout::new(place.size, ALIGN)
                .map(|l| [l.table().start, l.avail().start, l.used().start])
        };
        let base = (self.memory.base().as_ptr().addr() + place.ring) as u64;
        let parts = parts.expect("checked when configured");
        parts.map(|part| base.wrapping_add(part as u64).wrapping_add(self.to_device))
    }
}

fn ring_bytes(size: u16, features: Features) -> usize {
    if features.contains(Features::RING_PACKED) {
        packed::Layout::new(size, 64).map_or(0, |layout| layout.bytes())
    } else {
        split::Layout::new(size, ALIGN).map_or(0, |layout| layout.bytes())
    }
}

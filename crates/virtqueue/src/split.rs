//! The split ring (virtio 1.2 §2.7): a table of descriptors, a ring of what is available, written by
//! the driver, and a ring of what is used, written by the device.

use bitflags::bitflags;
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// Flags of a descriptor, split or packed (§2.7.5, §2.8.1).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct DescFlags: u16 {
        /// Another follows: `next` (split), or the next in the ring (packed).
        const NEXT = 1 << 0;
        /// The device writes to it; otherwise it reads.
        const WRITE = 1 << 1;
        /// It stands for a table of descriptors.
        const INDIRECT = 1 << 2;
        /// Packed: available, if equal to the driver's wrap counter.
        const AVAIL = 1 << 7;
        /// Packed: used, if equal to the device's wrap counter.
        const USED = 1 << 15;
    }
}

/// A descriptor (§2.7.5).
#[repr(C, align(16))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Desc {
    /// Where the buffer is, for the device.
    pub addr: u64,
    /// Bytes of it.
    pub len: u32,
    /// [`DescFlags`].
    pub flags: u16,
    /// The descriptor that follows, if the flags say so.
    pub next: u16,
}

/// An entry of the used ring (§2.7.8).
#[repr(C, align(4))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct UsedElem {
    /// The chain's first descriptor.
    pub id: u32,
    /// Bytes written into it.
    pub len: u32,
}

const _: () = assert!(size_of::<Desc>() == 16 && size_of::<UsedElem>() == 8);
const _: () = assert!(cfg!(target_endian = "little"), "rings are little-endian in memory");

/// `flags` of the available ring: do not interrupt (§2.7.7).
pub const AVAIL_NO_INTERRUPT: u16 = 1;
/// `flags` of the used ring: do not notify (§2.7.10).
pub const USED_NO_NOTIFY: u16 = 1;

/// The most descriptors of a queue (§2.7).
pub const MAX_SIZE: u16 = 32768;

/// Where the parts of a split ring are, from a common start. A device that is told of the parts one
/// by one may be given any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u16,
    avail: usize,
    used: usize,
}

impl Layout {
    /// Of `size` descriptors, parts at multiples of `align`: 4096 for legacy devices (§2.7.2), a
    /// cache line for others. `None` if `size` is no power of two up to [`MAX_SIZE`], or `align` none.
    pub fn new(size: u16, align: usize) -> Option<Self> {
        let sound = size.is_power_of_two() && size <= MAX_SIZE && align.is_power_of_two();
        let avail = size_of::<Desc>() * usize::from(size);
        let used = (avail + avail_bytes(size)).next_multiple_of(align.max(4));
        // Legacy devices know the ring by its start alone: available follows at once.
        sound.then_some(Layout { size, avail, used })
    }

    /// Descriptors.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Bytes in all.
    pub fn bytes(&self) -> usize {
        self.used + used_bytes(self.size)
    }

    /// The descriptor table.
    pub fn table(&self) -> Range<usize> {
        0..self.avail
    }

    /// The available ring: `flags`, `idx`, `ring`, `used_event`.
    pub fn avail(&self) -> Range<usize> {
        self.avail..self.avail + avail_bytes(self.size)
    }

    /// The used ring: `flags`, `idx`, `ring`, `avail_event`.
    pub fn used(&self) -> Range<usize> {
        self.used..self.used + used_bytes(self.size)
    }
}

/// Bytes of a descriptor table.
pub const fn table_bytes(size: u16) -> usize {
    size_of::<Desc>() * size as usize
}

/// Bytes of an available ring (§2.7.6).
pub const fn avail_bytes(size: u16) -> usize {
    6 + 2 * size as usize
}

/// Bytes of a used ring (§2.7.8).
pub const fn used_bytes(size: u16) -> usize {
    6 + size_of::<UsedElem>() * size as usize
}

/// Where `flags` is, in both rings.
pub const FLAGS: usize = 0;
/// Where `idx` is, in both rings.
pub const IDX: usize = 2;
/// Where entries begin, in both rings.
pub const RING: usize = 4;

/// Where `used_event` is in the available ring (§2.7.7).
pub const fn used_event(size: u16) -> usize {
    RING + 2 * size as usize
}

/// Where `avail_event` is in the used ring (§2.7.10).
pub const fn avail_event(size: u16) -> usize {
    RING + size_of::<UsedElem>() * size as usize
}

/// Whether moving an index from `old` to `new` passes the `event` that the other side wants to be
/// told of (§2.7.7.1): all of them count freely and wrap.
#[inline(always)]
pub const fn passes(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_overlap_and_lie_as_the_device_wants_them() {
        for size in [1, 2, 256, 32768] {
            let layout = Layout::new(size, 4096).expect("a power of two");
            assert!(layout.table().end == layout.avail().start);
            assert!(layout.avail().end <= layout.used().start);
            assert_eq!(layout.used().start % 4096, 0);
            assert_eq!(layout.used().end, layout.bytes());
            assert_eq!(layout.avail().end, layout.avail().start + used_event(size) + 2);
            assert_eq!(layout.used().end, layout.used().start + avail_event(size) + 2);
        }
    }

    #[test]
    fn a_size_that_is_no_power_of_two_has_no_layout() {
        assert_eq!([0, 3, 32769, 65535].map(|size| Layout::new(size, 64)), [None; 4]);
        assert_eq!(Layout::new(4, 3), None);
    }

    #[test]
    fn an_event_is_passed_once() {
        for start in [0u16, 65530, 65535] {
            let passed: Vec<_> = (0..8)
                .map(|i| {
                    let old = start.wrapping_add(i);
                    passes(start.wrapping_add(3), old.wrapping_add(1), old)
                })
                .collect();
            assert_eq!(passed, [false, false, false, true, false, false, false, false]);
        }
    }
}

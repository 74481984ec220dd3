//! The packed ring (virtio 1.2 §2.8): one ring that both sides write, and two small areas in which
//! each says when it wants to be told.

use crate::split::DescFlags;
use bitflags::bitflags;
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A descriptor (§2.8.13). In a used one `addr` has no meaning and `len` is what was written.
#[repr(C, align(16))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct PackedDesc {
    /// Where the buffer is, for the device.
    pub addr: u64,
    /// Bytes of it, or bytes written.
    pub len: u32,
    /// The buffer's.
    pub id: u16,
    /// [`DescFlags`].
    pub flags: u16,
}

/// When one side wants to be told (§2.8.14).
#[repr(C, align(4))]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Event {
    /// Bits 14:0 position, bit 15 wrap counter: for [`EventFlags::DESC`].
    pub off_wrap: u16,
    /// [`EventFlags`].
    pub flags: u16,
}

const _: () = assert!(size_of::<PackedDesc>() == 16 && size_of::<Event>() == 4);

bitflags! {
    /// `flags` of [`Event`]: a number in two bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct EventFlags: u16 {
        /// Never tell.
        const DISABLE = 1;
        /// Tell at one descriptor (`EVENT_IDX`).
        const DESC = 2;
    }
}

impl EventFlags {
    /// Always tell.
    pub const ENABLE: EventFlags = EventFlags::empty();
}

/// The most descriptors of a queue (§2.8.10.1). Any number up to it, not powers of two only.
pub const MAX_SIZE: u16 = 32768;

/// The two flags of a descriptor that is available in a round whose wrap counter is `wrap` (§2.8.1).
#[inline(always)]
pub const fn available(wrap: bool) -> u16 {
    if wrap { DescFlags::AVAIL.bits() } else { DescFlags::USED.bits() }
}

/// The two flags of a descriptor that is used in a round whose wrap counter is `wrap` (§2.8.1).
#[inline(always)]
pub const fn used(wrap: bool) -> u16 {
    if wrap { DescFlags::AVAIL.bits() | DescFlags::USED.bits() } else { 0 }
}

/// Both flags.
pub const WRAP_FLAGS: u16 = DescFlags::AVAIL.bits() | DescFlags::USED.bits();

/// Whether `flags` say available to a device whose wrap counter is `wrap`.
#[inline(always)]
pub const fn is_available(flags: u16, wrap: bool) -> bool {
    flags & WRAP_FLAGS == available(wrap)
}

/// Whether `flags` say used to a driver for which the device's wrap counter is `wrap`.
#[inline(always)]
pub const fn is_used(flags: u16, wrap: bool) -> bool {
    flags & WRAP_FLAGS == used(wrap)
}

/// A position in a ring of any size, with the wrap counter that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The descriptor, below the ring's size.
    pub at: u16,
    /// The wrap counter: starts at 1 (§2.8.1).
    pub wrap: bool,
}

impl Position {
    /// Where both sides begin.
    pub const START: Position = Position { at: 0, wrap: true };

    /// `n` descriptors further on in a ring of `size`; `n` is at most `size`.
    #[inline(always)]
    pub const fn ahead(self, n: u16, size: u16) -> Position {
        let at = self.at as u32 + n as u32;
        if at >= size as u32 {
            Position { at: (at - size as u32) as u16, wrap: !self.wrap }
        } else {
            Position { at: at as u16, wrap: self.wrap }
        }
    }

    /// As [`Event::off_wrap`], and as vhost-user's ring base, have it.
    pub const fn word(self) -> u16 {
        self.at | (self.wrap as u16) << 15
    }

    /// From such a word; the caller checks that the position is in the ring.
    pub const fn from_word(word: u16) -> Position {
        Position { at: word & 0x7FFF, wrap: word >> 15 != 0 }
    }

    /// Whether moving on from `old` to `self` passes the event that the other side wants to be told
    /// of, in a ring of `size` (§2.8.10).
    #[inline]
    pub const fn passes(self, old: Position, event: Position, size: u16) -> bool {
        // Both as counters that go up: the new one is behind the old one by less than a round.
        let (new, old) =
            (self.at, if old.wrap == self.wrap { old.at } else { old.at.wrapping_sub(size) });
        let event = if event.wrap == self.wrap { event.at } else { event.at.wrapping_sub(size) };
        crate::split::passes(event, new, old)
    }

    /// Whether it lies behind `now`, in a ring of `size`: by a round at most, since wrap counters do not
    /// tell more than two rounds apart.
    pub const fn is_behind(self, now: Position, size: u16) -> bool {
        let rounds = 2 * size as u32;
        let ahead = (self.count(size) + rounds - now.count(size)) % rounds;
        ahead >= size as u32
    }

    /// As a counter over two rounds.
    const fn count(self, size: u16) -> u32 {
        self.at as u32 % size as u32 + if self.wrap { 0 } else { size as u32 }
    }
}

/// Where the parts of a packed ring are, from a common start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u16,
    driver: usize,
    device: usize,
}

impl Layout {
    /// Of `size` descriptors, the two event areas at multiples of `align`. `None` if `size` is 0 or
    /// more than [`MAX_SIZE`], or `align` no power of two.
    pub fn new(size: u16, align: usize) -> Option<Self> {
        let sound = (1..=MAX_SIZE).contains(&size) && align.is_power_of_two();
        let align = align.max(4);
        let driver =
            (size_of::<PackedDesc>() * usize::from(size)).checked_next_multiple_of(align)?;
        let device = driver + size_of::<Event>().next_multiple_of(align);
        sound.then_some(Layout { size, driver, device })
    }

    /// Descriptors.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Bytes in all.
    pub fn bytes(&self) -> usize {
        self.device + size_of::<Event>()
    }

    /// The descriptors.
    pub fn ring(&self) -> Range<usize> {
        0..size_of::<PackedDesc>() * usize::from(self.size)
    }

    /// The driver's event suppression: the device reads it.
    pub fn driver(&self) -> Range<usize> {
        self.driver..self.driver + size_of::<Event>()
    }

    /// The device's event suppression: the driver reads it.
    pub fn device(&self) -> Range<usize> {
        self.device..self.device + size_of::<Event>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_goes_round_rings_of_any_size() {
        let mut position = Position::START;
        for _ in 0..7 {
            position = position.ahead(5, 7);
        }
        assert_eq!(position, Position { at: 0, wrap: false });
        assert_eq!(Position { at: 3, wrap: true }.ahead(7, 7), Position { at: 3, wrap: false });
        assert_eq!(Position::from_word(position.word()), position);
    }

    #[test]
    fn available_and_used_are_told_apart_in_both_rounds() {
        for wrap in [false, true] {
            assert!(is_available(available(wrap), wrap) && !is_used(available(wrap), wrap));
            assert!(is_used(used(wrap), wrap) && !is_available(used(wrap), wrap));
            assert!(!is_available(available(wrap), !wrap) && !is_used(used(wrap), !wrap));
        }
    }

    #[test]
    fn an_event_is_passed_once_a_round() {
        for size in [1u16, 5, 64, 32768] {
            let event = Position { at: size / 2, wrap: false };
            let (mut position, mut passed) = (Position::START, 0);
            for _ in 0..2 * u32::from(size) {
                let next = position.ahead(1, size);
                passed += u32::from(next.passes(position, event, size));
                position = next;
            }
            assert!((1..=2).contains(&passed), "{size}: {passed}");
        }
    }

    #[test]
    fn a_position_is_behind_for_a_round_and_ahead_for_another() {
        for size in [1u16, 5, 64, 32768] {
            let now = Position { at: size / 3, wrap: false };
            let mut event = now;
            for step in 0..2 * u32::from(size) {
                assert_eq!(event.is_behind(now, size), step >= u32::from(size), "{size} {step}");
                event = event.ahead(1, size);
            }
        }
        assert!(!Position { at: 0x7FFF, wrap: true }.is_behind(Position::START, 5), "not ours");
    }

    #[test]
    fn the_parts_do_not_overlap() {
        let layout = Layout::new(100, 64).expect("any size will do");
        assert!(layout.ring().end <= layout.driver().start);
        assert!(layout.driver().end <= layout.device().start);
        assert_eq!(layout.device().end, layout.bytes());
        assert_eq!((Layout::new(0, 64), Layout::new(32769, 64)), (None, None));
    }
}

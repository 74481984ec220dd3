//! How far each ring has been given back, in memory that the front-end keeps while we are gone.
//!
//! Chains are given back here in the order in which they came, within the burst in which they were
//! taken. So what was under way when a back-end died is what is available from the last one given back
//! on, and it is enough to keep that place: in a split ring the used index is it; a packed ring has
//! none, and its place is kept here. What was read twice is sent twice; nothing is lost. The layout is
//! vhost-user's (§ Inflight I/O tracking), of which only `version`, `desc_num`, `used_idx`,
//! `used_wrap_counter` and, of each descriptor, `num` are used.

use crate::memory::{Mapping, Shrinking, memfd};
use crate::request::Wrong;
use linecard_virtqueue::packed::Position;
use linecard_virtqueue::vhost_user::message::Inflight;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Bytes of a ring's header, and of each of its descriptors, in a packed ring; a split ring has half.
const PACKED: u64 = 32;
const VERSION: usize = 8;
const DESC_NUM: usize = 10;
const USED_IDX: usize = 16;
const USED_WRAP: usize = 20;
/// `num` in a packed descriptor's state.
const NUM: usize = 6;

/// The area of all rings.
#[derive(Debug)]
pub(crate) struct Area {
    mapping: Mapping,
    queues: u16,
    size: u16,
}

impl Area {
    /// Bytes of one ring's part: those of a packed ring, whichever it is.
    fn stride(size: u16) -> u64 {
        (PACKED * (1 + u64::from(size))).next_multiple_of(64)
    }

    /// New memory for `queues` rings of `size` descriptors.
    pub(crate) fn make(queues: u16, size: u16) -> Result<(Inflight, OwnedFd), Wrong> {
        let sound = (1..=1024).contains(&queues) && (1..=32_768).contains(&size);
        if !sound {
            return Err(Wrong::refused(format!("an area for {queues} rings of {size}")));
        }
        let mmap_size = (u64::from(queues) * Area::stride(size)).next_multiple_of(4096);
        let fd = memfd(c"linecard-inflight", mmap_size)?;
        let (mmap_offset, padding) = (0, 0);
        Ok((Inflight { mmap_size, mmap_offset, num_queues: queues, queue_size: size, padding }, fd))
    }

    /// The area that a front-end kept.
    pub(crate) fn map(area: Inflight, fd: BorrowedFd<'_>, how: Shrinking) -> Result<Self, Wrong> {
        let (queues, size) = (area.num_queues, area.queue_size);
        if u64::from(queues) * Area::stride(size) > area.mmap_size || size == 0 {
            return Err(Wrong::refused(format!("an area too small: {area:?}")));
        }
        let mapping = Mapping::of(fd, area.mmap_offset, area.mmap_size, how)
            .map_err(|why| Wrong::refused(format!("the area of descriptors under way: {why}")))?;
        Ok(Area { mapping, queues, size })
    }
}

/// One ring's part of it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    area: Arc<Area>,
    base: *mut u8,
}

// SAFETY: it is an address in a mapping that it keeps, touched by atomic operations only.
unsafe impl Send for Kept {}

impl Kept {
    /// The part of ring `queue`, if there is one for `size` descriptors.
    pub(crate) fn of(area: &Arc<Area>, queue: usize, size: u16) -> Option<Self> {
        if queue >= usize::from(area.queues) || size > area.size {
            return None;
        }
        let at = queue * Area::stride(area.size) as usize;
        // SAFETY: the area has a stride for each of its queues: checked when it was mapped.
        let base = unsafe { area.mapping.start().as_ptr().add(at) };
        base.addr().is_multiple_of(2).then(|| Kept { area: Arc::clone(area), base })
    }

    fn word(&self, at: usize) -> &AtomicU16 {
        debug_assert!(at + 2 <= Area::stride(self.area.size) as usize);
        // SAFETY: two bytes of the ring's part, aligned: offsets are even, slots below its size.
        unsafe { AtomicU16::from_ptr(self.base.add(at).cast()) }
    }

    fn set(&self, at: usize, value: u16) {
        // Release: a back-end that comes after us sees the ring as it was before this.
        self.word(at).store(value, Ordering::Release);
    }

    fn get(&self, at: usize) -> u16 {
        // Acquire pairs with the release in `set`, of a back-end that was.
        self.word(at).load(Ordering::Acquire)
    }

    /// Where the last back-end was, if it died with this ring of `size` at work.
    pub(crate) fn place(&self, size: u16) -> Option<Position> {
        let died = self.get(VERSION) == 1 && self.get(DESC_NUM) == size;
        let at = self.get(USED_IDX) % size.max(1);
        died.then(|| Position { at, wrap: self.get(USED_WRAP) & 1 != 0 })
    }

    /// The ring of `size` is at work, from here on.
    pub(crate) fn begin(&self, size: u16, at: Position) {
        self.given_back(at);
        self.set(VERSION, 1);
        self.set(DESC_NUM, size);
    }

    /// It was ended in good order: the front-end knows its base.
    pub(crate) fn end(&self) {
        self.set(DESC_NUM, 0);
    }

    /// The chain at a slot has so many.
    pub(crate) fn about_to_give(&self, at: Position, slots: u16) {
        self.set(PACKED as usize * (1 + usize::from(at.at)) + NUM, slots);
    }

    /// Slots of the chain at a place.
    pub(crate) fn slots(&self, at: Position) -> u16 {
        self.get(PACKED as usize * (1 + usize::from(at.at)) + NUM)
    }

    /// All before this has been given back.
    pub(crate) fn given_back(&self, at: Position) {
        self.set(USED_WRAP, at.wrap.into());
        self.set(USED_IDX, at.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_place_outlives_a_back_end_that_died_and_not_one_that_ended() {
        let (area, fd) = Area::make(2, 64).expect("memory");
        let kept = |queue| {
            let mapped = Area::map(area, fd.as_fd(), Shrinking::Refuse).expect("the same");
            Kept::of(&Arc::new(mapped), queue, 64).expect("it has a part")
        };
        let at = Position { at: 9, wrap: false };
        kept(1).begin(64, Position::START);
        kept(1).about_to_give(Position::START, 3);
        kept(1).given_back(at);
        assert_eq!(
            (kept(1).place(64), kept(1).place(32), kept(0).place(64)),
            (Some(at), None, None)
        );
        assert_eq!(kept(1).slots(Position::START), 3);
        kept(1).end();
        assert_eq!(kept(1).place(64), None);
    }

    #[test]
    fn an_area_too_small_or_for_no_ring_is_refused() {
        let (area, fd) = Area::make(1, 64).expect("memory");
        let wrong = [
            Inflight { num_queues: 9, ..area },
            Inflight { queue_size: 0, ..area },
            Inflight { mmap_size: u64::MAX, ..area },
            Inflight { mmap_offset: 4096, ..area },
        ];
        for area in wrong {
            assert!(Area::map(area, fd.as_fd(), Shrinking::Accept).is_err(), "{area:?}");
        }
        assert!(Area::make(0, 64).is_err());
        let mapped = Arc::new(Area::map(area, fd.as_fd(), Shrinking::Accept).expect("the same"));
        assert!(Kept::of(&mapped, 1, 64).is_none() && Kept::of(&mapped, 0, 65).is_none());
    }
}

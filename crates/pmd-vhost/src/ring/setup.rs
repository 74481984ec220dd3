//! From what a front-end says of a ring to a ring that can be worked on.

use super::packed::Packed;
use super::split::Split;
use super::words::{Touch, Words};
use crate::fault::Trouble;
use crate::inflight::Kept;
use crate::memory::{Access, View};
use linecard_virtqueue::Features;
use linecard_virtqueue::packed::{self, Position};
use linecard_virtqueue::split;
use linecard_virtqueue::vhost_user::message::VringAddr;

/// With any of these, the header of a frame that the guest sends may say something.
pub(crate) const SPEAKING: Features = Features::CSUM;

/// What a front-end has said of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) size: u16,
    pub(crate) address: VringAddr,
}

/// How far a ring is, while nobody works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Next to take, and next to give back if that is known.
    Split { avail: u16, used: Option<u16> },
    /// Both.
    Packed(Position),
}

impl Base {
    /// What a front-end sets. A packed ring's used position is where its available one is: nothing
    /// stays under way here.
    pub(crate) fn from_number(number: u32, features: Features) -> Self {
        if features.contains(Features::RING_PACKED) {
            Base::Packed(Position::from_word(number as u16))
        } else {
            Base::Split { avail: number as u16, used: None }
        }
    }

    /// What a front-end is told.
    pub(crate) fn number(self) -> u32 {
        match self {
            Base::Split { avail, .. } => avail.into(),
            Base::Packed(at) => u32::from(at.word()) | u32::from(at.word()) << 16,
        }
    }

    /// Where a ring begins that has never been used.
    pub(crate) fn start(features: Features) -> Self {
        if features.contains(Features::RING_PACKED) {
            Base::Packed(Position::START)
        } else {
            Base::Split { avail: 0, used: None }
        }
    }
}

/// The two kinds of ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Layout {
    Split = 1,
    Packed = 2,
}

/// A ring of either kind.
#[derive(Debug)]
pub(crate) enum Ring {
    Split(Split),
    Packed(Packed),
}

impl Ring {
    /// Finds the parts of a ring in memory.
    pub(crate) fn find(
        setup: &Setup,
        base: Base,
        view: &View,
        features: Features,
    ) -> Result<Self, Trouble> {
        match base {
            Base::Split { avail, used } => split_ring(setup, (avail, used), view, features),
            Base::Packed(at) => packed_ring(setup, at, view, features),
        }
    }

    /// Goes on where a back-end before us died, if one did; and keeps its place.
    pub(crate) fn recover(&mut self, kept: Kept) {
        match self {
            // All that is available behind what the used ring has is still to be done.
            Ring::Split(ring) if kept.place(ring.size).is_some() => {
                ring.next_used = ring.used.load(split::IDX);
                (ring.next_avail, ring.told) = (ring.next_used, ring.next_used);
            }
            Ring::Split(ring) => kept.begin(ring.size, Position::START),
            Ring::Packed(ring) => ring.recover(kept),
        }
    }

    /// How far it is.
    pub(crate) fn base(&self) -> Base {
        match self {
            Ring::Split(ring) => Base::Split { avail: ring.next_avail, used: Some(ring.next_used) },
            Ring::Packed(ring) => Base::Packed(ring.next),
        }
    }
}

fn split_ring(
    setup: &Setup,
    (next_avail, used_base): (u16, Option<u16>),
    view: &View,
    features: Features,
) -> Result<Ring, Trouble> {
    let (at, size) = (&setup.address, setup.size);
    let part = |address, len, access| {
        let start = view.part(address, len, 16.min(len_align(len)), access)?;
        // SAFETY: `part` found all of it mapped, and the view keeps it mapped; the ring is found again
        // whenever the view changes. Only the guest touches it besides.
        Ok::<_, Trouble>(unsafe { Words::new(start, len) })
    };
    let table = part(at.descriptors, split::table_bytes(size), Access::Read)?;
    let avail = part(at.available, split::avail_bytes(size), Access::Read)?;
    let used = part(at.used, split::used_bytes(size), Access::Write)?;
    let next_used = used_base.unwrap_or_else(|| used.load(split::IDX));
    let event_idx = features.contains(Features::EVENT_IDX);
    let indirect = features.contains(Features::INDIRECT_DESC);
    let told = next_used;
    let touch = touch(features);
    Ok(Ring::Split(Split {
        table,
        avail,
        used,
        size,
        next_avail,
        next_used,
        told,
        event_idx,
        indirect,
        touch,
    }))
}

/// What of a buffer will be touched.
fn touch(features: Features) -> Touch {
    let speaks = features.intersects(SPEAKING);
    let unread = if speaks { 0 } else { features.header_len() as u32 };
    Touch { unread, alone: features.contains(Features::RING_PACKED) }
}

/// A table is aligned to 16; rings, which have an odd number of words, to 4 (§2.7: 2 and 4).
fn len_align(len: usize) -> usize {
    if len.is_multiple_of(16) { 16 } else { 4 }
}

fn packed_ring(
    setup: &Setup,
    at: Position,
    view: &View,
    features: Features,
) -> Result<Ring, Trouble> {
    let (places, size) = (&setup.address, setup.size);
    let part = |address, len, align, access| {
        let start = view.part(address, len, align, access)?;
        // SAFETY: as in `split_ring`.
        Ok::<_, Trouble>(unsafe { Words::new(start, len) })
    };
    let event = size_of::<packed::Event>();
    let parts = [
        part(places.descriptors, 16 * usize::from(size), 16, Access::Write)?,
        part(places.available, event, 4, Access::Read)?,
        part(places.used, event, 4, Access::Write)?,
    ];
    let next = Position { at: at.at % size, wrap: at.wrap };
    let mut ring = Packed::new(parts, size, next);
    ring.event_idx = features.contains(Features::EVENT_IDX);
    ring.indirect = features.contains(Features::INDIRECT_DESC);
    ring.touch = touch(features);
    ring.in_order = features.contains(Features::IN_ORDER);
    Ok(Ring::Packed(ring))
}

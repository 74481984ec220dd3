//! A ring with one chain at a time: the control queue's.

use super::packed::{self, PackedMemory};
use super::split::{self, SplitMemory};
use super::{Lie, Part};
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{Position, available};

/// The control queue's ring, of either kind.
pub(crate) enum ControlRing {
    /// Chains offered, counted freely.
    Split(SplitMemory, u16),
    /// Where the next chain begins, and where the one that the device has did.
    Packed(PackedMemory, Position, Position),
}

/// What the device said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    None,
    /// The chain is used.
    Done,
    /// What cannot be.
    Lie(Lie),
}

/// A command's header, its data, its answer.
pub(crate) const MOST_PARTS: u16 = 3;

impl ControlRing {
    /// Over the memory of a split ring.
    pub(crate) fn split(memory: SplitMemory) -> Self {
        memory.quiet(0);
        ControlRing::Split(memory, 0)
    }

    /// Over the memory of a packed ring.
    pub(crate) fn packed(memory: PackedMemory) -> Self {
        memory.quiet();
        ControlRing::Packed(memory, Position::START, Position::START)
    }

    /// Gives the device a chain: it reads the parts, and writes the answer. There is none with it,
    /// and the ring has [`MOST_PARTS`] descriptors.
    pub(crate) fn offer(&mut self, parts: &[Part], answer: Part) {
        let n = parts.len() as u16 + 1;
        let all = parts.iter().chain([&answer]);
        let flags = (0..n).map(|i| match i + 1 == n {
            true => DescFlags::WRITE.bits(),
            false => DescFlags::NEXT.bits(),
        });
        match self {
            ControlRing::Split(memory, offered) => {
                for ((at, part), flags) in (0..).zip(all).zip(flags) {
                    memory.describe(at, part.addr, split::rest(part.len, flags, at + 1));
                }
                memory.offer(*offered, 0);
                *offered = offered.wrapping_add(1);
                memory.publish(*offered);
            }
            ControlRing::Packed(memory, next, begun) => {
                let (start, size) = (*next, memory.size());
                *begun = start;
                *next = start.ahead(n, size);
                let whole: Vec<_> =
                    (0..n).map(|i| start.ahead(i, size)).zip(all.zip(flags)).collect();
                // The first last: with it the device sees all of them.
                for (place, (part, flags)) in whole.into_iter().rev() {
                    let flags = flags | available(place.wrap);
                    memory.at(place.at).show(part.addr, packed::rest(part.len, 0, flags));
                }
            }
        }
    }

    /// What has become of the chain.
    pub(crate) fn answer(&self) -> Answer {
        match self {
            ControlRing::Split(memory, offered) => {
                match offered.wrapping_sub(memory.used_index()) {
                    0 => Answer::Done,
                    1 => Answer::None,
                    left => {
                        Answer::Lie(Lie::Index { said: 1u16.wrapping_sub(left), outstanding: 1 })
                    }
                }
            }
            ControlRing::Packed(memory, _, begun) => match memory.used(*begun) {
                Some((0, _)) => Answer::Done,
                Some((id, _)) => Answer::Lie(Lie::Id(u32::from(id))),
                None => Answer::None,
            },
        }
    }

    /// Where the next chain will be put.
    pub(crate) fn place(&self) -> u16 {
        match self {
            ControlRing::Split(_, offered) => *offered,
            ControlRing::Packed(_, next, _) => next.word(),
        }
    }
}

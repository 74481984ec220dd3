//! A bucket: one cache line of fifteen slots, and a word on who belongs here and lives elsewhere.
//!
//! ```text
//! word 0       count:16  filter:16      see `Meta`
//! word 1..16   tag | index              an entry; 0: empty
//! ```
//!
//! The low bits of a slot are the position of an entry, the high ones a tag of its hash that is
//! never 0. Both are read and written at once, so that a slot is never torn.

use super::array::Zeros;
use super::key::Hash;
use crate::sync::{AtomicU32, Ordering};

/// Slots of a bucket. (Models try all interleavings: they have fewer.)
pub(super) const SLOTS: usize = if cfg!(loom) { 3 } else { 15 };
const WORDS: usize = SLOTS + 1;

/// See the module's documentation.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    pub(super) words: [AtomicU32; WORDS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64);

// SAFETY: sixteen integers; the alignment is 64.
unsafe impl Zeros for Bucket {}

impl Bucket {
    /// Acquire pairs with the Release of [`Bucket::set`]: the entry is whole.
    #[inline(always)]
    pub(super) fn word(&self, slot: usize) -> Word {
        // Acquire pairs with `set`. The mask spares a check of the bounds.
        Word(self.words[slot & SLOTS].load(Ordering::Acquire))
    }

    /// Publishes an entry, or empties a slot.
    #[inline(always)]
    pub(super) fn set(&self, slot: usize, word: Word) {
        // Release pairs with `word` and with the scans: the entry was written before, and so
        // was where else it is found, or that it has moved.
        self.words[slot & SLOTS].store(word.0, Ordering::Release);
    }

    /// What is known about entries that belong here.
    #[inline(always)]
    pub(super) fn meta(&self) -> Meta {
        // Acquire pairs with `set_meta`: where an entry was moved to is seen by who sees this.
        Meta(self.words[0].load(Ordering::Acquire))
    }

    /// Publishes it.
    #[inline(always)]
    pub(super) fn set_meta(&self, meta: Meta) {
        // Release pairs with `meta`.
        self.words[0].store(meta.0, Ordering::Release);
    }
}

/// A tag and a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Word(pub(super) u32);

impl Word {
    pub(super) const EMPTY: Self = Self(0);

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a bucket knows of the entries that belong to it and live elsewhere: in their other
/// bucket, or in the overflow. A reader that does not find a key and sees no trace of it here is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta(pub(super) u32);

const COUNT: u32 = 1 << 16;
const COUNT_MAX: u32 = COUNT - 1;
const FILTER: u32 = COUNT - 1;

impl Meta {
    /// Whether an entry of this hash may be elsewhere.
    #[inline(always)]
    pub(super) fn may_be_elsewhere(self, hash: Hash) -> bool {
        (self.0 >> (hash.0 & 15)) & 1 != 0
    }

    /// One more lives elsewhere. Where too many do, the count stands still, and the filter stays.
    pub(super) fn left(self, hash: Hash) -> Self {
        let count = (self.count() + 1).min(COUNT_MAX);
        Self((count * COUNT) | (self.0 & FILTER) | (1 << (hash.0 & 15)))
    }

    /// One fewer does. When none is left, the filter is clear again.
    pub(super) fn came_back(self) -> Self {
        match self.count() {
            0 | 1 => Self(0),
            COUNT_MAX => self,
            _ => Self(self.0 - COUNT),
        }
    }

    fn count(self) -> u32 {
        self.0 / COUNT
    }
}

/// How hashes lead to buckets and tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// How many buckets there are.
    pub(super) buckets: u32,
    /// How many low bits of a slot are a position.
    pub(super) index_bits: u32,
    /// They, as a mask.
    pub(super) index_mask: u32,
}

impl Geometry {
    pub(super) fn new(buckets: u32, positions: u32) -> Self {
        let index_bits = (positions.max(2) - 1).ilog2() + 1;
        Self { buckets, index_bits, index_mask: (1 << index_bits) - 1 }
    }

    /// The bucket that a hash belongs to, by its high bits.
    #[inline(always)]
    pub(super) fn home(&self, hash: Hash) -> usize {
        spread(hash.0, self.buckets) as usize
    }

    /// The tag of a hash: its low bits, and never 0.
    #[inline(always)]
    pub(super) fn tag(&self, hash: Hash) -> Word {
        let tag = hash.0 << self.index_bits;
        Word(tag | u32::from(tag == 0) << self.index_bits)
    }

    /// The other bucket of what has this tag and is in `bucket`: twice leads back.
    #[inline(always)]
    pub(super) fn other(&self, bucket: usize, word: Word) -> usize {
        let tag = word.0 >> self.index_bits;
        let mirror = spread(tag.wrapping_mul(0x9e37_79b1), self.buckets);
        let other = mirror.wrapping_sub(bucket as u32);
        let wrapped = if mirror < bucket as u32 { other.wrapping_add(self.buckets) } else { other };
        wrapped as usize
    }

    /// Whether `word` has the tag `tag`; an empty one has none.
    #[inline(always)]
    pub(super) fn has_tag(&self, word: Word, tag: Word) -> bool {
        (word.0 ^ tag.0) & !self.index_mask == 0
    }

    #[inline(always)]
    pub(super) fn index(&self, word: Word) -> usize {
        (word.0 & self.index_mask) as usize
    }

    #[inline(always)]
    pub(super) fn word(&self, tag: Word, index: u32) -> Word {
        Word(tag.0 & !self.index_mask | index)
    }
}

/// A number below `buckets`, by the high bits of `number`.
#[inline(always)]
fn spread(number: u32, buckets: u32) -> u32 {
    ((u64::from(number) * u64::from(buckets)) >> 32) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_other_bucket_of_the_other_bucket_is_the_first(
            hash: u32, buckets in 1_u32..1 << 24, positions in 1_u32..1 << 26,
        ) {
            let (geometry, hash) = (Geometry::new(buckets, positions), Hash(hash));
            let (home, tag) = (geometry.home(hash), geometry.tag(hash));
            let other = geometry.other(home, tag);
            prop_assert!(home < buckets as usize && other < buckets as usize);
            prop_assert_eq!(geometry.other(other, tag), home);
            let word = geometry.word(tag, positions - 1);
            prop_assert!(!word.is_empty() && geometry.has_tag(word, tag));
            prop_assert_eq!(geometry.index(word), positions as usize - 1);
            prop_assert!(!geometry.has_tag(Word::EMPTY, tag));
        }
    }

    #[test]
    fn a_trace_stays_until_the_last_is_back() {
        let (one, other) = (Hash(3), Hash(9));
        let meta = Meta(0).left(one).left(other);
        assert!(meta.may_be_elsewhere(one) && meta.may_be_elsewhere(other));
        assert!(!meta.may_be_elsewhere(Hash(4)));
        let meta = meta.came_back();
        assert!(meta.may_be_elsewhere(one), "nobody knows which of them came back");
        assert_eq!(meta.came_back(), Meta(0));
    }

    #[test]
    fn where_too_many_left_to_be_counted_the_trace_is_never_cleared() {
        let times = 0..2 * COUNT_MAX;
        let full = times.clone().fold(Meta(0), |meta, _| meta.left(Hash(1)));
        let back = times.fold(full, |meta, _| meta.came_back());
        assert!(back.may_be_elsewhere(Hash(1)));
    }
}

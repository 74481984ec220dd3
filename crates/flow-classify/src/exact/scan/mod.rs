//! Looking at the fifteen slots of a bucket at once.

mod plain;
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
mod x86;

pub(super) use plain::Plain;
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
pub(super) use x86::{Avx2, Avx512, Sse};

use super::bucket::{Bucket, Meta, Word};

/// What there is code for.
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
pub(super) const CODE: &[crate::simd::Simd] = &crate::simd::Simd::ALL;
#[cfg(not(all(target_arch = "x86_64", not(any(loom, miri)))))]
pub(super) const CODE: &[crate::simd::Simd] = &[crate::simd::Simd::Plain];

/// A way to compare all slots with a tag.
///
/// Like as many atomic loads (Acquire, in no order among themselves); a caller that goes on to use
/// a slot loads it again by [`Bucket::word`] and looks at its tag once more.
pub(super) trait Scan: Copy {
    /// Bit `n` is set when slot `n` (1..16) has the tag of `tag`, by the bits not in `index_mask`.
    /// For [`Word::EMPTY`] these are the empty slots.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn scan(bucket: &Bucket, tag: Word, index_mask: u32) -> u32;

    /// The first slot that has the tag of `tag`, which is not empty; empty when there is none. And
    /// what the bucket knows of others, as it was then.
    ///
    /// # Safety
    /// The processor has the instructions.
    #[inline(always)]
    unsafe fn first(bucket: &Bucket, tag: Word, index_mask: u32) -> (Word, Meta) {
        // SAFETY: as promised to this function.
        let slots = unsafe { Self::scan(bucket, tag, index_mask) };
        let word = bucket.word(slots.trailing_zeros() as usize);
        // It may be another's by now, and without any slot it is no slot's.
        let is_it = (slots != 0) & ((word.0 ^ tag.0) & !index_mask == 0);
        (if is_it { word } else { Word::EMPTY }, bucket.meta())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::bucket::SLOTS;
    use super::*;
    use crate::simd::Simd;
    use proptest::prelude::*;

    type Found = (u32, (Word, Meta));

    /// # Safety
    /// The processor has the instructions.
    unsafe fn both<S: Scan>(bucket: &Bucket, tag: Word, index_mask: u32) -> Found {
        // SAFETY: as promised to this function.
        unsafe { (S::scan(bucket, tag, index_mask), S::first(bucket, tag, index_mask)) }
    }

    /// On every path of this processor.
    fn scans(bucket: &Bucket, tag: Word, index_mask: u32) -> Vec<(Simd, Found)> {
        let scan = |simd: Simd| {
            // SAFETY: only what is supported is called.
            let found = unsafe {
                match simd {
                    #[cfg(all(target_arch = "x86_64", not(miri)))]
                    Simd::Sse42 => both::<Sse>(bucket, tag, index_mask),
                    #[cfg(all(target_arch = "x86_64", not(miri)))]
                    Simd::Avx2 => both::<Avx2>(bucket, tag, index_mask),
                    #[cfg(all(target_arch = "x86_64", not(miri)))]
                    Simd::Avx512 => both::<Avx512>(bucket, tag, index_mask),
                    _ => both::<Plain>(bucket, tag, index_mask),
                }
            };
            (simd, found)
        };
        Simd::supported().map(scan).collect()
    }

    proptest! {
        #[test]
        fn every_path_finds_the_same_slots(
            words in prop::array::uniform15(prop_oneof![Just(0_u32), 0..8_u32, any::<u32>()]),
            meta: u32, nth in 0..SLOTS, index_bits in 1_u32..28,
        ) {
            let (bucket, index_mask) = (Bucket::default(), (1 << index_bits) - 1);
            bucket.words[0].store(meta, std::sync::atomic::Ordering::Relaxed);
            (1..).zip(words).for_each(|(slot, word)| bucket.set(slot, Word(word)));
            for tag in [Word(words[nth]), Word::EMPTY] {
                let same = |word: &u32| (word ^ tag.0) & !index_mask == 0;
                let bits = (1..).zip(&words).filter(|(_, word)| same(word));
                let expected: u32 = bits.fold(0, |mask, (slot, _): (u32, _)| mask | 1 << slot);
                let first = words.get((expected.trailing_zeros() as usize).wrapping_sub(1));
                let first = Word(first.copied().unwrap_or(0));
                for (simd, (slots, found)) in scans(&bucket, tag, index_mask) {
                    prop_assert_eq!(slots, expected, "{}", simd);
                    prop_assert_eq!(found, (first, Meta(meta)), "{}", simd);
                }
            }
        }
    }
}

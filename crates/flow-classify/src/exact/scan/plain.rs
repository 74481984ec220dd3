//! One slot after the other, on any processor.

use super::super::bucket::{Bucket, SLOTS, Word};
use super::Scan;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Plain;

impl Scan for Plain {
    #[inline(always)]
    unsafe fn scan(bucket: &Bucket, tag: Word, index_mask: u32) -> u32 {
        (1..=SLOTS).fold(0, |found, slot| {
            let differs = (bucket.word(slot).0 ^ tag.0) & !index_mask;
            found | u32::from(differs == 0) << slot
        })
    }
}

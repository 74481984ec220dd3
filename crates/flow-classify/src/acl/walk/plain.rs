//! What any processor runs.

use super::{Isa, Look, further};
use crate::acl::block::Block;
use crate::acl::build::extract;
use crate::acl::key::{Key, LANES, Packed};
use crate::acl::rule::Categories;

pub(super) enum Plain {}

impl Isa for Plain {
    #[inline]
    unsafe fn extract(word: u64, mask: u64) -> u64 {
        extract(word, mask)
    }

    #[inline]
    unsafe fn compare<K: Key>(block: &Block<K>, key: &Packed<K>, categories: Categories) -> u32 {
        let lanes = (0..LANES).filter(|lane| block.matches(*lane, key, categories));
        lanes.fold(0, |found, lane| found | 1 << lane)
    }

    #[cold]
    #[inline(never)]
    unsafe fn further<K: Key>(look: Look<'_, K>, found: u32, best: u64) -> u64 {
        // SAFETY: what the caller says.
        unsafe { further::<Self, K>(look, found, best) }
    }
}

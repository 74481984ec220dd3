//! The same code, compiled for every level of SIMD, and the choice among them.

use super::bucket::{Bucket, Word};
use super::entry::{Entry, Found};
use super::key::{Hash, Key};
use super::scan::{self, Scan};
use super::shared::Shared;
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
use crate::simd::Simd;

impl<K: Key, V> Shared<K, V> {
    /// # Safety
    /// As for [`Shared::find`], but for the instructions: the path was checked.
    #[inline]
    pub(super) unsafe fn find_on_path(&self, hash: Hash, key: &K) -> Option<&Entry<K, V>> {
        // SAFETY: `Path` only has what the processor has; the rest is promised to this function.
        unsafe {
            match self.path.simd() {
                #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
                Simd::Avx512 | Simd::Avx2 | Simd::Sse42 => self.find::<scan::Sse>(hash, key),
                _ => self.find::<scan::Plain>(hash, key),
            }
        }
    }

    /// # Safety
    /// As for [`Shared::find_on_path`].
    #[inline]
    pub(super) unsafe fn bulk_on_path<'r>(
        &'r self,
        hashes: &[Hash],
        keys: &[K],
        found: &mut [Option<Found<'r, K, V>>],
    ) {
        // SAFETY: `Path` only has what the processor has; the rest is promised to this function.
        unsafe {
            match self.path.simd() {
                #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
                Simd::Avx512 => x86::bulk_avx512(self, hashes, keys, found),
                #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
                Simd::Avx2 => x86::bulk_avx2(self, hashes, keys, found),
                #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
                Simd::Sse42 => self.bulk::<scan::Sse>(hashes, keys, found),
                _ => self.bulk::<scan::Plain>(hashes, keys, found),
            }
        }
    }

    /// As [`Scan::scan`], for the writer.
    #[inline]
    pub(super) fn scan(&self, bucket: &Bucket, tag: Word) -> u32 {
        let index_mask = self.geometry.index_mask;
        // SAFETY: `Path` only has what the processor has.
        unsafe {
            match self.path.simd() {
                #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
                Simd::Avx512 | Simd::Avx2 | Simd::Sse42 => scan::Sse::scan(bucket, tag, index_mask),
                _ => scan::Plain::scan(bucket, tag, index_mask),
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
mod x86 {
    use super::{Found, Hash, Key, Shared, scan};

    /// # Safety
    /// As for [`Shared::find`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) unsafe fn bulk_avx512<'r, K: Key, V>(
        shared: &'r Shared<K, V>,
        hashes: &[Hash],
        keys: &[K],
        found: &mut [Option<Found<'r, K, V>>],
    ) {
        // SAFETY: as promised to this function.
        unsafe { shared.bulk::<scan::Avx512>(hashes, keys, found) };
    }

    /// # Safety
    /// As for [`Shared::find`].
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) unsafe fn bulk_avx2<'r, K: Key, V>(
        shared: &'r Shared<K, V>,
        hashes: &[Hash],
        keys: &[K],
        found: &mut [Option<Found<'r, K, V>>],
    ) {
        // SAFETY: as promised to this function.
        unsafe { shared.bulk::<scan::Avx2>(hashes, keys, found) };
    }
}

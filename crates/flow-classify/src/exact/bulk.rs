//! Many keys at once, in three passes, so that the memory of one key is on its way while others are at work.
//!
//! 1. Hash all keys, ask for their buckets.
//! 2. Compare tags, ask for the entries that they lead to. What has no tag in its bucket and left no
//!    trace there is absent for sure, and costs no other line.
//! 3. Compare keys. What is still open (the key is elsewhere, or shares its tag) goes the long way.
//!
//! Arithmetic is in loops of its own over arrays of a fixed length, which the compiler makes vectors of. The
//! third pass goes over the bits of a mask, so that keys which are there among keys which are not
//! cost no mispredicted branches.

use super::bucket::{Bucket, Meta, Word};
use super::entry::{Entries, Found};
use super::key::{Hash, Key, same};
use super::read::View;
use super::scan::Scan;
use super::shared::Shared;

/// Keys of one round: enough to cover the latency of memory, few enough for the first cache.
pub(super) const LANES: usize = 32;

impl<'r, K: Key, V> View<'r, K, V> {
    /// Looks for all `keys`; `found[n]` is what there is of `keys[n]`.
    ///
    /// As many as the shorter of the two slices has.
    #[inline]
    pub fn get_bulk(self, keys: &[K], found: &mut [Option<Found<'r, K, V>>]) {
        // Hashes are computed out here: in code compiled for AVX-512 the compiler makes vectors
        // of products of 64 bits, which takes twice as long as one product after the other.
        let mut hashes = [Hash(0); LANES];
        for (keys, found) in keys.chunks(LANES).zip(found.chunks_mut(LANES)) {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self.shared.seed.hash(key);
            }
            self.get_round(&hashes, keys, found);
        }
    }

    /// As [`View::get_bulk`], of keys whose hashes are known.
    ///
    /// As many as the shortest of the three slices has.
    #[inline]
    pub fn get_bulk_hashed(
        self,
        hashes: &[Hash],
        keys: &[K],
        found: &mut [Option<Found<'r, K, V>>],
    ) {
        let both = hashes.chunks(LANES).zip(keys.chunks(LANES));
        for ((hashes, keys), found) in both.zip(found.chunks_mut(LANES)) {
            self.get_round(hashes, keys, found);
        }
    }

    /// Up to [`LANES`] keys.
    #[inline(always)]
    fn get_round(self, hashes: &[Hash], keys: &[K], found: &mut [Option<Found<'r, K, V>>]) {
        // SAFETY: the view borrows its reader, which cannot announce an epoch meanwhile.
        unsafe { self.shared.bulk_on_path(hashes, keys, found) };
    }
}

/// What is known of each key of a round.
#[derive(Default)]
struct Round {
    hashes: [u32; LANES],
    /// Where the home of each is: bytes from the first bucket on.
    homes: [u32; LANES],
    tags: [u32; LANES],
    words: [u32; LANES],
    metas: [u32; LANES],
}

/// Keys of a round, a bit for each.
struct Bits {
    /// A tag leads to an entry.
    hits: u32,
    /// To be looked for in all places.
    unsure: u32,
}

impl<K: Key, V> Shared<K, V> {
    /// Up to [`LANES`] keys; as many as the shortest of the three slices has.
    ///
    /// # Safety
    /// As for [`Shared::find`].
    #[inline(always)]
    pub(super) unsafe fn bulk<'r, S: Scan>(
        &'r self,
        hashes: &[Hash],
        keys: &[K],
        found: &mut [Option<Found<'r, K, V>>],
    ) {
        let count = keys.len().min(hashes.len()).min(found.len()).min(LANES);
        let (keys, found) = (&keys[..count], &mut found[..count]);
        let before = self.moves.seen();
        let mut round = Round::of(hashes);
        self.ask_for_buckets(count, &mut round);
        // SAFETY: as promised to this function.
        unsafe {
            self.ask_for_entries::<S>(count, &mut round);
            let bits = round.bits(count, self.moves.seen() == before);
            clear(found);
            self.compare_keys::<S>(keys, &round, bits, found);
        }
    }

    #[inline(always)]
    fn ask_for_buckets(&self, count: usize, round: &mut Round) {
        let geometry = self.geometry;
        for (home, hash) in round.homes.iter_mut().zip(&round.hashes) {
            *home = geometry.home(Hash(*hash)) as u32 * size_of::<Bucket>() as u32;
        }
        let first = self.buckets.as_ptr();
        for home in &round.homes[..count.min(LANES)] {
            prefetch(first.wrapping_byte_add(*home as usize));
        }
        for (tag, hash) in round.tags.iter_mut().zip(&round.hashes) {
            *tag = geometry.tag(Hash(*hash)).0;
        }
    }

    /// # Safety
    /// As for [`Shared::find`].
    #[inline(always)]
    unsafe fn ask_for_entries<S: Scan>(&self, count: usize, round: &mut Round) {
        // Out here, or each scan, which is assembly, would have them loaded again.
        let (geometry, first, entries) =
            (self.geometry, self.buckets.as_ptr(), self.entries.pointer(0));
        for nth in 0..count.min(LANES) {
            // SAFETY: a bucket: `ask_for_buckets` has it from the geometry.
            let bucket = unsafe { &*first.byte_add(round.homes[nth] as usize) };
            // SAFETY: the caller has the instructions.
            let (word, meta) =
                unsafe { S::first(bucket, Word(round.tags[nth]), geometry.index_mask) };
            prefetch(Entries::<K, V>::beyond(entries, geometry.index(word)));
            (round.words[nth], round.metas[nth]) = (word.0, meta.0);
        }
    }

    /// Asks for the other buckets of keys that may be there.
    #[inline(always)]
    fn ask_elsewhere(&self, round: &Round, mut unsure: u32) {
        let geometry = self.geometry;
        while unsure != 0 {
            let nth = unsure.trailing_zeros() as usize;
            unsure &= unsure - 1;
            let home = round.homes[nth] as usize / size_of::<Bucket>();
            let tag = Word(round.tags[nth]);
            prefetch(self.bucket(geometry.other(home, tag)));
        }
    }

    /// # Safety
    /// As for [`Shared::find`].
    #[inline(always)]
    unsafe fn compare_keys<'r, S: Scan>(
        &'r self,
        keys: &[K],
        round: &Round,
        mut bits: Bits,
        found: &mut [Option<Found<'r, K, V>>],
    ) {
        let index_mask = self.geometry.index_mask;
        while bits.hits != 0 {
            let nth = bits.hits.trailing_zeros() as usize;
            bits.hits &= bits.hits - 1;
            // SAFETY: `word` was in a slot, with a tag, when this round began or later: see `find_in`.
            let entry = unsafe { self.entries.entry((round.words[nth] & index_mask) as usize) };
            if same(&entry.key, &keys[nth]) {
                found[nth] = Some(Found(entry));
            } else {
                bits.unsure |= 1 << nth;
            }
        }
        self.ask_elsewhere(round, bits.unsure);
        while bits.unsure != 0 {
            let nth = bits.unsure.trailing_zeros() as usize;
            bits.unsure &= bits.unsure - 1;
            // SAFETY: as promised to this function.
            let entry = unsafe { self.find_anywhere::<S>(Hash(round.hashes[nth]), &keys[nth]) };
            found[nth] = entry.map(Found);
        }
    }
}

impl Round {
    /// Up to [`LANES`] hashes. A whole round is copied without a call.
    #[inline(always)]
    fn of(hashes: &[Hash]) -> Self {
        let mut round = Self::default();
        match <&[Hash; LANES]>::try_from(hashes) {
            Ok(whole) => round.hashes = whole.map(|hash| hash.0),
            Err(_) => {
                let both = round.hashes.iter_mut().zip(hashes);
                both.for_each(|(into, hash)| *into = hash.0);
            }
        }
        round
    }

    /// `quiet`: nothing has moved since the round began.
    #[inline(always)]
    fn bits(&self, count: usize, quiet: bool) -> Bits {
        let (mut hits, mut traced) = (0, 0);
        for nth in 0..LANES {
            hits |= u32::from(self.words[nth] != 0) << nth;
            let trace = Meta(self.metas[nth]).may_be_elsewhere(Hash(self.hashes[nth]));
            traced |= u32::from(trace) << nth;
        }
        let all = u32::MAX >> (LANES - count.clamp(1, LANES));
        let open = if quiet { traced } else { u32::MAX };
        Bits { hits: hits & all, unsure: open & !hits & all }
    }
}

/// All empty; a whole round without a call.
#[inline(always)]
fn clear<T: Copy>(found: &mut [Option<T>]) {
    match <&mut [Option<T>; LANES]>::try_from(&mut *found) {
        Ok(whole) => *whole = [None; LANES],
        Err(_) => found.fill(None),
    }
}

/// Asks for the first cache line of something, which may be anywhere.
#[inline(always)]
pub(super) fn prefetch<T>(pointer: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address at all is a hint that cannot fault; every x86-64 has it.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(pointer.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pointer;
}

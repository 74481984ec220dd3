//! Making a table.

use super::array::{Array, Place};
use super::bucket::{Bucket, Geometry, SLOTS};
use super::entry::Entries;
use super::error::Error;
use super::key::{Key, Seed, check_length};
use super::read::FlowTable;
use super::scan;
use super::shared::{Moves, Overflow, Shared};
use super::write::Writer;
use crate::memory::{Heap, Memory};
use crate::simd::{Path, Simd};
use crate::sync::{AtomicU32, Mutex};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The most entries of a table: five bits of a slot stay for a tag.
const LIMIT: usize = 1 << 26;

const _: () = assert!(
    LIMIT * 4 / SLOTS * size_of::<Bucket>() < 1 << 32 || cfg!(loom),
    "look-ups in bulk count bytes from the first bucket on in 32 bits",
);

/// How full buckets are when a table is.
const LOAD: u32 = 80;

/// What a table shall be like; begun by [`FlowTable::builder`].
pub struct Builder<K, V> {
    capacity: usize,
    load: u32,
    simd: Option<Simd>,
    seed: Seed,
    entries: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V> FlowTable<K, V> {
    /// A table for `capacity` entries.
    pub fn builder(capacity: usize) -> Builder<K, V> {
        const { check_length::<K>() };
        Builder { capacity, load: LOAD, simd: None, seed: Seed::random(), entries: PhantomData }
    }
}

impl<K: Key, V> Builder<K, V> {
    /// How many of a hundred slots are taken when the table is full, 25 to 100 (80 unless said otherwise).
    /// With fewer, look-ups and insertions into a full table are a little faster; with more, slots take less
    /// memory (4.5 bytes an entry at 95, 5.3 at 80), and close to 100 some entries find no slot and go to lists.
    #[must_use]
    pub fn load_percent(self, load: u32) -> Self {
        Self { load, ..self }
    }

    /// The instructions to use, for tests and measurements; otherwise the best there are.
    #[must_use]
    pub fn simd(self, simd: Simd) -> Self {
        Self { simd: Some(simd), ..self }
    }

    /// The secret of the hash, for runs to be repeated; otherwise one that nobody knows.
    #[must_use]
    pub fn seed(self, seed: Seed) -> Self {
        Self { seed, ..self }
    }

    /// The table, on the heap, by way of its one writer.
    ///
    /// # Errors
    /// [`Error`]: what is wrong with what was asked for.
    pub fn build(self) -> Result<Writer<K, V>, Error> {
        self.build_in(&mut Heap::boxed)
    }

    /// The table, in memory that `place` gives for a number of bytes.
    ///
    /// # Errors
    /// [`Error`]: what is wrong with what was asked for.
    pub fn build_in(
        self,
        place: &mut dyn FnMut(usize) -> Option<Box<dyn Memory>>,
    ) -> Result<Writer<K, V>, Error> {
        self.check()?;
        let path = match self.simd {
            Some(simd) => Path::asked(simd, scan::CODE)?,
            None => Path::best_of(scan::CODE),
        };
        let shared = self.arrays(path, place).map_err(|bytes| Error::Memory { bytes })?;
        Ok(Writer::new(Arc::new(shared)))
    }

    fn check(&self) -> Result<(), Error> {
        if !(1..=LIMIT).contains(&self.capacity) {
            return Err(Error::Capacity { asked: self.capacity, limit: LIMIT });
        }
        if !(25..=100).contains(&self.load) {
            return Err(Error::Load { asked: self.load });
        }
        Ok(())
    }

    /// Otherwise the bytes that could not be had.
    fn arrays(&self, path: Path, place: Place<'_>) -> Result<Shared<K, V>, usize> {
        let capacity = self.capacity;
        let buckets = (capacity * 100).div_ceil(SLOTS * self.load as usize);
        // What is removed keeps its position for a while.
        let positions = capacity + capacity / 16 + SPARE;
        let geometry = Geometry::new(buckets as u32, positions as u32);
        Ok(Shared {
            geometry,
            seed: self.seed,
            path,
            buckets: Array::zeroed(buckets, place)?,
            entries: Entries::new(positions as u32, place)?,
            live: Array::zeroed(positions.div_ceil(64), place)?,
            overflow: Overflow {
                heads: Array::zeroed(buckets.div_ceil(16), place)?,
                // Touched only where it is used: on the heap it costs no memory before.
                next: Array::zeroed(positions, &mut Heap::boxed)?,
            },
            capacity: capacity as u32,
            positions: positions as u32,
            len: AtomicU32::new(0),
            moves: Moves::default(),
            domain: Arc::default(),
            left_over: Mutex::new(Vec::new()),
        })
    }
}

impl<K, V> fmt::Debug for Builder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity, load, simd, .. } = self;
        let mut builder = f.debug_struct("Builder");
        builder.field("capacity", capacity).field("load", load).field("simd", simd).finish()
    }
}

/// Positions for what is removed from the smallest table.
const SPARE: usize = if cfg!(loom) { 1 } else { 128 };

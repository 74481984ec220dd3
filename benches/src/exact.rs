//! Tables to measure, behind one trait.

use crate::{Meeting, cycles, pin};
use linecard_eal::mem::{Request, Segment};
use linecard_flow_classify::exact::{FlowTable, Found, Hash, Reader, Writer};
use linecard_flow_classify::memory::Memory;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is done to a table.
pub trait Table<const N: usize> {
    /// A hash that is known before.
    type Hash: Copy;
    /// For so many keys.
    fn new(capacity: usize) -> Self;
    /// The hashes of keys.
    fn hashes(&self, keys: &[[u8; N]]) -> Vec<Self::Hash>;
    /// How many keys there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Removes all.
    fn clear(&mut self);
    /// Adds one that is not there.
    fn add(&mut self, key: &[u8; N]);
    /// With its hash.
    fn add_hashed(&mut self, hash: Self::Hash, key: &[u8; N]);
    /// Deletes one that is there.
    fn delete(&mut self, key: &[u8; N]);
    /// With its hash.
    fn delete_hashed(&mut self, hash: Self::Hash, key: &[u8; N]);
    /// Whether it is there.
    fn contains(&mut self, key: &[u8; N]) -> bool;
    /// With its hash.
    fn contains_hashed(&mut self, hash: Self::Hash, key: &[u8; N]) -> bool;
    /// How many of up to 64 are there.
    fn bulk(&mut self, keys: &[[u8; N]]) -> usize;
    /// With their hashes.
    fn bulk_hashed(&mut self, hashes: &[Self::Hash], keys: &[[u8; N]]) -> usize;
}

/// Ours, in huge pages if there are any, as DPDK's.
#[derive(Debug)]
pub struct Flows<const N: usize> {
    writer: Writer<[u8; N], u64>,
    reader: Reader<[u8; N], u64>,
}

/// A segment as a table takes it.
struct Pages(Segment);

// SAFETY: a segment is zeroed memory, page-aligned, its owner's alone and mapped until it drops.
unsafe impl Memory for Pages {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

fn table<const N: usize>(capacity: usize) -> Writer<[u8; N], u64> {
    let mut place = |bytes| {
        let segment = Request::new(bytes).name("table").map().ok()?;
        Some(Box::new(Pages(segment)) as Box<dyn Memory>)
    };
    let builder = FlowTable::<[u8; N], u64>::builder(capacity);
    builder.build_in(&mut place).expect("memory for the table")
}

type FoundKey<'v, const N: usize> = Option<Found<'v, [u8; N], u64>>;

fn count<const N: usize>(found: &[FoundKey<'_, N>]) -> usize {
    black_box(found).iter().flatten().count()
}

impl<const N: usize> Table<N> for Flows<N> {
    type Hash = Hash;

    fn new(capacity: usize) -> Self {
        let writer = table(capacity);
        let reader = writer.reader();
        Self { writer, reader }
    }

    fn hashes(&self, keys: &[[u8; N]]) -> Vec<Hash> {
        keys.iter().map(|key| self.reader.hash(key)).collect()
    }

    fn len(&self) -> usize {
        self.writer.len()
    }

    fn clear(&mut self) {
        self.writer.clear();
    }

    fn add(&mut self, key: &[u8; N]) {
        self.writer.insert(*key, 1).expect("room");
        // Holds nothing: what is deleted may be used again.
        self.reader.view();
    }

    fn add_hashed(&mut self, hash: Hash, key: &[u8; N]) {
        self.writer.insert_hashed(hash, *key, 1).expect("room");
        self.reader.view();
    }

    fn delete(&mut self, key: &[u8; N]) {
        self.writer.remove(key).expect("the key");
        self.reader.view();
    }

    fn delete_hashed(&mut self, hash: Hash, key: &[u8; N]) {
        self.writer.remove_hashed(hash, key).expect("the key");
        self.reader.view();
    }

    fn contains(&mut self, key: &[u8; N]) -> bool {
        self.reader.view().get(key).is_some()
    }

    fn contains_hashed(&mut self, hash: Hash, key: &[u8; N]) -> bool {
        self.reader.view().get_hashed(hash, key).is_some()
    }

    fn bulk(&mut self, keys: &[[u8; N]]) -> usize {
        let mut found = [None; 64];
        self.reader.view().get_bulk(keys, &mut found[..keys.len()]);
        count(&found[..keys.len()])
    }

    fn bulk_hashed(&mut self, hashes: &[Hash], keys: &[[u8; N]]) -> usize {
        let mut found = [None; 64];
        self.reader.view().get_bulk_hashed(hashes, keys, &mut found[..keys.len()]);
        count(&found[..keys.len()])
    }
}

/// What a Rust program would take.
#[derive(Debug)]
pub struct Map<const N: usize>(hashbrown::HashMap<[u8; N], u64>);

impl<const N: usize> Table<N> for Map<N> {
    type Hash = ();

    fn new(capacity: usize) -> Self {
        Self(hashbrown::HashMap::with_capacity(capacity))
    }

    fn hashes(&self, keys: &[[u8; N]]) -> Vec<()> {
        vec![(); keys.len()]
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn add(&mut self, key: &[u8; N]) {
        self.0.insert(*key, 1);
    }

    fn add_hashed(&mut self, _hash: (), key: &[u8; N]) {
        self.add(key);
    }

    fn delete(&mut self, key: &[u8; N]) {
        self.0.remove(key).expect("the key");
    }

    fn delete_hashed(&mut self, _hash: (), key: &[u8; N]) {
        self.delete(key);
    }

    fn contains(&mut self, key: &[u8; N]) -> bool {
        self.0.contains_key(key)
    }

    fn contains_hashed(&mut self, _hash: (), key: &[u8; N]) -> bool {
        self.contains(key)
    }

    fn bulk(&mut self, keys: &[[u8; N]]) -> usize {
        let mut found = [None; 64];
        keys.iter().zip(&mut found).for_each(|(key, found)| *found = self.0.get(key));
        black_box(&found[..keys.len()]).iter().flatten().count()
    }

    fn bulk_hashed(&mut self, _hashes: &[()], keys: &[[u8; N]]) -> usize {
        self.bulk(keys)
    }
}

/// Different keys that look like noise, the same in every run.
pub fn keys<const N: usize>(count: usize) -> Vec<[u8; N]> {
    // A bijection of 32 bits makes the first four bytes, so that no key is there twice.
    let mix = |number: u32| {
        let one = (number ^ number >> 16).wrapping_mul(0x85eb_ca6b);
        let two = (one ^ one >> 13).wrapping_mul(0xc2b2_ae35);
        two ^ two >> 16
    };
    let key = |number: u32| {
        let mut key = [0; N];
        (0..).zip(key.chunks_mut(4)).for_each(|(nth, word): (u32, &mut [u8])| {
            let bytes = mix(number.wrapping_add(nth.wrapping_mul(0x9e37_79b9))).to_le_bytes();
            word.copy_from_slice(&bytes[..word.len()]);
        });
        key
    };
    (0..count as u32).map(key).collect()
}

/// Puts all keys in, unless they are.
pub fn filled<const N: usize>(table: &mut impl Table<N>, keys: &[[u8; N]]) {
    if table.len() != keys.len() {
        table.clear();
        keys.iter().for_each(|key| table.add(key));
    }
}

/// Cycles a key of a reader on CPU 1, and of a writer on CPU 0 that adds and deletes without end.
///
/// Half of 75 % of 2^19 is there throughout and looked for, 32 keys at a time; the rest comes and goes.
pub fn writer_beside_reader(miss: bool, budget: u64) -> [f64; 2] {
    let count = (1 << 19) * 3 / 4;
    let all = keys::<16>(2 * count);
    let (kept, changing) = all[..count].split_at(count / 2);
    let asked = if miss { &all[count..count + count / 2] } else { kept };
    let mut writer = table::<16>(1 << 19);
    for key in kept {
        writer.insert(*key, 1).expect("room");
    }
    let (reader, meeting, stop) = (writer.reader(), Meeting::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let change = scope.spawn(|| {
            pin(0);
            meeting.meet(1);
            change(writer, changing, &stop)
        });
        pin(1);
        meeting.meet(1);
        let read = read(reader, asked, miss, budget);
        // Relaxed: a flag, which nothing is read after.
        stop.store(true, Ordering::Relaxed);
        pin(0);
        [read, change.join().expect("the writer")]
    })
}

fn change(mut writer: Writer<[u8; 16], u64>, keys: &[[u8; 16]], stop: &AtomicBool) -> f64 {
    let (start, mut changes) = (cycles(), 0);
    loop {
        for chunk in keys.chunks(1024) {
            for key in chunk {
                while writer.insert(*key, 1).is_err() {
                    std::hint::spin_loop();
                }
            }
            changes += chunk.len();
            // Relaxed: see above.
            if stop.load(Ordering::Relaxed) {
                return (cycles() - start) as f64 / changes as f64;
            }
        }
        for key in keys {
            writer.remove(key).expect("the key");
        }
        changes += keys.len();
    }
}

fn read(mut reader: Reader<[u8; 16], u64>, keys: &[[u8; 16]], miss: bool, budget: u64) -> f64 {
    let expected = |keys: &[[u8; 16]]| if miss { 0 } else { keys.len() };
    let (mut spent, mut looked) = (0, 0);
    while spent < budget {
        let start = cycles();
        for keys in keys.chunks(32) {
            let mut found = [None; 32];
            reader.view().get_bulk(keys, &mut found[..keys.len()]);
            assert_eq!(count(&found[..keys.len()]), expected(keys));
        }
        spent += cycles() - start;
        looked += keys.len();
    }
    spent as f64 / looked as f64
}

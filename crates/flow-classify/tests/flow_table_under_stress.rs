//! A writer as fast as it can, and readers that check what they see.

use linecard_flow_classify::exact::{Builder, FlowTable, Found, Reader, Seed, Writer};
use linecard_flow_classify::simd::Simd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

type Key = [u8; 16];

/// A value that counts how many of it there are, and knows its key.
struct Value {
    key: Key,
    version: u32,
    alive: Arc<AtomicUsize>,
}

impl Value {
    fn new(key: Key, version: u32, alive: &Arc<AtomicUsize>) -> Self {
        // Relaxed: a figure, read when all threads have ended.
        alive.fetch_add(1, Ordering::Relaxed);
        Self { key, version, alive: Arc::clone(alive) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // Relaxed: as above.
        self.alive.fetch_sub(1, Ordering::Relaxed);
        // Whoever still looks at it would see this.
        self.key = [0xff; 16];
        self.version = u32::MAX;
    }
}

fn key(number: u32) -> Key {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_le_bytes());
    key[12..].copy_from_slice(&number.wrapping_mul(7).to_be_bytes());
    key
}

/// As many as there are at least throughout, and room for as many more.
const KEPT: u32 = 600;
const ROUNDS: u32 = 40;

fn table(builder: Builder<Key, Value>) -> Writer<Key, Value> {
    builder.seed(Seed::fixed(3)).build().expect("a table")
}

/// Changes, replaces and keeps full. Every key below `KEPT` is there throughout.
fn write(mut writer: Writer<Key, Value>, alive: &Arc<AtomicUsize>) -> Writer<Key, Value> {
    for round in 1..=ROUNDS {
        for number in KEPT..2 * KEPT {
            while writer.insert(key(number), Value::new(key(number), round, alive)).is_err() {
                writer.reclaim();
                thread::yield_now();
            }
        }
        for number in (0..KEPT).step_by(16) {
            let _ = writer.insert(key(number), Value::new(key(number), round, alive));
        }
        for number in KEPT..2 * KEPT {
            assert!(writer.remove(&key(number)).is_some());
        }
    }
    writer
}

/// What is found is the key's, whole, and not dropped.
fn check(number: u32, found: Option<Found<'_, Key, Value>>) {
    assert!(found.is_some() || number >= KEPT, "{number} is missing");
    if let Some(found) = found {
        assert_eq!((found.key(), found.value().key), (&key(number), key(number)));
        assert!(found.value().version <= ROUNDS);
    }
}

fn read(mut reader: Reader<Key, Value>, stop: &AtomicBool) {
    // Relaxed: a flag, which nothing is read after.
    while !stop.load(Ordering::Relaxed) {
        for start in (0..2 * KEPT).step_by(50) {
            let view = reader.view();
            let keys: Vec<Key> = (start..start + 50).map(key).collect();
            let mut found = vec![None; keys.len()];
            view.get_bulk(&keys, &mut found);
            (start..).zip(&found).for_each(|(number, found)| check(number, *found));
            (start..start + 50).for_each(|number| check(number, view.get(&key(number))));
            // Once more: the view still holds what it found before.
            (start..).zip(&found).for_each(|(number, found)| check(number, *found));
        }
        let stays =
            |key: &Key| (0..KEPT).any(|number| number % 16 != 0 && *key == self::key(number));
        let kept = reader.view().iter().filter(|found| stays(&found.value().key)).count();
        assert_eq!(kept, (KEPT - KEPT.div_ceil(16)) as usize);
    }
}

fn stress(builder: Builder<Key, Value>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut writer = table(builder);
    for number in 0..KEPT {
        assert!(writer.insert(key(number), Value::new(key(number), 0, &alive)).is_ok());
    }
    let (readers, stop) = ([writer.reader(), writer.reader()], AtomicBool::new(false));
    let mut writer = thread::scope(|scope| {
        for reader in readers {
            scope.spawn(|| read(reader, &stop));
        }
        let writer = write(writer, &alive);
        // Relaxed: as above.
        stop.store(true, Ordering::Relaxed);
        writer
    });
    assert_eq!(writer.reclaim(), 0);
    // Relaxed: all threads have ended.
    assert_eq!(alive.load(Ordering::Relaxed), KEPT as usize);
    writer.clear();
    assert_eq!((writer.reclaim(), writer.len()), (0, 0));
    // Relaxed: as above.
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn readers_beside_a_writer_find_what_is_there_and_nothing_else_on_every_path() {
    for simd in Simd::supported() {
        stress(FlowTable::<Key, Value>::builder(2 * KEPT as usize).simd(simd));
    }
}

#[test]
fn readers_beside_a_writer_find_all_when_every_slot_is_taken() {
    stress(FlowTable::<Key, Value>::builder(2 * KEPT as usize).load_percent(100));
}

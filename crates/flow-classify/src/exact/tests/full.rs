//! Tables at 95 % and beyond.

use super::super::{Hash, Refused, Why, Writer};
use super::{builder, every_path};

const CAPACITY: usize = 4_000;

fn filled(load: u32, count: usize) -> Writer<u32, u32> {
    let mut writer = builder(CAPACITY).load_percent(load).build().unwrap();
    (0..count as u32).for_each(|key| assert!(writer.insert(key, !key).is_ok(), "{key}"));
    writer
}

/// Entries that found no slot.
fn overflowed(writer: &Writer<u32, u32>) -> usize {
    let in_slots: usize = (0..writer.shared.buckets.len())
        .map(|bucket| {
            let bucket = writer.shared.bucket(bucket);
            (1..16).filter(|slot| !bucket.word(*slot).is_empty()).count()
        })
        .sum();
    writer.len() - in_slots
}

#[test]
fn every_entry_finds_a_slot_at_95_percent() {
    let writer = filled(95, CAPACITY);
    assert_eq!((writer.len(), overflowed(&writer)), (CAPACITY, 0));
}

#[test]
fn churn_at_95_percent_overflows_nothing() {
    let mut writer = filled(95, CAPACITY);
    for round in 0..5 * CAPACITY as u32 {
        assert!(writer.remove(&round).is_some());
        assert!(writer.insert(round + CAPACITY as u32, 0).is_ok());
    }
    assert_eq!((writer.len(), overflowed(&writer)), (CAPACITY, 0));
}

#[test]
fn with_every_slot_taken_what_is_left_goes_to_lists_and_is_found() {
    let mut writer = filled(100, CAPACITY);
    assert!(overflowed(&writer) < CAPACITY / 500, "{} of {CAPACITY}", overflowed(&writer));
    let mut reader = writer.reader();
    let view = reader.view();
    assert!((0..CAPACITY as u32).all(|key| *view.get(&key).unwrap().value() == !key));
    assert!((CAPACITY as u32..2 * CAPACITY as u32).all(|key| view.get(&key).is_none()));
    (0..CAPACITY as u32).for_each(|key| assert!(writer.remove(&key).is_some()));
    assert_eq!((writer.len(), overflowed(&writer)), (0, 0));
}

#[test]
fn one_more_than_the_capacity_is_refused_and_given_back() {
    let mut writer = filled(95, CAPACITY);
    let why = Why::Full { capacity: CAPACITY };
    assert_eq!(writer.insert(u32::MAX, 5), Err(Refused { value: 5, why }));
    assert!(writer.insert(0, 5).is_ok(), "an entry may be replaced");
    assert!(writer.remove(&1).is_some());
    assert!(writer.insert(u32::MAX, 5).is_ok());
}

#[test]
fn keys_of_one_hash_are_all_kept() {
    every_path(|simd| {
        let mut writer = builder::<u32, u32>(500).simd(simd).build().unwrap();
        let hash = Hash(0x1234_5678);
        (0..500).for_each(|key| assert!(writer.insert_hashed(hash, key, key + 1).is_ok()));
        (0..500).step_by(2).for_each(|key| assert!(writer.remove_hashed(hash, &key).is_some()));
        let mut reader = writer.reader();
        let found = |key| reader.view().get_hashed(hash, &key).map(|found| *found.value());
        let expected = (0..500).map(|key| (key % 2 == 1).then_some(key + 1));
        assert!((0..500).map(found).eq(expected));
    });
}

#[test]
fn most_absent_keys_are_known_absent_by_one_bucket() {
    let writer = filled(95, CAPACITY);
    let hashes = (0..CAPACITY as u32).map(|key| writer.hash(&!key));
    let traced = hashes.filter(|hash| {
        writer.shared.bucket(writer.shared.geometry.home(*hash)).meta().may_be_elsewhere(*hash)
    });
    let traced = traced.count();
    assert!(traced < CAPACITY / 8, "{traced} of {CAPACITY}");
}

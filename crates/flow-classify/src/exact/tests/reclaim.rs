//! What is removed lives until no reader can hold it, and no longer.

use super::super::{Why, Writer};
use super::builder;
use std::sync::Arc;

fn table(capacity: usize) -> Writer<u32, Arc<()>> {
    builder(capacity).build().unwrap()
}

#[test]
fn a_view_keeps_what_it_found() {
    let (mut writer, life) = (table(10), Arc::new(()));
    writer.insert(1, Arc::clone(&life)).unwrap();
    let mut reader = writer.reader();
    let view = reader.view();
    let found = view.get(&1).unwrap();
    assert!(writer.remove(&1).is_some());
    assert_eq!(writer.reclaim(), 1);
    assert!(view.get(&1).is_none());
    assert!(Arc::ptr_eq(found.value(), &life));
    let _next = reader.view();
    assert_eq!((writer.reclaim(), Arc::strong_count(&life)), (0, 1));
}

#[test]
fn a_replaced_value_is_dropped_when_no_reader_holds_it() {
    let (mut writer, old, new) = (table(10), Arc::new(()), Arc::new(()));
    writer.insert(1, Arc::clone(&old)).unwrap();
    let mut reader = writer.reader();
    let before = reader.view().get(&1).unwrap();
    writer.insert(1, Arc::clone(&new)).unwrap();
    assert!(Arc::ptr_eq(before.value(), &old));
    assert_eq!(writer.reclaim(), 1);
    assert!(Arc::ptr_eq(reader.view().get(&1).unwrap().value(), &new));
    assert_eq!(writer.reclaim(), 0);
    assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 2));
}

#[test]
fn values_are_dropped_by_and_by_without_being_asked() {
    let (mut writer, life) = (table(10_000), Arc::new(()));
    for key in 0..10_000 {
        writer.insert(key, Arc::clone(&life)).unwrap();
        assert!(writer.remove(&key).is_some_and(|found| Arc::ptr_eq(found.value(), &life)));
    }
    assert!(Arc::strong_count(&life) < 200, "{}", Arc::strong_count(&life));
}

#[test]
fn a_reader_that_rests_uses_up_the_spare_room_and_is_named() {
    let mut writer = table(100);
    let mut reader = writer.reader();
    let refused = (0..10_000).find_map(|key| {
        let refused = writer.insert(key, Arc::new(())).err();
        writer.remove(&key);
        refused
    });
    assert!(matches!(refused.unwrap().why, Why::Held { removed: 100.. }));
    let _next = reader.view();
    assert!(writer.insert(0, Arc::new(())).is_ok());
}

#[test]
fn all_values_are_dropped_with_the_last_handle() {
    let life = Arc::new(());
    let mut writer = table(100);
    (0..100).for_each(|key| drop(writer.insert(key, Arc::clone(&life))));
    let mut reader = writer.reader();
    let view = reader.view();
    let found = view.get(&50).unwrap();
    (0..60).for_each(|key| assert!(writer.remove(&key).is_some()));
    drop(writer);
    assert_eq!(found.key(), &50);
    assert!(view.get(&50).is_none() && view.get(&60).is_some());
    assert_eq!(Arc::strong_count(&life), 101);
    drop(reader);
    assert_eq!(Arc::strong_count(&life), 1);
}

//! Builders, and who may hold what.

use super::super::{Error, FlowTable, Found, Reader, SharedWriter, View, Writer};
use super::{builder, every_path};
use crate::simd::Simd;

/// Compiles only if values of `T` may go to another thread.
fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}

#[test]
fn handles_go_to_other_threads() {
    is_send::<Writer<u32, u32>>();
    is_send::<Reader<u32, u32>>();
    is_send::<View<'_, u32, u32>>();
    is_send::<Found<'_, u32, u32>>();
    is_sync::<FlowTable<u32, u32>>();
    is_send::<SharedWriter<u32, u32>>();
    is_sync::<SharedWriter<u32, u32>>();
}

#[test]
fn a_shape_that_cannot_be_is_an_error() {
    let error = |capacity| builder::<u32, u32>(capacity).build().unwrap_err();
    assert_eq!(error(0), Error::Capacity { asked: 0, limit: 1 << 26 });
    assert_eq!(error((1 << 26) + 1), Error::Capacity { asked: (1 << 26) + 1, limit: 1 << 26 });
    let error = builder::<u32, u32>(1).load_percent(101).build().unwrap_err();
    assert_eq!(error, Error::Load { asked: 101 });
    let error = builder::<u32, u32>(1).build_in(&mut |_| None).unwrap_err();
    assert!(matches!(error, Error::Memory { bytes: 64.. }));
}

#[test]
fn a_path_that_was_asked_for_is_taken() {
    every_path(|simd| {
        let writer = builder::<u32, u32>(1).simd(simd).build().unwrap();
        assert_eq!(writer.table().path().simd(), simd);
    });
    let lacking = Simd::ALL.into_iter().find(|simd| !simd.is_supported());
    if let Some(simd) = lacking {
        assert!(matches!(builder::<u32, u32>(1).simd(simd).build(), Err(Error::Simd(_))));
    }
}

#[test]
fn what_is_found_takes_as_much_room_as_a_pointer() {
    assert_eq!(size_of::<Option<Found<'_, u32, u32>>>(), size_of::<usize>());
}

#[test]
fn a_position_stays_while_others_come_and_go() {
    let mut writer = builder::<u32, u32>(1000).build().unwrap();
    let position = writer.insert(0, 0).unwrap().position();
    for key in 1..1000 {
        writer.insert(key, key).unwrap();
        assert_eq!(writer.at(position).unwrap().key(), &0);
    }
    writer.retain(|found| found.key() % 100 == 0);
    assert_eq!((writer.len(), *writer.at(position).unwrap().key()), (10, 0));
    assert!(writer.remove_at(position).is_some() && writer.at(position).is_none());
}

#[test]
fn several_threads_write_one_table() {
    let writer = builder::<u32, u32>(4000).build().unwrap().share();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let writer = writer.clone();
            scope.spawn(move || {
                (0..1000).for_each(|key| {
                    writer.lock().insert(thread * 1000 + key, thread).unwrap();
                });
            });
        }
    });
    let mut reader = writer.reader();
    let view = reader.view();
    assert!((0..4000).all(|key| *view.get(&key).unwrap().value() == key / 1000));
}

#[test]
fn a_table_says_how_much_memory_it_takes() {
    let table = builder::<[u8; 16], u64>(1 << 16).build().unwrap().table();
    // An entry of 32 bytes, 4.5 of a bucket, 4 of a list, and some.
    assert!((40 << 16..45 << 16).contains(&table.memory()), "{}", table.memory());
}

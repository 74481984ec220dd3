//! Idle time-outs.

use super::super::{Aging, Writer};
use super::builder;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn advance(aging: &mut Aging, writer: &mut Writer<u32, u32>, now: u32) -> Vec<u32> {
    let mut ended = Vec::new();
    let progress = aging.advance(writer, now, usize::MAX, |found| ended.push(*found.key()));
    assert_eq!((progress.removed, progress.behind), (ended.len(), 0));
    ended.sort_unstable();
    ended
}

#[test]
fn an_entry_ends_when_it_was_idle_for_its_timeout() {
    let mut writer = builder(10).build().unwrap();
    let mut aging = Aging::new(&mut writer, 100);
    let position = writer.insert(1, 0).unwrap().position();
    aging.watch(&writer, position, 30, 100);
    assert!(advance(&mut aging, &mut writer, 129).is_empty());
    assert_eq!(advance(&mut aging, &mut writer, 130), [1]);
    assert_eq!((writer.len(), aging.watched()), (0, 0));
}

#[test]
fn an_entry_in_use_stays_and_is_looked_at_once_a_timeout() {
    let mut writer = builder(10).build().unwrap();
    let mut aging = Aging::new(&mut writer, 0);
    let position = writer.insert(1, 0).unwrap().position();
    aging.watch(&writer, position, 100, 0);
    let mut reader = writer.reader();
    let mut looked_at = 0;
    for now in 0..1000 {
        reader.view().get(&1).unwrap().touch(now);
        looked_at += aging.advance(&mut writer, now, 10, |_| panic!("in use")).looked_at;
    }
    assert!((9..=11).contains(&looked_at), "{looked_at}");
}

#[test]
fn an_entry_that_took_the_place_of_a_watched_one_is_not_watched() {
    let mut writer = builder(10).build().unwrap();
    let mut aging = Aging::new(&mut writer, 0);
    let position = writer.insert(1, 0).unwrap().position();
    aging.watch(&writer, position, 10, 0);
    assert!(writer.remove(&1).is_some());
    assert_eq!(writer.reclaim(), 0);
    assert_eq!(writer.insert(2, 0).unwrap().position(), position);
    assert!(advance(&mut aging, &mut writer, 1000).is_empty());
    assert_eq!((writer.len(), aging.watched()), (1, 0));
}

#[test]
fn a_budget_parts_the_work() {
    let mut writer = builder(100).build().unwrap();
    let mut aging = Aging::new(&mut writer, 0);
    for key in 0..100 {
        let position = writer.insert(key, 0).unwrap().position();
        aging.watch(&writer, position, 5, 0);
    }
    let calls = (0..10).map(|_| aging.advance(&mut writer, 5, 11, |_| {})).collect::<Vec<_>>();
    assert!(calls[..9].iter().all(|call| call.removed == 11 && call.behind > 0), "{calls:?}");
    assert_eq!((calls[9].removed, calls[9].behind, writer.len()), (1, 0, 0));
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Insert { key: u8, timeout: u16 },
    Touch(u8),
    Remove(u8),
    Forget(u8),
    Pass(u16),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (any::<u8>(), 1..3000_u16)
            .prop_map(|(key, timeout)| Operation::Insert { key: key % 64, timeout }),
        3 => any::<u8>().prop_map(|key| Operation::Touch(key % 64)),
        1 => any::<u8>().prop_map(|key| Operation::Remove(key % 64)),
        1 => any::<u8>().prop_map(|key| Operation::Forget(key % 64)),
        4 => (0..700_u16).prop_map(Operation::Pass),
        1 => any::<u16>().prop_map(Operation::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_ends_and_when_is_what_a_list_of_deadlines_says(
        operations in prop::collection::vec(operation(), 0..200), start: u32,
    ) {
        let mut writer = builder(64).build().unwrap();
        let (mut now, mut aging) = (start, Aging::new(&mut writer, start));
        // Key to timeout and last use, by ticks that do not wrap.
        let (mut oracle, mut passed) = (BTreeMap::<u32, Option<(u64, u64)>>::new(), 0_u64);
        for operation in operations {
            match operation {
                Operation::Insert { key, timeout } => {
                    let position = writer.insert(key.into(), 0).unwrap().position();
                    aging.watch(&writer, position, timeout.into(), now);
                    oracle.insert(key.into(), Some((timeout.into(), passed)));
                }
                Operation::Touch(key) => {
                    if let Some(found) = writer.get(&key.into()) {
                        found.touch(now);
                        let entry = oracle.get_mut(&key.into()).unwrap();
                        *entry = entry.map(|(timeout, _)| (timeout, passed));
                    }
                }
                Operation::Remove(key) => {
                    prop_assert_eq!(writer.remove(&key.into()).is_some(), oracle.remove(&key.into()).is_some());
                }
                Operation::Forget(key) => {
                    let mut reader = writer.reader();
                    let view = reader.view();
                    if let Some(found) = view.get(&key.into()) {
                        aging.forget(view.position(found));
                        oracle.insert(key.into(), None);
                    }
                }
                Operation::Pass(ticks) => {
                    now = now.wrapping_add(ticks.into());
                    passed += u64::from(ticks);
                    let is_over = |entry: &Option<(u64, u64)>| {
                        entry.is_some_and(|(timeout, used)| used + timeout <= passed)
                    };
                    let expected: Vec<u32> =
                        oracle.iter().filter(|(_, entry)| is_over(entry)).map(|(key, _)| *key).collect();
                    prop_assert_eq!(advance(&mut aging, &mut writer, now), expected.clone());
                    oracle.retain(|key, _| !expected.contains(key));
                }
            }
        }
        prop_assert_eq!(writer.len(), oracle.len());
    }
}

//! The table against a `HashMap`, on every path, with good hashes and with bad ones.

use super::super::{Found, Hash, Inserted, Key, Why, Writer};
use super::{builder, every_path};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Insert(u8, u32),
    Remove(u8),
    Get(u8),
    Reclaim,
    Clear,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        10 => (any::<u8>(), any::<u32>()).prop_map(|(key, value)| Operation::Insert(key, value)),
        6 => any::<u8>().prop_map(Operation::Remove),
        2 => any::<u8>().prop_map(Operation::Get),
        1 => Just(Operation::Reclaim),
    ];
    let operation = prop_oneof![200 => operation, 1 => Just(Operation::Clear)];
    prop::collection::vec(operation, 0..600)
}

/// A key of any length, of which a byte counts.
trait Made: Key + Eq + std::hash::Hash + std::fmt::Debug {
    fn made(number: u8) -> Self;
}

impl<const N: usize> Made for [u8; N]
where
    [u8; N]: Key,
{
    fn made(number: u8) -> Self {
        let mut key = [0x5a; N];
        key[usize::from(number) % N] = number;
        key[N - 1] ^= number;
        key[N / 2] = key[N / 2].wrapping_add(number);
        key
    }
}

/// How keys are hashed: how many low bits of the key's own hash are left.
#[derive(Clone, Copy, Debug)]
enum Hashing {
    Own,
    Poor { bits: u32 },
    Shared { low_bits: u32 },
}

fn hashing() -> impl Strategy<Value = Hashing> {
    prop_oneof![
        Just(Hashing::Own),
        (0..6_u32).prop_map(|bits| Hashing::Poor { bits }),
        (0..6_u32).prop_map(|low_bits| Hashing::Shared { low_bits }),
    ]
}

impl Hashing {
    fn of<K: Key>(self, writer: &Writer<K, u32>, key: &K) -> Hash {
        let Hash(own) = writer.hash(key);
        match self {
            Self::Own => Hash(own),
            Self::Poor { bits } => Hash((own & ((1 << bits) - 1)).wrapping_mul(0x0101_0101)),
            Self::Shared { low_bits } => Hash(own << low_bits),
        }
    }
}

fn value<K: Key>(found: Option<Found<'_, K, u32>>) -> Option<u32> {
    found.map(|found| *found.value())
}

/// Compares every single and bulk look-up, iteration and positions with the oracle.
fn compare<K: Made>(writer: &Writer<K, u32>, oracle: &HashMap<K, u32>, hashing: Hashing) {
    let mut reader = writer.reader();
    let view = reader.view();
    let keys: Vec<K> = (0..=255).map(K::made).collect();
    let hashes: Vec<Hash> = keys.iter().map(|key| hashing.of(writer, key)).collect();
    let expected: Vec<_> = keys.iter().map(|key| oracle.get(key).copied()).collect();
    let mut found = vec![None; keys.len()];
    view.get_bulk_hashed(&hashes, &keys, &mut found);
    let bulk: Vec<_> = found.into_iter().map(value).collect();
    assert_eq!(bulk, expected);
    for ((key, hash), expected) in keys.iter().zip(&hashes).zip(&expected) {
        let found = view.get_hashed(*hash, key);
        assert_eq!(value(found), *expected);
        if let Some(found) = found {
            assert_eq!(view.at(view.position(found)).unwrap().key(), key);
        }
    }
    let all: HashMap<K, u32> = view.iter().map(|found| (*found.key(), *found.value())).collect();
    assert_eq!((&all, view.iter().count(), view.len()), (oracle, oracle.len(), oracle.len()));
}

fn run<K: Made>(mut writer: Writer<K, u32>, operations: &[Operation], hashing: Hashing) {
    let mut oracle = HashMap::new();
    let capacity = writer.table().capacity();
    for operation in operations {
        match *operation {
            Operation::Insert(number, new) => {
                let key = K::made(number);
                let (hash, before) = (hashing.of(&writer, &key), oracle.get(&key).copied());
                match writer.insert_hashed(hash, key, new) {
                    Ok(Inserted::New(_)) => assert_eq!(before, None),
                    Ok(Inserted::Replaced(_)) => assert!(before.is_some()),
                    Err(refused) => {
                        assert_eq!((refused.value, refused.why), (new, Why::Full { capacity }));
                        assert!(before.is_none() && oracle.len() == capacity);
                        continue;
                    }
                }
                oracle.insert(key, new);
            }
            Operation::Remove(number) => {
                let key = K::made(number);
                let hash = hashing.of(&writer, &key);
                assert_eq!(value(writer.remove_hashed(hash, &key)), oracle.remove(&key));
            }
            Operation::Get(number) => {
                let key = K::made(number);
                let hash = hashing.of(&writer, &key);
                assert_eq!(
                    value(writer.reader().view().get_hashed(hash, &key)),
                    oracle.get(&key).copied()
                );
            }
            Operation::Reclaim => assert_eq!(writer.reclaim(), 0),
            Operation::Clear => {
                writer.clear();
                oracle.clear();
            }
        }
    }
    compare(&writer, &oracle, hashing);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_table_is_a_map(
        operations in operations(), capacity in 1_usize..200, load in 25_u32..=100,
        hashing in hashing(),
    ) {
        every_path(|simd| {
            run(builder::<[u8; 4], u32>(capacity).load_percent(load).simd(simd).build().unwrap(), &operations, hashing);
            run(builder::<[u8; 13], u32>(capacity).load_percent(load).simd(simd).build().unwrap(), &operations, hashing);
            run(builder::<[u8; 16], u32>(capacity).load_percent(load).simd(simd).build().unwrap(), &operations, hashing);
            run(builder::<[u8; 40], u32>(capacity).load_percent(load).simd(simd).build().unwrap(), &operations, hashing);
            run(builder::<[u8; 64], u32>(capacity).load_percent(load).simd(simd).build().unwrap(), &operations, hashing);
        });
    }
}

//! Every interleaving of a writer and a reader on a table of two buckets with three slots each, and every
//! value that C11 lets a load return. Loom watches the entries: one that is written or dropped
//! while a reader may look at it fails a model by itself.

use super::bucket::Word;
use super::{FlowTable, Hash, Seed, Writer};
use crate::simd::Simd;
use loom::thread::spawn;

type Table = Writer<u32, u32>;

/// Explores with up to `preemptions` switches away from a thread that could have gone on.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}

fn table() -> Table {
    let builder = FlowTable::<u32, u32>::builder(6).load_percent(100).seed(Seed::fixed(1));
    builder.simd(Simd::Plain).build().unwrap()
}

/// A hash whose home is bucket 0 and whose other bucket is `other`.
fn hash_with_other(table: &Table, other: usize) -> Hash {
    let geometry = table.shared.geometry;
    let is_it =
        |hash: &Hash| geometry.home(*hash) == 0 && geometry.other(0, geometry.tag(*hash)) == other;
    (0..1000).map(Hash).find(is_it).unwrap()
}

/// Where the word of an entry is.
fn spot(table: &Table, bucket: usize, word: Word) -> (usize, usize) {
    let slots = 1..=super::bucket::SLOTS;
    let is_it = |slot: &usize| table.shared.bucket(bucket).word(*slot) == word;
    (bucket, slots.into_iter().find(is_it).unwrap())
}

#[test]
fn a_key_that_moves_there_and_back_is_found_all_the_time() {
    explore(3, || {
        let mut table = table();
        let hash = hash_with_other(&table, 1);
        let position = table.insert_hashed(hash, 7, 70).unwrap().position();
        let mut reader = table.reader();
        let looking = spawn(move || {
            let view = reader.view();
            assert_eq!(view.get_hashed(hash, &7).map(|found| *found.value()), Some(70));
            let mut found = [None];
            view.get_bulk_hashed(&[hash], &[7], &mut found);
            assert!(found[0].is_some());
        });
        let geometry = table.shared.geometry;
        let word = geometry.word(geometry.tag(hash), position.0);
        let source = spot(&table, 0, word);
        table.shared.move_entry(word, source, (1, 2));
        table.shared.move_entry(word, (1, 2), (0, 3));
        looking.join().unwrap();
    });
}

#[test]
fn a_key_that_is_replaced_is_found_the_old_or_the_new_one() {
    explore(3, || {
        let mut table = table();
        table.insert(7, 1).unwrap();
        let mut reader = table.reader();
        let looking = spawn(move || {
            let first = *reader.view().get(&7).unwrap().value();
            let second = *reader.view().get(&7).unwrap().value();
            assert!(first <= second && (1..=2).contains(&second));
        });
        table.insert(7, 2).unwrap();
        table.reclaim();
        looking.join().unwrap();
    });
}

#[test]
fn a_position_is_not_used_again_while_a_view_may_hold_it() {
    explore(3, || {
        let mut table = table();
        table.insert(7, 70).unwrap();
        let mut reader = table.reader();
        let looking = spawn(move || {
            for _ in 0..2 {
                let view = reader.view();
                if let Some(found) = view.get(&7) {
                    assert_eq!((*found.key(), *found.value()), (7, 70));
                }
                if let Some(found) = view.get(&8) {
                    assert_eq!((*found.key(), *found.value()), (8, 80));
                }
            }
        });
        assert!(table.remove(&7).is_some());
        table.reclaim();
        table.insert(8, 80).unwrap();
        table.reclaim();
        looking.join().unwrap();
    });
}

#[test]
fn entries_in_a_list_come_and_go_around_one_that_stays() {
    explore(2, || {
        let mut table = table();
        let hash = hash_with_other(&table, 0);
        // Three take the slots of the only bucket; then two are in a list, the last in front.
        (0..5).for_each(|key| assert!(table.insert_hashed(hash, key, key).is_ok()));
        let mut reader = table.reader();
        let looking = spawn(move || {
            assert_eq!(*reader.view().get_hashed(hash, &3).unwrap().value(), 3);
        });
        assert!(table.remove_hashed(hash, &4).is_some());
        table.reclaim();
        let _ = table.insert_hashed(hash, 5, 5);
        looking.join().unwrap();
    });
}

#[test]
fn a_reader_that_comes_while_something_is_removed_holds_nothing_of_it() {
    explore(3, || {
        let mut table = table();
        table.insert(7, 70).unwrap();
        let handle = table.table();
        let looking = spawn(move || {
            let mut reader = handle.reader();
            if let Some(found) = reader.view().get(&7) {
                assert_eq!(*found.value(), 70);
            }
        });
        assert!(table.remove(&7).is_some());
        table.reclaim();
        let _ = table.insert(8, 80);
        looking.join().unwrap();
    });
}

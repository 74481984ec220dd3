//! Every interleaving of a writer and a reader over a few words and cells, and every value that C11 lets a load
//! return: the protocol of [`super::table`], by way of the real [`super::store`].

use super::store::Store;
use super::table::LINE;
use crate::grace::pin;
use loom::thread::spawn;
use std::sync::Arc;

/// Explores with up to `preemptions` switches away from a thread that could have gone on.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}

/// What no look-up may ever find: it is written to cells that nobody can reach.
const POISON: u32 = 99;

/// A block of one cell.
fn block(store: &mut Store, value: u32) -> u32 {
    let at = store.block(1);
    store.table().set_cell(at, value);
    at
}

fn word(cell: u32) -> u64 {
    u64::from(cell) << 32
}

/// Makes the first word lead to another block, and takes the old one back.
fn replace(store: &mut Store, value: u32) {
    let old = (store.table().word(0) >> 32) as u32;
    let new = block(store, value);
    store.table().set_word(0, word(new));
    store.retire(old, 1);
    store.reclaim_all();
}

/// What a reader finds by way of the first word.
fn look_up(shared: &super::store::Shared) -> u32 {
    let guard = pin();
    let table = shared.table(&guard).look();
    // SAFETY: there is a word, and it always leads to a block.
    unsafe { table.cell_unchecked((table.word_unchecked(0) >> 32) as u32) }
}

#[test]
fn an_address_finds_its_old_or_its_new_entry_while_cells_are_used_again() {
    explore(3, || {
        let mut store = Store::new(1, 0);
        let first = block(&mut store, 1);
        store.table().set_word(0, word(first));
        let shared = Arc::clone(store.shared());
        let looking = spawn(move || {
            let (before, after) = (look_up(&shared), look_up(&shared));
            assert!((1..=2).contains(&before) && (before..=2).contains(&after));
        });
        replace(&mut store, 2);
        // The first block, if it is free, or another one.
        let _ = block(&mut store, POISON);
        looking.join().unwrap();
    });
}

#[test]
fn a_link_that_is_followed_leads_to_what_was_there_when_it_was_read() {
    explore(3, || {
        let mut store = Store::new(1, 0);
        // A word leads to a link, and that to an entry.
        let (link, first) = (store.block(1), block(&mut store, 1));
        store.table().set_link(link, first);
        store.table().set_word(0, word(link));
        let shared = Arc::clone(store.shared());
        let looking = spawn(move || {
            let guard = pin();
            let table = shared.table(&guard).look();
            // SAFETY: the word leads to a link, and that to a block.
            let found = unsafe {
                let link = table.link_unchecked((table.word_unchecked(0) >> 32) as u32);
                table.cell_unchecked(link)
            };
            assert!((1..=2).contains(&found));
        });
        let second = block(&mut store, 2);
        store.table().set_link(link, second);
        store.retire(first, 1);
        store.reclaim_all();
        let _ = block(&mut store, POISON);
        looking.join().unwrap();
    });
}

#[test]
fn a_table_that_grows_under_a_reader_says_the_same() {
    explore(2, || {
        let mut store = Store::new(1, 0);
        let first = block(&mut store, 1);
        store.table().set_word(0, word(first));
        let shared = Arc::clone(store.shared());
        let looking = spawn(move || assert!((1..=2).contains(&look_up(&shared))));
        // More than there is room for.
        let _ = store.block(2 * LINE);
        replace(&mut store, 2);
        looking.join().unwrap();
    });
}

#[test]
fn a_table_that_is_made_anew_is_seen_whole() {
    explore(3, || {
        let mut store = Store::new(1, 0);
        let first = block(&mut store, 1);
        store.table().set_word(0, word(first));
        let shared = Arc::clone(store.shared());
        let looking = spawn(move || assert_eq!(look_up(&shared), 1));
        store.stage(1, 0);
        let again = block(&mut store, 1);
        store.table().set_word(0, word(again));
        store.show();
        store.reclaim_all();
        looking.join().unwrap();
    });
}

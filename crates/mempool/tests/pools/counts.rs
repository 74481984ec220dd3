//! Available and in use are the size, whatever threads do.

use crate::{BACKENDS, put, small, take};
use linecard_mempool::{Backend, Mempool, Object};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Mutex;

/// What a thread does.
#[derive(Clone, Debug)]
enum Operation {
    /// Takes so many, or none.
    Take(usize),
    /// Returns up to so many of those it holds.
    Return(usize),
    /// Lays up to so many on a table that all threads share.
    LayDown(usize),
    /// Picks up to so many from there.
    PickUp(usize),
    /// Counts.
    Count,
}

fn operation(most: usize) -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0..most).prop_map(Operation::Take),
        3 => (0..most).prop_map(Operation::Return),
        1 => (0..most).prop_map(Operation::LayDown),
        1 => (0..most).prop_map(Operation::PickUp),
        1 => Just(Operation::Count),
    ]
}

fn last(objects: &mut Vec<Object>, n: usize) -> Vec<Object> {
    objects.split_off(objects.len() - n.min(objects.len()))
}

/// Runs one thread's operations; gives what it holds at the end.
fn run(pool: &Mempool, table: &Mutex<Vec<Object>>, operations: Vec<Operation>) -> Vec<Object> {
    let mut held = Vec::new();
    for operation in operations {
        match operation {
            Operation::Take(n) => held.extend(take(pool, n).unwrap_or_default()),
            Operation::Return(n) => put(pool, &last(&mut held, n)),
            Operation::LayDown(n) => table.lock().unwrap().extend(last(&mut held, n)),
            Operation::PickUp(n) => held.extend(last(&mut table.lock().unwrap(), n)),
            Operation::Count => assert!(pool.in_use() <= pool.size()),
        }
    }
    held
}

fn run_all(pool: &Mempool, threads: Vec<Vec<Operation>>) -> Vec<Object> {
    let table = Mutex::new(Vec::new());
    let mut held = Vec::new();
    std::thread::scope(|scope| {
        let start = |operations| scope.spawn(|| run(pool, &table, operations));
        let running: Vec<_> = threads.into_iter().map(start).collect();
        // Joined one by one, since a scope does not wait for what threads do at their very end.
        running.into_iter().for_each(|thread| held.extend(thread.join().unwrap()));
    });
    held.extend(table.into_inner().unwrap());
    held
}

fn backend() -> impl Strategy<Value = Backend> {
    proptest::sample::select(&BACKENDS[..])
}

proptest! {
    #[test]
    fn counts_add_up_after_any_operations_on_several_threads(
        backend in backend(),
        size in 1usize..200,
        cache in 0usize..50,
        threads in vec(vec(operation(70), 0..60), 1..5),
    ) {
        let cache = cache.min(size / 2);
        let pool = small("counts", size, cache).backend(backend).build().unwrap();
        let held = run_all(&pool, threads);
        prop_assert_eq!(held.iter().collect::<HashSet<_>>().len(), held.len(), "handed out twice");
        prop_assert_eq!(pool.in_use(), held.len());
        prop_assert_eq!(pool.available() + pool.in_use(), size);
        put(&pool, &held);
        prop_assert_eq!(pool.available(), size);
        prop_assert_eq!(pool.audit(), []);
        // The threads have ended, so that what they had cached is to be had from here.
        prop_assert!(take(&pool, size).is_some());
    }

    #[test]
    fn a_bulk_is_had_as_a_whole_or_not_at_all(
        backend in backend(),
        size in 1usize..100,
        cache in 0usize..60,
        bulks in vec(0usize..140, 1..40),
    ) {
        let pool = small("bulk", size, cache.min(size / 2)).backend(backend).build().unwrap();
        let mut held: Vec<Object> = Vec::new();
        for n in bulks {
            let free = size - held.len();
            match take(&pool, n) {
                Some(more) => held.extend(more),
                None => {
                    prop_assert!(n > free, "{n} refused with {free} free");
                    put(&pool, &held.split_off(held.len() / 2));
                }
            }
            prop_assert_eq!(pool.in_use(), held.len());
        }
        prop_assert_eq!(held.iter().collect::<HashSet<_>>().len(), held.len());
        put(&pool, &held);
    }
}

#[test]
fn a_refused_bulk_leaves_the_array_as_it_is() {
    for backend in BACKENDS {
        let pool = small("refused", 8, 4).backend(backend).build().unwrap();
        let kept = take(&pool, 3).unwrap();
        let mut into = [kept[0]; 6];
        assert!(!pool.take_bulk(&mut into));
        assert_eq!(into, [kept[0]; 6]);
        assert_eq!(pool.available(), 5);
        assert!(pool.take_bulk(&mut into[..5]));
        put(&pool, &into[..5]);
        put(&pool, &kept);
    }
}

#[test]
fn threads_that_sleep_inside_calls_lose_no_object() {
    // More threads than cores and no caches: calls are preempted half-way now and then. Where others
    // wait for such a call, each time costs a time slice: few rounds there.
    for backend in BACKENDS {
        let waits = matches!(backend, Backend::Fifo | Backend::FifoSerial);
        let rounds = if waits { 100 } else { 4000 };
        let pool = small("crowd", 8, 0).backend(backend).build().unwrap();
        std::thread::scope(|scope| {
            for n in [1, 1, 2, 2, 1, 3] {
                let pool = &pool;
                scope.spawn(move || {
                    for _ in 0..rounds {
                        if let Some(some) = take(pool, n) {
                            put(pool, &some);
                        }
                    }
                });
            }
        });
        assert_eq!(pool.available(), 8, "{backend:?}");
        assert!(take(&pool, 8).is_some(), "{backend:?}");
    }
}

#[test]
fn what_a_thread_cached_comes_back_when_it_ends() {
    let pool = small("exit", 64, 32).build().unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let some = take(&pool, 20).unwrap();
            put(&pool, &some);
            assert_eq!(pool.available(), 64, "what is cached is available");
        });
        thread.join().unwrap();
    });
    assert!(take(&pool, 64).is_some());
}

#[test]
fn a_thread_may_return_what_another_one_took() {
    let pool = small("across", 16, 8).build().unwrap();
    let some = take(&pool, 16).unwrap();
    std::thread::scope(|scope| {
        for part in some.chunks(5) {
            let pool = &pool;
            scope.spawn(move || put(pool, part)).join().unwrap();
        }
    });
    assert_eq!(pool.available(), 16);
    assert!(take(&pool, 16).is_some());
}

#[test]
fn one_thread_may_use_more_pools_than_it_finds_at_once() {
    let pools: Vec<_> = (0..9).map(|_| small("many", 12, 4).build().unwrap()).collect();
    for round in 0..30 {
        for (i, pool) in pools.iter().enumerate() {
            let some = take(pool, (round + i) % 12 + 1).unwrap();
            assert!(some.iter().all(|o| pool.index_of(*o).is_some()));
            put(pool, &some);
        }
    }
    assert!(pools.iter().all(|pool| pool.available() == 12));
}

//! Handles, objects and threads go in any order, and the memory goes with the last.

use crate::{BACKENDS, put, small, take};
use linecard_mempool::{Backend, Builder, Home, Mempool, Object, Pool, Pooled};
use proptest::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// How many mappings the process has of a pool of this name.
fn mappings(name: &str) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(&format!("memfd:linecard:{name}"))).count()
}

/// What this thread has cached of pools that are closed goes then.
fn use_another_pool() {
    let pool = small("another", 2, 1).build().unwrap();
    put(&pool, &take(&pool, 1).unwrap());
}

/// A thread that does what it is told until it is let go.
struct Worker {
    work: Option<Sender<Box<dyn FnOnce() + Send>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start() -> Self {
        let (work, todo) = channel::<Box<dyn FnOnce() + Send>>();
        let thread = std::thread::spawn(move || todo.iter().for_each(|work| work()));
        Worker { work: Some(work), thread: Some(thread) }
    }

    /// Does `work` there, and waits for it.
    fn run(&self, work: impl FnOnce() + Send + 'static) {
        let (done, wait) = channel();
        let work = Box::new(move || {
            work();
            done.send(()).unwrap();
        });
        self.work.as_ref().unwrap().send(work).unwrap();
        wait.recv().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.work.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Where something is done.
#[derive(Clone, Copy, Debug)]
enum On {
    Here,
    Worker(usize),
    ThreadOfItsOwn,
}

fn on() -> impl Strategy<Value = On> {
    prop_oneof![Just(On::Here), (0usize..2).prop_map(On::Worker), Just(On::ThreadOfItsOwn)]
}

fn run(workers: &[Worker], on: On, work: impl FnOnce() + Send + 'static) {
    match on {
        On::Here => work(),
        On::Worker(n) => workers[n].run(work),
        On::ThreadOfItsOwn => std::thread::spawn(work).join().unwrap(),
    }
}

/// What goes away.
enum Thing {
    Handle { _pool: Pool<Counted> },
    Value { _value: Pooled<Counted> },
}

/// Counts itself.
struct Counted {
    _all: Arc<()>,
}

fn counted(builder: Builder) -> (Pool<Counted>, Arc<()>) {
    let all = Arc::new(());
    (Pool::new(builder, || Counted { _all: all.clone() }).unwrap(), all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..Default::default() })]

    #[test]
    fn in_every_order_and_on_every_thread_all_values_and_all_memory_go(
        backend in proptest::sample::select(&BACKENDS[..]),
        cache in 0usize..5,
        warm in proptest::collection::vec(on(), 0..4),
        ends in proptest::collection::vec((any::<usize>(), on()), 12),
    ) {
        let (pool, all) = counted(small("order", 8, cache).backend(backend));
        let name = pool.raw().name().to_owned();
        prop_assert_eq!((mappings(&name), Arc::strong_count(&all)), (1, 9));
        let workers = [Worker::start(), Worker::start()];
        for on in warm {
            let pool = pool.clone();
            run(&workers, on, move || drop(pool.take()));
        }
        let mut things: Vec<_> = (0..4).filter_map(|_| pool.take()).map(|_value| Thing::Value { _value }).collect();
        things.extend([pool.clone(), pool].map(|_pool| Thing::Handle { _pool }));
        for (which, on) in ends {
            if things.is_empty() {
                break;
            }
            let thing = things.swap_remove(which % things.len());
            run(&workers, on, move || drop(thing));
            // While a value is out nothing has been dropped.
            let out = things.iter().any(|t| matches!(t, Thing::Value { .. }));
            prop_assert!(!out || Arc::strong_count(&all) == 9);
        }
        drop(things);
        drop(workers);
        // What this thread has cached goes when it touches a new pool.
        use_another_pool();
        prop_assert_eq!((mappings(&name), Arc::strong_count(&all)), (0, 1));
    }
}

#[test]
fn a_pool_that_nobody_used_goes_with_its_handle() {
    for backend in BACKENDS {
        let pool = small("unused", 4, 2).backend(backend).build().unwrap();
        let name = pool.name().to_owned();
        assert_eq!(mappings(&name), 1);
        drop(pool);
        assert_eq!(mappings(&name), 0);
    }
}

#[test]
fn the_thread_that_closes_a_pool_gives_up_what_it_has_cached() {
    let pool = small("closer", 16, 8).build().unwrap();
    let name = pool.name().to_owned();
    put(&pool, &take(&pool, 5).unwrap());
    drop(pool);
    assert_eq!(mappings(&name), 0);
}

#[test]
fn an_object_keeps_the_memory_until_it_comes_back() {
    for backend in BACKENDS {
        for cache in [0, 4] {
            let pool = small("kept", 8, cache).backend(backend).build().unwrap();
            let (name, home, some) = (pool.name().to_owned(), pool.home(), take(&pool, 2).unwrap());
            drop(pool);
            assert_eq!(mappings(&name), 1);
            give_back(home, &some[..1]);
            assert_eq!(mappings(&name), 1);
            give_back(home, &some[1..]);
            assert_eq!(mappings(&name), 0);
        }
    }
}

fn give_back(home: Home, objects: &[Object]) {
    // SAFETY: taken from the pool of this home, and returned once.
    unsafe { home.put_bulk(objects) }
}

#[test]
fn what_a_living_thread_has_cached_of_a_closed_pool_goes_when_it_uses_another() {
    let worker = Worker::start();
    let pool = small("swept", 16, 8).build().unwrap();
    let name = pool.name().to_owned();
    let there = pool.clone();
    worker.run(move || put(&there, &take(&there, 5).unwrap()));
    drop(pool);
    assert_eq!(mappings(&name), 1);
    worker.run(use_another_pool);
    assert_eq!(mappings(&name), 0);
}

#[test]
fn what_a_living_thread_has_cached_of_a_closed_pool_goes_when_it_touches_it_again() {
    let worker = Worker::start();
    let (pool, all) = counted(small("again", 16, 8));
    let there = pool.clone();
    let (give, got) = channel();
    worker.run(move || {
        drop(there.take_bulk::<5>());
        give.send(there.take().unwrap()).unwrap();
    });
    let one = got.recv().unwrap();
    drop(pool);
    assert_eq!(Arc::strong_count(&all), 17);
    worker.run(move || drop(one));
    assert_eq!(Arc::strong_count(&all), 1);
}

#[test]
fn the_last_object_races_with_the_last_handle() {
    for backend in BACKENDS {
        for cache in [0, 2] {
            (0..150).for_each(|_| race(backend, cache));
        }
    }
}

/// Two threads return objects while a third closes the pool.
fn race(backend: Backend, cache: usize) {
    let (pool, all) = counted(small("race", 4, cache).backend(backend));
    let name = pool.raw().name().to_owned();
    let (one, two) = (pool.take().unwrap(), pool.take_bulk::<2>().unwrap());
    let start = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        let wait = |end: Box<dyn FnOnce() + Send>| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                end();
            })
        };
        let threads: [Box<dyn FnOnce() + Send>; 3] =
            [Box::new(|| drop(one)), Box::new(|| drop(two)), Box::new(|| drop(pool))];
        threads.map(wait).into_iter().for_each(|thread| thread.join().unwrap());
    });
    // What this thread had cached of it goes with the cache.
    use_another_pool();
    assert_eq!((mappings(&name), Arc::strong_count(&all)), (0, 1));
}

thread_local! {
    /// Dropped when its thread ends, before or after the thread's caches.
    static KEPT: RefCell<Vec<Pooled<Counted>>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_thread_that_is_ending_may_return_objects() {
    for cache in [0, 2] {
        for values_first in [true, false] {
            let (pool, all) = counted(small("ending", 4, cache));
            let one = pool.take().unwrap();
            let thread = std::thread::spawn(move || {
                // Thread-local values go in the order in which they were first used, or the reverse.
                if values_first {
                    KEPT.with_borrow_mut(Vec::clear);
                }
                drop(pool.take());
                KEPT.with_borrow_mut(|kept| kept.push(one));
            });
            thread.join().unwrap();
            use_another_pool();
            assert_eq!(Arc::strong_count(&all), 1);
        }
    }
}

/// A value that uses another pool when it is dropped.
struct Nested(Mempool);

impl Drop for Nested {
    fn drop(&mut self) {
        put(&self.0, &take(&self.0, 1).expect("one is free"));
    }
}

#[test]
fn values_may_use_another_pool_while_their_own_goes() {
    let inner = small("inner", 8, 4).build().unwrap();
    for cache in [0, 2] {
        let outer = Pool::new(small("outer", 4, cache), || Nested(inner.clone())).unwrap();
        let worker = Worker::start();
        let there = outer.clone();
        worker.run(move || drop(there.take()));
        drop(outer);
        drop(worker);
    }
    assert_eq!(inner.available(), 8);
}

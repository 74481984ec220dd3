//! The typed pools.

use crate::small;
use linecard_mempool::{LocalPool, LocalPooled, Mempool, Object, Pool, Pooled};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

assert_impl_all!(Mempool: Send, Sync, Clone);
assert_impl_all!(Object: Send, Sync, Copy);
assert_impl_all!(Pool<Cell<u8>>: Send, Sync, Clone);
assert_impl_all!(Pooled<Cell<u8>>: Send);
assert_not_impl_any!(Pooled<Cell<u8>>: Sync, Clone);
assert_not_impl_any!(LocalPool<u8>: Send, Sync);
assert_not_impl_any!(LocalPooled<u8>: Send, Sync, Clone);

/// Counts its drops.
struct Loud(Arc<AtomicUsize>);

impl Drop for Loud {
    fn drop(&mut self) {
        // Relaxed: read after all threads were joined.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn drops(count: &AtomicUsize) -> usize {
    // Relaxed: as above.
    count.load(Ordering::Relaxed)
}

#[test]
fn values_are_dropped_once_and_not_before_the_end() {
    let count = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(small("loud", 8, 4), || Loud(count.clone())).unwrap();
    for _ in 0..20 {
        drop(pool.take_bulk::<5>().unwrap());
    }
    let late = pool.take();
    drop(pool);
    assert_eq!(drops(&count), 0);
    drop(late);
    assert_eq!(drops(&count), 8);
}

#[test]
fn values_of_a_pool_that_could_not_be_made_are_dropped() {
    let count = Arc::new(AtomicUsize::new(0));
    assert!(Pool::new(small("bad", 8, 7), || Loud(count.clone())).is_err());
    assert_eq!(drops(&count), 8);
}

#[test]
fn a_maker_that_panics_leaves_nothing_behind() {
    let count = Arc::new(AtomicUsize::new(0));
    let mut left = 5;
    let make = || {
        left -= 1;
        assert!(left > 0, "no more");
        Loud(count.clone())
    };
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Pool::new(small("panics", 8, 0), make)
    }));
    assert!(made.is_err());
    assert_eq!(drops(&count), 4);
}

#[test]
fn a_value_stays_as_it_was_left() {
    let pool = Pool::new(small("left", 1, 0), || vec![0u8; 4]).unwrap();
    pool.take().unwrap().push(7);
    assert_eq!(*pool.take().unwrap(), [0, 0, 0, 0, 7]);
}

#[test]
fn a_bulk_of_values_is_had_as_a_whole_or_not_at_all() {
    let pool = Pool::new(small("values", 5, 0), || 0u32).unwrap();
    let three = pool.take_bulk::<3>().unwrap();
    assert!(pool.take_bulk::<3>().is_none());
    assert_eq!((pool.available(), pool.in_use(), pool.size()), (2, 3, 5));
    drop(three);
    assert!(pool.take_bulk::<5>().is_some());
}

#[test]
fn values_lie_as_their_type_asks() {
    #[repr(align(512))]
    struct Wide([u8; 700]);
    let pool = Pool::new(small("wide", 6, 0), || Wide([9; 700])).unwrap();
    let all = pool.take_bulk::<6>().unwrap();
    assert!(all.iter().all(|w| w.0 == [9; 700] && std::ptr::from_ref(&**w).addr() % 512 == 0));
}

#[test]
fn values_may_have_no_bytes() {
    let pool = Pool::new(small("empty", 3, 0), || ()).unwrap();
    let all = pool.take_bulk::<3>().unwrap();
    assert!(pool.take().is_none());
    drop(all);
    assert_eq!(pool.available(), 3);
}

#[test]
fn values_move_between_threads() {
    let pool = Pool::new(small("moved", 4, 2), || 0u64).unwrap();
    let mut one = pool.take().unwrap();
    let back = std::thread::spawn(move || {
        *one = 42;
        one
    });
    assert_eq!(*back.join().unwrap(), 42);
    assert_eq!(pool.available(), 4);
}

#[test]
fn a_local_pool_lends_what_came_back_last() {
    let made = Cell::new(0);
    let pool = LocalPool::new(3, || made.replace(made.get() + 1));
    let (a, b, c) = (pool.take().unwrap(), pool.take().unwrap(), pool.take().unwrap());
    assert!(pool.take().is_none());
    assert_eq!((pool.available(), pool.in_use(), pool.size()), (0, 3, 3));
    let last = *b;
    drop((a, c, b));
    assert_eq!(*pool.take().unwrap(), last);
    assert_eq!(pool.available(), 3);
}

#[test]
fn a_local_pool_may_go_before_its_values() {
    let counter = Rc::new(());
    let pool = LocalPool::new(3, || counter.clone());
    let one = pool.take().unwrap();
    drop(pool);
    assert_eq!(Rc::strong_count(&counter), 4);
    drop(one);
    assert_eq!(Rc::strong_count(&counter), 1);
}

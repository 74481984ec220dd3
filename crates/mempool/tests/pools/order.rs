//! In which order objects come.

use crate::{put, small, take};
use linecard_mempool::Backend;

#[test]
fn a_queue_gives_what_came_back_first() {
    for backend in [Backend::Fifo, Backend::FifoRelaxed, Backend::FifoSerial] {
        let pool = small("fifo", 4, 0).backend(backend).build().unwrap();
        let mut all = take(&pool, 4).unwrap();
        all.reverse();
        all.iter().for_each(|one| put(&pool, &[*one]));
        assert_eq!(take(&pool, 4).unwrap(), all);
    }
}

#[test]
fn a_stack_gives_what_came_back_last() {
    let pool = small("lifo", 4, 0).backend(Backend::Lifo).build().unwrap();
    let all = take(&pool, 4).unwrap();
    put(&pool, &all);
    for one in all.iter().rev() {
        assert_eq!(pool.take(), Some(*one));
    }
}

#[test]
fn a_cache_gives_what_came_back_last() {
    let pool = small("warm", 64, 8).build().unwrap();
    let some = take(&pool, 6).unwrap();
    put(&pool, &some);
    assert_eq!(pool.take(), Some(some[5]));
    assert_eq!(pool.take(), Some(some[4]));
}

#[test]
fn when_a_cache_overflows_the_warmest_stay() {
    let pool = small("overflow", 64, 8).build().unwrap();
    let some = take(&pool, 20).unwrap();
    // Up to twelve fit; the thirteenth sends the coldest away.
    some[..13].iter().for_each(|one| put(&pool, &[*one]));
    for one in some[8..13].iter().rev() {
        assert_eq!(pool.take(), Some(*one));
    }
    let left = take(&pool, 64 - 12).unwrap();
    assert!(some[..8].iter().all(|one| left.contains(one)));
}

#[test]
fn bulks_larger_than_a_cache_pass_it_by() {
    let pool = small("large", 100, 8).build().unwrap();
    for n in [9, 12, 13, 50, 99, 100] {
        let some = take(&pool, n).unwrap();
        assert!(take(&pool, 101 - n).is_none());
        put(&pool, &some);
        assert_eq!(pool.available(), 100);
    }
    // With some cached: what is there and what is missing make one bulk.
    put(&pool, &take(&pool, 10).unwrap());
    let all = take(&pool, 100).unwrap();
    assert!(pool.take().is_none());
    put(&pool, &all);
}

#[test]
fn a_bulk_of_none_is_always_there() {
    let pool = small("none", 1, 0).build().unwrap();
    let one = pool.take().unwrap();
    assert!(pool.take_bulk(&mut []));
    put(&pool, &[]);
    put(&pool, &[one]);
}

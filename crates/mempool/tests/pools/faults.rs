//! What debug builds catch, where it happens.

use crate::{put, small, take};
use linecard_mempool::{Fault, Object};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Writes where a test should not.
fn scribble(object: Object, offset: usize) {
    // SAFETY: within the memory of the pool, which is alive; nobody else looks at it meanwhile.
    unsafe { object.as_ptr().add(offset).write(0xEE) }
}

/// What it panics with.
fn panic_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it should have panicked");
    panic.downcast_ref::<String>().expect("a formatted panic").clone()
}

#[test]
fn a_write_past_the_end_is_found_when_the_object_comes_back() {
    let pool = small("overflow", 4, 0).object_size(100).build().unwrap();
    let one = take(&pool, 1).unwrap();
    scribble(one[0], 100);
    let index = pool.index_of(one[0]).unwrap();
    assert!(matches!(pool.audit()[..], [Fault::Overflow { index: i, .. }] if i == index));
    let text = panic_of(|| put(&pool, &one));
    assert!(text.contains("wrote past the object's end"), "{text}");
}

#[test]
fn the_last_byte_is_still_the_object() {
    let pool = small("inside", 4, 0).object_size(100).build().unwrap();
    let one = take(&pool, 1).unwrap();
    (0..100).for_each(|offset| scribble(one[0], offset));
    put(&pool, &one);
    assert_eq!(pool.audit(), []);
}

#[test]
fn a_write_to_a_free_object_is_found_when_it_is_taken_again() {
    for cache in [0, 2] {
        let pool = small("after-free", 4, cache).build().unwrap();
        let all = take(&pool, 4).unwrap();
        put(&pool, &all);
        scribble(all[2], 33);
        let text = panic_of(|| assert!(take(&pool, 4).is_some()));
        assert!(text.contains("byte 33 changed while it was free"), "{text}");
    }
}

#[test]
fn bytes_that_are_not_watched_may_change_while_an_object_is_free() {
    let pool = small("unwatched", 1, 0).watch(8..16).build().unwrap();
    let one = pool.take().unwrap();
    put(&pool, &[one]);
    [0, 7, 16, 63].into_iter().for_each(|offset| scribble(one, offset));
    put(&pool, &[pool.take().unwrap()]);
    scribble(one, 8);
    assert!(panic_of(|| assert!(pool.take().is_none())).contains("byte 8 changed"));
}

#[test]
fn an_object_that_is_returned_twice_is_refused() {
    for cache in [0, 2] {
        let pool = small("twice", 4, cache).build().unwrap();
        let one = take(&pool, 1).unwrap();
        put(&pool, &one);
        assert!(panic_of(|| put(&pool, &one)).contains("returned twice"));
        assert_eq!(pool.available(), 4);
    }
}

#[test]
fn an_object_twice_in_one_bulk_is_refused() {
    let pool = small("bulk-twice", 4, 0).build().unwrap();
    let one = pool.take().unwrap();
    assert!(panic_of(|| put(&pool, &[one, one])).contains("returned twice"));
}

#[test]
fn an_object_of_another_pool_is_refused() {
    let (ours, theirs) =
        (small("ours", 4, 0).build().unwrap(), small("theirs", 4, 0).build().unwrap());
    let one = theirs.take().unwrap();
    assert!(panic_of(|| put(&ours, &[one])).contains("no object of this pool"));
    put(&theirs, &[one]);
}

//! Which type may go where, what errors say, and rings in the caller's memory.

use linecard_ring::{
    Consumer, Error, Full, Hts, MAX_CAPACITY, Multi, Producer, RawMemory, Ring, Rts, Single, spsc,
};
use std::cell::Cell;
use std::ptr::NonNull;

const fn send<T: Send>() {}
const fn sync<T: Sync>() {}

/// Compiles, and so holds. What must not compile is in the crate's own documentation tests.
const _: () = {
    send::<Ring<Cell<u8>, Single, Single>>();
    sync::<Ring<Cell<u8>, Single, Single>>();
    sync::<Ring<Box<u8>, Multi, Rts>>();
    send::<Producer<Cell<u8>, Single, Multi>>();
    send::<Producer<String, Hts, Single>>();
    send::<Consumer<Cell<u8>, Multi, Single>>();
    send::<Consumer<String, Rts, Hts>>();
    send::<Error>();
    sync::<Error>();
    send::<RawMemory>();
};

#[test]
fn a_ring_of_none_or_of_too_many_is_an_error_that_names_the_limit() {
    for asked in [0, MAX_CAPACITY + 1, usize::MAX] {
        let error = spsc::<()>(asked).unwrap_err();
        assert_eq!(error, Error::Capacity { asked });
        let text = error.to_string();
        assert!(text.contains(&asked.to_string()) && text.contains("1 to 1073741824"), "{text}");
    }
    assert_eq!(Ring::<u8, Multi, Multi>::bytes_for(0), Err(Error::Capacity { asked: 0 }));
}

#[test]
fn the_largest_ring_is_neither_full_when_empty_nor_empty_when_full() {
    let (mut tx, mut rx) = Ring::<(), Hts, Single>::new(MAX_CAPACITY).unwrap().split().unwrap();
    let chunk = tx.reserve_bulk(MAX_CAPACITY).unwrap();
    // SAFETY: elements without size need no writing.
    unsafe { chunk.commit(MAX_CAPACITY) };
    assert!(tx.is_full() && tx.enqueue(()).is_err());
    assert_eq!(rx.peek_burst(usize::MAX).len(), MAX_CAPACITY);
    // Dropping them one by one would take long.
    std::mem::forget(rx);
}

#[test]
fn errors_say_what_to_do() {
    let small = Error::MemoryTooSmall { needed: 1000, given: 7 }.to_string();
    assert!(small.contains("1000") && small.contains('7') && small.contains("bytes_for"));
    assert!(Error::MemoryUnaligned.to_string().contains("128 bytes"));
    assert!(Error::NotThisRing.to_string().contains("create it first"));
    assert!(Error::Taken.to_string().contains("one handle"));
    assert!(Error::NoMemory.to_string().contains("smaller"));
    assert_eq!(Full(1).to_string(), "the ring is full");
}

#[test]
fn debug_output_names_capacity_and_length() {
    let (mut tx, rx) = spsc(4).unwrap();
    tx.enqueue(1).unwrap();
    assert_eq!(format!("{rx:?}"), "Consumer { capacity: 4, len: 1, .. }");
}

#[repr(C, align(128))]
struct Lines([u8; 1024]);

/// Memory that lives for ever.
fn lines() -> NonNull<u8> {
    NonNull::from(Box::leak(Box::new(Lines([0; 1024])))).cast()
}

#[test]
fn a_ring_in_caller_memory_is_shared_by_all_that_attach() {
    let base = lines();
    // SAFETY: the lines live for ever, and only rings touch them.
    let memory = || unsafe { RawMemory::new(base, 1024) };
    let ring = Ring::<u32, Single, Single>::create_in(memory(), 5).unwrap();
    let same = Ring::<u32, Single, Single>::attach(memory()).unwrap();
    assert_eq!((ring.capacity(), same.capacity()), (5, 5));
    let mut tx = ring.producer().unwrap();
    assert_eq!(same.producer().unwrap_err(), Error::Taken);
    tx.enqueue(7).unwrap();
    drop(ring);
    assert_eq!(same.consumer().unwrap().dequeue(), Some(7));
}

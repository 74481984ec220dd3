//! Who may hold a handle, who is told, and what becomes of what is left.

use linecard_ring::{Error, Hts, Multi, Ring, Rts, Single, mpmc, spsc};
use std::sync::Arc;
use std::thread;

#[test]
fn dropping_the_ring_drops_what_is_left() {
    let life = Arc::new(());
    let (mut tx, mut rx) = spsc(3).unwrap();
    for _ in 0..5 {
        tx.enqueue(Arc::clone(&life)).unwrap();
        tx.enqueue(Arc::clone(&life)).unwrap();
        drop(rx.dequeue());
        drop(rx.dequeue());
    }
    assert_eq!(tx.enqueue_burst(&mut vec![Arc::clone(&life); 4]), 3);
    drop(tx);
    assert_eq!(Arc::strong_count(&life), 4);
    drop(rx);
    assert_eq!(Arc::strong_count(&life), 1);
}

#[test]
fn a_ring_lives_as_long_as_any_handle() {
    let ring = Ring::<_, Multi, Single>::new(1).unwrap();
    let mut rx = ring.consumer().unwrap();
    ring.enqueue("still there").unwrap();
    drop(ring);
    assert_eq!(rx.dequeue(), Some("still there"));
}

#[test]
fn a_single_side_has_one_handle_and_can_be_claimed_again() {
    let ring = Ring::<u8, Single, Single>::new(2).unwrap();
    let mut tx = ring.producer().unwrap();
    let mut rx = ring.consumer().unwrap();
    assert_eq!(ring.producer().unwrap_err(), Error::Taken);
    assert_eq!(ring.consumer().unwrap_err(), Error::Taken);
    tx.enqueue(1).unwrap();
    drop(tx);
    let mut tx = ring.producer().unwrap();
    tx.enqueue(2).unwrap();
    assert!(tx.enqueue(3).is_err());
    assert_eq!(rx.dequeue(), Some(1));
    drop(rx);
    assert_eq!(ring.consumer().unwrap().dequeue(), Some(2));
}

#[test]
fn a_ring_whose_single_side_is_taken_cannot_be_split() {
    let ring = Ring::<u8, Multi, Single>::new(2).unwrap();
    let _rx = ring.consumer().unwrap();
    assert_eq!(ring.clone().split().unwrap_err(), Error::Taken);
    let tx = ring.producer().unwrap();
    drop(ring);
    assert!(!tx.is_closed());
}

#[test]
fn clones_of_a_concurrent_handle_feed_the_same_ring() {
    let (tx, mut rx) = Ring::<_, Rts, Hts>::new(4).unwrap().split().unwrap();
    let threads = [1, 2, 3].map(|number| {
        let mut tx = tx.clone();
        assert!(tx.feeds(&rx));
        thread::spawn(move || tx.enqueue(number).unwrap())
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut out = Vec::with_capacity(3);
    assert!(rx.clone().dequeue_bulk(&mut out, 2) && rx.dequeue_bulk(&mut out, 1));
    out.sort_unstable();
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn handles_of_two_rings_do_not_feed_each_other() {
    let (tx, _rx) = spsc::<u8>(1).unwrap();
    let (_tx, rx) = spsc::<u8>(1).unwrap();
    assert!(!tx.feeds(&rx));
}

#[test]
fn an_end_is_closed_once_every_handle_of_the_other_is_gone() {
    let (tx, rx) = mpmc::<u8>(1).unwrap();
    let other = tx.clone();
    drop(tx);
    assert!(!rx.is_closed());
    drop(other);
    assert!(rx.is_closed());
}

#[test]
fn what_was_sent_before_closing_is_still_received() {
    let (mut tx, mut rx) = spsc(8).unwrap();
    let sender = thread::spawn(move || (0..1000).for_each(|n| send(&mut tx, n)));
    let mut expected = 0..1000;
    loop {
        let closed = rx.is_closed();
        match rx.dequeue() {
            Some(n) => assert_eq!(Some(n), expected.next()),
            None if closed => break,
            None => thread::yield_now(),
        }
    }
    assert_eq!(expected.next(), None);
    sender.join().unwrap();
}

fn send(tx: &mut linecard_ring::Producer<u32, Single, Single>, n: u32) {
    while tx.enqueue(n).is_err() {
        thread::yield_now();
    }
}

#[test]
fn a_ring_used_without_handles_never_looks_open() {
    let ring = Ring::<u8, Multi, Multi>::new(1).unwrap();
    ring.enqueue(1).unwrap();
    assert!(ring.consumer().unwrap().is_closed());
}

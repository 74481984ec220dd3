//! Closing, dropping, and handles that come and go.

use crate::harness::{exhaust, explore, join, receive, ring, send, settle};
use linecard_ring::{Concurrent, Error, Multi, Ring, Side, Single};
use linecard_ring_checks::{concurrent_producers, every_pair, parcels};
use loom::thread::spawn;
use std::sync::Arc;

/// Once closed and then empty, nothing more comes, and nothing is missing.
fn closed_and_empty_is_final<P: Concurrent, C: Side>() {
    explore(3, || {
        let (tx, mut rx) = ring::<P, C>(2, 0);
        let producers = [0, 1].map(|sender| {
            let mut tx = tx.clone();
            spawn(move || send(&mut tx, parcels(sender, 1)))
        });
        drop(tx);
        let was_closed = rx.is_closed();
        let got = receive(&mut rx, 2);
        assert!(!was_closed || got.len() == 2, "closed, and then empty too early");
        let sent = join(producers);
        assert!(rx.is_closed());
        settle(&sent, got, &mut rx);
    });
}

/// As above, with one producer.
fn a_lone_producer_closes<P: Side, C: Side>() {
    exhaust(|| {
        let (mut tx, mut rx) = ring::<P, C>(1, 0);
        let producer = spawn(move || send(&mut tx, parcels(0, 1)));
        let was_closed = rx.is_closed();
        let got = receive(&mut rx, 1);
        assert!(!was_closed || got.len() == 1, "closed, and then empty too early");
        settle(&join([producer]), got, &mut rx);
    });
}

/// Whichever handle goes last drops what is left, once.
fn what_is_left_is_dropped_once<P: Side, C: Side>() {
    exhaust(|| {
        let life = Arc::new(());
        let (mut tx, mut rx) = Ring::<_, P, C>::new(2).unwrap().split().unwrap();
        let lives = [Arc::clone(&life), Arc::clone(&life), Arc::clone(&life)];
        let producer = spawn(move || {
            lives.into_iter().for_each(|life| drop(tx.enqueue(life)));
        });
        drop(rx.dequeue());
        drop(rx);
        producer.join().unwrap();
        assert_eq!(Arc::strong_count(&life), 1);
    });
}

/// The next owner of a single side goes on where the last one stopped.
#[test]
fn a_single_side_changes_hands() {
    explore(3, || {
        let ring = Ring::<_, Single, Multi>::new(2).unwrap();
        let mut rx = ring.consumer().unwrap();
        let mut tx = ring.producer().unwrap();
        let first = spawn(move || send(&mut tx, parcels(0, 1)));
        let second = spawn(move || match ring.producer() {
            Ok(mut tx) => send(&mut tx, parcels(1, 1)),
            Err(error) => {
                assert_eq!(error, Error::Taken);
                Vec::new()
            }
        });
        let got = receive(&mut rx, 1);
        let sent = join([first, second]);
        assert!(!sent.is_empty());
        settle(&sent, got, &mut rx);
    });
}

every_pair! { a_lone_producer_closes what_is_left_is_dropped_once }
concurrent_producers! { closed_and_empty_is_final }

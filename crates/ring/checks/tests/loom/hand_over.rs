//! Elements handed over one by one and in bulk.

use crate::harness::{exhaust, explore, join, receive, ring, send, settle};
use linecard_ring::{Concurrent, Consumer, Side, Single};
use linecard_ring_checks::{
    Parcel, assert_exactly_once, assert_in_order, concurrent_consumers, concurrent_pairs,
    concurrent_producers, every_pair, parcels,
};
use loom::thread::spawn;

/// Two elements a producer into a ring of two, so that it is full, and wraps.
fn two_producers_lose_nothing<P: Concurrent, C: Side>() {
    explore(3, || {
        let (tx, mut rx) = ring::<P, C>(2, 0);
        let producers = [0, 1].map(|sender| {
            let mut tx = tx.clone();
            spawn(move || send(&mut tx, parcels(sender, 2)))
        });
        let got = receive(&mut rx, 2);
        let sent = join(producers);
        assert!(sent.len() >= 2, "refused where there was room");
        settle(&sent, got, &mut rx);
    });
}

/// A ring of two, filled, and emptied by two at once while its producer goes on.
fn two_consumers_get_nothing_twice<P: Side, C: Concurrent>() {
    explore(3, || {
        let (mut tx, mut rx) = ring::<P, C>(2, 1);
        let mut sent = send(&mut tx, parcels(0, 2));
        let consumers = [(); 2].map(|()| {
            let mut rx = rx.clone();
            spawn(move || receive(&mut rx, 2))
        });
        sent.extend(send(&mut tx, vec![Parcel { sender: 0, number: 2 }]));
        let got = consumers.map(|thread| thread.join().unwrap());
        got.iter().for_each(|got| assert_in_order(got));
        assert!(got.iter().flatten().count() >= 2, "empty where there were elements");
        let left = receive(&mut rx, 3);
        assert_exactly_once(&sent, &[got.concat(), left].concat());
    });
}

/// A burst of up to two, as a vector.
fn burst<P: Side, C: Side>(rx: &mut Consumer<Parcel, P, C>) -> Vec<Parcel> {
    let mut got = Vec::with_capacity(2);
    rx.dequeue_burst(&mut got, 2);
    got
}

/// Two bulks of two across the wrap of a ring of three: only one fits until a burst is taken.
fn bulks_are_whole_and_do_not_mix<P: Concurrent, C: Side>() {
    explore(3, || {
        let (tx, mut rx) = ring::<P, C>(3, 3);
        let producers = [0, 1].map(|sender| {
            let mut tx = tx.clone();
            spawn(move || {
                let mut bulk = parcels(sender, 2);
                if tx.enqueue_bulk(&mut bulk) { parcels(sender, 2) } else { Vec::new() }
            })
        });
        let mut got = burst(&mut rx);
        let sent = join(producers);
        got.extend(receive(&mut rx, 4));
        got.chunks(2).for_each(|pair| assert_eq!(pair[0].sender, pair[1].sender));
        settle(&sent, got, &mut rx);
    });
}

/// Two bursts of two at once from a ring that holds three, across the wrap.
fn bursts_share_what_there_is<P: Side, C: Concurrent>() {
    explore(3, || {
        let (mut tx, mut rx) = ring::<P, C>(3, 2);
        assert!(tx.enqueue_bulk(&mut parcels(0, 3)));
        let other = {
            let mut rx = rx.clone();
            spawn(move || burst(&mut rx))
        };
        let mine = burst(&mut rx);
        let others = other.join().unwrap();
        assert_eq!(mine.len() + others.len(), 3);
        [&mine, &others].into_iter().for_each(|got| assert_in_order(got));
        assert_exactly_once(&parcels(0, 3), &[mine, others].concat());
    });
}

/// Three elements through a ring of two; one thread a side.
fn one_thread_a_side<P: Side, C: Side>() {
    exhaust(|| {
        let (mut tx, mut rx) = ring::<P, C>(2, 1);
        let producer = spawn(move || {
            let mut sent = if tx.enqueue_bulk(&mut parcels(0, 2)) { parcels(0, 2) } else { vec![] };
            sent.extend(send(&mut tx, vec![Parcel { sender: 0, number: 2 }]));
            sent
        });
        let got = receive(&mut rx, 3);
        let sent = join([producer]);
        assert!(sent.len() >= 2);
        settle(&sent, got, &mut rx);
    });
}

/// Everything that the wait-free pair can do, without any bound.
#[test]
fn single_sides_without_any_bound() {
    exhaust(|| {
        let (mut tx, mut rx) = ring::<Single, Single>(2, 3);
        let producer = spawn(move || {
            let mut sent = send(&mut tx, parcels(0, 2));
            let mut more = vec![Parcel { sender: 0, number: 2 }, Parcel { sender: 0, number: 3 }];
            let n = tx.enqueue_burst(&mut more.clone());
            sent.extend(more.drain(..n));
            sent
        });
        let mut got = receive(&mut rx, 2);
        got.extend(burst(&mut rx));
        let sent = join([producer]);
        settle(&sent, got, &mut rx);
    });
}

/// Two threads a side at once.
fn two_threads_a_side<P: Concurrent, C: Concurrent>() {
    explore(2, || {
        let (mut tx, mut rx) = ring::<P, C>(1, 0);
        let producer = {
            let mut tx = tx.clone();
            spawn(move || send(&mut tx, parcels(0, 1)))
        };
        let consumers = [(); 2].map(|()| {
            let mut rx = rx.clone();
            spawn(move || receive(&mut rx, 1))
        });
        let mut sent = send(&mut tx, parcels(1, 1));
        sent.extend(join([producer]));
        let got = join(consumers);
        let left = receive(&mut rx, 2);
        assert_exactly_once(&sent, &[got, left].concat());
    });
}

every_pair! { one_thread_a_side }
concurrent_producers! { two_producers_lose_nothing bulks_are_whole_and_do_not_mix }
concurrent_consumers! { two_consumers_get_nothing_twice bursts_share_what_there_is }
concurrent_pairs! { two_threads_a_side }

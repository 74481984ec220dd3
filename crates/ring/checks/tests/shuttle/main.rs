//! Random interleavings of more threads and longer runs than loom can exhaust, sequentially
//! consistent. What the calls of all kinds must keep to is the same.
#![cfg(shuttle)]

use linecard_ring::{Concurrent, Consumer, Producer, Ring, Side};
use linecard_ring_checks::{
    Parcel, assert_exactly_once, assert_in_order, concurrent_pairs, every_pair, parcels,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};

mod in_place;

/// Elements a sender.
const EACH: u32 = 12;

/// Runs `model` under two kinds of schedule: purely random ones, and ones that are random but for
/// a few changes of priority, which starve a thread for long.
fn explore(model: fn()) {
    shuttle::check_random(model, 4_000);
    shuttle::check_pct(model, 2_000, 3);
}

/// Sends all by calls of every kind, until the ring has taken them.
fn send_all<P: Side, C: Side>(tx: &mut Producer<Parcel, P, C>, mut parcels: Vec<Parcel>) {
    while !parcels.is_empty() {
        match thread_rng().gen_range(0..3u32) {
            0 => drop(tx.enqueue(parcels[0]).map(|()| parcels.remove(0))),
            1 => drop(tx.enqueue_burst(&mut parcels)),
            _ => send_bulk(tx, &mut parcels),
        }
        thread::yield_now();
    }
}

/// Two at once, or what is left.
fn send_bulk<P: Side, C: Side>(tx: &mut Producer<Parcel, P, C>, parcels: &mut Vec<Parcel>) {
    let mut bulk: Vec<_> = parcels.drain(..parcels.len().min(2)).collect();
    if tx.enqueue_bulk(&mut bulk) {
        assert!(bulk.is_empty());
    } else {
        parcels.splice(..0, bulk);
    }
}

/// Gets by calls of every kind, until the other side is closed and the ring empty.
fn receive_all<P: Side, C: Side>(rx: &mut Consumer<Parcel, P, C>) -> Vec<Parcel> {
    let mut got = Vec::new();
    loop {
        let closed = rx.is_closed();
        if !receive_some(rx, &mut got) && closed && rx.dequeue().is_none_or(|p| keep(&mut got, p)) {
            return got;
        }
        thread::yield_now();
    }
}

/// Keeps what was taken to see whether the ring was empty: it was not.
fn keep(got: &mut Vec<Parcel>, parcel: Parcel) -> bool {
    got.push(parcel);
    false
}

fn receive_some<P: Side, C: Side>(rx: &mut Consumer<Parcel, P, C>, got: &mut Vec<Parcel>) -> bool {
    let before = got.len();
    let mut some = Vec::with_capacity(3);
    match thread_rng().gen_range(0..3u32) {
        0 => some.extend(rx.dequeue()),
        1 => assert_eq!(rx.dequeue_burst(&mut some, 3), some.len()),
        _ => assert_eq!(rx.dequeue_bulk(&mut some, 2), some.len() == 2),
    }
    got.append(&mut some);
    got.len() > before
}

type Receiver = JoinHandle<Vec<Parcel>>;

/// Joins, and checks that `senders` senders' parcels all arrived.
fn settle(senders: u32, receivers: Vec<Receiver>) {
    let got: Vec<_> = receivers.into_iter().map(|thread| thread.join().unwrap()).collect();
    got.iter().for_each(|got| assert_in_order(got));
    let sent: Vec<_> = (0..senders).flat_map(|sender| parcels(sender, EACH)).collect();
    assert_exactly_once(&sent, &got.concat());
}

/// Three threads a side through a ring of three slots.
fn three_producers_and_three_consumers<P: Concurrent, C: Concurrent>() {
    explore(|| {
        let (tx, rx) = Ring::<_, P, C>::new(3).unwrap().split().unwrap();
        let producers = (0..3).map(|sender| (sender, tx.clone()));
        for (sender, mut tx) in producers.collect::<Vec<_>>() {
            thread::spawn(move || send_all(&mut tx, parcels(sender, EACH)));
        }
        drop(tx);
        let consumers = (0..3).map(|_| rx.clone()).collect::<Vec<_>>().into_iter();
        let receivers =
            consumers.map(|mut rx| thread::spawn(move || receive_all(&mut rx))).collect();
        settle(3, receivers);
    });
}

/// One thread a side, every pair.
fn one_producer_and_one_consumer<P: Side, C: Side>() {
    explore(|| {
        let (mut tx, mut rx) = Ring::<_, P, C>::new(3).unwrap().split().unwrap();
        thread::spawn(move || send_all(&mut tx, parcels(0, EACH)));
        settle(1, vec![thread::spawn(move || receive_all(&mut rx))]);
    });
}

/// Through the ring itself, with no handle at all; the threads know how many there are.
fn a_shared_ring_needs_no_handles<P: Concurrent, C: Concurrent>() {
    explore(|| {
        let ring = Ring::<Parcel, P, C>::new(2).unwrap();
        for sender in 0..2 {
            let ring = ring.clone();
            thread::spawn(move || {
                for mut parcel in parcels(sender, EACH) {
                    while let Err(full) = ring.enqueue(parcel) {
                        parcel = full.0;
                        thread::yield_now();
                    }
                }
            });
        }
        let receivers = (0..2).map(|_| {
            let ring = ring.clone();
            thread::spawn(move || receive_number(&ring, EACH as usize))
        });
        settle(2, receivers.collect::<Vec<_>>());
    });
}

fn receive_number<P: Concurrent, C: Concurrent>(
    ring: &Ring<Parcel, P, C>,
    n: usize,
) -> Vec<Parcel> {
    let mut got = Vec::with_capacity(n);
    while got.len() < n {
        let left = n - got.len();
        ring.dequeue_burst(&mut got, left);
        assert!(ring.len() <= ring.capacity());
        thread::yield_now();
    }
    got
}

every_pair! { one_producer_and_one_consumer }
concurrent_pairs! { three_producers_and_three_consumers a_shared_ring_needs_no_handles }

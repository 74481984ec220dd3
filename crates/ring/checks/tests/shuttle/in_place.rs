//! Peeking, reserving and giving back, by three threads a side.

use crate::{EACH, Receiver, explore, settle};
use linecard_ring::{Consumer, Exclusive, Hts, Producer, Ring, Side, Single};
use linecard_ring_checks::{Parcel, parcels};
use shuttle::thread;

/// Reserves, gives back, reserves and fills, until the ring has taken all.
fn fill_all<P: Exclusive, C: Side>(tx: &mut Producer<Parcel, P, C>, mut parcels: Vec<Parcel>) {
    while !parcels.is_empty() {
        drop(tx.reserve_burst(2));
        let n = tx.reserve_burst(2).fill(parcels.iter().copied());
        parcels.drain(..n);
        thread::yield_now();
    }
}

/// Looks, takes at most one of two, gives the other back; until closed and empty.
fn peek_all<P: Side, C: Exclusive>(rx: &mut Consumer<Parcel, P, C>) -> Vec<Parcel> {
    let mut got = Vec::new();
    loop {
        let closed = rx.is_closed();
        let chunk = rx.peek_burst(2);
        let looked: Vec<_> = chunk.items().concat();
        let mut taken = Vec::with_capacity(1);
        chunk.take(&mut taken, 1);
        assert_eq!(taken.first(), looked.first());
        got.append(&mut taken);
        if looked.is_empty() && closed {
            return got;
        }
        thread::yield_now();
    }
}

fn in_place<P: Exclusive, C: Exclusive>(
    senders: Vec<Producer<Parcel, P, C>>,
    receivers: Vec<Consumer<Parcel, P, C>>,
) {
    let n = senders.len() as u32;
    for (sender, mut tx) in (0..).zip(senders) {
        thread::spawn(move || fill_all(&mut tx, parcels(sender, EACH)));
    }
    let start = |mut rx| -> Receiver { thread::spawn(move || peek_all(&mut rx)) };
    settle(n, receivers.into_iter().map(start).collect());
}

#[test]
fn three_threads_a_side_in_place() {
    explore(|| {
        let (tx, rx) = Ring::<_, Hts, Hts>::new(3).unwrap().split().unwrap();
        in_place(vec![tx.clone(), tx.clone(), tx], vec![rx.clone(), rx.clone(), rx]);
    });
}

#[test]
fn one_thread_a_side_in_place() {
    explore(|| {
        let (tx, rx) = Ring::<_, Single, Single>::new(3).unwrap().split().unwrap();
        in_place(vec![tx], vec![rx]);
    });
}

//! Elements in place: what is given back is as if it had never been claimed.

use crate::harness::{exhaust, explore, join, receive, ring, send, settle};
use linecard_ring::{Exclusive, Hts, Side};
use linecard_ring_checks::{
    Parcel, assert_exactly_once, exclusive_consumers, exclusive_producers, parcels,
};
use loom::thread::spawn;

/// Looks at the first element, gives it back, takes it; its slot is written again meanwhile.
fn what_is_peeked_and_given_back_stays<P: Side, C: Exclusive>() {
    exhaust(|| {
        let (mut tx, mut rx) = ring::<P, C>(1, 0);
        let mut sent = send(&mut tx, parcels(0, 1));
        let producer = spawn(move || send(&mut tx, vec![Parcel { sender: 0, number: 1 }]));
        let looked = rx.peek_bulk(1).unwrap().item(0);
        let mut got = Vec::with_capacity(2);
        assert_eq!(rx.peek_burst(2).take(&mut got, 2), 1);
        assert_eq!(got, [looked]);
        sent.extend(join([producer]));
        settle(&sent, got, &mut rx);
    });
}

/// Writes two slots, commits one of them, and then gives a written slot back.
fn what_is_reserved_and_given_back_is_free<P: Exclusive, C: Side>() {
    exhaust(|| {
        let (mut tx, mut rx) = ring::<P, C>(2, 1);
        let producer = spawn(move || {
            let mut chunk = tx.reserve_bulk(2).unwrap();
            parcels(0, 2).into_iter().enumerate().for_each(|(i, parcel)| chunk.write(i, parcel));
            // SAFETY: both slots have been written; the second is given back.
            unsafe { chunk.commit(1) };
            let mut chunk = tx.reserve_burst(2);
            if !chunk.is_empty() {
                chunk.write(0, Parcel { sender: 1, number: 0 });
            }
            drop(chunk);
            let n = tx.reserve_burst(2).fill(parcels(2, 2));
            [parcels(0, 1), parcels(2, n as u32)].concat()
        });
        let got = receive(&mut rx, 2);
        let sent = join([producer]);
        assert!(sent.len() >= 2);
        settle(&sent, got, &mut rx);
    });
}

/// One thread looks and gives back while another takes, and the slot is written again meanwhile.
fn peeks_of_two_threads<P: Side>() {
    explore(3, || {
        let (mut tx, mut rx) = ring::<P, Hts>(1, 0);
        let mut sent = send(&mut tx, parcels(0, 1));
        let other = {
            let mut rx = rx.clone();
            spawn(move || {
                if let Some(chunk) = rx.peek_bulk(1) {
                    assert_eq!(chunk.item(0), chunk.item(0));
                }
                Vec::new()
            })
        };
        let taker = {
            let mut rx = rx.clone();
            spawn(move || receive(&mut rx, 1))
        };
        sent.extend(send(&mut tx, vec![Parcel { sender: 0, number: 1 }]));
        let got = join([other, taker]);
        assert_eq!(got.first(), sent.first());
        settle(&sent, got, &mut rx);
    });
}

/// One thread writes a slot and gives it back, another fills it, and a third takes it.
fn reserves_of_two_threads<C: Side>() {
    explore(3, || {
        let (mut tx, mut rx) = ring::<Hts, C>(1, 0);
        let other = {
            let mut tx = tx.clone();
            spawn(move || {
                if let Some(mut chunk) = tx.reserve_bulk(1) {
                    chunk.write(0, Parcel { sender: 9, number: 9 });
                }
                Vec::new()
            })
        };
        let filler = spawn(move || {
            let n = tx.reserve_burst(1).fill(parcels(0, 1));
            parcels(0, n as u32)
        });
        let got = receive(&mut rx, 1);
        let sent = join([other, filler]);
        assert_eq!(sent.len(), 1);
        settle(&sent, got, &mut rx);
    });
}

/// Two threads take parts of what they claimed, serialised by the side.
#[test]
fn parts_taken_by_two_threads() {
    explore(3, || {
        let (mut tx, mut rx) = ring::<Hts, Hts>(3, 2);
        assert_eq!(tx.reserve_burst(3).fill(parcels(0, 3)), 3);
        let other = {
            let mut rx = rx.clone();
            spawn(move || {
                let mut got = Vec::with_capacity(1);
                rx.peek_burst(2).take(&mut got, 1);
                got
            })
        };
        rx.peek_bulk(1).unwrap().commit(0);
        let mut got = Vec::with_capacity(3);
        rx.peek_burst(3).take(&mut got, 2);
        got.extend(join([other]));
        assert_exactly_once(&parcels(0, 3), &got);
    });
}

exclusive_consumers! { what_is_peeked_and_given_back_stays }
exclusive_producers! { what_is_reserved_and_given_back_is_free }

mod two_threads {
    use linecard_ring::{Hts, Multi, Rts, Single};

    #[test]
    fn peek_after_each_kind_of_producer() {
        super::peeks_of_two_threads::<Single>();
        super::peeks_of_two_threads::<Multi>();
        super::peeks_of_two_threads::<Rts>();
        super::peeks_of_two_threads::<Hts>();
    }

    #[test]
    fn reserve_before_each_kind_of_consumer() {
        super::reserves_of_two_threads::<Single>();
        super::reserves_of_two_threads::<Multi>();
        super::reserves_of_two_threads::<Rts>();
        super::reserves_of_two_threads::<Hts>();
    }
}

//! Reserving, peeking, and giving back.

use linecard_ring::{Hts, Ring, Single, spsc};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

#[test]
fn an_uncommitted_reservation_adds_nothing() {
    let (mut tx, mut rx) = spsc(4).unwrap();
    tx.reserve_bulk(3).unwrap().slots()[0][0].write(7);
    assert!(rx.dequeue().is_none());
    assert_eq!(tx.reserve_burst(9).fill(1..), 4);
    assert_eq!(rx.dequeue(), Some(1));
}

#[test]
fn what_is_not_committed_of_a_reservation_is_free_again() {
    let (mut tx, mut rx) = spsc(2).unwrap();
    let mut chunk = tx.reserve_bulk(2).unwrap();
    chunk.slots()[0][0].write(1);
    // SAFETY: the first slot has been written.
    unsafe { chunk.commit(1) };
    tx.enqueue(2).unwrap();
    assert_eq!([rx.dequeue(), rx.dequeue(), rx.dequeue()], [Some(1), Some(2), None]);
}

#[test]
fn a_reservation_of_more_than_there_is_room_for_is_none_or_less() {
    let (mut tx, _rx) = spsc::<u8>(2).unwrap();
    assert!(tx.reserve_bulk(3).is_none());
    assert_eq!(tx.reserve_burst(3).len(), 2);
}

#[test]
fn runs_go_on_after_the_wrap() {
    let (mut tx, mut rx) = spsc(4).unwrap();
    assert!(tx.enqueue_bulk(&mut &[0, 0, 0][..]));
    rx.peek_bulk(3).unwrap().commit(3);
    assert_eq!(tx.reserve_bulk(3).unwrap().slots().map(|run| run.len()), [1, 2]);
    assert!(tx.enqueue_bulk(&mut &[1, 2, 3][..]));
    assert_eq!(rx.peek_burst(4).items(), [&[1][..], &[2, 3]]);
}

#[test]
fn what_is_peeked_stays_until_committed_or_taken() {
    let ring = Ring::<_, Hts, Hts>::new(4).unwrap();
    let mut rx = ring.consumer().unwrap();
    assert!(ring.enqueue_bulk(&mut vec!["a", "b", "c"]));
    assert_eq!(rx.peek_bulk(2).unwrap().items()[0], ["a", "b"]);
    assert_eq!(rx.len(), 3);
    rx.peek_burst(2).commit(1);
    let mut out = Vec::with_capacity(1);
    assert_eq!(rx.peek_burst(2).take(&mut out, 2), 1);
    assert_eq!((out, rx.dequeue()), (vec!["b"], Some("c")));
}

#[test]
fn peeking_for_more_than_there_is_gives_none_or_less() {
    let (mut tx, mut rx) = spsc(4).unwrap();
    tx.enqueue(1).unwrap();
    assert!(rx.peek_bulk(2).is_none());
    assert_eq!(rx.peek_burst(2).len(), 1);
}

#[test]
fn elements_committed_by_a_consumer_are_dropped() {
    let (mut tx, mut rx) = spsc(2).unwrap();
    let life = Arc::new(());
    assert!(tx.enqueue_bulk(&mut vec![Arc::clone(&life), Arc::clone(&life)]));
    rx.peek_bulk(2).unwrap().commit(1);
    assert_eq!((Arc::strong_count(&life), rx.len()), (2, 1));
}

#[test]
fn an_iterator_that_panics_while_filling_adds_and_leaks_nothing() {
    let (mut tx, mut rx) = spsc(4).unwrap();
    let life = Arc::new(());
    let items = (0..3).map(|i| if i < 2 { Arc::clone(&life) } else { panic!("no third") });
    let filled = catch_unwind(AssertUnwindSafe(|| tx.reserve_bulk(4).unwrap().fill(items)));
    assert!(filled.is_err() && rx.dequeue().is_none());
    assert_eq!(Arc::strong_count(&life), 1);
    tx.enqueue(life).unwrap();
    assert!(rx.dequeue().is_some());
}

/// Panics when dropped, if it is to.
struct Grenade {
    armed: bool,
    _life: Arc<()>,
}

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(!self.armed, "as told");
    }
}

#[test]
fn an_element_that_panics_when_committed_takes_no_other_with_it() {
    let ring = Ring::<_, Hts, Single>::new(4).unwrap();
    let mut rx = ring.consumer().unwrap();
    let life = Arc::new(());
    let grenades = [false, true, false].map(|armed| Grenade { armed, _life: Arc::clone(&life) });
    assert!(ring.enqueue_bulk(&mut Vec::from(grenades)));
    let committed = catch_unwind(AssertUnwindSafe(|| rx.peek_bulk(3).unwrap().commit(3)));
    assert!(committed.is_err());
    assert_eq!((rx.len(), Arc::strong_count(&life)), (1, 2));
}

#[test]
#[should_panic(expected = "committed 3 of 2")]
fn committing_more_than_was_peeked_panics() {
    let (mut tx, mut rx) = spsc(2).unwrap();
    assert!(tx.enqueue_bulk(&mut &[1, 2][..]));
    rx.peek_burst(2).commit(3);
}

//! What single, bulk and burst calls move.

use linecard_ring::{Fill, Full, Hts, Multi, Ring, Rts, mpmc, spsc};

#[test]
fn a_bulk_moves_all_or_none() {
    let (mut tx, mut rx) = spsc(4).unwrap();
    let mut words = vec!["a", "b", "c"];
    assert!(tx.enqueue_bulk(&mut words));
    assert!(words.is_empty());
    words.extend(["d", "e"]);
    assert!(!tx.enqueue_bulk(&mut words));
    assert_eq!(words, ["d", "e"]);
    let mut out = Vec::with_capacity(4);
    assert!(!rx.dequeue_bulk(&mut out, 4));
    assert!(out.is_empty());
    assert!(rx.dequeue_bulk(&mut out, 3));
    assert_eq!(out, ["a", "b", "c"]);
}

#[test]
fn a_burst_leaves_the_rest_in_the_source() {
    let (mut tx, mut rx) = spsc(2).unwrap();
    let mut words = vec!["a", "b", "c"];
    assert_eq!(tx.enqueue_burst(&mut words), 2);
    assert_eq!(words, ["c"]);
    let mut out = Vec::with_capacity(8);
    assert_eq!(rx.dequeue_burst(&mut out, 8), 2);
    assert_eq!(out, ["a", "b"]);
}

#[test]
fn a_sink_is_never_filled_beyond_its_room() {
    let (mut tx, mut rx) = spsc(8).unwrap();
    assert!(tx.enqueue_bulk(&mut &[1, 2, 3, 4][..]));
    let mut out = [0; 3];
    let mut fill = Fill::new(&mut out);
    assert!(!rx.dequeue_bulk(&mut fill, 4));
    assert_eq!(rx.dequeue_burst(&mut fill, 4), 3);
    assert_eq!(rx.dequeue_burst(&mut fill, 4), 0);
    assert_eq!(fill.filled(), [1, 2, 3]);
    assert_eq!(rx.dequeue(), Some(4));
}

#[test]
fn a_slice_as_source_shrinks_from_the_front() {
    let (mut tx, _rx) = spsc(3).unwrap();
    let mut numbers = &[1, 2, 3, 4, 5][..];
    assert_eq!(tx.enqueue_burst(&mut numbers), 3);
    assert_eq!(numbers, [4, 5]);
}

#[test]
fn moving_nothing_succeeds_on_a_full_and_on_an_empty_ring() {
    let (mut tx, mut rx) = spsc::<u8>(1).unwrap();
    assert!(rx.dequeue_bulk(&mut Vec::new(), 0));
    tx.enqueue(1).unwrap();
    assert!(tx.enqueue_bulk(&mut Vec::new()));
    assert_eq!(tx.enqueue_burst(&mut Vec::new()), 0);
}

#[test]
fn a_full_ring_gives_the_element_back() {
    let (mut tx, _rx) = spsc(1).unwrap();
    tx.enqueue(String::from("first")).unwrap();
    assert_eq!(tx.enqueue(String::from("second")), Err(Full(String::from("second"))));
}

#[test]
fn a_bulk_beyond_the_capacity_is_refused_by_an_empty_ring() {
    let (mut tx, mut rx) = spsc(4).unwrap();
    let mut five = vec![0; 5];
    assert!(!tx.enqueue_bulk(&mut five));
    assert_eq!(five.len(), 5);
    assert!(!rx.dequeue_bulk(&mut Vec::with_capacity(5), 5));
}

#[test]
fn an_exact_capacity_holds_exactly() {
    for capacity in [1, 2, 3, 4, 5, 63, 64, 65, 1000] {
        let (mut tx, mut rx) = mpmc(capacity).unwrap();
        for lap in 0..3 {
            assert_eq!(tx.enqueue_burst(&mut vec![lap; capacity + 1]), capacity);
            assert!(tx.is_full() && tx.len() == capacity);
            assert_eq!(
                rx.dequeue_burst(&mut Vec::with_capacity(2 * capacity), 2 * capacity),
                capacity
            );
            assert!(rx.is_empty());
        }
    }
}

#[test]
fn concurrent_sides_need_no_handles() {
    let ring = Ring::<_, Hts, Rts>::new(2).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| ring.enqueue("one"));
        scope.spawn(|| ring.enqueue_bulk(&mut vec!["two"]));
    });
    let mut out = Vec::with_capacity(2);
    assert!(ring.dequeue_bulk(&mut out, 2));
    out.sort_unstable();
    assert_eq!(out, ["one", "two"]);
    assert_eq!(ring.dequeue(), None);
}

#[test]
fn elements_without_size_are_counted_too() {
    let ring = Ring::<(), Multi, Multi>::new(3).unwrap();
    assert_eq!(ring.enqueue_burst(&mut vec![(); 5]), 3);
    assert_eq!((ring.len(), ring.enqueue(())), (3, Err(Full(()))));
}

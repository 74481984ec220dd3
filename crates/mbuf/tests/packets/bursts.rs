//! Batches of packets.

use crate::{chain, packet, pool};
use linecard_mbuf::{BURST, Burst, Mbuf, MbufPool, free_bulk};
use linecard_ring::{Multi, Ring, Single};
use proptest::prelude::*;

fn numbered(pool: &MbufPool, n: u8) -> Mbuf {
    packet(pool, &[n])
}

fn burst(pool: &MbufPool, n: u8) -> Burst {
    let mut burst = Burst::with_limit(BURST);
    (0..n).for_each(|i| burst.push(numbered(pool, i)).unwrap());
    burst
}

fn numbers(packets: &[Mbuf]) -> Vec<u8> {
    packets.iter().map(|packet| packet.data()[0]).collect()
}

#[test]
fn a_burst_holds_as_many_as_it_was_told_to() {
    let pool = pool(80);
    for (asked, limit) in [(0, 1), (1, 1), (2, 2), (64, 64), (1000, 64)] {
        let mut burst = Burst::with_limit(asked);
        assert_eq!((burst.limit(), burst.spare()), (limit, limit));
        (0..limit).for_each(|_| burst.push(numbered(&pool, 1)).unwrap());
        assert!(burst.is_full());
        assert_eq!(burst.push(numbered(&pool, 9)).unwrap_err().data(), [9]);
        assert_eq!((burst.len(), burst.bytes()), (limit, limit as u64));
    }
    assert_eq!(Burst::new().limit(), 32);
    assert_eq!(pool.available(), 80);
}

#[test]
fn packets_come_out_at_either_end_and_in_the_middle() {
    let pool = pool(16);
    let mut burst = burst(&pool, 6);
    assert_eq!(burst.pop().unwrap().data(), [5]);
    assert_eq!(burst.swap_remove(1).data(), [1]);
    assert_eq!(numbers(&burst), [0, 4, 2, 3]);
    assert_eq!(burst.drain(2).map(|p| p.data()[0]).collect::<Vec<_>>(), [0, 4]);
    assert_eq!(numbers(&burst), [2, 3]);
    burst.clear();
    assert!(burst.pop().is_none());
    assert_eq!(pool.available(), 16);
}

#[test]
#[should_panic]
fn there_is_no_packet_beyond_the_last() {
    Burst::new().swap_remove(0);
}

#[test]
fn a_drain_that_stops_early_drops_the_rest_of_its_packets() {
    let pool = pool(16);
    let mut burst = burst(&pool, 8);
    let first = burst.drain(5).next().unwrap();
    assert_eq!((first.data(), numbers(&burst)), (&[0][..], vec![5, 6, 7]));
    assert_eq!(pool.in_use(), 4);
}

#[test]
fn a_drain_that_is_leaked_leaks_its_packets_and_shows_none_twice() {
    let pool = pool(16);
    let mut burst = burst(&pool, 8);
    let mut drain = burst.drain(5);
    let first = drain.next();
    std::mem::forget(drain);
    assert!(burst.is_empty());
    burst.push(numbered(&pool, 9)).unwrap();
    drop((first, burst));
    assert_eq!(pool.in_use(), 7);
}

#[test]
fn retaining_keeps_the_order_and_the_limit() {
    let pool = pool(16);
    let mut all = Burst::with_limit(10);
    all.take_from(&mut burst(&pool, 10));
    all.retain(|packet| {
        packet.data_mut()[0] *= 2;
        packet.data()[0] % 3 != 0
    });
    assert_eq!((numbers(&all), all.limit()), (vec![2, 4, 8, 10, 14, 16], 10));
    assert_eq!(pool.in_use(), 6);
}

#[test]
fn retaining_that_panics_drops_every_packet_once() {
    let pool = pool(16);
    let mut all = burst(&pool, 10);
    let keep = |packet: &mut Mbuf| {
        assert!(packet.data()[0] < 4, "enough");
        true
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| all.retain(keep)));
    assert!(caught.is_err() && all.is_empty());
    assert_eq!(pool.available(), 16);
}

#[test]
fn packets_move_from_burst_to_burst_as_there_is_room() {
    let pool = pool(16);
    let (mut from, mut to) = (burst(&pool, 6), Burst::with_limit(4));
    assert_eq!((to.take_from(&mut from), to.take_from(&mut from)), (4, 0));
    assert_eq!((numbers(&to), numbers(&from)), (vec![0, 1, 2, 3], vec![4, 5]));
}

#[test]
fn bursts_go_through_rings_in_bulk_and_in_part() {
    let pool = pool(64);
    let ring = Ring::<Mbuf, Multi, Multi>::new(10).unwrap();
    let mut from = burst(&pool, 12);
    assert!(!ring.enqueue_bulk(&mut from));
    assert_eq!((ring.enqueue_burst(&mut from), numbers(&from)), (10, vec![10, 11]));
    let mut to = Burst::with_limit(4);
    assert!(!ring.dequeue_bulk(&mut to, 5));
    assert!(ring.dequeue_bulk(&mut to, 3));
    assert_eq!((ring.dequeue_burst(&mut to, 9), numbers(&to)), (1, vec![0, 1, 2, 3]));
    drop((from, to, ring));
    assert_eq!(pool.available(), 64, "what was left in the ring is freed with it");
}

#[test]
fn bursts_go_from_thread_to_thread() {
    let pool = pool(200);
    let (mut give, mut take) = Ring::<Mbuf, Single, Single>::new(64).unwrap().split().unwrap();
    let source = pool.clone();
    let thread = std::thread::spawn(move || {
        let (mut sent, mut burst) = (0u32, Burst::new());
        while sent < 20_000 {
            let room = burst.spare();
            if source.alloc_bulk(&mut burst, room.min(7)) {
                burst.iter_mut().for_each(|p| p.set_mark(0));
            }
            sent += give.enqueue_burst(&mut burst) as u32;
            std::thread::yield_now();
        }
    });
    let mut burst = Burst::new();
    while !(thread.is_finished() && take.is_empty()) {
        take.dequeue_burst(&mut burst, 32);
        assert!(burst.iter().all(|p| p.mark() == Some(0)));
        burst.clear();
        std::thread::yield_now();
    }
    thread.join().unwrap();
    assert_eq!(pool.available(), 200);
}

#[test]
fn packets_of_several_pools_in_one_burst_all_go_home() {
    let pools = [pool(90), pool(90), pool(90)];
    let mut mixed = Burst::with_limit(BURST);
    for i in 0..60usize {
        // Runs of one, two and three of the same pool, some of them chains.
        let pool = &pools[i / (1 + i % 3) % 3];
        let packet = if i % 7 == 0 { chain(pool, &[b"a", b"b"]) } else { packet(pool, b"c") };
        mixed.push(packet).unwrap();
    }
    drop(mixed);
    assert!(pools.iter().all(|pool| pool.available() == 90));
}

#[test]
fn a_vector_is_freed_in_bulk() {
    let pools = [pool(200), pool(200)];
    let mut all: Vec<Mbuf> = (0..300).map(|i| numbered(&pools[i / 5 % 2], 0)).collect();
    free_bulk(&mut all);
    assert!(all.is_empty() && pools.iter().all(|pool| pool.available() == 200));
    free_bulk(&mut all);
}

#[test]
fn a_bulk_of_packets_is_had_as_a_whole_or_not_at_all() {
    let pool = pool(20);
    let mut burst = Burst::with_limit(16);
    assert!(!pool.alloc_bulk(&mut burst, 17), "more than there is room for");
    assert!(pool.alloc_bulk(&mut burst, 12));
    let mut vector: Vec<Mbuf> = Vec::with_capacity(64);
    assert!(!pool.alloc_bulk(&mut vector, 9), "more than there are");
    assert!(vector.is_empty());
    assert!(pool.alloc_bulk(&mut vector, 8));
    assert_eq!((burst.len(), vector.len(), pool.available()), (12, 8, 0));
}

/// What is done to a burst.
#[derive(Clone, Debug)]
enum Operation {
    Push(u8),
    Pop,
    SwapRemove(usize),
    Drain(usize, usize),
    Retain(u8),
    TakeFrom(usize),
    GiveTo(usize),
    Reverse,
    Clear,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => any::<u8>().prop_map(Operation::Push),
        1 => Just(Operation::Pop),
        1 => (0usize..64).prop_map(Operation::SwapRemove),
        1 => (0usize..20, 0usize..20).prop_map(|(n, taken)| Operation::Drain(n, taken)),
        1 => (1u8..5).prop_map(Operation::Retain),
        1 => (0usize..20).prop_map(Operation::TakeFrom),
        1 => (0usize..20).prop_map(Operation::GiveTo),
        1 => Just(Operation::Reverse),
        1 => Just(Operation::Clear),
    ]
}

/// A burst, and what it should be.
fn apply(pool: &MbufPool, burst: &mut Burst, expected: &mut Vec<u8>, operation: Operation) {
    match operation {
        Operation::Push(n) => {
            if burst.push(numbered(pool, n)).is_ok() {
                expected.push(n);
            }
        }
        Operation::Pop => assert_eq!(burst.pop().map(|p| p.data()[0]), expected.pop()),
        Operation::SwapRemove(i) if i < expected.len() => {
            assert_eq!(burst.swap_remove(i).data()[0], expected.swap_remove(i));
        }
        Operation::SwapRemove(_) => {}
        Operation::Drain(n, taken) => {
            let got: Vec<u8> = burst.drain(n).take(taken).map(|p| p.data()[0]).collect();
            let gone: Vec<u8> = expected.drain(..n.min(expected.len())).collect();
            assert_eq!(got, gone[..taken.min(gone.len())]);
        }
        Operation::Retain(n) => {
            burst.retain(|p| p.data()[0] % n != 0);
            expected.retain(|e| e % n != 0);
        }
        Operation::TakeFrom(n) => {
            let mut other = self::burst(pool, n as u8);
            let moved = burst.take_from(&mut other);
            assert_eq!((moved, other.len()), (n.min(burst.limit() - expected.len()), n - moved));
            expected.extend(0..moved as u8);
        }
        Operation::GiveTo(n) => {
            let mut other = Burst::with_limit(n.max(1));
            let moved = other.take_from(burst);
            assert_eq!(numbers(&other), expected.drain(..moved).collect::<Vec<_>>());
        }
        Operation::Reverse => {
            burst.reverse();
            expected.reverse();
        }
        Operation::Clear => {
            burst.clear();
            expected.clear();
        }
    }
}

proptest! {
    #[test]
    fn a_burst_is_a_short_vector(
        limit in 1usize..=BURST,
        operations in proptest::collection::vec(operation(), 0..80),
    ) {
        let pool = pool(100);
        let (mut burst, mut expected) = (Burst::with_limit(limit), Vec::new());
        for operation in operations {
            apply(&pool, &mut burst, &mut expected, operation);
            prop_assert_eq!(numbers(&burst), expected.clone());
            prop_assert_eq!((burst.limit(), burst.spare()), (limit, limit - expected.len()));
            prop_assert_eq!(pool.in_use(), expected.len());
        }
    }
}

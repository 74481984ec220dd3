//! No leak and no double free, whatever threads do.

use crate::{bytes, packet, pool};
use linecard_mbuf::{Burst, Mbuf, MbufPool, SharedMbuf};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Mutex;

/// What a thread does.
#[derive(Clone, Debug)]
enum Operation {
    Alloc(u8),
    Bulk(usize),
    Free(usize),
    Chain,
    Write,
    LayDown,
    PickUp,
    Share,
    CloneShared,
    Alias,
    FreeShared,
    Unshare,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        2 => any::<u8>().prop_map(Alloc),
        1 => (1usize..8).prop_map(Bulk),
        2 => (1usize..4).prop_map(Free),
        1 => Just(Chain),
        1 => Just(Write),
        1 => Just(LayDown),
        1 => Just(PickUp),
        1 => Just(Share),
        1 => Just(CloneShared),
        1 => Just(Alias),
        1 => Just(FreeShared),
        1 => Just(Unshare),
    ]
}

/// What all threads see.
struct Table {
    pool: MbufPool,
    packets: Mutex<Vec<Mbuf>>,
    shared: Mutex<Vec<SharedMbuf>>,
}

/// Every byte of a packet is the same: whatever else shows up in it was another's.
fn check<'a>(mut parts: impl Iterator<Item = &'a [u8]>) {
    assert!(parts.all(|part| part.windows(2).all(|two| two[0] == two[1])));
}

impl Table {
    fn run(&self, operations: Vec<Operation>) {
        let mut held: Vec<Mbuf> = Vec::new();
        operations.into_iter().for_each(|operation| self.apply(&mut held, operation));
    }

    fn apply(&self, held: &mut Vec<Mbuf>, operation: Operation) {
        match operation {
            Operation::Alloc(n) => held.extend(self.filled(n)),
            Operation::Bulk(n) => {
                let mut burst = Burst::new();
                let _ = self.pool.alloc_bulk(&mut burst, n);
                held.extend(burst.drain(n / 2));
            }
            Operation::Free(n) => held.truncate(held.len().saturating_sub(n)),
            Operation::Chain => {
                if let (Some(tail), Some(head)) = (held.pop(), held.last_mut()) {
                    let _ = head.chain(tail);
                }
            }
            Operation::Write => held.iter_mut().for_each(|packet| {
                packet.for_each_segment_mut(|part| part.fill(0x11));
            }),
            Operation::LayDown => self.packets.lock().unwrap().extend(held.pop()),
            Operation::PickUp => held.extend(self.packets.lock().unwrap().pop()),
            Operation::Share => self.shared.lock().unwrap().extend(held.pop().map(Mbuf::share)),
            Operation::CloneShared => {
                let mut shared = self.shared.lock().unwrap();
                let more = shared.first().cloned();
                shared.extend(more);
            }
            Operation::Alias => {
                let shared = self.shared.lock().unwrap().last().cloned();
                held.extend(shared.and_then(|shared| shared.alias(&self.pool)));
            }
            Operation::FreeShared => {
                let shared = self.shared.lock().unwrap().pop();
                shared.iter().for_each(|shared| check(shared.segments()));
            }
            Operation::Unshare => {
                let shared = self.shared.lock().unwrap().pop();
                held.extend(shared.and_then(|shared| shared.try_unshare().ok()));
            }
        }
        held.iter().for_each(|packet| check(packet.segments()));
    }

    fn filled(&self, n: u8) -> Option<Mbuf> {
        let mut packet = self.pool.alloc()?;
        packet.append(40).unwrap().fill(n);
        Some(packet)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..Default::default() })]

    #[test]
    fn every_buffer_is_home_when_all_is_over(
        size in 8usize..100,
        threads in vec(vec(operation(), 0..80), 1..5),
    ) {
        let table = Table { pool: pool(size), packets: Mutex::default(), shared: Mutex::default() };
        std::thread::scope(|scope| {
            let start = |operations| scope.spawn(|| table.run(operations));
            let running: Vec<_> = threads.into_iter().map(start).collect();
            running.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let Table { pool, packets, shared } = table;
        drop((packets, shared));
        prop_assert_eq!(pool.available(), size);
        prop_assert_eq!(pool.raw().audit(), []);
        let mut all = Vec::with_capacity(size);
        prop_assert!(pool.alloc_bulk(&mut all, size), "all are to be had");
    }
}

#[test]
fn many_threads_share_one_packet() {
    let pool = pool(400);
    let shared = packet(&pool, b"multicast").share();
    std::thread::scope(|scope| {
        for n in 0..4u8 {
            let (shared, pool) = (shared.clone(), pool.clone());
            scope.spawn(move || {
                for _ in 0..300 {
                    let again = shared.clone();
                    let mut alias = again.alias(&pool).unwrap();
                    drop(again);
                    alias.prepend(1).unwrap()[0] = n;
                    assert_eq!((alias.data()[0], &alias.data()[1..]), (n, &b"multicast"[..]));
                }
            });
        }
    });
    assert_eq!((shared.sharers(), shared.data()), (1, &b"multicast"[..]));
    assert_eq!(bytes(&shared.try_unshare().unwrap()), b"multicast");
    assert_eq!(pool.available(), 400);
}

#[test]
fn exactly_one_of_several_threads_frees_a_shared_packet() {
    let pool = pool(8);
    for _ in 0..200 {
        let shared = packet(&pool, b"x").share();
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (shared, start) = (shared.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    drop(shared.try_unshare());
                });
            }
        });
        assert_eq!(shared.sharers(), 1);
        drop(shared);
        assert_eq!(pool.available(), 8);
    }
}

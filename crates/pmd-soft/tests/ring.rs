//! Ring ports: cables between threads.

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Error, Opened, Port, PortConfig, Queues, Started};
use linecard_pmd_soft::{RingOptions, RingPort};
use std::thread;

fn pool(size: usize) -> MbufPool {
    MbufPool::builder("ring").size(size).build().expect("a pool")
}

fn start(port: RingPort, pool: &MbufPool, queues: usize) -> (Port<Started>, Queues) {
    let config = PortConfig::new(pool).rx_queues(queues).tx_queues(queues);
    Port::open(port).configure(config).expect("within limits").start().expect("it starts")
}

/// Offers `count` numbered packets until all are taken.
fn send_numbers(queues: &mut Queues, pool: &MbufPool, count: u32) {
    let (mut next, mut burst) = (0, Burst::new());
    while next < count || !burst.is_empty() {
        while next < count && !burst.is_full() {
            let Some(mut packet) = pool.alloc() else { break };
            packet.append(4).expect("room for four bytes").copy_from_slice(&next.to_le_bytes());
            burst.push(packet).expect("it is not full");
            next += 1;
        }
        if queues.tx[0].send(&mut burst) == 0 {
            thread::yield_now();
        }
    }
}

fn receive_numbers(queues: &mut Queues, count: u32) {
    let (mut expected, mut burst) = (0u32, Burst::new());
    while expected < count {
        if queues.rx[0].receive(&mut burst) == 0 {
            thread::yield_now();
        }
        for packet in burst.drain(usize::MAX) {
            assert_eq!(packet.data(), expected.to_le_bytes(), "packets keep their order");
            expected += 1;
        }
    }
}

#[test]
fn between_threads_nothing_is_lost_or_reordered() {
    const COUNT: u32 = 200_000;
    let pool = pool(2047);
    let (left, right) = RingPort::pair("left", "right");
    let ((left, mut from), (right, mut to)) = (start(left, &pool, 1), start(right, &pool, 1));
    thread::scope(|scope| {
        scope.spawn(|| send_numbers(&mut from, &pool, COUNT));
        scope.spawn(|| receive_numbers(&mut to, COUNT));
    });
    assert_eq!(left.stats().tx_packets, u64::from(COUNT));
    assert_eq!(right.stats().rx_packets, u64::from(COUNT));
    assert_eq!(right.stats().rx_bytes, 4 * u64::from(COUNT));
    drop((from, to, left, right));
    assert_eq!(pool.in_use(), 0, "buffers left behind");
}

#[test]
fn a_port_whose_old_queues_are_alive_does_not_start_again() {
    let pool = pool(255);
    let (port, old) = start(RingPort::looped("ring0"), &pool, 2);
    let port = port.stop().expect("it stops");
    let refused = port.start().expect_err("its wires are held");
    assert!(matches!(refused.error, Error::Refused { .. }));
    assert!(refused.to_string().contains("drop the queues"), "what to do: {refused}");
    drop(old);
    refused.port.start().expect("now they are free");
}

#[test]
fn what_waits_in_a_cable_survives_a_restart_of_its_receiver() {
    let pool = pool(255);
    let (left, right) = RingPort::pair("left", "right");
    let ((_left, mut from), (right, to)) = (start(left, &pool, 1), start(right, &pool, 1));
    let mut burst = Burst::new();
    assert!(pool.alloc_bulk(&mut burst, 8));
    assert_eq!(from.tx[0].send(&mut burst), 8);
    let right = right.stop().expect("it stops");
    drop(to);
    let (_right, mut to) = right.start().expect("it starts again");
    assert_eq!(to.rx[0].receive(&mut burst), 8);
}

#[test]
fn a_cable_without_queues_or_room_is_refused_with_the_limit() {
    let none = RingOptions { queues: 0, ..RingOptions::default() };
    let error = RingPort::looped_with("r", none).expect_err("no queues");
    assert!(error.to_string().contains("1 to 1024"), "{error}");
    let empty = RingOptions { capacity: 0, ..RingOptions::default() };
    let error = RingPort::pair_with("r", "s", empty).expect_err("no room");
    assert!(error.to_string().contains("capacity 0"), "{error}");
}

#[test]
fn each_queue_of_a_pair_leads_to_the_same_queue_of_the_other_end() {
    let pool = pool(255);
    let (left, right) = RingPort::pair("left", "right");
    let ((_left, mut left), (_right, mut right)) = (start(left, &pool, 4), start(right, &pool, 4));
    let mut burst = Burst::new();
    for queue in 0..4 {
        assert!(pool.alloc_bulk(&mut burst, queue + 1));
        assert_eq!(left.tx[queue].send(&mut burst), queue + 1);
    }
    for queue in 0..4 {
        assert_eq!(right.rx[queue].receive(&mut burst), queue + 1);
        assert_eq!(right.tx[queue].send(&mut burst), queue + 1);
        assert_eq!(left.rx[queue].receive(&mut burst), queue + 1);
        burst.clear();
    }
}

#[test]
fn a_looped_port_of_four_queues_conforms() {
    struct Four;
    impl Bed for Four {
        fn open(&mut self) -> Port<Opened> {
            Port::open(RingPort::looped("ring0"))
        }
        fn wire(&self) -> Wire {
            Wire::Loop
        }
        fn queues(&self) -> (usize, usize) {
            (4, 4)
        }
    }
    conformance::run(&mut Four);
}

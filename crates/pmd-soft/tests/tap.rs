//! Taps on queues of ports: what passes is copied, and passes all the same.

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, PortConfig, Queues, RxQueue, Started, Tapped, TxQueue, tap};
use linecard_pmd_soft::{Frames, NullOptions, NullPort};

fn pool(size: usize) -> MbufPool {
    MbufPool::builder("tap").size(size).cache(0).build().expect("a pool")
}

/// A port that receives copies of a frame of 100 sevens.
fn sevens(pool: &MbufPool) -> (Port<Started>, Queues) {
    let options = NullOptions::new("null0").frames(Frames::Copies(vec![7; 100]));
    let port = Port::open(NullPort::open(options).expect("100-byte frames"));
    port.configure(PortConfig::new(pool)).expect("a plain one").start().expect("it starts")
}

#[test]
fn a_receive_tap_copies_each_packet_up_to_its_length() {
    let (packets, copies) = (pool(63), pool(63));
    let (_port, mut queues) = sevens(&packets);
    let (point, mut out, counters) = tap(&copies, 60, 64).expect("64 fit a ring");
    let mut rx = Tapped::new(queues.rx.remove(0), point);
    let mut burst = Burst::with_limit(10);
    assert_eq!(rx.receive(&mut burst), 10);
    assert_eq!((counters.copied.read(), counters.dropped.read()), (10, 0));
    for packet in burst.iter() {
        assert_eq!(packet.len(), 100, "what passes is as it was");
        assert_eq!(out.dequeue().expect("ten copies").data(), [7; 60]);
    }
    assert!(out.dequeue().is_none());
}

#[test]
fn what_a_tap_has_no_room_for_passes_and_is_counted() {
    let (packets, copies) = (pool(63), pool(63));
    let (_port, mut queues) = sevens(&packets);
    let (point, out, counters) = tap(&copies, 60, 4).expect("4 fit a ring");
    let mut rx = Tapped::new(queues.rx.remove(0), point);
    let mut burst = Burst::with_limit(10);
    assert_eq!(rx.receive(&mut burst), 10);
    assert_eq!((counters.copied.read(), counters.dropped.read()), (4, 6), "the ring is full");
    drop((rx, out));
    assert_eq!(copies.in_use(), 0, "copies left behind");
}

#[test]
fn an_empty_pool_of_copies_costs_copies_only() {
    let (packets, copies) = (pool(63), pool(3));
    let (_port, mut queues) = sevens(&packets);
    let (point, _out, counters) = tap(&copies, 60, 64).expect("64 fit a ring");
    let mut rx = Tapped::new(queues.rx.remove(0), point);
    let mut burst = Burst::with_limit(10);
    assert_eq!(rx.receive(&mut burst), 10);
    assert_eq!((counters.copied.read(), counters.dropped.read()), (3, 7));
}

#[test]
fn a_tap_that_is_off_sees_nothing() {
    let (packets, copies) = (pool(63), pool(63));
    let (_port, mut queues) = sevens(&packets);
    let (point, _out, counters) = tap(&copies, 60, 64).expect("64 fit a ring");
    counters.switch(false);
    let mut rx = Tapped::new(queues.rx.remove(0), point);
    let mut burst = Burst::with_limit(10);
    assert_eq!(rx.receive(&mut burst), 10);
    assert_eq!((counters.copied.read(), counters.dropped.read()), (0, 0));
    counters.switch(true);
    burst.clear();
    assert_eq!(rx.receive(&mut burst), 10);
    assert_eq!(counters.copied.read(), 10);
}

#[test]
fn a_transmit_tap_sees_what_is_sent() {
    let (packets, copies) = (pool(63), pool(63));
    let (port, mut queues) = sevens(&packets);
    let (point, mut out, counters) = tap(&copies, 2000, 64).expect("64 fit a ring");
    let mut tx = Tapped::new(queues.tx.remove(0), point);
    let mut burst = Burst::with_limit(5);
    queues.rx[0].receive(&mut burst);
    assert_eq!(tx.send(&mut burst), 5);
    assert_eq!((counters.copied.read(), port.stats().tx_packets), (5, 5));
    assert_eq!(out.dequeue().expect("five copies").len(), 100);
}

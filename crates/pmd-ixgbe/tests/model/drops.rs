//! Memory goes only after the card has been stopped from using it, in whatever order things are dropped: the model
//! notes every access to memory that is not mapped for it.

use crate::bed::Modelled;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, PortConfig, Queues, Started};
use linecard_pmd_ixgbe::{Fetch, IxgbeOptions, IxgbePort};

fn start(card: &Modelled, pool: &MbufPool) -> (Port<Started>, Queues) {
    let port = IxgbePort::open(Box::new(card.clone()), IxgbeOptions::new()).expect("an 82599");
    let config = PortConfig::new(pool).rx_queues(2).tx_queues(2);
    Port::open(port).configure(config).expect("it can").start().expect("it starts")
}

fn send(queues: &mut Queues, pool: &MbufPool) {
    let mut burst = Burst::new();
    for _ in 0..20 {
        let mut packet = pool.alloc().expect("a buffer");
        packet.append(60).expect("room").fill(0xFF);
        burst.push(packet).expect("room");
    }
    queues.tx[0].send(&mut burst);
}

/// Frames, and time, for a card that nobody should be able to use any more.
fn go_on(card: &Modelled) {
    for _ in 0..20 {
        card.receive(&[0xFF; 60]);
        card.tick();
    }
    card.assert_clean();
}

/// What is done with a running port whose write-backs are under way.
fn dropped(what: impl Fn(Port<Started>, Queues)) {
    let card = Modelled::looped();
    let pool = MbufPool::builder("packets").size(4095).build().expect("a pool");
    let (port, mut queues) = start(&card, &pool);
    card.model().faults().write_back_delay = 5;
    send(&mut queues, &pool);
    card.receive(&[0xFF; 60]);
    what(port, queues);
    go_on(&card);
    assert_eq!(pool.in_use(), 0, "buffers have not come home");
    // Unmapped with it.
    drop(pool);
    go_on(&card);
}

#[test]
fn queues_may_go_before_their_port() {
    dropped(|port, queues| {
        drop(queues);
        drop(port);
    });
}

#[test]
fn a_port_may_go_before_its_queues() {
    dropped(|port, queues| {
        drop(port);
        drop(queues);
    });
}

#[test]
fn a_port_may_stop_and_its_queues_go_later() {
    dropped(|port, queues| {
        let port = port.stop().expect("it stops");
        drop(queues);
        drop(port);
    });
}

#[test]
fn one_queue_may_go_while_others_are_at_work() {
    let card = Modelled::looped();
    let pool = MbufPool::builder("packets").size(4095).build().expect("a pool");
    let (port, mut queues) = start(&card, &pool);
    card.model().faults().write_back_delay = 5;
    send(&mut queues, &pool);
    drop(queues.rx.remove(1));
    drop(queues.tx.remove(1));
    for _ in 0..10 {
        send(&mut queues, &pool);
        card.tick();
        queues.rx[0].receive(&mut Burst::new());
    }
    card.assert_clean();
    drop((port, queues));
    go_on(&card);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn thresholds_reach_the_card_and_wrong_ones_are_refused() {
    let pool = MbufPool::builder("packets").size(4095).build().expect("a pool");
    let configured = |ahead, at_least| {
        let card = Modelled::looped();
        let options = IxgbeOptions::new().transmit_fetch(Fetch { ahead, at_least });
        let port = IxgbePort::open(Box::new(card.clone()), options).expect("an 82599");
        let config = PortConfig::new(&pool).tx_descriptors(64);
        (card, Port::open(port).configure(config))
    };
    let (card, port) = configured(20, 4);
    let (_port, _queues) = port.expect("it can").start().expect("it starts");
    let word = card.model().read(linecard_ixgbe_model::Bar::Registers, 0x6028, 4);
    assert_eq!(word & 0x7F_7F7F, 4 << 8 | 20);
    let (_, refused) = configured(60, 8);
    let text = refused.expect_err("more than the ring").to_string();
    assert!(text.contains("a ring of 64"), "{text}");
}

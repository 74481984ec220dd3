//! A card that is late, lies, or goes away: an error, never a hang or somebody else's memory.

use crate::bed::Modelled;
use crate::options;
use linecard_ixgbe_model::{Garbage, Presence};
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Error, Event, Port, PortConfig, Queues, Started, TimeSync};
use linecard_pmd_ixgbe::IxgbePort;

fn pool() -> MbufPool {
    MbufPool::builder("packets").size(4095).build().expect("a pool")
}

fn start(card: &Modelled, pool: &MbufPool) -> (Port<Started>, Queues) {
    let port = IxgbePort::open(Box::new(card.clone()), options()).expect("an 82599");
    let config = PortConfig::new(pool);
    Port::open(port).configure(config).expect("it can").start().expect("it starts")
}

fn frames(queues: &mut Queues, pool: &MbufPool, n: usize) -> Burst {
    let mut burst = Burst::with_limit(64);
    for i in 0..n {
        let mut packet = pool.alloc().expect("a buffer");
        packet.append(60 + i).expect("room").fill(0xFF);
        burst.push(packet).expect("room");
    }
    queues.tx[0].send(&mut burst);
    burst
}

fn receive(queues: &mut Queues) -> usize {
    let mut burst = Burst::with_limit(64);
    queues.rx[0].receive(&mut burst)
}

#[test]
fn bits_that_come_late_are_waited_for() {
    let (pool, card) = (pool(), Modelled::looped());
    card.model().faults().late_bits = 20;
    let (port, mut queues) = start(&card, &pool);
    assert!(frames(&mut queues, &pool, 3).is_empty());
    assert_eq!(receive(&mut queues), 3);
    port.stop().expect("it stops");
    card.assert_clean();
}

#[test]
fn write_backs_that_come_late_and_out_of_order_lose_nothing() {
    let (pool, card) = (pool(), Modelled::looped());
    let (_port, mut queues) = start(&card, &pool);
    {
        let mut model = card.model();
        model.faults().write_back_delay = 3;
        model.faults().reorder_write_backs = true;
    }
    let mut got = 0;
    for _ in 0..50 {
        frames(&mut queues, &pool, 5);
        card.tick();
        got += receive(&mut queues);
        queues.tx[0].reclaim();
    }
    for _ in 0..10 {
        card.tick();
        got += receive(&mut queues);
    }
    assert_eq!(got, 250);
    card.assert_clean();
}

#[test]
fn a_length_beyond_the_buffer_ends_the_queue_and_nothing_else() {
    for garbage in [Garbage::HugeLength, Garbage::ZeroLength, Garbage::AllOnes] {
        let (pool, card) = (pool(), Modelled::looped());
        let (port, mut queues) = start(&card, &pool);
        card.model().faults().garbage = Some(garbage);
        frames(&mut queues, &pool, 1);
        assert_eq!(receive(&mut queues), 0, "{garbage:?}");
        assert!(queues.rx[0].is_finished(), "{garbage:?}");
        assert_eq!(port.stats().rx_errors, 1);
        drop((port, queues));
        assert_eq!(pool.in_use(), 0, "{garbage:?}");
    }
}

#[test]
fn a_frame_without_an_end_is_thrown_away() {
    let (pool, card) = (pool(), Modelled::looped());
    let (port, mut queues) = start(&card, &pool);
    card.model().faults().garbage = Some(Garbage::NoEnd);
    frames(&mut queues, &pool, 3);
    assert_eq!(receive(&mut queues), 0);
    card.model().faults().garbage = None;
    // The end of that frame, and then one that is whole.
    frames(&mut queues, &pool, 2);
    assert_eq!(receive(&mut queues), 1);
    assert_eq!(port.stats().rx_errors, 1);
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_queue_that_does_not_stop_keeps_its_memory_until_the_device_is_reset() {
    let (pool, card) = (pool(), Modelled::looped());
    let (port, queues) = start(&card, &pool);
    card.model().faults().stuck_queues = true;
    let refused = port.stop().expect_err("it does not stop");
    let text = refused.to_string();
    assert!(text.contains("RXDCTL") && text.contains("within"), "{text}");
    drop(queues);
    assert!(pool.in_use() > 0, "the device may still write there");
    card.assert_clean();
    card.model().faults().stuck_queues = false;
    drop(refused);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_port_whose_queue_did_not_stop_starts_again_and_has_its_memory_back() {
    let (pool, card) = (pool(), Modelled::looped());
    let (port, queues) = start(&card, &pool);
    card.model().faults().stuck_queues = true;
    let refused = port.stop().expect_err("it does not stop");
    drop(queues);
    assert!(pool.in_use() > 0);
    card.model().faults().stuck_queues = false;
    let port = refused.port.stop().expect("nothing runs any more");
    let (port, mut queues) = port.start().expect("the reset has taken the memory back");
    assert!(frames(&mut queues, &pool, 3).is_empty());
    assert_eq!(receive(&mut queues), 3);
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
    card.assert_clean();
}

#[test]
fn a_frame_without_a_header_is_dropped_and_counted() {
    let (pool, card) = (pool(), Modelled::looped());
    let (port, mut queues) = start(&card, &pool);
    let mut burst = Burst::new();
    let mut packet = pool.alloc().expect("a buffer");
    packet.append(13).expect("room").fill(0xFF);
    burst.push(packet).expect("room");
    assert_eq!(queues.tx[0].send(&mut burst), 1);
    assert_eq!(port.stats().tx_errors, 1);
    card.assert_clean();
}

#[test]
fn a_card_that_is_pulled_is_an_event_and_no_crash() {
    let (pool, card) = (pool(), Modelled::looped());
    let (mut port, mut queues) = start(&card, &pool);
    port.set_time_sync(TimeSync::On).expect("it can");
    frames(&mut queues, &pool, 5);
    card.model().faults().presence = Presence::Removed;
    assert_eq!(receive(&mut queues), 5, "what was there already");
    frames(&mut queues, &pool, 5);
    assert_eq!(receive(&mut queues), 0);
    while !matches!(port.next_event().expect("events"), Some(Event::Gone)) {}
    assert!(matches!(port.link(), Err(Error::Gone { .. })));
    assert!(matches!(port.clock(), Err(Error::Gone { .. })));
    // All ones look like a stamp, and would for ever.
    assert!(matches!(port.rx_stamp(), Err(Error::Gone { .. })));
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_card_that_is_pulled_is_not_waited_for_queue_by_queue() {
    let (pool, card) = (pool(), Modelled::looped());
    let port = IxgbePort::open(Box::new(card.clone()), options()).expect("an 82599");
    let config = PortConfig::new(&pool).rx_queues(32).rx_descriptors(64).tx_queues(32);
    let (port, queues) =
        Port::open(port).configure(config).expect("it can").start().expect("it starts");
    card.model().faults().presence = Presence::Removed;
    let begin = std::time::Instant::now();
    drop((queues, port));
    // A second for each was it before.
    assert!(begin.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(pool.in_use(), 0);
}

/// §5.2.5.3.2.
#[test]
fn a_card_whose_requests_do_not_end_is_flushed_and_reset_twice() {
    let card = Modelled::looped();
    card.model().faults().endless_requests = true;
    card.model().record_writes();
    let port = IxgbePort::open(Box::new(card.clone()), options()).expect("an 82599");
    let writes = card.model().take_journal().writes;
    let of = |register: &Register| {
        let at = register.offset();
        writes.iter().filter(move |write| write.offset == at).map(|write| write.value)
    };
    let resets = of(&CTRL).filter(|word| ctrl::RST.is_set(*word)).count();
    let flushes: Vec<_> = of(&GCR_EXT).map(|word| gcr_ext::BUFFERS_CLEAR.of(word)).collect();
    let loops: Vec<_> = of(&HLREG0).map(|word| hlreg0::LPBK.of(word)).collect();
    assert_eq!((resets, flushes, loops), (2, vec![1, 0], vec![1, 0]));
    card.model().faults().endless_requests = false;
    drop(port);
}

/// §10.5.4: whoever does not give it back in time has died.
#[test]
fn a_card_whose_semaphore_a_dead_driver_has_taken_is_opened_all_the_same() {
    let card = Modelled::looped();
    let take = |card: &Modelled| {
        card.model().read(linecard_ixgbe_model::Bar::Registers, SWSM.offset().into(), 4)
    };
    assert_eq!(take(&card) & 1, 0, "whoever reads it first has it");
    let port = IxgbePort::open(Box::new(card.clone()), options()).expect("an 82599");
    assert_eq!(take(&card) & 1, 0, "it was given back");
    drop(port);
}

#[test]
fn a_port_that_does_not_start_leaves_the_card_off_the_bus() {
    let (pool, card) = (pool(), Modelled::looped());
    let port = IxgbePort::open(Box::new(card.clone()), options()).expect("an 82599");
    let port = Port::open(port).configure(PortConfig::new(&pool)).expect("it can");
    card.set_full(true);
    let refused = port.start().expect_err("no memory for rings");
    assert!(refused.to_string().contains("locked"), "{refused}");
    assert!(!card.model().config().is_bus_master());
    card.set_full(false);
    let (port, mut queues) = refused.port.start().expect("there is memory now");
    assert!(frames(&mut queues, &pool, 3).is_empty());
    assert_eq!(receive(&mut queues), 3);
    drop((port, queues));
}

#[test]
fn a_card_that_is_not_there_cannot_be_opened() {
    let card = Modelled::looped();
    card.model().faults().presence = Presence::Removed;
    let error = IxgbePort::open(Box::new(card), options()).expect_err("nobody");
    assert!(error.to_string().contains("82599"), "{error}");
}

#[test]
fn another_card_is_refused_by_its_id() {
    let identity = linecard_ixgbe_model::Identity { device_id: 0x1234, ..Default::default() };
    let card = Modelled::with(identity);
    let error = IxgbePort::open(Box::new(card), options()).expect_err("a stranger");
    assert!(error.to_string().contains("8086:1234"), "{error}");
}

#[test]
fn dma_that_fails_costs_frames_and_nothing_else() {
    let (pool, card) = (pool(), Modelled::looped());
    let (port, mut queues) = start(&card, &pool);
    card.model().faults().dma_faults = 2;
    frames(&mut queues, &pool, 2);
    receive(&mut queues);
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
}

//! Clocks and stamps of the family: an 82599's, an X540's and an X550's.

use crate::bed::Modelled;
use crate::ends::*;
use linecard_ixgbe_model::wire::CABLE_DELAY;
use linecard_ixgbe_model::{Carrier, Identity};
use linecard_mbuf::MbufPool;
use linecard_net::{FrameBuilder, MacAddr};
use linecard_pmd_core::{Adjust, Controls, Error, PortConfig, TimeSync, TxOffloads};
use linecard_pmd_ixgbe::IxgbePort;
use std::time::{Duration, Instant};

const FAMILY: [u16; 3] = [0x10FB, 0x1528, 0x1563];

/// The longest tick, in nanoseconds: a stamp may be that much too early.
const TICK: i64 = 13;

/// Two of a kind on a cable, with their clocks on.
fn two(pool: &MbufPool, device_id: u16) -> [End; 2] {
    let identity = |last| Identity { mac: [2, 0, 0, 0, 0, last], device_id };
    Modelled::pair_of([identity(1), identity(2)]).map(|card| {
        let config = PortConfig::new(pool).tx_offloads(TxOffloads::TIMESTAMP);
        let (mut port, queues) = start(&card, config);
        port.set_all_multicast(linecard_pmd_core::AllMulticast::On).expect("it can");
        port.set_time_sync(TimeSync::On).expect("it can");
        End { card, port, queues }
    })
}

/// Event messages of version 2 over Ethernet: 0 is Sync, 1 Delay_Req.
fn message(kind: u8) -> Vec<u8> {
    let mut body = vec![kind, 0x02, 0x00, 44];
    body.resize(46, 0);
    let to = MacAddr([1, 0x1B, 0x19, 0, 0, 0]);
    FrameBuilder::new(to, HERE).ether_type(0x88F7).payload(&body).to_vec().expect("a frame")
}

/// A message from one end to the other: when it went and when it came, by their clocks.
fn send(pool: &MbufPool, from: &mut End, to: &mut End, kind: u8) -> [i64; 2] {
    let mut packet = packet(pool, &message(kind));
    packet.stamp();
    from.send(packet);
    assert_eq!(to.receive().len(), 1);
    let stamps = [from.port.tx_stamp().expect("a clock"), to.port.rx_stamp().expect("a clock")];
    stamps.map(|stamp| stamp.expect("it was stamped").as_nanos() as i64)
}

#[test]
fn exchanges_find_the_delay_of_the_cable_and_how_far_apart_clocks_are() {
    let pool = pool();
    for device_id in FAMILY {
        let [mut master, mut slave] = two(&pool, device_id);
        slave.port.set_clock(Duration::from_secs(10_000)).expect("it can");
        let mut exchange = |slave: &mut End| {
            let [sent, came] = send(&pool, &mut master, slave, 0);
            let [asked, heard] = send(&pool, slave, &mut master, 1);
            let (there, back) = (came - sent, heard - asked);
            ((there - back) / 2, (there + back) / 2)
        };
        let (off, delay) = exchange(&mut slave);
        assert!((delay - CABLE_DELAY as i64).abs() <= TICK, "{device_id:#x}: {delay}");
        let by = Duration::from_nanos(off.unsigned_abs());
        slave
            .port
            .adjust_clock(if off > 0 { Adjust::Back(by) } else { Adjust::Forward(by) })
            .expect("it can");
        for _ in 0..5 {
            let (off, delay) = exchange(&mut slave);
            assert!(off.abs() <= 2 * TICK, "{device_id:#x}: {off}");
            assert!((delay - CABLE_DELAY as i64).abs() <= TICK, "{device_id:#x}: {delay}");
        }
        [&master, &slave].iter().for_each(|end| end.card.assert_clean());
    }
}

/// What passes on this machine's clock at least and at most passes on the card's, give or take its rounding.
#[test]
fn a_second_is_a_second_whatever_the_speed_of_the_link() {
    let pool = pool();
    for device_id in FAMILY {
        let [mut left, _right] = two(&pool, device_id);
        for carrier in [Carrier::TenGigabit, Carrier::OneGigabit] {
            left.card.model().set_carrier(carrier);
            while left.port.next_event().expect("events").is_some() {}
            let mut look = || {
                let before = Instant::now();
                (before, left.port.clock().expect("it runs"), Instant::now())
            };
            let (first, second) = (look(), {
                std::thread::sleep(Duration::from_millis(20));
                look()
            });
            let passed = second.1 - first.1;
            let slack = Duration::from_micros(2);
            let least = second.0 - first.2;
            assert!(passed + slack >= least, "{device_id:#x} {carrier:?}: {passed:?} of {least:?}");
            let most = second.2 - first.0;
            assert!(passed <= most + slack, "{device_id:#x} {carrier:?}: {passed:?} of {most:?}");
        }
    }
}

#[test]
fn each_clock_runs_on_through_a_restart() {
    let pool = pool();
    for device_id in FAMILY {
        let [left, _right] = two(&pool, device_id);
        let End { mut port, queues, .. } = left;
        port.set_clock(Duration::from_secs(500)).expect("it can");
        drop(queues);
        let (mut port, _queues) = port.stop().expect("it stops").start().expect("it starts");
        let now = port.clock().expect("it runs");
        assert!((500..600).contains(&now.as_secs()), "{now:?}");
        let later = port.clock().expect("it runs");
        assert!(later > now, "it stands at {now:?}");
    }
}

/// How fast it runs is in fuses.
#[test]
fn the_clock_of_an_x552_is_refused() {
    let card = Modelled::with(Identity { device_id: 0x15AC, ..Identity::default() });
    let port = IxgbePort::open(Box::new(card), crate::options()).expect("an X552");
    let mut port =
        linecard_pmd_core::Port::open(port).configure(PortConfig::new(&pool())).expect("it can");
    assert!(!port.info().capabilities.controls.contains(Controls::TIME_SYNC));
    let refused = port.set_time_sync(TimeSync::On).expect_err("no clock");
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
}

//! When frames are sent: pauses and rate limits; and the laser.

use crate::bench::{Bench, tcp};
use linecard_ixgbe_model::Light;
use linecard_ixgbe_regs::registers::*;

#[test]
fn a_pause_is_heeded_until_its_time_or_a_word_ends_it() {
    let mut bench = Bench::started();
    bench.set(&MFLCN, mflcn::RFCE.mask());
    let mut pause = vec![1, 0x80, 0xC2, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 8, 0, 1, 0, 100];
    pause.resize(60, 0);
    bench.card.receive(&pause);
    bench.send(&tcp(1, 2, &[0; 60]), 0, 114);
    assert!(bench.wire.is_empty());
    // 100 times 51.2 ns.
    assert_eq!(bench.card.deadline(), Some(5120));
    bench.card.tick(5119);
    assert!(bench.wire.is_empty());
    bench.card.tick(5120);
    assert_eq!(bench.wire.len(), 1);
    bench.card.receive(&pause);
    bench.send(&tcp(1, 2, &[0; 60]), 0, 114);
    assert_eq!(bench.wire.len(), 1);
    pause[17] = 0;
    bench.card.receive(&pause);
    assert_eq!(bench.wire.len(), 2, "XON");
}

#[test]
fn a_limit_spreads_frames_over_time() {
    let mut bench = Bench::started();
    bench.set(&RTTDQSEL, 0);
    // A tenth of 10 Gb/s.
    bench.set(&RTTBCNRC, rttbcnrc::RF_INT.put(rttbcnrc::RS_ENA.mask(), 10));
    (0..3).for_each(|_| bench.send(&[2; 1000], 0, 1000));
    assert_eq!(bench.wire.len(), 1);
    // 1,024 bytes on the wire, at 1 Gb/s.
    bench.card.tick(8191);
    assert_eq!(bench.wire.len(), 1);
    bench.card.tick(8192);
    assert_eq!((bench.wire.len(), bench.card.deadline()), (2, Some(16_384)));
}

#[test]
fn a_pin_switches_the_laser_off_and_a_reset_on_again() {
    let mut bench = Bench::bare();
    bench.set(&ESDP, 1 << 3 | 1 << 11);
    assert_eq!(bench.wire.light(), Light::Off);
    bench.set(&CTRL, ctrl::RST.mask());
    assert_eq!(bench.wire.light(), Light::On);
    assert!(links::UP.is_set(bench.get(&LINKS)), "its own light is not what it sees");
    bench.card.set_light(Light::Off);
    assert!(!links::UP.is_set(bench.get(&LINKS)));
}

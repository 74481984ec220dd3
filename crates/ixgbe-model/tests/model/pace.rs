//! When frames are sent: pauses and rate limits; the clock, and the laser.

use crate::bench::{Bench, tcp};
use linecard_ixgbe_model::Light;
use linecard_ixgbe_regs::descriptor::receive;
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
fn the_clock_counts_as_often_as_the_mac_ticks() {
    let mut bench = Bench::bare();
    bench.set(&TIMINCA, timinca::PERIOD.put(1, 1));
    bench.set(&SYSTIML, 0);
    bench.card.tick(6_400);
    assert_eq!(bench.get(&SYSTIML), 1000);
}

#[test]
fn another_rate_counts_from_when_it_is_written() {
    let mut bench = Bench::bare();
    bench.set(&TIMINCA, timinca::PERIOD.put(1, 1));
    bench.card.tick(6_400);
    bench.set(&TIMINCA, timinca::PERIOD.put(3, 1));
    assert_eq!(bench.get(&SYSTIML), 1000, "what has passed stays");
    bench.card.tick(12_800);
    assert_eq!(bench.get(&SYSTIML), 4000);
    // Half a tick before a change is half a tick after it.
    bench.card.tick(12_803);
    bench.set(&TIMINCA, timinca::PERIOD.put(1, 1));
    bench.card.tick(12_807);
    assert_eq!(bench.get(&SYSTIML), 4001);
}

#[test]
fn the_high_half_is_held_while_the_low_one_goes_on() {
    let mut bench = Bench::bare();
    bench.set(&TIMINCA, timinca::PERIOD.put(1, 1));
    bench.set(&SYSTIML, u32::MAX);
    bench.set(&SYSTIMH, 5);
    assert_eq!(bench.get(&SYSTIML), u32::MAX);
    bench.card.tick(64);
    assert_eq!(bench.get(&SYSTIMH), 5, "that of the moment when the low half was read");
    assert_eq!([bench.get(&SYSTIML), bench.get(&SYSTIMH)], [9, 6]);
}

/// A message of PTP's version 2 over Ethernet, of a type.
fn message(kind: u8) -> Vec<u8> {
    let mut frame = vec![1, 0x1B, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0x88, 0xF7, kind, 2];
    frame.resize(60, 0);
    frame
}

fn stamping(kind: u32) -> Bench {
    let mut bench = Bench::started();
    bench.set_at(&ETQF, 3, etqf::ETYPE.put(etqf::EN.mask() | etqf::IEEE1588.mask(), 0x88F7));
    bench.set(&TSYNCRXCTL, tsyncrxctl::TYPE.put(tsyncrxctl::EN.mask(), kind));
    bench
}

/// Whether each of these frames is stamped, if the stamp of each is taken.
fn stamped(bench: &mut Bench, frames: &[Vec<u8>]) -> Vec<u64> {
    let mut each = |frame: &Vec<u8>| {
        bench.card.receive(frame);
        bench.get(&RXSTMPH);
        bench.poll().unwrap().field(receive::TS)
    };
    frames.iter().map(&mut each).collect()
}

#[test]
fn a_stamped_frame_says_so() {
    let mut bench = stamping(5);
    bench.card.receive(&message(0));
    bench.card.receive(&message(0));
    let said = [0, 1].map(|_| bench.poll().unwrap().field(receive::TS));
    assert_eq!(said, [1, 0], "there is room for one");
}

#[test]
fn events_are_stamped_and_nothing_else() {
    let mut over_udp = tcp(1, 2, &[0; 60]);
    over_udp[23] = 17;
    over_udp[36..38].copy_from_slice(&319u16.to_be_bytes());
    over_udp[38..44].copy_from_slice(&[0, 80, 0, 0, 1, 2]);
    let mut version_1 = message(0);
    version_1[15] = 1;
    // Sync, a request to a neighbour, Follow_Up, Announce; Delay_Req over UDP; another version; no PTP.
    let frames = [0, 2, 8, 11].map(message).into_iter();
    let frames: Vec<_> = frames.chain([over_udp, version_1, tcp(1, 2, &[0; 60])]).collect();
    assert_eq!(stamped(&mut stamping(5), &frames), [1, 1, 0, 0, 1, 0, 0]);
    // One type, which RXMTRL says, and those between neighbours.
    let mut bench = stamping(2);
    bench.set(&RXMTRL, rxmtrl::MSGT.put(319 << 16, 1));
    assert_eq!(stamped(&mut bench, &frames), [0, 1, 0, 0, 1, 0, 0]);
    let mut bench = stamping(5);
    bench.set_at(&ETQF, 3, 0);
    assert_eq!(stamped(&mut bench, &frames), [0, 0, 0, 0, 1, 0, 0], "no filter, no EtherType");
}

#[test]
fn a_stamp_is_of_when_the_frame_came_not_of_when_it_was_looked_at() {
    let mut bench = stamping(5);
    bench.set(&TIMINCA, timinca::PERIOD.put(1, 1));
    bench.card.tick(64_000);
    bench.card.receive_at(&message(0), 6_400);
    assert_eq!([bench.get(&RXSTMPL), bench.get(&RXSTMPH)], [1000, 0]);
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

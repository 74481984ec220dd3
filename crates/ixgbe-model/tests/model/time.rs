//! The clock of each kind of card, and its stamps.

use crate::bench::{Bench, tcp};
use linecard_ixgbe_model::Identity;
use linecard_ixgbe_regs::descriptor::{receive, transmit};
use linecard_ixgbe_regs::registers::*;

const X540: u16 = 0x1528;
const X550: u16 = 0x1563;

fn kind(device_id: u16) -> Bench {
    Bench::of(Identity { device_id, ..Identity::default() })
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
fn an_x540_has_31_bits_for_its_increment() {
    let mut bench = kind(X540);
    bench.set(&TIMINCA, 0x6666_6666);
    bench.card.tick(6_400);
    let expected = 1_000 * 0x6666_6666u64;
    assert_eq!(bench.get(&SYSTIML), expected as u32);
    assert_eq!(bench.get(&SYSTIMH), (expected >> 32) as u32);
}

/// An X550 of which the clock goes.
fn x550() -> Bench {
    let mut bench = kind(X550);
    bench.set(&TSAUXC, 0);
    bench
}

#[test]
fn an_x550_counts_nanoseconds_and_seconds_once_it_is_let() {
    let mut bench = kind(X550);
    bench.card.tick(1_000);
    assert_eq!(bench.get(&SYSTIML), 0, "it stands after a reset");
    bench.set(&TSAUXC, 0);
    bench.card.tick(3_000_001_025);
    assert_eq!([bench.get(&SYSTIMR), bench.get(&SYSTIML), bench.get(&SYSTIMH)], [0, 25, 3]);
    bench.card.tick(3_000_001_040);
    assert_eq!(bench.get(&SYSTIMR), 1 << 31, "half a nanosecond");
    bench.card.tick(4_000_000_000);
    assert_eq!([bench.get(&SYSTIML), bench.get(&SYSTIMH)], [37, 3], "held when SYSTIMR was read");
    assert_eq!([bench.get(&SYSTIML), bench.get(&SYSTIMH)], [999_999_000, 3]);
}

#[test]
fn an_x550_is_made_faster_and_slower_by_2_to_the_minus_32_of_a_nanosecond() {
    let mut bench = x550();
    bench.set(&TIMINCA, 1 << 31 >> 1);
    bench.card.tick(12_500);
    assert_eq!(bench.get(&SYSTIML), 12_750, "a quarter more each tick");
    bench.set(&TIMINCA, timinca::LESS.mask() | 1 << 30);
    bench.card.tick(25_000);
    assert_eq!(bench.get(&SYSTIML), 25_000, "and a quarter less");
}

#[test]
fn an_x550_writes_stamps_behind_frames() {
    let mut bench = x550().start();
    let all = tsyncrxctl::TYPE.put(tsyncrxctl::EN.mask(), 4);
    bench.set(&TSYNCRXCTL, all | tsyncrxctl::TSIP_UT_EN.mask());
    bench.card.tick(7_000_000_500);
    let frame = tcp(1, 2, &[0; 60]);
    bench.card.receive(&frame);
    let got = bench.poll().unwrap();
    assert_eq!([got.field(receive::TSIP), got.field(receive::TS)], [1, 0]);
    let (data, stamp) = got.bytes.split_at(frame.len());
    assert_eq!(data, frame);
    assert_eq!(stamp, [500u32.to_le_bytes(), 7u32.to_le_bytes()].concat());
    // One with a tag, for whose priority nobody asks.
    let mut tagged = frame.clone();
    tagged.splice(12..12, [0x81, 0, 0xA0, 5]);
    bench.card.receive(&tagged);
    assert_eq!(bench.poll().unwrap().bytes, tagged);
    let five = tsyncrxctl::TSIP_UP_EN.put(all, 1 << 5);
    bench.set(&TSYNCRXCTL, five);
    bench.card.receive(&tagged);
    assert_eq!(bench.poll().unwrap().bytes.len(), tagged.len() + 8);
}

#[test]
fn an_x550_interrupts_when_what_was_to_be_stamped_is_sent() {
    let mut bench = x550().start();
    bench.set(&TSYNCTXCTL, tsynctxctl::EN.mask());
    let send = |bench: &mut Bench| {
        bench.send(&tcp(1, 2, &[0; 60]), transmit::MAC_TSTAMP.mask(), 114);
        bench.get(&TXSTMPH);
        bench.get(&EICR) & eicr::GPI_SDP0.mask() != 0
    };
    assert!(!send(&mut bench), "nobody asked");
    assert_eq!(bench.get(&TSICR), tsicr::TXTS.mask());
    bench.set(&TSIM, tsim::TXTS.mask());
    assert!(send(&mut bench));
    bench.set(&TSICR, tsicr::TXTS.mask());
    assert_eq!(bench.get(&TSICR), 0);
}

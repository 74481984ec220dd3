//! Segments of TCP that are put together (RSC).

use crate::bench::{Bench, checksum, pseudo, raw_tcp};
use linecard_ixgbe_regs::descriptor::receive;
use linecard_ixgbe_regs::registers::*;

/// The interval of vector 0: 100 µs.
const INTERVAL: u32 = 50;

fn coalescing() -> Bench {
    let mut bench = Bench::started();
    let word = bench.get(&RDRXCTL) | rdrxctl::RSCACKC.mask() | rdrxctl::CRCSTRIP.mask();
    bench.set(&RDRXCTL, word);
    bench.set(&RSCCTL, rscctl::MAXDESC.put(rscctl::RSCEN.mask(), 3));
    bench.set(&IVAR, ivar::RX_EVEN_VALID.mask());
    bench.set(&EITR, eitr::INTERVAL.put(0, INTERVAL));
    bench
}

fn segment(port: u16, sequence: u32, len: usize) -> Vec<u8> {
    let mut frame = raw_tcp(port, 80, &vec![port as u8; len]);
    let ip = checksum(&frame[14..34], 0);
    frame[24..26].copy_from_slice(&ip.to_be_bytes());
    frame[38..42].copy_from_slice(&sequence.to_be_bytes());
    frame[47] = 0x10;
    let sum = checksum(&frame[34..], pseudo(20 + len));
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn descriptors_of_two_connections_name_their_next_ones() {
    let mut bench = coalescing();
    for (sequence, port) in [(0, 1), (0, 2), (1400, 1), (1400, 2)] {
        bench.card.receive(&segment(port, sequence, 1400));
    }
    let [first, second] = bench.slot(0);
    assert_eq!((receive::RSC_COUNT.of(first), receive::NEXTP.of(second)), (3, 2));
    assert!(receive::DD.is_set(second) && !receive::EOP.is_set(second));
    assert_eq!(receive::NEXTP.of(bench.slot(1)[1]), 3);
    assert!(!receive::DD.is_set(bench.slot(2)[1]), "it waits for more");
    bench.card.tick(u64::from(INTERVAL) * 2_000);
    let [first, second] = bench.slot(2);
    assert_eq!(receive::PKT_LEN.of(second), 54 + 2800 - 2048);
    assert!(receive::EOP.is_set(second) && receive::RSC_COUNT.of(first) > 0);
    assert_eq!((bench.get(&QPRC), bench.get(&RDH)), (4, 4));
}

#[test]
fn headers_are_those_of_the_whole() {
    let mut bench = coalescing();
    let mut last = segment(1, 100, 100);
    last[42..46].copy_from_slice(&77u32.to_be_bytes());
    last[50..52].fill(0);
    let sum = checksum(&last[34..], pseudo(120));
    last[50..52].copy_from_slice(&sum.to_be_bytes());
    bench.card.receive(&segment(1, 0, 100));
    bench.card.receive(&last);
    bench.card.tick(1_000_000);
    let got = bench.poll().unwrap();
    assert_eq!(got.bytes.len(), 254);
    assert_eq!(got.bytes[16..18], 240u16.to_be_bytes(), "total length");
    assert_eq!(checksum(&got.bytes[14..34], 0), 0, "checksum of IPv4");
    assert_eq!(got.bytes[42..46], 77u32.to_be_bytes(), "the last acknowledgement");
}

#[test]
fn what_does_not_follow_is_not_put_behind() {
    let mut bench = coalescing();
    let mut wrong = segment(1, 100, 100);
    wrong[60] ^= 1;
    for frame in [segment(1, 0, 100), wrong, segment(1, 200, 100), segment(1, 250, 100)] {
        bench.card.receive(&frame);
    }
    bench.card.tick(1_000_000);
    let lens: Vec<_> = std::iter::from_fn(|| bench.poll()).map(|got| got.bytes.len()).collect();
    assert_eq!(lens, [154; 4]);
}

#[test]
fn a_queue_that_is_switched_off_tells_of_what_it_has() {
    let mut bench = coalescing();
    bench.card.receive(&segment(1, 0, 100));
    assert!(bench.poll().is_none());
    bench.set(&RXDCTL, 0);
    assert_eq!(bench.poll().unwrap().bytes.len(), 154);
}

//! Merged TCP segments (LRO), on a model that coalesces.

use crate::bed::Modelled;
use crate::ends::*;
use linecard_ixgbe_model::Garbage;
use linecard_mbuf::{Flags, Mbuf, MbufPool};
use linecard_net::checksum::{Status, fill_l4, verify_ipv4};
use linecard_net::header::TcpFlags;
use linecard_net::{FrameBuilder, parse};
use linecard_pmd_core::{Error, Port, PortConfig, RxOffloads};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use std::time::{Duration, Instant};

/// Moderation so long that time does not end a packet while a test runs.
fn slow() -> IxgbeOptions {
    IxgbeOptions::new().interrupt_interval(Duration::from_micros(1022))
}

fn merging(pool: &MbufPool, options: &IxgbeOptions) -> [End; 2] {
    ends_with(pool, options, |config| config.rx_offloads(RxOffloads::LRO))
}

/// A segment of a stream from `port`, whose bytes tell their place in it.
fn segment(port: u16, from: u32, len: usize, flags: TcpFlags) -> Vec<u8> {
    let payload: Vec<u8> = (from..).take(len).map(|at| (at / 3) as u8).collect();
    let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).tcp(port, 9, flags);
    let mut frame = frame.payload(&payload).to_vec().expect("a frame");
    frame[38..42].copy_from_slice(&from.to_be_bytes());
    let layers = parse(&frame).outer;
    fill_l4(&mut frame, &layers).expect("it is TCP");
    frame
}

/// Receives until so many packets have come.
fn wait_for(end: &mut End, n: usize) -> Vec<Mbuf> {
    let (mut all, begin) = (Vec::new(), Instant::now());
    while all.len() < n && begin.elapsed() < Duration::from_secs(20) {
        end.card.tick();
        all.extend(end.receive());
    }
    all
}

fn payload(packet: &Mbuf) -> Vec<u8> {
    let bytes = bytes(packet);
    let layers = parse(&bytes).outer;
    bytes[usize::from(layers.l4_offset) + 20..].to_vec()
}

fn stream(from: u32, len: usize) -> Vec<u8> {
    (from..).take(len).map(|at| (at / 3) as u8).collect()
}

#[test]
fn segments_that_follow_one_another_become_one_packet() {
    let pool = pool();
    let [mut left, mut right] = merging(&pool, &slow());
    for i in 0..5 {
        let flags = if i == 4 { TcpFlags::ACK | TcpFlags::PSH } else { TcpFlags::ACK };
        left.send(packet(&pool, &segment(7, 1000 * i, 1000, flags)));
    }
    let got = wait_for(&mut right, 1);
    assert_eq!(got.len(), 1);
    assert!(got[0].flags().contains(Flags::LRO));
    assert_eq!((got[0].segment_count(), payload(&got[0])), (3, stream(0, 5000)));
    let whole = bytes(&got[0]);
    assert_eq!(verify_ipv4(&whole, &parse(&whole).outer), Status::Good, "length and checksum");
    right.card.assert_clean();
}

#[test]
fn two_streams_are_merged_apart_though_their_segments_alternate() {
    let pool = pool();
    let [mut left, mut right] = merging(&pool, &slow());
    for i in 0..6 {
        for port in [7, 8] {
            let flags = if i == 5 { TcpFlags::ACK | TcpFlags::PSH } else { TcpFlags::ACK };
            left.send(packet(&pool, &segment(port, 5 + 1400 * i, 1400, flags)));
        }
    }
    let got = wait_for(&mut right, 2);
    assert_eq!(got.iter().map(payload).collect::<Vec<_>>(), [stream(5, 8400), stream(5, 8400)]);
    assert_ne!(bytes(&got[0])[34..36], bytes(&got[1])[34..36], "of different ports");
    drop((got, left, right));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_gap_or_another_kind_of_packet_ends_a_merged_one() {
    let pool = pool();
    let [mut left, mut right] = merging(&pool, &slow());
    let plain = TcpFlags::ACK;
    for frame in [
        segment(7, 0, 100, plain),
        segment(7, 100, 100, plain),
        segment(7, 300, 100, plain),
        segment(7, 400, 100, plain),
        segment(7, 500, 0, TcpFlags::ACK | TcpFlags::FIN),
    ] {
        left.send(packet(&pool, &frame));
    }
    left.send(packet(&pool, &udp(b"not TCP")));
    let got = wait_for(&mut right, 4);
    let lens: Vec<_> =
        got.iter().map(|one| (payload_len(one), one.flags().contains(Flags::LRO))).collect();
    assert_eq!(lens, [(200, true), (200, true), (0, false), (0, false)]);
}

fn payload_len(packet: &Mbuf) -> usize {
    let bytes = bytes(packet);
    match bytes[23] {
        6 => usize::from(u16::from_be_bytes([bytes[16], bytes[17]])) - 40,
        _ => 0,
    }
}

#[test]
fn a_lone_segment_comes_when_its_time_is_over() {
    let pool = pool();
    let [mut left, mut right] = merging(&pool, &IxgbeOptions::new());
    left.send(packet(&pool, &segment(7, 0, 500, TcpFlags::ACK)));
    let got = wait_for(&mut right, 1);
    assert_eq!((got.len(), payload(&got[0])), (1, stream(0, 500)));
    assert!(!got[0].flags().contains(Flags::LRO), "nothing was merged");
}

#[test]
fn a_long_stream_arrives_whole_and_in_order() {
    let pool = pool();
    let [mut left, mut right] = merging(&pool, &IxgbeOptions::new());
    let (mut from, mut got) = (0u32, Vec::new());
    for i in 0..500usize {
        let len = 1 + i * 37 % 1400;
        left.send(packet(&pool, &segment(7, from, len, TcpFlags::ACK)));
        from += len as u32;
        left.queues.tx[0].reclaim();
        right.receive().iter().for_each(|packet| got.extend(payload_of(packet)));
    }
    let begin = Instant::now();
    while got.len() < from as usize && begin.elapsed() < Duration::from_secs(20) {
        right.card.tick();
        right.receive().iter().for_each(|packet| got.extend(payload_of(packet)));
    }
    assert!(got == stream(0, from as usize), "{} of {from}", got.len());
    assert!(right.port.stats().rx_packets < 500, "some were merged");
    right.card.assert_clean();
}

/// Without what pads a short frame.
fn payload_of(packet: &Mbuf) -> Vec<u8> {
    let bytes = bytes(packet);
    let end = 14 + usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    bytes[54..end].to_vec()
}

#[test]
fn a_next_or_a_length_that_cannot_be_ends_the_queue_and_nothing_else() {
    for garbage in [Garbage::WrongNext, Garbage::HugeLength, Garbage::AllOnes] {
        let pool = pool();
        let [mut left, mut right] = merging(&pool, &slow());
        right.card.model().faults().garbage = Some(garbage);
        for (from, flags) in [(0, TcpFlags::ACK), (1400, TcpFlags::ACK | TcpFlags::PSH)] {
            left.send(packet(&pool, &segment(7, from, 1400, flags)));
        }
        assert!(right.receive().is_empty(), "{garbage:?}");
        assert!(right.queues.rx[0].is_finished(), "{garbage:?}");
        drop((left, right));
        assert_eq!(pool.in_use(), 0, "{garbage:?}");
    }
}

#[test]
fn more_queues_than_vectors_are_refused() {
    let pool = pool();
    let card = Modelled::looped();
    let port = IxgbePort::open(Box::new(card), IxgbeOptions::new()).expect("an 82599");
    let config = PortConfig::new(&pool).rx_queues(64).rx_offloads(RxOffloads::LRO);
    let refused = Port::open(port).configure(config).expect_err("too many");
    assert!(matches!(refused.error, Error::Range { max: 63, .. }), "{refused}");
}

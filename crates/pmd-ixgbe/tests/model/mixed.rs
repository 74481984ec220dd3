//! Bursts in which each packet asks for something else than the one before, or for the same.

use crate::bed::Modelled;
use linecard_mbuf::{Burst, L4Checksum, Mbuf, MbufPool, TxRequest};
use linecard_net::checksum::{Status, pseudo_sum, verify_ipv4, verify_l4};
use linecard_net::header::TcpFlags;
use linecard_net::{FrameBuilder, MacAddr, parse};
use linecard_pmd_core::{Port, PortConfig, TxOffloads};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use std::net::Ipv4Addr;

/// What a packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Nothing,
    Udp,
    Tcp,
    Tag(u16),
    Pieces,
}

/// A whole frame, told apart by `number`, and the packet that the card is to make it of.
fn packet(pool: &MbufPool, ask: Ask, number: u8) -> (Vec<u8>, Mbuf) {
    let [from, to] = [1, 2].map(|last| Ipv4Addr::new(198, 51, 100, last));
    let frame = FrameBuilder::new(MacAddr([0xFF; 6]), MacAddr([2, 0, 0, 0, 0, 9])).ipv4(from, to);
    let frame = match ask {
        Ask::Tcp => frame.tcp(7, 9, TcpFlags::ACK),
        _ => frame.udp(7, 9),
    };
    let whole = frame.payload(&[number; 40]).to_vec().expect("a frame");
    let mut bytes = whole.clone();
    let at = 34 + if ask == Ask::Tcp { 16 } else { 6 };
    let sums = matches!(ask, Ask::Udp | Ask::Tcp);
    if sums {
        let flow = parse(&whole).outer.flow.expect("a flow");
        let sum = pseudo_sum(&flow, whole.len() as u32 - 34);
        bytes[24..26].fill(0);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let mut packet = pool.alloc().expect("a buffer");
    let first = if ask == Ask::Pieces { 20 } else { bytes.len() };
    packet.extend(pool, &bytes[..first]).expect("buffers");
    if first < bytes.len() {
        let mut rest = pool.alloc().expect("a buffer");
        rest.extend(pool, &bytes[first..]).expect("buffers");
        packet.chain(rest).expect("room for a piece");
    }
    if sums {
        packet.request(TxRequest {
            l2_len: 14,
            l3_len: 20,
            ip_checksum: true,
            l4_checksum: if ask == Ask::Tcp { L4Checksum::Tcp } else { L4Checksum::Udp },
            ..Default::default()
        });
    }
    if let Ask::Tag(tag) = ask {
        packet.insert_vlan(tag);
    }
    (whole, packet)
}

/// What the frame on the wire should be.
fn on_the_wire(ask: Ask, mut frame: Vec<u8>) -> Vec<u8> {
    if let Ask::Tag(tag) = ask {
        let [high, low] = tag.to_be_bytes();
        frame.splice(12..12, [0x81, 0, high, low]);
    }
    frame
}

/// Sends these, one a call, and says how many descriptors they took.
fn descriptors(asks: &[Ask]) -> u32 {
    let pool = MbufPool::builder("packets").size(4095).build().expect("a pool");
    let [left, _right] = Modelled::pair();
    let offloads = TxOffloads::IP_CHECKSUM | TxOffloads::UDP_CHECKSUM | TxOffloads::TCP_CHECKSUM;
    let config = PortConfig::new(&pool).tx_offloads(offloads | TxOffloads::VLAN_INSERT);
    let port = IxgbePort::open(Box::new(left.clone()), IxgbeOptions::new()).expect("an 82599");
    let (port, mut queues) =
        Port::open(port).configure(config).expect("it can").start().expect("it starts");
    for ask in asks {
        let mut burst = Burst::new();
        burst.push(packet(&pool, *ask, 0).1).expect("room");
        assert_eq!(queues.tx[0].send(&mut burst), 1);
    }
    assert_eq!(port.stats().tx_errors, 0);
    left.assert_clean();
    let tail = linecard_ixgbe_regs::registers::TDT.offset();
    left.model().read(linecard_ixgbe_model::Bar::Registers, tail.into(), 4) as u32
}

/// §7.2.3.2.3.
#[test]
fn two_kinds_of_packets_in_turn_tell_the_card_of_each_once() {
    let two = [Ask::Tcp, Ask::Udp].repeat(50);
    assert_eq!(descriptors(&two), 102);
    let three = [Ask::Tcp, Ask::Tcp, Ask::Nothing, Ask::Tag(5), Ask::Tcp, Ask::Tag(5)];
    assert_eq!(descriptors(&three), 8);
    let other = [Ask::Tcp, Ask::Tag(5), Ask::Tag(6), Ask::Tag(5), Ask::Tcp];
    assert_eq!(descriptors(&other), 9, "two at a time: only the second tag 5 is known");
}

#[test]
fn packets_that_ask_for_the_same_or_not_leave_as_they_were_asked_to() {
    const ALL: [Ask; 6] = [Ask::Nothing, Ask::Udp, Ask::Tcp, Ask::Tag(5), Ask::Tag(6), Ask::Pieces];
    let pool = MbufPool::builder("packets").size(4095).build().expect("a pool");
    let [left, right] = Modelled::pair();
    let offloads = TxOffloads::IP_CHECKSUM
        | TxOffloads::UDP_CHECKSUM
        | TxOffloads::TCP_CHECKSUM
        | TxOffloads::VLAN_INSERT
        | TxOffloads::MULTI_SEGMENT;
    let [mut near, mut far] = [&left, &right].map(|card| {
        let port = IxgbePort::open(Box::new(card.clone()), IxgbeOptions::new()).expect("an 82599");
        let config = PortConfig::new(&pool).tx_offloads(offloads).tx_descriptors(64);
        Port::open(port).configure(config).expect("it can").start().expect("it starts")
    });
    let mut state = 7u32;
    for round in 0..200 {
        let mut burst = Burst::with_limit(32);
        let mut expected: Vec<(Ask, Vec<u8>)> = Vec::new();
        for number in 0..32 {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            // The same as the one before, in every second round mostly.
            let ask = match state >> 28 {
                0..8 if round % 2 == 0 && number > 0 => expected[number as usize - 1].0,
                _ => ALL[(state >> 16) as usize % 6],
            };
            let (frame, packet) = packet(&pool, ask, number);
            expected.push((ask, frame));
            burst.push(packet).expect("room");
        }
        let mut got = Burst::with_limit(64);
        let mut frames = Vec::new();
        while frames.len() < 32 {
            near.1.tx[0].send(&mut burst);
            assert!(far.1.rx[0].receive(&mut got) > 0, "round {round}");
            frames.extend(got.drain(64).map(|packet| packet.data().to_vec()));
        }
        for ((ask, frame), got) in expected.into_iter().zip(&frames) {
            assert_eq!(*got, on_the_wire(ask, frame), "{ask:?} in round {round}");
            let parsed = parse(got);
            for sum in [verify_ipv4(got, &parsed.outer), verify_l4(got, &parsed.outer)] {
                assert!(!matches!(sum, Status::Bad), "{ask:?} in round {round}");
            }
        }
    }
    assert_eq!(near.0.stats().tx_errors, 0);
    left.assert_clean();
    right.assert_clean();
    drop((near, far));
    assert_eq!(pool.in_use(), 0);
}

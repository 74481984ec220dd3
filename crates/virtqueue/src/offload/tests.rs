//! Offloads asked for, and done in software.
use super::*;
use crate::net::{self as vnet, VNET, VnetHdr};
use linecard_mbuf::{ChecksumStatus, L4Checksum, Mbuf, MbufPool, Segmentation, TxRequest};
use linecard_net::checksum::{Status, pseudo_sum, verify_ipv4, verify_l4};
use linecard_net::header::protocol;
use linecard_net::parse;
use proptest::prelude::*;

fn pool() -> MbufPool {
    MbufPool::builder("offload").size(255).cache(0).data_room(512).build().expect("a pool")
}

fn packet(pool: &MbufPool, bytes: &[u8]) -> Mbuf {
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, bytes).expect("buffers");
    packet
}

fn all(packet: &Mbuf) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.copy_to(0, &mut bytes);
    bytes
}

/// An Ethernet frame without transport checksum: in its field is the pseudo-header's sum.
fn unfinished(ipv6: bool, proto: u8, payload: usize) -> (Vec<u8>, VnetHdr) {
    let header = if proto == protocol::TCP { 20 } else { 8 };
    let l4 = header + payload;
    let mut frame = b"\x02lc\0\0\x02\x02lc\0\0\x01".to_vec();
    if ipv6 {
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
        frame.extend((l4 as u16).to_be_bytes());
        frame.extend([proto, 64]);
        frame.extend([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        frame.extend([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + l4 as u16).to_be_bytes());
        frame.extend([0x12, 0x34, 0x40, 0, 64, proto, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2]);
    }
    let csum_start = frame.len();
    frame.extend([0x10, 0, 0x20, 0]);
    if proto == protocol::TCP {
        frame.extend([0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 9, 0x50, 0x99, 1, 0, 0, 0, 0, 0]);
    } else {
        frame.extend((l4 as u16).to_be_bytes());
        frame.extend([0, 0]);
    }
    frame.extend((0..payload).map(|i| (i * 7) as u8));
    let csum_offset = if proto == protocol::TCP { TCP_CHECKSUM } else { UDP_CHECKSUM };
    let sum = pseudo_sum(&parse(&frame).outer.flow.expect("IP"), l4 as u32);
    let at = csum_start + usize::from(csum_offset);
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    let (flags, csum_start) = (vnet::NEEDS_CSUM, csum_start as u16);
    (frame, VnetHdr { flags, csum_start, csum_offset, ..VnetHdr::default() })
}

const KINDS: [(bool, u8); 4] =
    [(false, protocol::TCP), (false, protocol::UDP), (true, protocol::TCP), (true, protocol::UDP)];

fn l4_status(frame: &[u8]) -> Status {
    verify_l4(frame, &parse(frame).outer)
}

#[test]
fn an_unfinished_checksum_is_completed_across_segments() {
    let pool = pool();
    for (ipv6, proto) in KINDS {
        for payload in [0, 1, 100, 433, 434, 435, 1400] {
            let (frame, vnet) = unfinished(ipv6, proto, payload);
            let mut packet = packet(&pool, &frame);
            settle(&mut packet, vnet, Unfinished::empty()).expect("sound");
            assert_eq!(l4_status(&all(&packet)), Status::Good, "{ipv6} {proto} {payload}");
            assert_eq!(packet.tx_request(), None);
        }
    }
}

#[test]
fn a_checksum_that_was_asked_for_is_left_to_whoever_sends_the_packet_on() {
    let pool = pool();
    for (ipv6, proto) in KINDS {
        let (frame, vnet) = unfinished(ipv6, proto, 300);
        let mut packet = packet(&pool, &frame);
        settle(&mut packet, vnet, Unfinished::CHECKSUM).expect("sound");
        assert_eq!((all(&packet), packet.l4_checksum()), (frame, ChecksumStatus::Intact));
        let head = Head::of(&packet).expect("it can be sent");
        let said = VnetHdr::read(head.bytes());
        assert_eq!((said.flags, said.csum_start), (vnet.flags, vnet.csum_start));
        assert_eq!(said.csum_offset, vnet.csum_offset);
    }
}

#[test]
fn a_checksum_found_right_is_told_if_asked() {
    let pool = pool();
    let vnet = VnetHdr { flags: vnet::DATA_VALID, ..VnetHdr::default() };
    let mut packet = packet(&pool, &unfinished(false, protocol::TCP, 9).0);
    settle(&mut packet, vnet, Unfinished::empty()).expect("sound");
    assert_eq!(packet.l4_checksum(), ChecksumStatus::Unknown);
    settle(&mut packet, vnet, Unfinished::CHECKSUM).expect("sound");
    assert_eq!(packet.l4_checksum(), ChecksumStatus::Good);
}

#[test]
fn a_large_frame_passes_as_it_came_between_two_ports_that_were_asked_for_it() {
    let pool = pool();
    for (ipv6, proto) in KINDS {
        let (frame, vnet) = unfinished(ipv6, proto, 3000);
        let gso_type = match (proto, ipv6) {
            (protocol::TCP, false) => vnet::GSO_TCPV4,
            (protocol::TCP, true) => vnet::GSO_TCPV6,
            _ => vnet::GSO_UDP_L4,
        };
        let vnet = VnetHdr { gso_type, gso_size: 1000, ..vnet };
        let mut packet = packet(&pool, &frame);
        let (asked, other) = match proto {
            protocol::TCP => (Unfinished::LARGE_TCP, Unfinished::LARGE_UDP),
            _ => (Unfinished::LARGE_UDP, Unfinished::LARGE_TCP),
        };
        let not_asked = Unfinished::CHECKSUM | other;
        assert_eq!(settle(&mut packet, vnet, not_asked), Err(Unsound));
        settle(&mut packet, vnet, asked).expect("sound");
        let head = Head::of(&packet).expect("it can be sent");
        let said = VnetHdr::read(head.bytes());
        let ecn = if proto == protocol::TCP { vnet::GSO_ECN } else { 0 };
        assert_eq!((said.gso_type, said.gso_size), (gso_type | ecn, 1000));
        let mut sent = head.bytes()[VNET..].to_vec();
        sent.extend(&all(&packet)[head.replaces()..]);
        // The IPv4 header checksum is filled in on the way.
        let mut expected = frame.clone();
        if !ipv6 {
            expected[24..26].copy_from_slice(&sent[24..26]);
            assert_eq!(verify_ipv4(&sent, &parse(&sent).outer), Status::Good);
        }
        assert!(sent == expected, "{ipv6} {proto}");
    }
}

#[test]
fn a_large_frame_is_cut_into_those_of_a_wire() {
    for (ipv6, proto) in KINDS {
        let (frame, vnet) = unfinished(ipv6, proto, 3500);
        let gso_type = match (proto, ipv6) {
            (protocol::TCP, false) => vnet::GSO_TCPV4 | vnet::GSO_ECN,
            (protocol::TCP, true) => vnet::GSO_TCPV6,
            _ => vnet::GSO_UDP_L4,
        };
        let vnet = VnetHdr { gso_type, gso_size: 1000, ..vnet };
        let mut segments = Segments::of(&frame, vnet).expect("sound");
        let (mut room, mut payload, mut flags) = ([0; 2000], Vec::<u8>::new(), Vec::new());
        while let Some(segment) = segments.next(&mut room) {
            let layers = parse(segment).outer;
            assert_eq!(verify_l4(segment, &layers), Status::Good);
            assert!(ipv6 || verify_ipv4(segment, &layers) == Status::Good);
            assert_eq!(layers.end, segment.len());
            let l4 = layers.l4_bytes(segment);
            if proto == protocol::TCP {
                let sequence = u32::from_be_bytes([l4[4], l4[5], l4[6], l4[7]]);
                assert_eq!(sequence, 0xFFFF_FF00u32.wrapping_add(payload.len() as u32));
                flags.push(l4[13]);
            }
            payload.extend(layers.payload(segment));
        }
        assert_eq!(payload, frame[frame.len() - 3500..]);
        // CWR in the first alone, FIN and PSH in the last, ACK in all.
        let expected: &[u8] = if proto == protocol::TCP { &[0x90, 0x10, 0x10, 0x19] } else { &[] };
        assert_eq!(flags, expected);
    }
}

#[test]
fn a_large_frame_that_is_not_what_it_says_is_not_cut() {
    let (frame, vnet) = unfinished(false, protocol::TCP, 3000);
    for (gso_type, gso_size) in
        [(vnet::GSO_TCPV6, 1000), (vnet::GSO_UDP_L4, 1000), (3, 1000), (1, 0)]
    {
        let wrong = VnetHdr { gso_type, gso_size, ..vnet };
        assert!(Segments::of(&frame, wrong).is_none(), "{gso_type} {gso_size}");
    }
    assert!(Segments::of(&frame[..40], VnetHdr { gso_type: 1, gso_size: 9, ..vnet }).is_none());
}

#[test]
fn a_tag_goes_behind_the_addresses_and_moves_the_rest() {
    let pool = pool();
    let (frame, vnet) = unfinished(false, protocol::TCP, 50);
    let mut packet = packet(&pool, &frame);
    packet.insert_vlan(0x2005);
    let head = Head::of(&packet).expect("it can be sent");
    assert_eq!((head.replaces(), head.frame_len(packet.len())), (12, frame.len() + 4));
    assert_eq!(head.bytes()[VNET + 12..], [0x81, 0, 0x20, 5]);
    assert!(VnetHdr::read(head.bytes()).is_plain());
    settle(&mut packet, vnet, Unfinished::CHECKSUM).expect("sound");
    let head = Head::of(&packet).expect("it can be sent");
    assert_eq!(VnetHdr::read(head.bytes()).csum_start, vnet.csum_start + 4);
}

#[test]
fn a_request_that_does_not_fit_its_packet_is_refused() {
    let pool = pool();
    let whole = TxRequest {
        l2_len: 14,
        l3_len: 20,
        l4_len: 20,
        l4_checksum: L4Checksum::Tcp,
        ip_checksum: true,
        ..TxRequest::default()
    };
    let wrong = [
        TxRequest { l2_len: 0, ..whole },
        TxRequest { l3_len: 500, ..whole },
        TxRequest { l3_len: 10, ..whole },
        TxRequest { l4_checksum: L4Checksum::Sctp, ..whole },
        TxRequest { segmentation: Segmentation::Tcp(0), ..whole },
    ];
    let mut packet = packet(&pool, &unfinished(false, protocol::TCP, 50).0);
    for request in wrong {
        packet.request(request);
        assert!(Head::of(&packet).is_err(), "{request:?}");
    }
    packet.request(whole);
    assert!(Head::of(&packet).is_ok());
}

#[test]
fn headers_prepared_in_place_are_those_that_a_head_would_have() {
    let pool = MbufPool::builder("place").size(255).cache(0).data_room(4096).build().expect("one");
    for (ipv6, proto) in KINDS {
        for (tagged, size) in [(false, 0), (true, 0), (false, 500), (true, 500)] {
            let (frame, vnet) = unfinished(ipv6, proto, 3000);
            let mut packet = packet(&pool, &frame);
            settle(&mut packet, vnet, Unfinished::CHECKSUM).expect("sound");
            let mut request = packet.tx_request().expect("a checksum");
            if size > 0 {
                request.segmentation = match request.l4_checksum {
                    L4Checksum::Tcp => Segmentation::Tcp(size),
                    _ => Segmentation::Udp(size),
                };
            }
            packet.request(TxRequest { ip_checksum: !ipv6, ..request });
            if tagged {
                packet.insert_vlan(7);
            }
            let head = Head::of(&packet).expect("it can be sent");
            let mut expected = head.bytes()[VNET..].to_vec();
            expected.extend(&all(&packet)[head.replaces()..]);
            assert_eq!(prepare(&mut packet), Ok(VnetHdr::read(head.bytes())));
            assert!(all(&packet) == expected, "{ipv6} {proto} {tagged} {size}");
            assert_eq!(packet.vlan_to_insert(), None);
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_kernel_says_of_a_frame_is_harmless(
        frame in proptest::collection::vec(any::<u8>(), 0..200),
        ipv6 in any::<bool>(),
        raw in any::<[u8; VNET]>(),
        asked in any::<u8>(),
        real in any::<bool>(),
    ) {
        let vnet = VnetHdr::read(&raw);
        let frame = if real { unfinished(ipv6, protocol::TCP, 80).0 } else { frame };
        let pool = pool();
        let mut packet = packet(&pool, &frame);
        let _ = settle(&mut packet, vnet, Unfinished::from_bits_truncate(asked));
        let _ = Head::of(&packet).map(|head| head.bytes().len());
        let _ = prepare(&mut packet);
        if let Some(mut segments) = Segments::of(&frame, vnet) {
            let mut room = [0; 300];
            while segments.next(&mut room).is_some() {}
        }
    }
}

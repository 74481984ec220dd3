//! What receive says and transmit is asked comes out as it went in.

use crate::{packet, pool};
use linecard_mbuf::{ChecksumStatus, Flags, L4Checksum, Segmentation, TxRequest, USER_BYTES};
use proptest::prelude::*;

fn request() -> impl Strategy<Value = TxRequest> {
    let l4 = prop_oneof![
        Just(L4Checksum::None),
        Just(L4Checksum::Tcp),
        Just(L4Checksum::Udp),
        Just(L4Checksum::Sctp)
    ];
    let cut = prop_oneof![
        Just(Segmentation::None),
        any::<u16>().prop_map(Segmentation::Tcp),
        any::<u16>().prop_map(Segmentation::Udp)
    ];
    let lens = (0u8..128, 0u16..512, any::<u8>());
    (lens, any::<bool>(), any::<bool>(), l4, cut).prop_map(
        |((l2_len, l3_len, l4_len), ipv6, ip_checksum, l4_checksum, segmentation)| TxRequest {
            l2_len,
            l3_len,
            l4_len,
            ipv6,
            ip_checksum,
            l4_checksum,
            segmentation,
        },
    )
}

fn asks_nothing(request: &TxRequest) -> bool {
    !request.ipv6
        && !request.ip_checksum
        && request.l4_checksum == L4Checksum::None
        && request.segmentation == Segmentation::None
}

proptest! {
    #[test]
    fn every_request_comes_out_as_it_went_in(first in request(), second in request()) {
        let pool = pool(1);
        let mut packet = pool.alloc().unwrap();
        packet.set_rss_hash(5);
        packet.insert_vlan(0x1234);
        for request in [first, second] {
            packet.request(request);
            let expected = (!asks_nothing(&request)).then_some(request);
            prop_assert_eq!(packet.tx_request(), expected);
        }
        // What else was known is still.
        prop_assert_eq!((packet.rss_hash(), packet.vlan_to_insert()), (Some(5), Some(0x1234)));
    }

    #[test]
    fn receive_metadata_comes_out_as_it_went_in(
        port: u16, packet_type: u32, hash: u32, mark: u32, vlan: u16, outer: u16, at: u64,
    ) {
        let pool = pool(2);
        let mut one = packet(&pool, b"data");
        one.set_port(port);
        one.set_packet_type(packet_type);
        one.set_rss_hash(hash);
        one.set_mark(mark);
        one.set_vlan(vlan);
        one.set_vlan_outer(outer);
        one.set_timestamp(at);
        *one.user_mut() = [at; 4];
        for packet in [one.copy(&pool).unwrap(), one] {
            prop_assert_eq!((packet.port(), packet.packet_type()), (port, packet_type));
            prop_assert_eq!((packet.rss_hash(), packet.mark()), (Some(hash), Some(mark)));
            prop_assert_eq!((packet.vlan(), packet.vlan_outer()), (Some(vlan), Some(outer)));
            prop_assert_eq!((packet.timestamp(), packet.user::<[u64; 4]>()), (Some(at), &[at; 4]));
            prop_assert_eq!(packet.data(), b"data");
        }
    }
}

#[test]
fn a_new_packet_says_nothing_whatever_its_buffer_held() {
    let pool = pool(1);
    let mut old = packet(&pool, b"old");
    old.change_flags(Flags::all(), Flags::empty());
    old.set_port(9);
    old.set_packet_type(9);
    old.adjust(2).unwrap();
    drop(old);
    let new = pool.alloc().unwrap();
    assert_eq!((new.len(), new.segment_count(), new.headroom(), new.tailroom()), (0, 1, 128, 2048));
    assert_eq!((new.flags(), new.port(), new.packet_type()), (Flags::empty(), 0, 0));
    assert_eq!((new.rss_hash(), new.mark(), new.vlan(), new.timestamp()), (None, None, None, None));
    assert_eq!((new.tx_request(), new.ip_checksum()), (None, ChecksumStatus::Unknown));
}

#[test]
fn a_stripped_tag_may_be_inserted_again() {
    let pool = pool(1);
    let mut packet = pool.alloc().unwrap();
    packet.set_vlan(5);
    packet.set_vlan_outer(6);
    packet.insert_vlan(5);
    packet.insert_vlan_outer(6);
    assert_eq!((packet.vlan(), packet.vlan_to_insert()), (None, Some(5)));
    assert_eq!((packet.vlan_outer(), packet.vlan_outer_to_insert()), (None, Some(6)));
    assert_eq!(packet.tx_request(), None, "a tag asks nothing about headers");
}

#[test]
fn checksums_are_unknown_good_bad_or_beyond_doubt() {
    let pool = pool(1);
    let mut packet = pool.alloc().unwrap();
    let (good, bad) = (Flags::L4_CHECKSUM_GOOD, Flags::L4_CHECKSUM_BAD);
    for (flags, status) in [
        (Flags::empty(), ChecksumStatus::Unknown),
        (good, ChecksumStatus::Good),
        (bad, ChecksumStatus::Bad),
        (good | bad, ChecksumStatus::Intact),
    ] {
        packet.change_flags(flags, good | bad);
        assert_eq!(packet.l4_checksum(), status);
        assert_eq!(packet.ip_checksum(), ChecksumStatus::Unknown);
    }
}

#[test]
fn all_requests_are_in_one_half_of_the_flags() {
    let receive = Flags::all().difference(Flags::TX);
    assert_eq!(receive.bits() >> 32, 0);
    assert_eq!(Flags::all().intersection(Flags::TX).bits() as u32, 0);
}

#[test]
fn user_metadata_is_a_type_of_the_users() {
    #[derive(
        zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
    )]
    #[repr(C)]
    struct Mine {
        flow: u64,
        hops: u32,
        kind: u32,
    }
    let pool = pool(1);
    let mut packet = pool.alloc().unwrap();
    *packet.user_mut() = Mine { flow: 1, hops: 2, kind: 3 };
    packet.user_mut::<Mine>().hops += 1;
    let mine: &Mine = packet.user();
    assert_eq!((mine.flow, mine.hops, mine.kind), (1, 3, 3));
    assert_eq!(packet.user::<[u8; USER_BYTES]>()[8], 3);
}

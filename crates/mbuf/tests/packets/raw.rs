//! What drivers do with buffers.

use crate::{chain, packet, pool};
use linecard_mbuf::driver::{
    Asked, LINE, asks, buffer, from_address, into_address, into_plain, plain, receive_with,
    received, received_line, simple,
};
use linecard_mbuf::header::RxFields;
use linecard_mbuf::{Burst, Flags, L4Checksum, MbufPool, TxRequest};
use linecard_mempool::Object;

/// Writes `bytes` where a device would, and says so.
fn fill(pool: &MbufPool, object: Object, bytes: &[u8]) -> RxFields {
    // SAFETY: a buffer of this pool, taken from it and ours alone, with room behind its headroom.
    unsafe {
        let place = buffer(object, pool.headroom());
        place.address.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    RxFields { data_len: bytes.len() as u16, packet_len: bytes.len() as u32, ..Default::default() }
}

#[test]
fn a_filled_buffer_becomes_a_packet() {
    let pool = pool(4);
    let object = pool.raw().take().unwrap();
    let rx = RxFields { rss_hash: 7, ..fill(&pool, object, b"frame") };
    // SAFETY: filled just now, from this pool, ours alone.
    let mut packet = unsafe { received(object, pool.rearm(3), Flags::RSS_HASH, rx) };
    assert_eq!((packet.data(), packet.port(), packet.rss_hash()), (&b"frame"[..], 3, Some(7)));
    assert_eq!((packet.headroom(), packet.tailroom()), (128, 2043));
    packet.prepend(4).unwrap();
    drop(packet);
    assert_eq!(pool.available(), 4);
}

#[test]
fn a_filled_buffer_becomes_a_packet_by_32_bytes_as_they_lie_in_memory() {
    let pool = pool(4);
    let object = pool.raw().take().unwrap();
    fill(&pool, object, b"frame");
    let mut line = [0; LINE];
    line[..8].copy_from_slice(&pool.rearm(3).word().to_ne_bytes());
    line[8..16].copy_from_slice(&Flags::RSS_HASH.bits().to_ne_bytes());
    line[20..24].copy_from_slice(&5u32.to_ne_bytes());
    line[24..26].copy_from_slice(&5u16.to_ne_bytes());
    line[28..].copy_from_slice(&7u32.to_ne_bytes());
    // SAFETY: filled just now, from this pool, ours alone.
    let packet = unsafe { received_line(object, line) };
    assert_eq!((packet.data(), packet.port(), packet.rss_hash()), (&b"frame"[..], 3, Some(7)));
    drop(packet);
    assert_eq!(pool.available(), 4);
}

#[test]
fn packets_that_ask_transmit_for_the_same_are_the_same() {
    let pool = pool(4);
    let sums =
        |l4_checksum| TxRequest { l2_len: 14, l3_len: 20, l4_checksum, ..Default::default() };
    let [mut one, mut other] = [packet(&pool, b"one"), packet(&pool, b"other")];
    let home = one.home();
    let nothing = Asked::of(&one);
    assert!(!asks(&one) && nothing.is_same(&other) && simple(&one, home).is_some());
    one.request(sums(L4Checksum::Udp));
    let asked = Asked::of(&one);
    assert!(asks(&one) && simple(&one, home).is_none() && plain(&one, home).is_some());
    assert!(!asked.is_same(&other) && !nothing.is_same(&one));
    other.request(sums(L4Checksum::Tcp));
    assert!(!asked.is_same(&other));
    other.request(sums(L4Checksum::Udp));
    // What is not asked for may be anything.
    other.set_vlan(9);
    assert!(asked.is_same(&other));
    other.insert_vlan(9);
    assert!(!asked.is_same(&other));
    let asked = Asked::of(&other);
    one.insert_vlan(8);
    assert!(!asked.is_same(&one));
    one.insert_vlan(9);
    assert!(asked.is_same(&one));
    one.insert_vlan_outer(1);
    other.insert_vlan_outer(1);
    assert!(!Asked::of(&one).is_same(&other), "outer tags are not compared");
}

#[test]
fn a_burst_is_received_as_a_whole_or_not_at_all() {
    let pool = pool(10);
    let mut burst = Burst::with_limit(8);
    let mut n = 0;
    let mut fields = |object| {
        n += 1;
        (pool.rearm(1), Flags::empty(), fill(&pool, object, &[n]))
    };
    // SAFETY: `fields` fills the buffer that it tells of.
    unsafe {
        assert!(!receive_with(&pool, &mut burst, 9, &mut fields));
        assert!(receive_with(&pool, &mut burst, 6, &mut fields));
        assert!(!receive_with(&pool, &mut burst, 3, &mut fields));
    }
    assert!(burst.iter().map(|p| p.data()[0]).eq(1..=6));
    let mut more = Burst::new();
    // SAFETY: as above.
    assert!(!unsafe { receive_with(&pool, &mut more, 5, &mut fields) }, "four are left");
}

#[test]
fn where_data_lies_follows_the_edits() {
    let pool = pool(4);
    let mut one = packet(&pool, b"data");
    let before = one.place();
    assert_eq!(
        before.address.as_ptr().addr() as u64,
        before.iova,
        "virtual addresses are asked for"
    );
    one.prepend(8).unwrap();
    assert_eq!(one.place().iova, before.iova - 8);
    let all = chain(&pool, &[b"a", b"bc"]);
    let segments: Vec<_> = all.device_segments().collect();
    assert_eq!(segments.iter().map(|(_, len)| *len).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        segments[1].0.address.as_ptr().cast_const(),
        all.segments().nth(1).unwrap().as_ptr()
    );
}

#[test]
fn only_a_plain_packet_is_given_up_as_an_object() {
    let pool = pool(8);
    let object = into_plain(packet(&pool, b"plain")).unwrap();
    // SAFETY: given up just now, and returned once.
    unsafe { pool.raw().put_bulk(&[object]) };
    assert_eq!(into_plain(chain(&pool, &[b"a", b"b"])).unwrap_err().len(), 2);
    let shared = packet(&pool, b"shared").share();
    assert!(into_plain(shared.alias(&pool).unwrap()).is_err());
    drop(shared);
    assert_eq!(pool.available(), 8);
}

#[test]
fn a_packet_given_up_as_an_address_comes_back() {
    let pool = pool(8);
    let address = into_address(chain(&pool, &[b"a", b"bc"]));
    assert_eq!(pool.in_use(), 2);
    // SAFETY: from `into_address`, once.
    let packet = unsafe { from_address(address) };
    assert_eq!(packet.len(), 3);
}

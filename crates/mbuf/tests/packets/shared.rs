//! Packets that several have.

use crate::{bytes, chain, described, packet, pool};
use linecard_mbuf::{Flags, L4Checksum, TxRequest};

#[test]
fn the_last_sharer_returns_the_packet() {
    let pool = pool(8);
    let one = chain(&pool, &[b"ab", b"c"]).share();
    let two = one.clone();
    assert_eq!((one.sharers(), two.len(), two.data()), (2, 3, &b"ab"[..]));
    drop(one);
    assert_eq!((two.sharers(), pool.in_use()), (1, 2));
    drop(two);
    assert_eq!(pool.available(), 8);
}

#[test]
fn only_the_last_sharer_gets_the_packet_back() {
    let pool = pool(8);
    let one = packet(&pool, b"ab").share();
    let two = one.clone();
    let one = one.try_unshare().unwrap_err();
    drop(two);
    let mut alone = one.try_unshare().unwrap();
    alone.data_mut()[0] = b'x';
    assert_eq!(alone.data(), b"xb");
}

#[test]
fn an_alias_shows_the_bytes_without_copying_them() {
    let pool = pool(8);
    let shared = chain(&pool, &[b"ab", b"c"]).share();
    let alias = shared.alias(&pool).unwrap();
    assert_eq!((bytes(&alias), alias.segment_count()), (b"abc".to_vec(), 2));
    assert_eq!(alias.data().as_ptr(), shared.data().as_ptr());
    let places: Vec<_> = alias.device_segments().map(|(place, _)| place.address.as_ptr()).collect();
    assert!(
        places
            .iter()
            .zip(shared.segments())
            .all(|(place, part)| *place == part.as_ptr().cast_mut())
    );
    assert_eq!((shared.sharers(), pool.in_use()), (3, 4));
}

#[test]
fn an_alias_that_is_written_to_is_copied_first() {
    let pool = pool(8);
    let shared = packet(&pool, b"data").share();
    let (mut left, mut right) = (shared.alias(&pool).unwrap(), shared.alias(&pool).unwrap());
    left.data_mut()[0] = b'L';
    right.prepend(2).unwrap().copy_from_slice(b"R:");
    assert_eq!(
        (left.data(), right.data(), shared.data()),
        (&b"Lata"[..], &b"R:data"[..], &b"data"[..])
    );
    assert_eq!(shared.sharers(), 1, "copies let go");
}

#[test]
fn an_alias_keeps_the_bytes_when_all_sharers_are_gone() {
    let pool = pool(8);
    let shared = packet(&pool, b"data").share();
    let mut alias = shared.alias(&pool).unwrap();
    drop(shared);
    assert_eq!((alias.data(), pool.in_use()), (&b"data"[..], 2));
    alias.data_mut()[0] = b'D';
    assert_eq!((alias.data(), pool.in_use()), (&b"Data"[..], 1));
}

#[test]
fn an_alias_of_an_alias_keeps_the_packet_itself() {
    let pool = pool(8);
    let first = packet(&pool, b"data").share();
    let second = first.alias(&pool).unwrap().share();
    let third = second.alias(&pool).unwrap();
    drop(second);
    assert_eq!((pool.in_use(), first.sharers()), (2, 2), "the one between is gone");
    drop(first);
    assert_eq!(third.data(), b"data");
}

#[test]
fn very_many_aliases_of_aliases_are_freed_on_a_small_stack() {
    let pool = described(5000).headroom(0).data_room(64).build().unwrap();
    let mut all = Vec::new();
    let mut last = packet(&pool, b"deep").share();
    while let Some(next) = last.alias(&pool) {
        all.push(std::mem::replace(&mut last, next.share()));
    }
    all.clear();
    let small = std::thread::Builder::new().stack_size(64 << 10);
    small.spawn(move || drop(last)).unwrap().join().unwrap();
    assert_eq!(pool.available(), 5000);
}

#[test]
fn a_pool_of_other_buffers_may_hold_the_alias_if_they_are_large_enough() {
    let large = pool(4);
    let tiny = described(4).headroom(0).data_room(64).build().unwrap();
    let mut short = packet(&large, b"short");
    let wide = short.headroom() - 20;
    short.prepend(wide).unwrap();
    let short = short.share();
    assert!(packet(&large, &[0; 80]).share().alias(&tiny).is_none());
    assert_eq!(tiny.available(), 4);
    assert!(packet(&large, b"deep in the buffer").share().alias(&tiny).is_none());
    drop(short);
}

#[test]
fn a_pool_that_runs_out_half_way_gives_no_alias() {
    let (pool, few) = (pool(8), pool_of(2));
    let shared = chain(&pool, &[b"a", b"b", b"c"]).share();
    assert!(shared.alias(&few).is_none());
    assert_eq!((few.available(), shared.sharers()), (2, 1));
}

fn pool_of(size: usize) -> linecard_mbuf::MbufPool {
    described(size).cache(0).build().unwrap()
}

#[test]
fn an_alias_takes_what_receive_said_but_not_what_transmit_was_asked() {
    let pool = pool(8);
    // What the buffer that becomes the alias last held must not show.
    let mut stale = pool.alloc().unwrap();
    stale.set_timestamp(999);
    let mut one = packet(&pool, b"data");
    drop(stale);
    one.set_port(7);
    one.set_rss_hash(0x1234);
    one.set_timestamp(42);
    *one.user_mut::<u64>() = 77;
    one.request(TxRequest { l4_checksum: L4Checksum::Udp, ..Default::default() });
    let alias = one.share().alias(&pool).unwrap();
    assert_eq!((alias.port(), alias.rss_hash(), alias.timestamp()), (7, Some(0x1234), Some(42)));
    assert_eq!(*alias.user::<u64>(), 77);
    assert_eq!(alias.tx_request(), None);
    assert!(!alias.flags().intersects(Flags::TX));
}

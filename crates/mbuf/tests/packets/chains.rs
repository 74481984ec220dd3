//! Packets of several buffers, by example.

use crate::{bytes, chain, described, packet, pool};
use linecard_mbuf::MAX_SEGMENTS;

#[test]
fn a_chain_has_the_length_and_the_segments_of_its_parts() {
    let pool = pool(8);
    let mut all = chain(&pool, &[b"ab", b"", b"cde"]);
    assert_eq!((all.len(), all.segment_count(), all.data()), (5, 3, &b"ab"[..]));
    assert_eq!(all.segments().collect::<Vec<_>>(), [&b"ab"[..], b"", b"cde"]);
    assert_eq!(all.segments().len(), 3);
    all.chain(chain(&pool, &[b"f", b"g"])).unwrap();
    assert_eq!((bytes(&all), all.segment_count()), (b"abcdefg".to_vec(), 5));
    drop(all);
    assert_eq!(pool.available(), 8);
}

#[test]
fn a_chain_grows_at_its_outer_ends() {
    let pool = pool(8);
    let mut all = chain(&pool, &[b"ab", b"cd"]);
    all.prepend(1).unwrap()[0] = b'<';
    all.append(1).unwrap()[0] = b'>';
    assert_eq!(all.segments().collect::<Vec<_>>(), [b"<ab", b"cd>"]);
}

#[test]
fn trimming_returns_the_segments_that_become_empty() {
    let pool = pool(8);
    let mut all = chain(&pool, &[b"abc", b"de", b"f"]);
    all.trim(2).unwrap();
    assert_eq!((bytes(&all), all.segment_count(), pool.in_use()), (b"abcd".to_vec(), 2, 2));
    all.trim(4).unwrap();
    assert_eq!((all.len(), all.segment_count(), pool.in_use()), (0, 1, 1));
}

#[test]
fn a_chain_that_would_be_too_long_gives_the_tail_back() {
    let pool = pool(300);
    let mut all = packet(&pool, b"x");
    (1..MAX_SEGMENTS).for_each(|_| all.chain(packet(&pool, b"x")).unwrap());
    let (refused, tail) = all.chain(packet(&pool, b"y")).unwrap_err();
    assert_eq!((refused.asked, refused.room), (1, 0));
    assert_eq!(refused.to_string(), "1 segments asked for, 0 left of what a chain may have");
    assert_eq!((tail.data(), all.segment_count(), all.len()), (&b"y"[..], 255, 255));
    assert!(all.extend(&pool, &[0; 5000]).is_none());
    assert_eq!(all.len(), 255);
    drop((all, tail));
    assert_eq!(pool.available(), 300);
}

#[test]
fn linearizing_moves_all_bytes_into_the_first_segment() {
    let pool = pool(8);
    let mut all = chain(&pool, &[b"ab", b"cd", b"e"]);
    all.linearize().unwrap();
    assert_eq!((all.data(), all.segment_count(), pool.in_use()), (&b"abcde"[..], 1, 1));
    all.linearize().unwrap();
}

#[test]
fn a_chain_that_one_buffer_cannot_hold_is_left_as_it_is() {
    let pool = described(4).headroom(0).data_room(64).build().unwrap();
    let mut all = chain(&pool, &[&[1; 40], &[2; 40]]);
    let refused = all.linearize().unwrap_err();
    assert_eq!((refused.asked, refused.room), (40, 24));
    assert_eq!((all.len(), all.segment_count()), (80, 2));
}

#[test]
fn an_extension_that_runs_out_of_buffers_leaves_the_packet_as_it_was() {
    let pool = described(3).headroom(0).data_room(64).build().unwrap();
    let mut all = packet(&pool, b"head");
    assert!(all.extend(&pool, &[7; 200]).is_none());
    assert_eq!((all.data(), pool.in_use()), (&b"head"[..], 1));
    all.extend(&pool, &[7; 188]).unwrap();
    assert_eq!((all.len(), all.segment_count(), pool.available()), (192, 3, 0));
}

#[test]
fn bytes_in_one_segment_are_read_in_place() {
    let pool = pool(8);
    let all = chain(&pool, &[b"abc", b"", b"defg", b"h"]);
    let place = |at: usize| all.segments().nth(at).unwrap().as_ptr();
    assert_eq!(all.read(1, 2, &mut []).unwrap().as_ptr(), place(0).wrapping_add(1));
    assert_eq!(all.read(4, 3, &mut []).unwrap().as_ptr(), place(2).wrapping_add(1));
    assert_eq!(all.read(7, 1, &mut []).unwrap(), b"h");
    assert_eq!(all.read(8, 0, &mut []).unwrap(), b"");
}

#[test]
fn bytes_in_several_segments_are_copied_together() {
    let pool = pool(8);
    let all = chain(&pool, &[b"abc", b"", b"defg", b"h"]);
    assert_eq!(all.read(2, 6, &mut [0; 6]), Some(&b"cdefgh"[..]));
    assert_eq!(all.read(2, 6, &mut [0; 5]), None, "too little scratch");
    assert_eq!(all.read(2, 7, &mut [0; 9]), None, "beyond the packet");
    assert_eq!(all.read(usize::MAX, 2, &mut [0; 9]), None);
}

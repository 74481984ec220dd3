//! Rings in memory of our own, with a kernel that may write anything.

use super::arrived::{Arrived, Garbage, Walk, Whole};
use super::blocks::BlockRing;
use super::frames::FrameRing;
use super::slots::TxRing;
use crate::sys::SharedArea;
use linecard_mbuf::MbufPool;
use linecard_virtqueue::net::{NEEDS_CSUM, VNET, VnetHdr};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const SLOT: usize = 2048;
const BLOCK: usize = 4096;
/// Where frames begin in a slot, with room for header, address and vnet header.
const MAC: usize = 96;

fn put(area: &mut SharedArea, at: usize, bytes: &[u8]) {
    area.bytes_mut(at, bytes.len()).expect("in the area").copy_from_slice(bytes);
}

/// Writes a `TPACKET_V2` slot as the kernel would.
fn v2(area: &mut SharedArea, slot: usize, frame: &[u8], len: usize, status: u32) {
    let base = slot * SLOT;
    put(area, base + 4, (len as u32).as_bytes());
    put(area, base + 8, (frame.len() as u32).as_bytes());
    put(area, base + 12, (MAC as u16).as_bytes());
    put(area, base + 16, [7u32, 9].as_bytes());
    put(area, base + 24, [0x2005u16, 0x88A8].as_bytes());
    let vnet = VnetHdr { flags: NEEDS_CSUM, csum_start: 34, ..VnetHdr::default() };
    put(area, base + MAC - VNET, vnet.as_bytes());
    put(area, base + MAC, frame);
    area.write_status(base, status | libc::TP_STATUS_USER);
}

#[test]
fn a_slot_is_nobodys_until_the_kernel_says_so() {
    let mut ring = FrameRing::new(SharedArea::fake(2 * SLOT), SLOT, 2);
    assert_eq!(ring.peek(), None);
}

#[test]
fn a_slot_tells_all_about_its_frame() {
    let mut area = SharedArea::fake(2 * SLOT);
    v2(&mut area, 0, b"first", 5, libc::TP_STATUS_VLAN_VALID);
    v2(&mut area, 1, b"second", 6, libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID);
    let mut ring = FrameRing::new(area, SLOT, 2);
    let first = ring.peek().expect("ours").expect("sound");
    assert_eq!((first.frame, first.whole, first.time), (&b"first"[..], Whole::Here, 7_000_000_009));
    assert_eq!((first.vnet.flags, first.vnet.csum_start), (NEEDS_CSUM, 34));
    assert_eq!(first.tag.expect("a tag").bytes(), [0x81, 0, 0x20, 5]);
    ring.release();
    let second = ring.peek().expect("ours").expect("sound");
    assert_eq!(second.tag.expect("a tag").bytes(), [0x88, 0xA8, 0x20, 5]);
    ring.release();
    assert_eq!(ring.peek(), None, "round again: the first was given back");
}

#[test]
fn a_frame_that_is_cut_or_queued_says_so() {
    let mut area = SharedArea::fake(2 * SLOT);
    v2(&mut area, 0, b"half", 8, 0);
    v2(&mut area, 1, b"half", 8, libc::TP_STATUS_COPY);
    let mut ring = FrameRing::new(area, SLOT, 2);
    assert_eq!(ring.peek().expect("ours").expect("sound").whole, Whole::Cut);
    ring.release();
    assert_eq!(ring.peek().expect("ours").expect("sound").whole, Whole::Queued);
}

#[test]
fn a_frame_beyond_its_slot_is_garbage() {
    for (mac, len) in [(0u16, 5u32), (61, 5), (2047, 2), (2048, 0), (65_535, 0), (96, u32::MAX)] {
        let mut area = SharedArea::fake(2 * SLOT);
        v2(&mut area, 0, b"frame", 5, 0);
        put(&mut area, 8, len.as_bytes());
        put(&mut area, 12, mac.as_bytes());
        let mut ring = FrameRing::new(area, SLOT, 2);
        let past_slot = usize::from(mac) + len as usize > SLOT || mac < 62;
        assert_eq!(ring.peek() == Some(Err(Garbage)), past_slot, "{mac} {len}");
    }
}

/// Writes a `TPACKET_V3` block of frames as the kernel would.
fn v3(area: &mut SharedArea, block: usize, frames: &[&[u8]]) {
    let base = block * BLOCK;
    put(area, base + 12, [frames.len() as u32, 48].as_bytes());
    let mut at = base + 48;
    for frame in frames {
        let next = (MAC + frame.len()).next_multiple_of(8);
        put(area, at, [next as u32, 1, 2, frame.len() as u32, frame.len() as u32, 0].as_bytes());
        put(area, at + 24, (MAC as u16).as_bytes());
        put(area, at + MAC, frame);
        at += next;
    }
    area.write_status(base + 8, libc::TP_STATUS_USER);
}

fn drained(ring: &mut impl Walk, most: usize) -> Vec<Result<Vec<u8>, Garbage>> {
    let mut all = Vec::new();
    while all.len() < most {
        let Some(next) = ring.peek() else { break };
        all.push(next.map(|arrived: Arrived<'_>| arrived.frame.to_vec()));
        ring.release();
    }
    all
}

#[test]
fn blocks_are_walked_in_order_and_given_back() {
    let mut area = SharedArea::fake(3 * BLOCK);
    v3(&mut area, 0, &[b"one", b"two"]);
    v3(&mut area, 1, &[]);
    v3(&mut area, 2, &[b"three"]);
    let mut ring = BlockRing::new(area, BLOCK, 3);
    let got: Vec<_> = drained(&mut ring, 9).into_iter().map(Result::unwrap).collect();
    assert_eq!(got, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    assert_eq!(ring.peek(), None);
}

#[test]
fn blocks_without_frames_do_not_hold_a_ring_up_for_ever() {
    let mut area = SharedArea::fake(2 * BLOCK);
    (0..2).for_each(|block| v3(&mut area, block, &[]));
    assert_eq!(BlockRing::new(area, BLOCK, 2).peek(), None);
}

#[test]
fn a_block_that_lies_about_its_frames_is_given_back() {
    for wrong in [0u32, 4090, 5000, u32::MAX] {
        let mut area = SharedArea::fake(2 * BLOCK);
        v3(&mut area, 0, &[b"one", b"two"]);
        v3(&mut area, 1, &[b"next"]);
        put(&mut area, 48, wrong.as_bytes());
        let mut ring = BlockRing::new(area, BLOCK, 2);
        let got = drained(&mut ring, 9);
        assert_eq!(got.first(), Some(&Ok(b"one".to_vec())));
        assert_eq!(got.last(), Some(&Ok(b"next".to_vec())), "{wrong}");
    }
}

/// A transmit ring, and the kernel's side of it.
fn tx_ring() -> TxRing {
    TxRing::new(SharedArea::fake(4 * SLOT), SLOT, 4)
}

fn fill(ring: &mut TxRing, pool: &MbufPool, name: &[u8]) -> Option<()> {
    let mut packet = pool.alloc().expect("a buffer");
    packet.append(name.len()).expect("room").copy_from_slice(name);
    ring.fill(&[0; VNET], &packet, 0)
}

#[test]
fn a_full_ring_has_no_room_until_the_kernel_has_sent() {
    let pool = MbufPool::builder("slots").size(63).build().expect("a pool");
    let mut ring = tx_ring();
    assert_eq!((ring.room(64), ring.room(2)), (4, 2));
    (0..4).for_each(|i| fill(&mut ring, &pool, &[i; 60]).expect("it fits"));
    assert!(!ring.has_room() && ring.room(64) == 0 && !ring.settle());
    ring.kernel(|area| area.write_status(0, libc::TP_STATUS_AVAILABLE));
    assert!(ring.has_room() && ring.room(64) == 1);
    ring.kernel(|area| (1..4).for_each(|i| area.write_status(i * SLOT, libc::TP_STATUS_SENDING)));
    assert!(ring.settle() && ring.room(64) == 1);
}

#[test]
fn a_frame_larger_than_a_slot_is_not_filled_in() {
    let pool = MbufPool::builder("slots").size(63).data_room(4096).build().expect("a pool");
    let mut ring = tx_ring();
    let most = ring.most();
    assert_eq!(fill(&mut ring, &pool, &vec![0; most + 1]), None);
    assert_eq!(ring.room(64), 4);
    assert_eq!(fill(&mut ring, &pool, &vec![0; most]), Some(()));
}

#[test]
fn a_frame_that_the_kernel_finds_wrong_is_taken_out_and_the_others_move_up() {
    let pool = MbufPool::builder("slots").size(63).build().expect("a pool");
    let mut ring = tx_ring();
    for name in [b"sent", b"bad!", b"next", b"last"] {
        fill(&mut ring, &pool, name).expect("it fits");
    }
    assert!(!ring.drop_wrong(), "nothing is wrong yet");
    ring.kernel(|area| {
        area.write_status(0, libc::TP_STATUS_AVAILABLE);
        area.write_status(SLOT, libc::TP_STATUS_WRONG_FORMAT);
    });
    assert!(ring.drop_wrong());
    let name = |area: &SharedArea, slot: usize| {
        let bytes = area.bytes(slot * SLOT + 32 + VNET, 4).expect("in the area").to_vec();
        (bytes, area.read_status(slot * SLOT))
    };
    let states = ring.kernel(|area| [1, 2, 3].map(|slot| name(area, slot)));
    assert_eq!(states[0], (b"next".to_vec(), libc::TP_STATUS_SEND_REQUEST));
    assert_eq!(states[1], (b"last".to_vec(), libc::TP_STATUS_SEND_REQUEST));
    assert_eq!(states[2].1, libc::TP_STATUS_AVAILABLE);
    assert!(!ring.settle() && !ring.drop_wrong());
    ring.kernel(|area| [1, 2].map(|slot| area.write_status(slot * SLOT, 0)));
    assert!(ring.settle());
}

proptest! {
    #[test]
    fn whatever_is_in_a_ring_of_frames_nothing_outside_is_read(
        bytes in proptest::collection::vec(any::<u8>(), 4 * 256),
    ) {
        let mut area = SharedArea::fake(bytes.len());
        put(&mut area, 0, &bytes);
        drained(&mut FrameRing::new(area, 256, 4), 64);
    }

    #[test]
    fn whatever_is_in_a_ring_of_blocks_nothing_outside_is_read(
        bytes in proptest::collection::vec(any::<u8>(), 4 * 512),
        words in proptest::collection::vec((0usize..512, 0u32..600), 0..64),
    ) {
        let mut area = SharedArea::fake(bytes.len());
        put(&mut area, 0, &bytes);
        // Small numbers: those that come near the bounds.
        words.iter().for_each(|(at, word)| put(&mut area, at * 4, word.as_bytes()));
        let mut ring = BlockRing::new(area, 512, 4);
        drained(&mut ring, 10_000);
    }
}

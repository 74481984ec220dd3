//! Every path against the plain one, on rings that hold anything.

use super::*;
use linecard_mbuf::MbufPool;
use linecard_pmd_core::RxOffloads;
use std::ptr::NonNull;

const RING: usize = 64;
const ROOM: u16 = 2048;

#[repr(C, align(128))]
struct Ring([[u64; 2]; RING]);

/// A generator of its own, so that every run has the same rings.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let word = self.0 ^ self.0 >> 29;
        word.wrapping_mul(0xBF58476D1CE4E5B9) ^ word >> 32
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A descriptor: whole and right, but for one in `right`.
    fn descriptor(&mut self, right: u64) -> [u64; 2] {
        let word = self.next() & !(WHOLE | receive::PKT_LEN.mask());
        let len = 1 + self.below(u64::from(ROOM));
        let (len, whole) = match self.below(right) {
            0 => ([0, u64::from(ROOM) + 1, 0xFFFF, len][self.below(4) as usize], self.below(4)),
            _ => (len, WHOLE),
        };
        [self.next(), receive::PKT_LEN.put(word | whole, len)]
    }
}

/// All that a packet says.
fn facts(packet: &Mbuf) -> (usize, usize, u32, Flags, Option<u16>, Option<u32>) {
    let types = packet.packet_type();
    (packet.len(), packet.headroom(), types, packet.flags(), packet.vlan(), packet.rss_hash())
}

type Facts = Vec<(usize, usize, u32, Flags, Option<u16>, Option<u32>)>;

/// What a path makes of a ring, without its buffers, which stay in the shadow.
fn outcome(frames: &Frames, next: u32, limit: usize) -> (Taken, Facts, Vec<u16>) {
    let mut into: Vec<Mbuf> = Vec::with_capacity(limit);
    // SAFETY: room for `limit`; the ring's shadow is full, `ROOM` is the pool's, and packets are
    // forgotten below, so that buffers stay where they were.
    let taken = unsafe { frames.take(next, into.as_mut_ptr(), limit) };
    // SAFETY: as many have been written.
    unsafe { into.set_len(taken.packets) };
    let facts = into.iter().map(facts).collect();
    let ports = into.iter().map(Mbuf::port).collect();
    into.into_iter().for_each(std::mem::forget);
    (taken, facts, ports)
}

/// Frames for each path that this processor runs, the plain one first; and their buffers, in all of them.
fn frames(pool: &MbufPool, ring: Cells, offloads: RxOffloads) -> (Vec<Frames>, Box<[Object]>) {
    let mut shadow = vec![pool.raw().filler(); RING].into_boxed_slice();
    assert!(pool.raw().take_bulk(&mut shadow));
    let paths = ReceivePath::ALL.into_iter().filter(|path| path.is_supported());
    let of = |path| {
        let meaning = Meaning::new(offloads);
        let (shadow, rearm, loop_) = (shadow.clone(), pool.rearm(7), loop_of(path, &meaning));
        Frames { ring, shadow, rearm, meaning, room: ROOM, path, loop_ }
    };
    (paths.map(of).collect(), shadow)
}

fn every_path_agrees(offloads: RxOffloads) {
    let pool = MbufPool::builder("packets").size(RING * 2 - 1).build().expect("a pool");
    let mut ring = Box::new(Ring([[0; 2]; RING]));
    let cells = Cells::over(NonNull::from(&mut ring.0[0]), RING as u32);
    let (frames, shadow) = frames(&pool, cells, offloads);
    let mut random = Random(42);
    let mut lengths = std::collections::BTreeSet::new();
    for round in 0..3000 {
        let right = [1_000_000, 40, 6, 2][round % 4];
        (0..RING as u32).for_each(|at| cells.write(at, random.descriptor(right)));
        let (next, limit) = (random.next() as u32, random.below(RING as u64 + 1) as usize);
        let plain = outcome(&frames[0], next, limit);
        lengths.insert(plain.0.packets);
        for other in &frames[1..] {
            assert_eq!(outcome(other, next, limit), plain, "{}, {round}", other.path);
        }
    }
    assert!(lengths.len() > 40, "too few different ways to end: {lengths:?}");
    // SAFETY: taken from it above, and nobody else has them.
    unsafe { pool.raw().put_bulk(&shadow) };
}

#[test]
fn every_path_takes_the_same_frames_when_nobody_asks_what_they_are() {
    every_path_agrees(RxOffloads::empty());
}

#[test]
fn every_path_tells_the_same_of_frames() {
    every_path_agrees(RxOffloads::all());
    every_path_agrees(RxOffloads::RSS_HASH | RxOffloads::PACKET_TYPE);
}

#[test]
fn every_path_looks_at_the_rings_end_and_goes_on() {
    let pool = MbufPool::builder("packets").size(RING * 2 - 1).build().expect("a pool");
    let mut ring = Box::new(Ring([[0, receive::PKT_LEN.put(WHOLE, 60)]; RING]));
    let cells = Cells::over(NonNull::from(&mut ring.0[0]), RING as u32);
    let (frames, shadow) = frames(&pool, cells, RxOffloads::empty());
    for frames in &frames {
        for next in 0..RING as u32 {
            for limit in [1, 2, 3, 4, 5, 31, 32, 33, RING] {
                let (taken, ..) = outcome(frames, next, limit);
                assert_eq!(taken, Taken { packets: limit, bytes: 60 * limit as u64 });
            }
        }
    }
    // SAFETY: taken from it above, and nobody else has them.
    unsafe { pool.raw().put_bulk(&shadow) };
}

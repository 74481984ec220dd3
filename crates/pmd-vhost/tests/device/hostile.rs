//! A guest that misbehaves costs itself its queue: said by an event, while other queues go on and the
//! ring can be set up anew.

use crate::guest::{GUEST, Guest, Manner};
use crate::traffic::{Pair, all, until};
use linecard_mbuf::Burst;
use linecard_pmd_core::{Direction, Event, QueueState};
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::available;
use linecard_virtqueue::split::{IDX, RING};

const NEXT: u16 = DescFlags::NEXT.bits();
const WRITE: u16 = DescFlags::WRITE.bits();
const INDIRECT: u16 = DescFlags::INDIRECT.bits();

/// Two pairs: the second shows that nothing else is hurt.
fn manner(packed: bool) -> Manner {
    Manner { packed, pairs: 2, indirect: true, ..Manner::default() }
}

/// A descriptor, wherever.
fn descriptor(guest: &Guest, at: usize, address: u64, len: u32, words: [u16; 2]) {
    guest.memory.write(at, &address.to_le_bytes());
    guest.memory.write(at + 8, &len.to_le_bytes());
    guest.memory.write(at + 12, &words[0].to_le_bytes());
    guest.memory.store(at + 14, words[1]);
}

/// A descriptor of the first pair's transmit ring, split: flags and next.
fn split(guest: &Guest, slot: usize, address: u64, len: u32, flags: u16, next: u16) {
    descriptor(guest, guest.rings[1].parts[0] + 16 * slot, address, len, [flags, next]);
}

/// Makes `head` available as the first chain of that ring.
fn offer(guest: &Guest, head: u16) {
    let avail = guest.rings[1].parts[1];
    guest.memory.store(avail + RING, head);
    guest.memory.store(avail + IDX, 1);
}

/// A descriptor of the first pair's transmit ring, packed, available in the first round.
fn packed(guest: &Guest, slot: usize, address: u64, len: u32, flags: u16) {
    let at = guest.rings[1].parts[0] + 16 * slot;
    descriptor(guest, at, address, len, [0, flags | available(true)]);
}

fn breaks(is_packed: bool, why: &str, mischief: impl FnOnce(&Guest)) {
    let mut pair = Pair::new(manner(is_packed));
    until("a working ring", || pair.guest.wants_no_kick(0).then_some(()));
    mischief(&pair.guest);
    let mut burst = Burst::new();
    let broken = until("the fault", || {
        assert_eq!(pair.queues.rx[0].receive(&mut burst), 0, "{why}: something was received");
        match pair.port.next_event().expect("events can be asked for") {
            Some(Event::Queue { direction, queue, state: QueueState::Broken(text) }) => {
                Some((direction, queue, text))
            }
            _ => None,
        }
    });
    assert_eq!((broken.0, broken.1), (Direction::Receive, 0));
    assert!(broken.2.contains(why), "{why}: {}", broken.2);
    assert_eq!(pair.queues.rx[0].receive(&mut burst), 0);
    // The other pair goes on.
    assert!(pair.guest.send(1, &[7; 60]));
    assert_eq!(all(&pair.receive(1)), [7; 60]);
    // So does this one, once it has been set up anew.
    let parts = pair.guest.rings[1].parts;
    pair.guest.stop_ring(1).expect("it can be ended");
    pair.guest.memory.write(parts[0], &[0; 4096]);
    pair.guest.memory.write(parts[1], &[0; 6]);
    pair.guest.memory.write(parts[2], &[0; 6]);
    pair.guest.set_up_ring(1, 0).expect("told");
    assert!(pair.guest.is_connected());
    assert!(pair.guest.send(0, &[8; 60]));
    assert_eq!(all(&pair.receive(0)), [8; 60], "{why}");
    pair.end();
}

#[test]
fn an_available_index_too_far_ahead_breaks_its_ring() {
    breaks(false, "further ahead", |guest| {
        guest.memory.store(guest.rings[1].parts[1] + IDX, 257);
    });
}

#[test]
fn an_index_beyond_the_table_breaks_its_ring() {
    breaks(false, "index", |guest| offer(guest, 256));
    breaks(false, "index", |guest| {
        split(guest, 0, GUEST, 64, NEXT, 256);
        offer(guest, 0);
    });
}

#[test]
fn a_loop_breaks_its_ring() {
    breaks(false, "chain", |guest| {
        split(guest, 0, GUEST, 64, NEXT, 1);
        split(guest, 1, GUEST, 64, NEXT, 0);
        offer(guest, 0);
    });
    breaks(true, "chain", |guest| {
        (0..256).rev().for_each(|slot| packed(guest, slot, GUEST, 64, NEXT));
    });
}

#[test]
fn an_address_outside_of_the_guests_memory_breaks_its_ring() {
    for (address, len) in [(0, 64), (GUEST - 1, 64), (u64::MAX - 3, 64), (GUEST + (1 << 30), 64)] {
        breaks(false, "address", |guest| {
            split(guest, 0, address, len, 0, 0);
            offer(guest, 0);
        });
        breaks(true, "address", |guest| packed(guest, 0, address, len, 0));
    }
    breaks(false, "address", |guest| {
        // Begins inside, ends outside.
        split(guest, 0, GUEST + guest.memory.len as u64 - 32, 64, 0, 0);
        offer(guest, 0);
    });
}

#[test]
fn a_buffer_to_be_written_where_one_is_read_breaks_its_ring() {
    breaks(false, "direction", |guest| {
        split(guest, 0, GUEST, 64, WRITE, 0);
        offer(guest, 0);
    });
    breaks(true, "direction", |guest| packed(guest, 0, GUEST, 64, WRITE));
}

#[test]
fn an_indirect_table_that_is_not_sound_breaks_its_ring() {
    for (address, len, flags) in [
        (GUEST, 0, INDIRECT),
        (GUEST, 17, INDIRECT),
        (GUEST, 16 * 1025, INDIRECT),
        (GUEST, 32, INDIRECT | NEXT),
    ] {
        breaks(false, "indirect", |guest| {
            split(guest, 0, address, len, flags, 0);
            offer(guest, 0);
        });
        breaks(true, "indirect", |guest| packed(guest, 0, address, len, flags));
    }
}

/// A place that no ring and no buffer uses: the end of a ring's part.
const SPARE: usize = 0xF000;

#[test]
fn a_table_within_a_table_and_one_that_loops_break_their_ring() {
    let table = GUEST + SPARE as u64;
    breaks(false, "indirect", |guest| {
        descriptor(guest, SPARE, GUEST, 16, [INDIRECT, 0]);
        split(guest, 0, table, 16, INDIRECT, 0);
        offer(guest, 0);
    });
    breaks(false, "chain", |guest| {
        descriptor(guest, SPARE, GUEST, 16, [NEXT, 0]);
        split(guest, 0, table, 16, INDIRECT, 0);
        offer(guest, 0);
    });
    breaks(false, "index", |guest| {
        descriptor(guest, SPARE, GUEST, 16, [NEXT, 9]);
        split(guest, 0, table, 16, INDIRECT, 0);
        offer(guest, 0);
    });
    breaks(true, "address", |guest| {
        descriptor(guest, SPARE, 1, 16, [0, 0]);
        packed(guest, 0, table, 16, INDIRECT);
    });
}

#[test]
fn a_packed_table_with_flags_as_dpdk_leaves_them_is_read() {
    let mut pair = Pair::new(manner(true));
    // A header of zeroes.
    descriptor(&pair.guest, SPARE, GUEST + SPARE as u64 + 256, 12, [0, WRITE]);
    descriptor(&pair.guest, SPARE + 16, GUEST, 64, [1, 0]);
    packed(&pair.guest, 0, GUEST + SPARE as u64, 32, INDIRECT);
    assert_eq!(pair.receive(0)[0].len(), 64);
    pair.end();
}

#[test]
fn buffers_over_each_other_and_over_the_ring_itself_are_the_guests_own_affair() {
    let mut pair = Pair::new(manner(false));
    let ring = GUEST + pair.guest.rings[1].parts[0] as u64;
    split(&pair.guest, 0, ring, 64, NEXT, 1);
    split(&pair.guest, 1, ring + 8, 64, NEXT, 2);
    split(&pair.guest, 2, ring, 128, 0, 0);
    offer(&pair.guest, 0);
    assert_eq!(pair.receive(0)[0].len(), 64 + 64 + 128 - 12);
    pair.end();
}

#[test]
fn a_chain_longer_than_any_frame_is_counted_and_given_back() {
    let mut pair = Pair::new(manner(false));
    let len = pair.guest.memory.len as u32;
    (0..255).for_each(|slot| split(&pair.guest, slot, GUEST, len, NEXT, slot as u16 + 1));
    split(&pair.guest, 255, GUEST, len, 0, 0);
    offer(&pair.guest, 0);
    let mut burst = Burst::new();
    until("the error", || {
        pair.queues.rx[0].receive(&mut burst);
        (pair.port.stats().rx_errors == 1).then_some(())
    });
    let used = pair.guest.rings[1].parts[2];
    assert_eq!((pair.guest.memory.load(used + IDX), burst.len()), (1, 0));
    pair.end();
}

/// The first pair's transmit ring, of 2048: as many chains as fit, of `n` descriptors of a byte each.
fn long_chains(guest: &Guest, is_packed: bool, n: u16) -> u16 {
    let chains = 2048 / n;
    let flags = |slot: u16| if slot % n == n - 1 { 0 } else { NEXT };
    for slot in (0..chains * n).rev() {
        if is_packed {
            packed(guest, slot.into(), GUEST, 1, flags(slot));
        } else {
            split(guest, slot.into(), GUEST, 1, flags(slot), slot + 1);
        }
    }
    if !is_packed {
        let avail = guest.rings[1].parts[1];
        // All at once, and the first again and again behind them.
        (0..64).for_each(|i| guest.memory.store(avail + RING + 2 * i, i as u16 % chains * n));
        guest.memory.store(avail + IDX, 64);
    }
    chains
}

#[test]
fn a_chain_of_more_than_1024_descriptors_breaks_its_ring() {
    for is_packed in [false, true] {
        let mut pair = Pair::new(Manner { size: 2048, ..manner(is_packed) });
        long_chains(&pair.guest, is_packed, 1025);
        let mut burst = Burst::new();
        let why = "a chain of more descriptors than there are, or than 1024";
        until("the fault", || {
            assert_eq!(pair.queues.rx[0].receive(&mut burst), 0);
            let event = pair.port.next_event().expect("events can be asked for");
            let (direction, queue) = (Direction::Receive, 0);
            (event == Some(Event::Queue { direction, queue, state: QueueState::Broken(why) }))
                .then_some(())
        });
        pair.end();
    }
}

#[test]
fn long_chains_end_a_burst_before_it_is_full() {
    let mut pair = Pair::new(Manner { size: 2048, ..manner(false) });
    long_chains(&pair.guest, false, 1024);
    let used = pair.guest.rings[1].parts[2] + IDX;
    let mut burst = Burst::new();
    // Each is 1012 bytes behind a header: a descriptor and a piece for every byte.
    let mut got = Vec::new();
    until("all of them", || {
        match pair.queues.rx[0].receive(&mut burst) {
            0 => {}
            n => got.push(n),
        }
        assert_eq!(burst.len(), got.last().copied().unwrap_or(0));
        burst.clear();
        (pair.guest.memory.load(used) == 64).then_some(())
    });
    assert_eq!(got, [2; 32], "chains a burst");
    pair.end();
}

#[test]
fn a_receive_ring_that_lies_is_broken_too() {
    let mut pair = Pair::new(manner(false));
    let table = pair.guest.rings[0].parts[0];
    (0..256).for_each(|slot| descriptor(&pair.guest, table + 16 * slot, GUEST, 64, [0, 0]));
    let mut burst = Burst::new();
    assert!(pair.pool.alloc_bulk(&mut burst, 1));
    until("the fault", || {
        assert_eq!(pair.queues.tx[0].send(&mut burst), 0);
        let event = pair.port.next_event().expect("events can be asked for");
        let (direction, queue) = (Direction::Transmit, 0);
        let why = "a buffer of the wrong direction";
        (event == Some(Event::Queue { direction, queue, state: QueueState::Broken(why) }))
            .then_some(())
    });
    drop(burst);
    pair.end();
}

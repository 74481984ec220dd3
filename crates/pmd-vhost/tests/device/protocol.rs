//! The protocol, message by message: what is refused, what may change while packets pass, and how a
//! front-end goes and comes again.

use crate::guest::{GUEST, Guest, Manner, Memory, USER, connect, region};
use crate::traffic::{Pair, all, until};
use linecard_mbuf::Burst;
use linecard_pmd_core::{Event, Link};
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::message::{
    IOTLB_INVALIDATE, IOTLB_MISS, IOTLB_UPDATE, Inflight, Iotlb, Log, Region, SingleRegion,
    VringState,
};
use linecard_virtqueue::vhost_user::{BackendRequest, Connection, Request};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const NONE: [u8; 0] = [];

/// Frames pass both ways.
fn passes(pair: &mut Pair) {
    assert!(pair.guest.send(0, &[5; 64]));
    assert_eq!(all(&pair.receive(0)), [5; 64]);
    pair.send(0, &[6; 64], None);
    assert_eq!(pair.at_guest(0).1, [6; 64]);
}

#[test]
fn nonsense_ends_the_connection_and_the_next_one_is_served() {
    let mut pair = Pair::new(Manner::default());
    pair.guest.front.connection.socket().write_all(&[0xFF; 64]).expect("room");
    let gone = pair.guest.front.connection.receive(Duration::from_secs(20));
    assert!(gone.is_err(), "{gone:?}");
    pair.guest = Guest::start(&pair.path(), Manner::default()).expect("a guest");
    passes(&mut pair);
    pair.end();
}

#[test]
fn a_front_end_that_never_ends_talking_does_not_keep_the_port_from_ending() {
    let Pair { guest, queues, port, pool, .. } = Pair::new(Manner::default());
    let socket = guest.front.connection.socket().try_clone().expect("another of it");
    std::thread::scope(|scope| {
        // Until the other side is closed: valid messages, one behind the other, without end.
        scope.spawn(move || {
            let words = [Request::SetOwner as u32, 1, 0].map(u32::to_ne_bytes).concat();
            let flood = words.repeat(256);
            socket.set_nonblocking(false).expect("it can");
            while (&socket).write_all(&flood).is_ok() {}
        });
        std::thread::sleep(Duration::from_millis(50));
        drop((queues, port));
    });
    drop(guest);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn what_cannot_be_obeyed_is_refused_and_changes_nothing() {
    let mut pair = Pair::new(Manner::default());
    let front = &pair.guest.front;
    let state = |index, num| VringState { index, num };
    let refused = [
        front.tell_and_wait(Request::SetFeatures, &u64::MAX, &[]),
        front.tell_and_wait(Request::SetVringNum, &state(0, 64), &[]),
        front.tell_and_wait(Request::SetVringBase, &state(0, 64), &[]),
        front.tell_and_wait(Request::SetVringNum, &state(2, 64), &[]),
        front.tell_and_wait(Request::SetVringNum, &state(u32::MAX, 64), &[]),
        front.tell_and_wait(Request::SetVringEnable, &state(0, 2), &[]),
        front.tell_and_wait(Request::NetSetMtu, &u64::MAX, &[]),
        front.tell_and_wait(Request::SetMemTable, &[9u32, 0], &[]),
        front.tell_and_wait(Request::SetVringKick, &0u64, &[]),
        front.tell_and_wait(Request::SetConfig, &NONE, &[]),
        front.tell_and_wait(Request::SetProtocolFeatures, &u64::MAX, &[]),
        front.tell_and_wait(Request::IotlbMsg, &Iotlb::default(), &[]),
    ];
    for (i, answer) in refused.into_iter().enumerate() {
        assert!(!answer.expect("an answer"), "message {i} was obeyed");
    }
    passes(&mut pair);
    pair.end();
}

#[test]
fn ring_sizes_that_there_are_not_are_refused() {
    let pair = Pair::new(Manner::default());
    for num in [0, 32_769, 65_536, u32::MAX] {
        let state = VringState { index: 0, num };
        pair.guest.front.ask::<_, VringState>(Request::GetVringBase, &state).expect("it ends");
        let refused = pair.guest.front.tell_and_wait(Request::SetVringNum, &state, &[]);
        assert!(!refused.expect("an answer"), "{num}");
    }
    // Known to be wrong only when the ring is to start: a split ring of 100.
    let state = VringState { index: 0, num: 100 };
    assert!(pair.guest.front.tell_and_wait(Request::SetVringNum, &state, &[]).expect("yet"));
    let refused = pair.guest.front.tell_and_wait(Request::SetVringKick, &0x100u64, &[]);
    assert!(!refused.expect("an answer"));
    pair.end();
}

#[test]
fn a_front_end_that_goes_is_told_and_another_may_come() {
    for packed in [false, true] {
        let manner = Manner { packed, ..Manner::default() };
        let mut pair = Pair::new(manner);
        for _ in 0..3 {
            pair.event(Event::Link(Link::UP));
            passes(&mut pair);
            let path = pair.path();
            drop(std::mem::replace(
                &mut pair.guest,
                Guest::new(UnixStream::pair().expect("a pair").0, manner).expect("a guest"),
            ));
            pair.event(Event::Link(Link::DOWN));
            pair.guest = Guest::start(&path, manner).expect("a guest");
        }
        passes(&mut pair);
        pair.end();
    }
}

#[test]
fn a_front_end_that_comes_again_goes_on_where_its_rings_were() {
    for packed in [false, true] {
        let mut pair = Pair::new(Manner { packed, ..Manner::default() });
        for _ in 0..300 {
            passes(&mut pair);
        }
        let bases = [0, 1].map(|ring| pair.guest.stop_ring(ring).expect("a base"));
        let socket = connect(&pair.path(), || false).expect("in the backlog");
        pair.guest.front = crate::guest::Front::new(socket).expect("a connection");
        let Guest { front, memory, manner, .. } = &pair.guest;
        front.agree(manner.features()).expect("agreed");
        front.share(memory).expect("shared");
        for (ring, base) in bases.into_iter().enumerate() {
            pair.guest.set_up_ring(ring, base).expect("told");
            pair.guest.front.number(Request::SetVringEnable, ring, 1).expect("told");
        }
        for _ in 0..300 {
            passes(&mut pair);
        }
        pair.end();
    }
}

#[test]
fn a_back_end_that_died_is_followed_by_one_that_loses_nothing() {
    for packed in [false, true] {
        let mut pair = Pair::new(Manner { packed, ..Manner::default() });
        let asked = Inflight { num_queues: 2, queue_size: 256, ..Inflight::default() };
        pair.guest.front.tell(Request::GetInflightFd, &asked, &[]).expect("asked");
        let answer = pair.guest.front.answer().expect("an area");
        let (area, fd) = (answer.read::<Inflight>().expect("it is one"), &answer.fds[0]);
        let set = |pair: &Pair| {
            pair.guest.front.tell(Request::SetInflightFd, &area, &[fd.as_fd()]).expect("told");
        };
        set(&pair);
        for ring in [0, 1] {
            let base = pair.guest.stop_ring(ring).expect("a base");
            pair.guest.set_up_ring(ring, base).expect("told");
        }
        for _ in 0..300 {
            passes(&mut pair);
        }
        // The connection is cut in the middle, with a frame on its way; nobody knows a base.
        assert!(pair.guest.send(0, &[9; 64]));
        let socket = connect(&pair.path(), || false).expect("in the backlog");
        pair.guest.front = crate::guest::Front::new(socket).expect("a connection");
        let Guest { front, memory, manner, .. } = &pair.guest;
        front.agree(manner.features()).expect("agreed");
        front.share(memory).expect("shared");
        set(&pair);
        for ring in [0, 1] {
            pair.guest.set_up_ring(ring, 0).expect("told");
            pair.guest.front.number(Request::SetVringEnable, ring, 1).expect("told");
        }
        assert_eq!(all(&pair.receive(0)), [9; 64], "packed: {packed}");
        passes(&mut pair);
        pair.end();
    }
}

#[test]
fn memory_comes_and_goes_region_by_region_while_packets_pass() {
    let mut pair = Pair::new(Manner::default());
    let front = &pair.guest.front;
    assert!(front.ask::<_, u64>(Request::GetMaxMemSlots, &NONE).expect("a number") >= 8);
    let (more, other) = (Memory::new(1 << 16), Memory::new(1 << 16));
    let place = Region {
        guest_addr: GUEST + (1 << 30),
        size: 1 << 16,
        user_addr: USER + (1 << 40),
        mmap_offset: 0,
    };
    let single = SingleRegion { padding: 0, region: place };
    let add = |pair: &Pair, memory: &Memory| {
        let fds = [memory.fd.as_fd()];
        pair.guest.front.tell_and_wait(Request::AddMemReg, &single, &fds).expect("an answer")
    };
    assert!(add(&pair, &more) && !add(&pair, &other), "once, and no other in its place");
    assert!(add(&pair, &more), "the same again, as QEMU says it for each queue pair");
    passes(&mut pair);
    let remove = |pair: &Pair| {
        pair.guest.front.tell_and_wait(Request::RemMemReg, &single, &[]).expect("an answer")
    };
    assert!(remove(&pair) && remove(&pair) && !remove(&pair), "as often as it was added");
    passes(&mut pair);
    // Without the memory of its rings the port is silent, and goes on when it is back.
    let all = SingleRegion { padding: 0, region: region(&pair.guest.memory) };
    assert!(pair.guest.front.tell_and_wait(Request::RemMemReg, &all, &[]).expect("an answer"));
    assert!(pair.guest.send(0, &[5; 64]));
    assert_eq!(pair.queues.rx[0].receive(&mut Burst::new()), 0);
    let fds = [pair.guest.memory.fd.as_fd()];
    assert!(pair.guest.front.tell_and_wait(Request::AddMemReg, &all, &fds).expect("an answer"));
    assert_eq!(pair.receive(0).len(), 1, "what was sent meanwhile");
    passes(&mut pair);
    // The link went with the memory, and came with it.
    pair.event(Event::Link(Link::UP));
    pair.event(Event::Link(Link::DOWN));
    pair.event(Event::Link(Link::UP));
    pair.end();
}

#[test]
fn every_page_that_is_written_while_the_guest_moves_is_logged() {
    for packed in [false, true] {
        let mut pair = Pair::new(Manner { packed, more: Features::LOG_ALL, ..Manner::default() });
        let pages = (GUEST as usize + pair.guest.memory.len) / 4096;
        let log = Memory::new(pages.div_ceil(8).next_multiple_of(4096));
        let area = Log { size: log.len as u64, offset: 0 };
        pair.guest.front.tell(Request::SetLogBase, &area, &[log.fd.as_fd()]).expect("told");
        pair.guest.front.answer().expect("an answer");
        let mut address = pair.guest.rings[0].address(0);
        (address.flags, address.log) = (1, address.used - USER + GUEST);
        if packed {
            address.log = address.descriptors - USER + GUEST;
        }
        assert!(pair.guest.front.tell_and_wait(Request::SetVringAddr, &address, &[]).expect("yes"));
        pair.send(0, &[6; 64], None);
        let dirty = |page: u64| log.read((page / 8) as usize, 1)[0] >> (page % 8) & 1;
        let (_, frame) = pair.at_guest(0);
        assert_eq!(frame, [6; 64]);
        assert_eq!(dirty(address.log / 4096), 1, "the ring");
        let marked: u32 = log.read(0, log.len).iter().map(|byte| byte.count_ones()).sum();
        assert!((2..=4).contains(&marked), "{marked} pages: a ring of two and a buffer");
        let small = Memory::new(4096);
        let refused = Log { size: 1, offset: 0 };
        pair.guest.front.tell(Request::SetLogBase, &refused, &[small.fd.as_fd()]).expect("told");
        assert!(pair.guest.front.answer().is_err(), "a log too small ends the connection");
        pair.end();
    }
}

#[test]
fn a_guest_that_has_moved_here_is_announced() {
    let mut pair = Pair::new(Manner::default());
    pair.guest.front.tell(Request::SendRarp, &[2u8, 3, 4, 5, 6, 7, 0, 0], &[]).expect("told");
    let frame = all(&pair.receive(0));
    assert_eq!((&frame[..6], &frame[6..12]), (&[0xFF; 6][..], &[2, 3, 4, 5, 6, 7][..]));
    assert_eq!(frame[12..14], [0x80, 0x35]);
    pair.end();
}

#[test]
fn an_announcement_waits_for_a_buffer_and_wakes_who_sleeps() {
    let mut pair = Pair::new(Manner::default());
    let mut bell = pair.sleeper();
    assert!(!bell.is_rung());
    let body = [2u8, 3, 4, 5, 6, 7, 0, 0];
    assert!(pair.guest.front.tell_and_wait(Request::SendRarp, &body, &[]).expect("told"));
    assert!(bell.is_rung());
    let all: Vec<_> = std::iter::from_fn(|| pair.pool.alloc()).collect();
    let mut burst = Burst::new();
    for _ in 0..2 {
        pair.queues.rx[0].arm().expect("it sleeps");
        assert_eq!(pair.queues.rx[0].receive(&mut burst), 0, "no buffer");
        assert!(bell.is_rung(), "what waits is not slept over");
    }
    drop(all);
    assert_eq!(pair.queues.rx[0].receive(&mut burst), 1);
    assert_eq!(burst[0].data()[6..12], body[..6]);
    assert_eq!(pair.queues.rx[0].receive(&mut burst), 0, "once");
    assert!(pair.port.stats().rx_no_buffer >= 2);
    drop(burst);
    pair.end();
}

#[test]
fn an_mtu_is_told_and_a_reset_stops_the_rings() {
    let mut pair = Pair::new(Manner::default());
    assert!(pair.guest.front.tell_and_wait(Request::NetSetMtu, &9000u64, &[]).expect("yes"));
    pair.event(Event::Mtu(9000));
    for status in [1u64, 3, 11, 15] {
        assert!(pair.guest.front.tell_and_wait(Request::SetStatus, &status, &[]).expect("yes"));
        assert_eq!(pair.guest.front.ask::<_, u64>(Request::GetStatus, &NONE).expect("it"), status);
    }
    assert!(pair.guest.front.tell_and_wait(Request::SetStatus, &0u64, &[]).expect("yes"));
    pair.event(Event::Link(Link::DOWN));
    assert!(pair.guest.front.tell_and_wait(Request::ResetDevice, &NONE, &[]).expect("yes"));
    pair.end();
}

/// Answers what the device asks: its memory, as it is, or less.
fn translate(backend: &Connection, guest: &Guest) {
    while let Ok(Some(message)) = backend.receive(Duration::ZERO) {
        assert_eq!(message.header.request, BackendRequest::IotlbMsg as u32);
        let miss: Iotlb = message.read().expect("a translation");
        assert_eq!(miss.kind, IOTLB_MISS);
        // Page by page, so that rings and frames lie over several.
        let page = miss.iova & !4095;
        let user_addr = page - IOVA + USER;
        let (permission, kind) = (3, IOTLB_UPDATE);
        let known = Iotlb { iova: page, size: 4096, user_addr, permission, kind, ..miss };
        assert!(guest.front.tell_and_wait(Request::IotlbMsg, &known, &[]).expect("an answer"));
    }
}

/// Where a guest's IOMMU has its memory.
const IOVA: u64 = 0x55_0000_0000;

/// A front-end whose guest has an IOMMU, and the channel on which it is asked for translations.
fn behind_an_iommu(pair: &mut Pair, manner: Manner) -> Connection {
    let path = pair.path();
    drop(std::mem::replace(
        &mut pair.guest,
        Guest::new(connect(&path, || false).expect("in the backlog"), manner).expect("one"),
    ));
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let backend = Connection::new(ours).expect("a channel");
    let guest = &mut pair.guest;
    guest.front.agree(manner.features()).expect("agreed");
    guest.front.share(&guest.memory).expect("shared");
    guest.front.tell(Request::SetBackendReqFd, &NONE, &[theirs.as_fd()]).expect("told");
    guest.translate_by(IOVA);
    for ring in [0, 1] {
        guest.set_up_ring(ring, 0).expect("told");
        guest.front.number(Request::SetVringEnable, ring, 1).expect("told");
    }
    guest.refill(0);
    backend
}

#[test]
fn behind_an_iommu_a_ring_is_logged_where_it_lies() {
    for (packed, in_order) in [(false, false), (true, false), (true, true)] {
        let mut pair = Pair::new(Manner { packed, ..Manner::default() });
        let more = Features::ACCESS_PLATFORM | Features::LOG_ALL;
        let manner = Manner { packed, in_order, more, ..Manner::default() };
        let backend = behind_an_iommu(&mut pair, manner);
        let pages = (GUEST as usize + pair.guest.memory.len) / 4096;
        let log = Memory::new(pages.div_ceil(8).next_multiple_of(4096));
        let area = Log { size: log.len as u64, offset: 0 };
        pair.guest.front.tell(Request::SetLogBase, &area, &[log.fd.as_fd()]).expect("told");
        pair.guest.front.answer().expect("an answer");
        // As QEMU says it: what the guest calls the device's part.
        let mut address = pair.guest.rings[1].address(1);
        (address.flags, address.log) = (1, address.used);
        assert!(pair.guest.front.tell_and_wait(Request::SetVringAddr, &address, &[]).expect("yes"));
        assert!(pair.guest.send(0, &[1; 64]));
        let mut burst = Burst::with_limit(1);
        until("a packet", || {
            translate(&backend, &pair.guest);
            (pair.queues.rx[0].receive(&mut burst) == 1).then_some(())
        });
        let written = if packed { address.descriptors } else { address.used };
        let page = (written - IOVA + GUEST) / 4096;
        assert_eq!(log.read((page / 8) as usize, 1)[0] >> (page % 8) & 1, 1, "packed: {packed}");
        drop(burst);
        pair.end();
    }
}

#[test]
fn behind_an_iommu_every_address_is_asked_for_once() {
    for packed in [false, true] {
        let more = Features::ACCESS_PLATFORM;
        let mut pair = Pair::new(Manner { packed, ..Manner::default() });
        let backend = behind_an_iommu(&mut pair, Manner { packed, more, ..Manner::default() });
        let mut burst = Burst::with_limit(1);
        for round in 0..20u8 {
            assert!(pair.guest.send(0, &[round; 3000]));
            until("a packet", || {
                translate(&backend, &pair.guest);
                (pair.queues.rx[0].receive(&mut burst) == 1).then_some(())
            });
            assert_eq!(all(&burst), [round; 3000]);
            until("sending", || {
                translate(&backend, &pair.guest);
                (pair.queues.tx[0].send(&mut burst) == 1).then_some(())
            });
            let (_, frame) = until("a frame", || pair.guest.receive_with(0));
            pair.guest.refill(0);
            assert_eq!(frame, [round; 3000]);
        }
        // What is taken back must be asked for again: the rings too.
        let all = Iotlb { iova: IOVA, size: 1 << 30, kind: IOTLB_INVALIDATE, ..Iotlb::default() };
        assert!(pair.guest.front.tell_and_wait(Request::IotlbMsg, &all, &[]).expect("an answer"));
        assert!(pair.guest.send(0, &[77; 100]));
        until("a packet", || {
            translate(&backend, &pair.guest);
            (pair.queues.rx[0].receive(&mut burst) == 1).then_some(())
        });
        // And once no ring runs, nobody says any more what is taken back.
        let bases = [0, 1].map(|ring| pair.guest.stop_ring(ring).expect("a base"));
        for ring in [0, 1] {
            pair.guest.set_up_ring(ring, bases[ring]).expect("told");
        }
        let asked = until("a question", || backend.receive(Duration::ZERO).expect("a channel"));
        let miss: Iotlb = asked.read().expect("a translation");
        assert_eq!((miss.kind, miss.iova >= IOVA), (IOTLB_MISS, true));
        drop(burst);
        pair.end();
    }
}

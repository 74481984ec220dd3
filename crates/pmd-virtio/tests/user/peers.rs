//! Back-ends that are not there, are not what they should be, or go and come.

use crate::device::{Device, Whim, everything};
use crate::frames::{Bench, bench, bytes, frame, kinds};
use linecard_mbuf::MbufPool;
use linecard_pmd_core::{Configured, Error, Event, LinkState, Port, PortConfig, RxOffloads};
use linecard_pmd_virtio::{Choice, RingOptions, UserOptions, VirtioPort};
use linecard_virtqueue::Features;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn refusal(options: UserOptions) -> String {
    VirtioPort::user(options).expect_err("it cannot be opened").to_string()
}

const SOON: Duration = Duration::from_millis(50);

#[test]
fn a_socket_that_is_absent_dead_or_none_is_a_clear_error() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let error = refusal(UserOptions::new("v", &path));
    assert!(error.contains("start the back-end first"), "{error}");
    std::fs::write(&path, "a file").expect("written");
    let error = refusal(UserOptions::new("v", &path));
    assert!(error.contains("not a socket"), "{error}");
    let error = refusal(UserOptions::new("v", &path).server());
    assert!(error.contains("in use"), "{error}");
    std::fs::remove_file(&path).expect("removed");
    drop(UnixListener::bind(&path).expect("a socket"));
    let error = refusal(UserOptions::new("v", &path));
    assert!(error.contains("gone"), "{error}");
    // A server takes the place of one that is gone, and waits no longer than it may.
    let error = refusal(UserOptions::new("v", &path).server().patience(SOON));
    assert!(error.contains("no back-end has come"), "{error}");
    assert!(!path.exists(), "a socket left behind");
}

#[test]
fn a_socket_in_use_is_not_taken_over() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let _theirs = UnixListener::bind(&path).expect("a socket");
    let error = refusal(UserOptions::new("v", &path).server().patience(SOON));
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn a_peer_that_says_nothing_or_nonsense_is_given_up() {
    for nonsense in [b"".as_slice(), b"HTTP/1.1 200 OK\r\n\r\n", &[1, 0, 0, 0, 5, 0, 0, 0]] {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        let peer = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a driver");
            socket.write_all(nonsense).expect("written");
            std::thread::sleep(Duration::from_millis(300));
        });
        let error = refusal(UserOptions::new("v", &path).patience(SOON));
        assert!(error.contains("vhost-user"), "{error}");
        peer.join().expect("it ends");
    }
}

#[test]
fn features_and_sizes_that_are_not_there_are_refused() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let _device = Device::listen(&path, everything() - Features::RING_PACKED);
    let rings = RingOptions { packed: Choice::On, ..RingOptions::default() };
    let error = refusal(UserOptions::new("v", &path).rings(rings));
    assert!(error.contains("packed=1"), "{error}");
    assert!(refusal(UserOptions::new("v", &path).queues(0)).contains("queue pairs"));
    let pool = MbufPool::builder("p").size(255).cache(0).build().expect("a pool");
    let wrong = |config: PortConfig| {
        let port = Port::open(VirtioPort::user(UserOptions::new("v", &path)).expect("a port"));
        Error::from(port.configure(config).expect_err("it cannot be")).to_string()
    };
    let error = wrong(PortConfig::new(&pool).rx_descriptors(100));
    assert!(error.contains("a power of two"), "{error}");
    let error = wrong(PortConfig::new(&pool).tx_descriptors(65_536));
    assert!(error.contains("32768"), "{error}");
    let bare = MbufPool::builder("bare").size(63).cache(0).headroom(4).build().expect("a pool");
    let error = wrong(PortConfig::new(&bare));
    assert!(error.contains("headroom"), "{error}");
    assert_eq!((pool.in_use(), bare.in_use()), (0, 0));
}

/// The next event, which has to come.
fn event(port: &mut Port<linecard_pmd_core::Started>) -> Event {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(event) = port.next_event().expect("events can be told") {
            return event;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no event");
}

#[test]
fn a_back_end_that_goes_and_comes_back_goes_on() {
    for rings in kinds() {
        let mut bench = bench(rings, |c| c);
        for number in 0..5 {
            let packet = frame(&bench.pool, number, 100);
            let expected = bytes(&packet);
            assert_eq!(bytes(&bench.round(packet)), expected);
            bench.device.hang_up();
            for state in [LinkState::Down, LinkState::Up] {
                match event(&mut bench.port) {
                    Event::Link(link) => assert_eq!(link.state, state),
                    other => panic!("{other}"),
                }
            }
        }
        bench.end();
    }
}

#[test]
fn the_beginning_of_a_frame_goes_with_the_back_end_that_never_gave_its_end() {
    for rings in kinds() {
        let mut bench = bench(rings, |c| c.mtu(9000).rx_offloads(RxOffloads::SCATTER));
        bench.device.cut_a_frame();
        let mut burst = linecard_mbuf::Burst::new();
        burst.push(frame(&bench.pool, 1, 5000)).expect("room");
        bench.queues.tx[0].send(&mut burst);
        let end = Instant::now() + Duration::from_secs(20);
        while !bench.device.has_cut() {
            assert!(Instant::now() < end, "{rings:?}");
        }
        // What there is of it is taken, and is no frame.
        while bench.queues.rx[0].waiting(1) == Some(0) {
            assert!(Instant::now() < end, "{rings:?}");
        }
        assert_eq!(bench.queues.rx[0].receive(&mut burst), 0, "{rings:?}");
        bench.device.hang_up();
        await_link(&mut bench.port, LinkState::Down);
        await_link(&mut bench.port, LinkState::Up);
        let packet = frame(&bench.pool, 2, 100);
        let expected = bytes(&packet);
        assert!(bytes(&bench.round(packet)) == expected, "{rings:?}");
        bench.end();
    }
}

/// Waits for the link to change.
fn await_link(port: &mut Port<linecard_pmd_core::Started>, state: LinkState) {
    match event(port) {
        Event::Link(link) => assert_eq!(link.state, state),
        other => panic!("{other}"),
    }
}

#[test]
fn a_back_end_that_keeps_track_goes_on_in_the_rings_as_they_are() {
    for rings in kinds() {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("s");
        let device = Device::listen(&path, everything());
        device.track();
        let pool = MbufPool::builder("p").size(2047).cache(0).build().expect("a pool");
        let options = UserOptions::new("v", &path).rings(rings).inflight(Choice::On);
        let port = Port::open(VirtioPort::user(options).expect("a port"));
        let config = PortConfig::new(&pool).rx_descriptors(64).tx_descriptors(64);
        let (port, queues) = port.configure(config).expect("it can").start().expect("it starts");
        let mut bench = Bench { device, pool, port, queues, _dir: dir };
        for number in 0..3 {
            for i in 0..30 {
                let packet = frame(&bench.pool, number + i, 100);
                let expected = bytes(&packet);
                assert_eq!(bytes(&bench.round(packet)), expected);
            }
            bench.device.hang_up();
            await_link(&mut bench.port, LinkState::Down);
            await_link(&mut bench.port, LinkState::Up);
        }
        let starts = bench.device.starts();
        let area = starts[0].0.expect("it got its area");
        assert!(starts.iter().all(|(its, _)| *its == Some(area)), "{starts:?}");
        let number = |sent: u32| match rings.packed {
            // Both positions, each with its wrap counter; 64 descriptors a round.
            Choice::On => {
                let wrap = u32::from((sent / 64).is_multiple_of(2)) << 15;
                (wrap | (sent % 64)) * 0x1_0001
            }
            _ => sent,
        };
        let bases: Vec<u32> = starts.iter().map(|(_, base)| *base).collect();
        assert_eq!(bases, [0, 30, 60, 90].map(number), "{rings:?}");
        bench.end();
    }
}

#[test]
fn a_back_end_that_cannot_keep_track_is_refused_if_that_is_insisted_on() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let _device = Device::listen(&path, everything());
    let error = refusal(UserOptions::new("v", &path).inflight(Choice::On));
    assert!(error.contains("inflight=1"), "{error}");
}

/// A port that sends from `n` pools, besides the one that it receives into.
fn many_pools(path: &std::path::Path, n: usize) -> (Vec<MbufPool>, Port<Configured>) {
    let make = |i| MbufPool::builder(format!("p{i}")).size(255).cache(0).build().expect("a pool");
    let pools: Vec<_> = (0..=n).map(make).collect();
    let port = Port::open(VirtioPort::user(UserOptions::new("v", path)).expect("a port"));
    let config = PortConfig::new(&pools[0]).rx_descriptors(64).tx_descriptors(64);
    let port = port.configure(config.tx_pools(&pools[1..])).expect("it can");
    (pools, port)
}

#[test]
fn more_memory_than_the_table_holds_is_told_region_by_region() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let device = Device::listen(&path, everything());
    let (mut pools, port) = many_pools(&path, 12);
    let (port, queues) = port.start().expect("it starts");
    let pool = pools.remove(0);
    let mut bench = Bench { device, pool, port, queues, _dir: dir };
    for (i, pool) in pools.iter().enumerate() {
        let packet = frame(pool, i, 100);
        let expected = bytes(&packet);
        assert_eq!(bytes(&bench.round(packet)), expected, "pool {i}");
    }
    bench.end();
    assert!(pools.iter().all(|pool| pool.in_use() == 0));
}

#[test]
fn more_memory_than_a_back_end_takes_is_refused_with_the_number() {
    for (slots, most) in [(0, "8"), (9, "9")] {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("s");
        let device = Device::listen(&path, everything());
        device.take_regions(slots);
        let (pools, port) = many_pools(&path, 12);
        let refused = port.start().expect_err("too many").error.to_string();
        assert!(refused.contains(&format!("takes {most}: use fewer pools")), "{refused}");
        assert!(pools.iter().all(|pool| pool.in_use() == 0));
    }
}

#[test]
fn a_peer_of_another_version_and_one_that_hangs_up_in_the_middle_are_told_apart() {
    // The head of an answer to GET_FEATURES: request, flags, size; and a part of its body.
    let head = |flags: u32| [1, flags, 8].map(u32::to_ne_bytes).concat();
    let cut = [head(5), vec![0; 3]].concat();
    for (says, complaint) in [(head(6), "not vhost-user version 1"), (cut, "closed the connection")]
    {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        let peer = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a driver");
            socket.write_all(&says).expect("written");
            socket.shutdown(std::net::Shutdown::Write).expect("it can");
            // What the driver says is heard to the end.
            let _ = std::io::Read::read_to_end(&mut socket, &mut Vec::new());
        });
        let error = refusal(UserOptions::new("v", &path));
        assert!(error.contains(complaint), "{error}");
        peer.join().expect("it ends");
    }
}

#[test]
fn a_back_end_without_what_virtio_1_has_is_refused() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let _device = Device::listen(&path, Features::MRG_RXBUF | Features::PROTOCOL_FEATURES);
    let error = refusal(UserOptions::new("v", &path));
    assert!(error.contains("older than virtio 1"), "{error}");
}

#[test]
fn a_start_that_fails_half_way_leaves_no_ring_running_and_can_be_tried_again() {
    for whim in [Whim::Refuse, Whim::Silence] {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("s");
        let device = Device::listen(&path, everything());
        device.have(whim);
        let pool = MbufPool::builder("p").size(2047).cache(0).build().expect("a pool");
        let options = UserOptions::new("v", &path).patience(Duration::from_secs(2));
        let port = Port::open(VirtioPort::user(options).expect("a port"));
        let port = port.configure(PortConfig::new(&pool)).expect("it can");
        let mut refused = port.start().expect_err("the second ring is not enabled");
        assert!(refused.error.to_string().contains("SetVringEnable"), "{}", refused.error);
        // At once if the device can be told; by its end of the socket if not.
        let end = Instant::now() + Duration::from_secs(20);
        while device.running() > 0 {
            assert!(whim == Whim::Silence && Instant::now() < end, "{whim:?}");
        }
        assert_eq!(pool.in_use(), 0);
        while !refused.port.link().expect("it can be told").is_up() {
            assert!(Instant::now() < end, "{whim:?}: the back-end is knocked at again");
        }
        drop(refused.port.start().expect("it starts"));
        assert_eq!(pool.in_use(), 0);
    }
}

#[test]
fn a_server_takes_one_back_end_after_the_other() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("s");
    let pool = MbufPool::builder("p").size(2047).cache(0).build().expect("a pool");
    let mut device = Some(Device::connect(&path, everything()));
    let port = VirtioPort::user(UserOptions::new("v", &path).server()).expect("a port");
    let port = Port::open(port).configure(PortConfig::new(&pool)).expect("it can");
    let (mut port, mut queues) = port.start().expect("it starts");
    for round in 0..3 {
        let mut burst = linecard_mbuf::Burst::new();
        burst.push(frame(&pool, round, 99)).expect("room");
        let end = Instant::now() + Duration::from_secs(20);
        let mut back = linecard_mbuf::Burst::new();
        while back.is_empty() {
            assert!(Instant::now() < end, "round {round}");
            queues.tx[0].send(&mut burst);
            queues.rx[0].receive(&mut back);
        }
        assert_eq!(bytes(&back[0]), bytes(&frame(&pool, round, 99)));
        drop(device.take());
        while port.link().expect("it can be told").is_up() {
            assert!(Instant::now() < end, "the link goes down");
        }
        device = Some(Device::connect(&path, everything()));
    }
    drop((queues, port));
    assert!(!path.exists() && pool.in_use() == 0);
}

#[test]
fn a_queue_can_be_slept_on() {
    use linecard_eal::event::{Epoll, Wake};
    for rings in kinds() {
        let mut bench = bench(rings, |c| c);
        let epoll = Epoll::new().expect("a set");
        let mut burst = linecard_mbuf::Burst::new();
        epoll.add(bench.queues.rx[0].arm().expect("it can").0, 1).expect("added");
        // Once more, as is to be done: it stays armed.
        assert_eq!(bench.queues.rx[0].receive(&mut burst), 0);
        burst.push(frame(&bench.pool, 1, 64)).expect("room");
        bench.queues.tx[0].send(&mut burst);
        let mut wakes = [Wake::default()];
        let woken = epoll.wait(&mut wakes, Some(Duration::from_secs(20))).expect("it waits").len();
        assert_eq!(woken, 1, "{rings:?}");
        assert_eq!(bench.queues.rx[0].receive(&mut burst), 1);
        burst.clear();
        bench.end();
    }
}

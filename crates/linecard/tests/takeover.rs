//! A vhost-user back-end dies with packets under way, and another takes its place: both sides are ours.

use linecard::mbuf::{Burst, MbufPool};
use linecard::pmd::{Event, Link, Port, PortConfig, Queues, Started};
use linecard::vhost::{VhostOptions, VhostPort};
use linecard::virtio::{Choice, RingOptions, UserOptions, VirtioPort};
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something, polling.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

fn back_end(path: &Path, pool: &MbufPool) -> (Port<Started>, Queues) {
    let port = Port::open(VhostPort::open(VhostOptions::new("vhost0", path)).expect("it opens"));
    port.configure(PortConfig::new(pool)).expect("it can").start().expect("it starts")
}

fn front_end(path: &Path, pool: &MbufPool, rings: RingOptions, inflight: Choice) -> Front {
    let options = UserOptions::new("virtio0", path).rings(rings).inflight(inflight);
    let port = Port::open(VirtioPort::user(options).expect("it opens"));
    let (port, queues) =
        port.configure(PortConfig::new(pool)).expect("it can").start().expect("it starts");
    Front { port, queues }
}

struct Front {
    port: Port<Started>,
    queues: Queues,
}

impl Front {
    fn await_link(&mut self, link: Link) {
        until("the link", || {
            let event = self.port.next_event().expect("events can be asked for");
            event.filter(|event| *event == Event::Link(link))
        });
    }
}

/// Sends frames of these numbers.
fn send(queues: &mut Queues, pool: &MbufPool, numbers: std::ops::Range<u8>) {
    for number in numbers {
        let mut packet = pool.alloc().expect("a buffer");
        packet.extend(pool, &[number; 100]).expect("room");
        let mut burst = Burst::new();
        burst.push(packet).expect("room");
        until("sending", || (queues.tx[0].send(&mut burst) == 1).then_some(()));
    }
}

/// The numbers of the next `n` frames.
fn receive(queues: &mut Queues, n: usize) -> Vec<u8> {
    let mut numbers = Vec::new();
    until("frames", || {
        let mut burst = Burst::with_limit(32.min(n - numbers.len()));
        queues.rx[0].receive(&mut burst);
        for packet in burst.iter() {
            assert_eq!(packet.data(), [packet.data()[0]; 100]);
            numbers.push(packet.data()[0]);
        }
        (numbers.len() == n).then_some(())
    });
    numbers
}

fn takes_over(rings: RingOptions, inflight: Choice) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let pool = |name: &str| MbufPool::builder(name).size(2047).cache(0).build().expect("a pool");
    let (near, far) = (pool("near"), pool("far"));
    let mut device = back_end(&path, &far);
    let mut front = front_end(&path, &near, rings, inflight);
    let mut next = 0;
    for round in 0..3 {
        send(&mut front.queues, &near, next..next + 60);
        send(&mut device.1, &far, round * 7..round * 7 + 7);
        // It takes a part, and is gone: what it has not acknowledged is still to be done.
        let taken = receive(&mut device.1, 25);
        assert_eq!(taken, (next..next + 25).collect::<Vec<_>>(), "{rings:?}, {inflight:?}");
        drop(device);
        front.await_link(Link::DOWN);
        device = back_end(&path, &far);
        front.await_link(Link::UP);
        let rest = receive(&mut device.1, 35);
        assert_eq!(rest, (next + 25..next + 60).collect::<Vec<_>>(), "{rings:?}, {inflight:?}");
        // What it had given before is not lost either.
        let given = receive(&mut front.queues, 7);
        assert_eq!(
            given,
            (round * 7..round * 7 + 7).collect::<Vec<_>>(),
            "{rings:?}, {inflight:?}"
        );
        next += 60;
    }
    let Front { port, queues } = front;
    drop((queues, port, device));
    assert_eq!((near.in_use(), far.in_use()), (0, 0), "{rings:?}, {inflight:?}");
}

#[test]
fn a_back_end_that_died_loses_nothing_and_repeats_nothing() {
    for inflight in [Choice::Auto, Choice::On] {
        for packed in [Choice::Off, Choice::On] {
            for in_order in [Choice::Off, Choice::On] {
                takes_over(RingOptions { packed, in_order, ..RingOptions::default() }, inflight);
            }
        }
    }
}

//! Which path a queue takes, and why; what each makes of what is on the wire.

use crate::bed::Modelled;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, PortConfig, Queues, RxOffloads, Started};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort, ReceivePath};

fn start(card: &Modelled, path: ReceivePath, config: PortConfig) -> (Port<Started>, Queues) {
    let options = IxgbeOptions::new().receive_path(path);
    let port = IxgbePort::open(Box::new(card.clone()), options).expect("an 82599");
    Port::open(port).configure(config).expect("it can").start().expect("it starts")
}

fn pool() -> MbufPool {
    MbufPool::builder("packets").size(4095).build().expect("a pool")
}

fn supported() -> impl Iterator<Item = ReceivePath> {
    ReceivePath::ALL.into_iter().filter(|path| path.is_supported())
}

#[test]
fn a_path_says_its_name_and_why_it_is_taken() {
    let pool = pool();
    for path in supported() {
        let card = Modelled::looped();
        let (_port, queues) = start(&card, path, PortConfig::new(&pool));
        let said = queues.rx[0].path();
        assert_eq!(said.name, path.name());
        let best = path == ReceivePath::best();
        let why = if best { "the fastest that this processor runs" } else { "asked for" };
        assert!(said.reason.starts_with(why), "{}", said.reason);
    }
    let card = Modelled::looped();
    let config = PortConfig::new(&pool).rx_offloads(RxOffloads::SCATTER | RxOffloads::RSS_HASH);
    let (_port, queues) = start(&card, ReceivePath::Scalar, config);
    let reason = queues.rx[0].path().reason;
    assert!(reason.contains("several buffers") && reason.contains("asked for"), "{reason}");
}

/// A byte that tells frames apart, at the end of broadcasts.
fn frames(pool: &MbufPool, from: usize, n: usize) -> Burst {
    let mut burst = Burst::with_limit(64);
    for i in from..from + n {
        let mut packet = pool.alloc().expect("a buffer");
        let bytes = packet.append(60 + i % 7).expect("room");
        bytes.fill(0xFF);
        bytes[59] = i as u8;
        burst.push(packet).expect("room");
    }
    burst
}

#[test]
fn bursts_of_every_size_come_in_order_on_every_path() {
    let pool = pool();
    for path in supported() {
        for limit in 1..=64 {
            let card = Modelled::looped();
            let (port, mut queues) = start(&card, path, PortConfig::new(&pool).rx_descriptors(128));
            let (mut sent, mut got) = (0, 0);
            let mut burst = Burst::with_limit(limit);
            while got < 300 {
                // No multiple of four, so that groups lie everywhere in the ring.
                sent += queues.tx[0].send(&mut frames(&pool, sent, 37));
                while queues.rx[0].receive(&mut burst) > 0 {
                    for packet in burst.drain(limit) {
                        let number = packet.data()[59];
                        assert_eq!(
                            (number, packet.len()),
                            (got as u8, 60 + got % 7),
                            "{path}, {limit}"
                        );
                        got += 1;
                    }
                }
                assert_eq!(got, sent);
            }
            drop((port, queues));
            card.assert_clean();
        }
    }
    assert_eq!(pool.in_use(), 0);
}

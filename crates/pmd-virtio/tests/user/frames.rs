//! What passes: frames of all sizes, over every kind of ring, with offloads and without.

use crate::device::{Device, everything};
use linecard_mbuf::{Burst, L4Checksum, Mbuf, MbufPool, Segmentation, TxRequest};
use linecard_pmd_core::{Port, PortConfig, Queues, RxOffloads, Started, TxOffloads};
use linecard_pmd_virtio::{Choice, RingOptions, UserOptions, VirtioPort};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) device: Device,
    pub(crate) pool: MbufPool,
    pub(crate) port: Port<Started>,
    pub(crate) queues: Queues,
    pub(crate) _dir: TempDir,
}

/// A port of these rings, started, with the device behind it.
pub(crate) fn bench(rings: RingOptions, change: impl Fn(PortConfig) -> PortConfig) -> Bench {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("vhost");
    let device = Device::listen(&path, everything());
    let pool = MbufPool::builder("frames").size(2047).cache(0).build().expect("a pool");
    let options = UserOptions::new("virtio0", &path).rings(rings);
    let port = Port::open(VirtioPort::user(options).expect("a port"));
    let config = change(PortConfig::new(&pool).rx_descriptors(64).tx_descriptors(64));
    let (port, queues) = port.configure(config).expect("it can").start().expect("it starts");
    Bench { device, pool, port, queues, _dir: dir }
}

/// Every kind of ring.
pub(crate) fn kinds() -> impl Iterator<Item = RingOptions> {
    use Choice::{Off, On};
    let both = [Off, On];
    let all = both.into_iter().flat_map(move |packed| both.map(|in_order| (packed, in_order)));
    all.flat_map(move |(packed, in_order)| {
        both.map(|indirect| RingOptions { packed, in_order, indirect, ..RingOptions::default() })
    })
}

pub(crate) fn frame(pool: &MbufPool, number: usize, len: usize) -> Mbuf {
    let bytes: Vec<u8> = (0..len).map(|at| (number * 31 + at * 7 + at / 256) as u8).collect();
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, &bytes).expect("buffers");
    packet
}

pub(crate) fn bytes(packet: &Mbuf) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.copy_to(0, &mut bytes);
    bytes
}

impl Bench {
    /// Sends a packet, and gives what comes back.
    pub(crate) fn round(&mut self, packet: Mbuf) -> Mbuf {
        let mut burst = Burst::new();
        burst.push(packet).expect("room");
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            self.queues.tx[0].send(&mut burst);
            let mut back = Burst::with_limit(1);
            if self.queues.rx[0].receive(&mut back) == 1 {
                return back.pop().expect("one");
            }
        }
        panic!("nothing came back over {}", self.queues.rx[0].path());
    }

    /// Ends it, and sees that all buffers are back.
    pub(crate) fn end(self) {
        let Bench { pool, port, queues, device, .. } = self;
        drop((queues, port, device));
        assert_eq!(pool.in_use(), 0);
    }
}

#[test]
fn frames_of_all_sizes_come_back_unchanged_over_every_kind_of_ring() {
    for rings in kinds() {
        let scatter = RxOffloads::SCATTER;
        let mut bench = bench(rings, |c| c.mtu(9000).rx_offloads(scatter));
        for (i, len) in [60, 64, 1514, 2047, 2048, 2049, 4096, 4109, 9000, 9014].iter().enumerate()
        {
            let packet = frame(&bench.pool, i, *len);
            let expected = bytes(&packet);
            let back = bench.round(packet);
            assert!(bytes(&back) == expected, "{rings:?}: {len} bytes");
        }
        bench.end();
    }
}

#[test]
fn a_packet_in_many_parts_is_sent_whole() {
    for rings in kinds() {
        let mut bench = bench(rings, |c| c.tx_offloads(TxOffloads::MULTI_SEGMENT));
        for parts in [2, 3, 15, 16, 40] {
            let mut packet = frame(&bench.pool, 0, 20);
            for i in 1..parts {
                packet.chain(frame(&bench.pool, i, 20)).expect("it can be chained");
            }
            let expected = bytes(&packet);
            assert!(bytes(&bench.round(packet)) == expected, "{rings:?}: {parts} parts");
        }
        bench.end();
    }
}

#[test]
fn what_was_not_configured_is_dropped_and_counted() {
    let mut bench = bench(RingOptions::default(), |c| c);
    let mut asks = frame(&bench.pool, 0, 100);
    asks.request(TxRequest {
        l2_len: 14,
        l3_len: 20,
        l4_checksum: L4Checksum::Tcp,
        ..TxRequest::default()
    });
    let other = MbufPool::builder("other").size(63).cache(0).build().expect("a pool");
    let mut burst = Burst::new();
    for packet in
        [asks, frame(&other, 1, 100), frame(&bench.pool, 2, 1600), frame(&bench.pool, 3, 9)]
    {
        burst.push(packet).expect("room");
    }
    assert_eq!(bench.queues.tx[0].send(&mut burst), 4);
    assert_eq!((bench.port.stats().tx_errors, other.in_use()), (4, 0));
    bench.end();
}

#[test]
fn a_copy_made_for_a_change_in_a_pool_the_device_does_not_know_is_dropped_and_counted() {
    let mut bench = bench(RingOptions::default(), |c| c.tx_offloads(TxOffloads::TCP_CHECKSUM));
    let other = MbufPool::builder("other").size(63).cache(0).build().expect("a pool");
    let mut packet = frame(&bench.pool, 0, 100);
    let ip = [0x45, 0, 0, 86, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.copy_from(12, &[8, 0]);
    packet.copy_from(14, &ip);
    packet.copy_from(34 + 12, &[0x50, 0x10]);
    let shared = packet.share();
    let mut alias = shared.alias(&other).expect("a buffer");
    alias.request(TxRequest {
        l2_len: 14,
        l3_len: 20,
        l4_len: 20,
        l4_checksum: L4Checksum::Tcp,
        ..TxRequest::default()
    });
    let mut burst = Burst::new();
    burst.push(alias).expect("room");
    assert_eq!(bench.queues.tx[0].send(&mut burst), 1);
    drop(shared);
    assert_eq!((bench.port.stats().tx_errors, other.in_use()), (1, 0));
    bench.end();
}

#[test]
fn a_large_frame_comes_back_with_what_it_asked() {
    let offloads = TxOffloads::TCP_CHECKSUM | TxOffloads::TCP_SEGMENTATION;
    let rx = RxOffloads::LRO | RxOffloads::L4_CHECKSUM | RxOffloads::SCATTER;
    for rings in kinds() {
        let mut bench = bench(rings, |c| c.tx_offloads(offloads).rx_offloads(rx));
        let mut packet = frame(&bench.pool, 0, 5000);
        let ip = [0x45, 0, 0x13, 0x7A, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.copy_from(12, &[8, 0]);
        packet.copy_from(14, &ip);
        packet.copy_from(34 + 12, &[0x50, 0x10]);
        let request = TxRequest {
            l2_len: 14,
            l3_len: 20,
            l4_len: 20,
            ip_checksum: true,
            l4_checksum: L4Checksum::Tcp,
            segmentation: Segmentation::Tcp(1448),
            ..TxRequest::default()
        };
        packet.request(request);
        let back = bench.round(packet);
        assert_eq!(back.len(), 5000);
        // The echo gives frames back without their header: a checksum and a size of its own.
        assert_ne!(bytes(&back)[24..26], [0, 0], "the IPv4 checksum was filled in");
        drop(back);
        bench.end();
    }
}

#[test]
fn frames_of_an_mtu_that_was_set_while_the_port_runs_are_sent() {
    for rings in kinds() {
        let mut bench = bench(rings, |c| c.rx_offloads(RxOffloads::SCATTER));
        bench.port.set_mtu(9000).expect("it can");
        let packet = frame(&bench.pool, 1, 5000);
        let expected = bytes(&packet);
        assert!(bytes(&bench.round(packet)) == expected, "{rings:?}");
        bench.end();
    }
}

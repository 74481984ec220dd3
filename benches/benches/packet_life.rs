//! What does a packet cost from pool to pool: allocated, headed, sent through a ring, freed; and what
//! would a `Vec<u8>` a packet cost?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linecard_mbuf::{Burst, MbufPool};
use std::hint::black_box;

const BURST: usize = 32;

fn packets(c: &mut Criterion) {
    let mut group = c.benchmark_group("a burst of packets");
    group.throughput(Throughput::Elements(BURST as u64));
    let pool = MbufPool::builder("bench").size(4095).build().expect("a pool");
    let mut burst = Burst::with_limit(BURST);
    assert!(pool.alloc_bulk(&mut burst, BURST));
    burst.clear();
    assert_eq!(pool.in_use(), 0);
    group.bench_function("mbuf: allocate and free", |b| {
        b.iter(|| {
            assert!(pool.alloc_bulk(&mut burst, BURST));
            burst.clear();
        });
    });
    let (mut tx, mut rx) = linecard_ring::spsc(1024).expect("a ring");
    group.bench_function("mbuf: allocate, 60 bytes, prepend, ring, free", |b| {
        b.iter(|| {
            assert!(pool.alloc_bulk(&mut burst, BURST));
            for packet in burst.iter_mut() {
                packet.append(60).expect("room").fill(1);
                packet.prepend(14).expect("headroom").fill(2);
            }
            tx.enqueue_burst(&mut burst);
            rx.dequeue_burst(&mut burst, BURST);
            burst.clear();
        });
    });
    group.bench_function("Vec<u8>: allocate and free", |b| {
        b.iter(|| {
            let all: [Vec<u8>; BURST] = core::array::from_fn(|_| Vec::with_capacity(2048));
            drop(black_box(all));
        });
    });
}

criterion_group!(benches, packets);
criterion_main!(benches);

//! How fast do elements pass through a ring on one core, beside the queues that a Rust program would
//! otherwise take? One at a time (all of them can), and in bursts of 32 (rtrb's chunks can; with
//! `ArrayQueue` a burst is a loop).

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_queue::ArrayQueue;
use linecard_ring::Fill;
use std::hint::black_box;

const CAPACITY: usize = 1024;
const BURST: usize = 32;

fn one_at_a_time(c: &mut Criterion) {
    let mut group = c.benchmark_group("one element in and out");
    group.throughput(Throughput::Elements(1));
    let (mut tx, mut rx) = linecard_ring::spsc::<u64>(CAPACITY).expect("a ring");
    assert_eq!(tx.enqueue(7).map(|()| rx.dequeue()), Ok(Some(7)));
    group.bench_function("linecard spsc", |b| {
        b.iter(|| {
            let _ = tx.enqueue(black_box(1));
            rx.dequeue()
        });
    });
    let (mut tx, mut rx) = linecard_ring::mpmc::<u64>(CAPACITY).expect("a ring");
    group.bench_function("linecard mpmc", |b| {
        b.iter(|| {
            let _ = tx.enqueue(black_box(1));
            rx.dequeue()
        });
    });
    let (mut tx, mut rx) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    group.bench_function("rtrb", |b| {
        b.iter(|| {
            let _ = tx.push(black_box(1));
            rx.pop().ok()
        });
    });
    let queue = ArrayQueue::<u64>::new(CAPACITY);
    group.bench_function("crossbeam ArrayQueue", |b| {
        b.iter(|| {
            let _ = queue.push(black_box(1));
            queue.pop()
        });
    });
}

fn a_burst(c: &mut Criterion) {
    let mut group = c.benchmark_group("a burst in and out");
    group.throughput(Throughput::Elements(BURST as u64));
    let items = [3u64; BURST];
    let mut out = [0u64; BURST];
    let (mut tx, mut rx) = linecard_ring::spsc::<u64>(CAPACITY).expect("a ring");
    group.bench_function(BenchmarkId::new("linecard spsc", BURST), |b| {
        b.iter(|| {
            tx.enqueue_burst(&mut black_box(&items[..]));
            rx.dequeue_burst(&mut Fill::new(&mut out), BURST)
        });
    });
    let (mut tx, mut rx) = linecard_ring::mpmc::<u64>(CAPACITY).expect("a ring");
    group.bench_function(BenchmarkId::new("linecard mpmc", BURST), |b| {
        b.iter(|| {
            tx.enqueue_burst(&mut black_box(&items[..]));
            rx.dequeue_burst(&mut Fill::new(&mut out), BURST)
        });
    });
    assert_eq!(out, items);
    let (mut tx, mut rx) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    group.bench_function(BenchmarkId::new("rtrb chunks", BURST), |b| {
        b.iter(|| {
            let chunk = tx.write_chunk_uninit(BURST).expect("room");
            chunk.fill_from_iter(black_box(&items).iter().copied());
            let chunk = rx.read_chunk(BURST).expect("as many as went in");
            chunk.into_iter().zip(&mut out).for_each(|(item, to)| *to = item);
        });
    });
    let queue = ArrayQueue::<u64>::new(CAPACITY);
    group.bench_function(BenchmarkId::new("crossbeam ArrayQueue, a loop", BURST), |b| {
        b.iter(|| {
            black_box(&items).iter().for_each(|item| assert!(queue.push(*item).is_ok()));
            out.iter_mut().for_each(|to| *to = queue.pop().unwrap_or_default());
        });
    });
}

criterion_group!(benches, one_at_a_time, a_burst);
criterion_main!(benches);

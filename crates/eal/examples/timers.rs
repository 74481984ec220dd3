//! What a timer costs in cycles, beside a binary heap: inserted, moved ten times, expired.
//!
//! `cargo run --release -p linecard-eal --example timers`
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use linecard_eal::clock::Clock;
use linecard_eal::timer::{TimerId, Timers};

/// Deadlines are up to this many cycles away.
const SPAN: u64 = 1 << 31;
const MOVES: usize = 10;

fn main() {
    let clock = Clock::new();
    println!("{:>9} {:>8} {:>8} {:>8} {:>8}", "timers", "insert", "move", "expire", "heap/exp");
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        let [insert, reset, expire] = wheel(&clock, count);
        let heap = heap(&clock, count);
        println!("{count:>9} {insert:>8} {reset:>8} {expire:>8} {heap:>8}");
    }
}

/// Pseudo-random distances: a linear congruential generator is random enough here.
fn distances() -> impl FnMut() -> u64 {
    let mut state = 1u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % SPAN
    }
}

/// Cycles of `work` per each of `count`.
fn cost<R>(clock: &Clock, count: usize, work: impl FnOnce() -> R) -> (u64, R) {
    let start = clock.cycles_ordered();
    let result = work();
    ((clock.cycles_ordered() - start) / count as u64, result)
}

fn wheel(clock: &Clock, count: usize) -> [u64; 3] {
    let (mut timers, mut next) = (Timers::with_resolution(2048), distances());
    timers.reserve(count);
    let (insert, ids) = cost(clock, count, || -> Vec<TimerId> {
        (0..count).map(|value| timers.insert(next(), value)).collect()
    });
    let (reset, ()) = cost(clock, count * MOVES, || {
        for id in ids.iter().cycle().take(count * MOVES) {
            timers.reset(*id, next());
        }
    });
    let (expire, fired) = cost(clock, count, || {
        let times = (0..=SPAN).step_by(1 << 16);
        times.map(|now| timers.poll(now, |value| assert!(value < count))).sum::<usize>()
    });
    assert_eq!(fired, count);
    [insert, reset, expire]
}

/// Insertion and removal in order; a plain heap cannot move what is in it.
fn heap(clock: &Clock, count: usize) -> u64 {
    let (mut heap, mut next) = (BinaryHeap::with_capacity(count), distances());
    let (cost, ()) = cost(clock, count, || {
        heap.extend((0..count).map(|value| Reverse((next(), value))));
        while let Some(least) = heap.pop() {
            std::hint::black_box(least);
        }
    });
    cost
}

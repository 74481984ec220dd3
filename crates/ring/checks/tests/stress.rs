//! Real threads, more of them than cores, that take elements out, check who held them last, mark
//! them as theirs and put them back, for a while; in the end every element is there exactly once.
//!
//! `LINECARD_STRESS_SECONDS` says how long for each; 0.2 if unset.
#![cfg(not(any(loom, shuttle)))]

use fastrand::Rng;
use linecard_ring::{Concurrent, Consumer, Ends, Exclusive, Hts, Ring, Side, Single};
use linecard_ring_checks::concurrent_pairs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const WORKERS: u64 = 6;
/// Elements of all workers together: fewer than all could hold, so that the ring runs empty too.
const ELEMENTS: u64 = 200;

/// A cache line: which element it is, and the pattern of who had it last in every other word.
#[repr(C, align(64))]
struct Line {
    id: u64,
    owner: [u64; 7],
}

impl Line {
    fn new(id: u64) -> Self {
        Line { id, owner: [0; 7] }
    }

    /// One owner wrote all of it, or it was torn.
    fn check(&self) {
        assert!(self.owner.iter().all(|word| *word == self.owner[0]), "torn: {:x?}", self.owner);
        assert!(self.owner[0] <= WORKERS && self.id < ELEMENTS, "garbage");
    }
}

/// An element by value, copied through the ring, or by address, handed over as such.
trait Element: Send + 'static {
    fn new(id: u64) -> Self;
    fn line(&mut self) -> &mut Line;
}

impl Element for Line {
    fn new(id: u64) -> Self {
        Line::new(id)
    }

    fn line(&mut self) -> &mut Line {
        self
    }
}

impl Element for Box<Line> {
    fn new(id: u64) -> Self {
        Box::new(Line::new(id))
    }

    fn line(&mut self) -> &mut Line {
        self
    }
}

/// Two ways for a worker to take and give back.
trait Exchange<T>: Send {
    fn take(&mut self, into: &mut Vec<T>, n: usize);
    fn give(&mut self, from: &mut Vec<T>);
}

/// By bulk and burst calls.
struct Calls<T: Send, P: Side, C: Side>(Ends<T, P, C>);

impl<T: Send, P: Side, C: Side> Exchange<T> for Calls<T, P, C> {
    fn take(&mut self, into: &mut Vec<T>, n: usize) {
        if n.is_multiple_of(2) {
            self.0.1.dequeue_bulk(into, n);
        } else {
            self.0.1.dequeue_burst(into, n);
        }
    }

    fn give(&mut self, from: &mut Vec<T>) {
        if from.len().is_multiple_of(2) {
            self.0.0.enqueue_bulk(from);
        } else {
            self.0.0.enqueue_burst(from);
        }
    }
}

/// In place: looks first, gives some back, takes and fills the rest.
struct Chunks<T: Send, P: Side, C: Side>(Ends<T, P, C>);

impl<T: Send, P: Exclusive, C: Exclusive> Exchange<T> for Chunks<T, P, C> {
    fn take(&mut self, into: &mut Vec<T>, n: usize) {
        let chunk = self.0.1.peek_burst(n);
        let most = chunk.len() - chunk.len() / 8;
        chunk.take(into, most);
    }

    fn give(&mut self, from: &mut Vec<T>) {
        let chunk = self.0.0.reserve_burst(from.len());
        let n = chunk.len();
        let added = chunk.fill(from.drain(..n));
        assert_eq!(added, n);
    }
}

fn seconds() -> Duration {
    let given = std::env::var("LINECARD_STRESS_SECONDS").ok();
    Duration::from_secs_f64(given.map_or(0.2, |text| text.parse().expect("a number of seconds")))
}

/// Takes a random number, checks, marks, and gives all back; says how many it had.
fn work<T: Element>(worker: u64, mut exchange: impl Exchange<T>, stop: &AtomicBool) -> u64 {
    let (mut rng, mut held, mut handled) = (Rng::with_seed(worker), Vec::with_capacity(64), 0);
    // Relaxed: it only says when to stop, and orders nothing.
    while !stop.load(Ordering::Relaxed) {
        exchange.take(&mut held, rng.usize(28..=44));
        handled += held.len() as u64;
        for element in &mut held {
            element.line().check();
            element.line().owner = [worker; 7];
        }
        while !held.is_empty() {
            exchange.give(&mut held);
            if !held.is_empty() {
                thread::yield_now();
            }
        }
    }
    handled
}

/// Lets the workers go for a while.
fn run<T: Element>(exchanges: Vec<impl Exchange<T>>) {
    let stop = &AtomicBool::new(false);
    let handled: u64 = thread::scope(|scope| {
        let start = |(i, exchange)| scope.spawn(move || work(i, exchange, stop));
        let workers: Vec<_> = (1..).zip(exchanges).map(start).collect();
        thread::sleep(seconds());
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(handled > 0, "nobody got anything");
}

/// Every element is there exactly once.
fn settle<T: Element, P: Side, C: Side>(rings: Vec<Consumer<T, P, C>>) {
    let rest = rings.into_iter().flat_map(|mut rx| std::iter::from_fn(move || rx.dequeue()));
    let mut ids: Vec<_> = rest
        .map(|mut element| {
            element.line().check();
            element.line().id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..ELEMENTS).collect::<Vec<_>>());
}

/// All workers on one ring that holds exactly all elements.
fn on_one_ring<T: Element, P: Concurrent, C: Concurrent, E: Exchange<T>>(
    exchange: fn(Ends<T, P, C>) -> E,
) {
    let (mut tx, rx) = Ring::<T, P, C>::new(ELEMENTS as usize).unwrap().split().unwrap();
    assert!(tx.enqueue_bulk(&mut (0..ELEMENTS).map(T::new).collect::<Vec<_>>()));
    run((0..WORKERS).map(|_| exchange((tx.clone(), rx.clone()))).collect());
    settle(vec![rx]);
}

/// As many rings as workers, in a circle: each takes from one and gives to the next.
fn in_a_circle<T: Element, E: Exchange<T>>(exchange: fn(Ends<T, Single, Single>) -> E) {
    let rings: Vec<_> =
        (0..WORKERS).map(|_| Ring::<T, Single, Single>::new(ELEMENTS as usize).unwrap()).collect();
    let mut first = rings[0].producer().unwrap();
    assert!(first.enqueue_bulk(&mut (0..ELEMENTS).map(T::new).collect::<Vec<_>>()));
    drop(first);
    let next = rings.iter().cycle().skip(1);
    let ends = rings
        .iter()
        .zip(next)
        .map(|(from, to)| exchange((to.producer().unwrap(), from.consumer().unwrap())));
    run(ends.collect());
    settle(rings.iter().map(|ring| ring.consumer().unwrap()).collect());
}

fn lines_by_value<P: Concurrent, C: Concurrent>() {
    on_one_ring::<Line, P, C, _>(Calls);
}

fn lines_by_address<P: Concurrent, C: Concurrent>() {
    on_one_ring::<Box<Line>, P, C, _>(Calls);
}

concurrent_pairs! { lines_by_value lines_by_address }

#[test]
fn lines_in_place_on_a_serialised_ring() {
    on_one_ring::<Line, Hts, Hts, _>(Chunks);
    on_one_ring::<Box<Line>, Hts, Hts, _>(Chunks);
}

#[test]
fn lines_in_a_circle_of_single_rings() {
    in_a_circle::<Line, _>(Calls);
    in_a_circle::<Box<Line>, _>(Calls);
}

#[test]
fn lines_in_place_in_a_circle_of_single_rings() {
    in_a_circle::<Line, _>(Chunks);
    in_a_circle::<Box<Line>, _>(Chunks);
}

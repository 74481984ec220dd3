//! Timers against an ordered map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn fired<T>(timers: &mut Timers<T>, now: u64) -> Vec<T> {
    let mut values = Vec::new();
    let count = timers.poll(now, |value| values.push(value));
    assert_eq!(count, values.len());
    values
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_poll() {
    let mut timers = Timers::with_resolution(1);
    assert!(fired(&mut timers, 1_000_000).is_empty());
    timers.insert(5, 'a');
    timers.insert(1_000_000, 'b');
    assert!(timers.next_deadline() <= Some(1_000_000));
    assert_eq!(fired(&mut timers, 1_000_000).len(), 2);
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn the_ends_of_time_are_deadlines_like_any_other() {
    for resolution in [1, 1024] {
        let mut timers = Timers::with_resolution(resolution);
        timers.insert(u64::MAX, "end");
        timers.insert(0, "start");
        assert_eq!(fired(&mut timers, 0), ["start"]);
        assert!(fired(&mut timers, u64::MAX - 2048).is_empty());
        assert!(timers.next_deadline().unwrap() > u64::MAX / 2);
    }
    let mut timers = Timers::with_resolution(1);
    timers.insert(u64::MAX, "end");
    assert_eq!(fired(&mut timers, u64::MAX), ["end"]);
}

#[test]
fn a_cancelled_timer_gives_its_value_back_and_its_id_is_used_up() {
    let mut timers = Timers::with_resolution(16);
    let first = timers.insert(100, String::from("x"));
    assert_eq!(timers.value(first).map(|value| value.as_str()), Some("x"));
    assert_eq!(timers.cancel(first).as_deref(), Some("x"));
    let second = timers.insert(100, String::from("y"));
    assert_eq!((timers.cancel(first), timers.reset(first, 5)), (None, None));
    assert_eq!(fired(&mut timers, 200), ["y"]);
    assert!(timers.cancel(second).is_none() && timers.is_empty());
}

#[test]
fn a_timer_that_is_moved_fires_at_its_new_deadline_only() {
    let mut timers = Timers::with_resolution(1);
    let id = timers.insert(100, 'a');
    timers.reset(id, 90_000).unwrap();
    assert!(fired(&mut timers, 89_999).is_empty());
    timers.reset(id, 90_000).unwrap();
    assert_eq!(fired(&mut timers, 90_000), ['a']);
}

#[test]
fn a_periodic_timer_keeps_its_phase_and_fires_once_for_all_it_missed() {
    let mut timers = Timers::with_resolution(1);
    let id = timers.insert_every(10, 100, 'p');
    assert_eq!(fired(&mut timers, 10), ['p']);
    assert!(fired(&mut timers, 109).is_empty());
    assert_eq!(fired(&mut timers, 750), ['p']);
    assert!(fired(&mut timers, 809).is_empty());
    assert_eq!(fired(&mut timers, 810), ['p']);
    assert_eq!(timers.cancel(id), Some('p'));
    assert!(timers.is_empty());
}

#[test]
fn a_periodic_timer_ends_with_time_itself() {
    let mut timers = Timers::with_resolution(1);
    timers.insert_every(5, 100, 'p');
    assert_eq!(fired(&mut timers, u64::MAX), ['p']);
    assert!(timers.is_empty());
}

#[test]
fn a_panic_while_firing_loses_one_timer_and_no_other() {
    let mut timers = Timers::with_resolution(1);
    for _ in 0..3 {
        timers.insert(7, 'a');
    }
    let poll = std::panic::AssertUnwindSafe(|| timers.poll(9, |_| panic!("on purpose")));
    assert!(std::panic::catch_unwind(poll).is_err());
    assert_eq!(fired(&mut timers, 9), ['a', 'a']);
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut timers = Timers::with_resolution(8);
    timers.insert(1 << 20, 'a');
    assert!(fired(&mut timers, 1 << 19).is_empty());
    assert!(fired(&mut timers, 5).is_empty());
    timers.insert(6, 'b');
    assert_eq!(fired(&mut timers, 1 << 19), ['b']);
    assert_eq!(fired(&mut timers, 1 << 20), ['a']);
}

#[test]
fn room_that_was_made_is_used() {
    let mut timers = Timers::with_resolution(1);
    timers.reserve(10);
    for deadline in 0..10 {
        timers.insert(deadline, deadline);
    }
    assert_eq!(fired(&mut timers, 9), (0..10).collect::<Vec<_>>());
}

#[test]
fn the_resolution_of_a_clock_is_about_a_microsecond() {
    let clock = Clock::kernel();
    assert_eq!(Timers::<()>::new(&clock).resolution(), 512);
}

#[derive(Clone, Debug)]
enum Operation {
    Insert(u64),
    Cancel(usize),
    Reset(usize, u64),
    Poll(u64),
}

/// Distances of every magnitude, so that all levels are used.
fn distance() -> impl Strategy<Value = u64> {
    (0u32..40, any::<u64>()).prop_map(|(bits, any)| any & ((1 << bits) - 1))
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => distance().prop_map(Operation::Insert),
        1 => any::<usize>().prop_map(Operation::Cancel),
        2 => (any::<usize>(), distance()).prop_map(|(which, d)| Operation::Reset(which, d)),
        4 => distance().prop_map(Operation::Poll),
    ]
}

/// Timers, and what they should be: a deadline for each number.
struct Pair {
    timers: Timers<u32>,
    oracle: BTreeMap<u32, (u64, TimerId)>,
    now: u64,
    count: u32,
}

impl Pair {
    fn new(resolution: u64) -> Self {
        let timers = Timers::with_resolution(resolution);
        Self { timers, oracle: BTreeMap::new(), now: 0, count: 0 }
    }

    fn pick(&self, which: usize) -> Option<u32> {
        self.oracle.keys().nth(which % self.oracle.len().max(1)).copied()
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Insert(distance) => {
                let deadline = self.now + distance;
                self.count += 1;
                let id = self.timers.insert(deadline, self.count);
                self.oracle.insert(self.count, (deadline, id));
            }
            Operation::Cancel(which) => {
                let Some(number) = self.pick(which) else { return };
                let (_, id) = self.oracle.remove(&number).unwrap();
                assert_eq!(self.timers.cancel(id), Some(number));
            }
            Operation::Reset(which, distance) => {
                let Some(number) = self.pick(which) else { return };
                let entry = self.oracle.get_mut(&number).unwrap();
                entry.0 = self.now + distance;
                assert_eq!(self.timers.reset(entry.1, entry.0), Some(()));
            }
            Operation::Poll(distance) => self.poll(self.now + distance),
        }
        assert_eq!(self.timers.len(), self.oracle.len());
        let soonest = self.oracle.values().map(|(deadline, _)| *deadline).min();
        let latest = soonest.map(|deadline| deadline + self.timers.resolution());
        assert_eq!(self.timers.next_deadline().is_some(), latest.is_some());
        assert!(self.timers.next_deadline() <= latest);
    }

    /// What fires must be due, and what is due by more than the resolution must fire.
    fn poll(&mut self, now: u64) {
        self.now = now;
        let (oracle, resolution) = (&mut self.oracle, self.timers.resolution());
        let mut last = 0;
        self.timers.poll(now, |number| {
            let (deadline, _) = oracle.remove(&number).unwrap();
            assert!(deadline <= now && deadline.div_ceil(resolution) >= last);
            last = deadline.div_ceil(resolution);
        });
        assert!(self.oracle.values().all(|(deadline, _)| deadline + resolution > now));
    }
}

proptest! {
    #[test]
    fn timers_fire_when_they_are_due_and_never_before(
        shift in 0u32..12, operations in proptest::collection::vec(operation(), 1..200),
    ) {
        let mut pair = Pair::new(1 << shift);
        operations.into_iter().for_each(|operation| pair.run(operation));
    }
}

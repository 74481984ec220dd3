//! Random operations on a ring of every kind, compared step by step with a `VecDeque`.
#![cfg(not(any(loom, shuttle)))]

mod element;
mod model;
mod operation;
mod placed;
mod sides;

use element::{Bytes40, Counted, Element};
use linecard_ring::{Hts, Multi, Plain, Ring, Rts, Single};
use linecard_ring_checks::every_pair;
use model::Model;
use operation::{Operation, operations};
use placed::Position;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use sides::{ConsumerSide, ProducerSide};

/// What is drawn for a case: how large, from which position on, and what is done.
#[derive(Clone, Debug)]
struct Case {
    capacity: usize,
    start: Position,
    operations: Vec<Operation>,
}

fn cases() -> impl Strategy<Value = Case> {
    let near_a_wrap = (any::<u8>(), 0..64u32).prop_map(|(count, before)| Position {
        position: before.wrapping_neg(),
        count: u32::from(count).wrapping_neg(),
    });
    let anywhere = any::<(u32, u32)>().prop_map(|(position, count)| Position { position, count });
    let start = prop_oneof![Just(Position::default()), near_a_wrap, anywhere];
    (1..=70usize, start, operations()).prop_map(|(capacity, start, operations)| Case {
        capacity,
        start,
        operations,
    })
}

/// Runs `check` on many cases; what fails is shrunk.
fn sample(check: impl Fn(&Case)) {
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&cases(), |case| {
            check(&case);
            Ok(())
        })
        .unwrap();
}

/// In caller memory, from any position.
fn placed<T: Element + Plain, P: ProducerSide, C: ConsumerSide>(case: &Case) {
    let ring = placed::ring::<T, P, C>(case.capacity, case.start);
    Model::new(ring).run(&case.operations);
}

/// On the heap, with elements that count their drops.
fn counted<P: ProducerSide, C: ConsumerSide>(case: &Case) {
    let lives = Counted::lives();
    Model::<Counted, P, C>::new(Ring::new(case.capacity).unwrap()).run(&case.operations);
    assert_eq!(Counted::lives(), lives, "dropped too often or not at all");
}

fn behaves_like_a_queue<P: ProducerSide, C: ConsumerSide>() {
    sample(placed::<u32, P, C>);
}

fn drops_every_element_once<P: ProducerSide, C: ConsumerSide>() {
    sample(counted::<P, C>);
}

every_pair! { behaves_like_a_queue drops_every_element_once }

/// On the four pairs that have the same side twice.
fn each_side<T: Element + Plain>() {
    sample(placed::<T, Single, Single>);
    sample(placed::<T, Multi, Multi>);
    sample(placed::<T, Rts, Rts>);
    sample(placed::<T, Hts, Hts>);
}

mod elements_of {
    use super::{Bytes40, each_side};

    #[test]
    fn no_bytes() {
        each_side::<[u8; 0]>();
    }

    #[test]
    fn one_byte() {
        each_side::<u8>();
    }

    #[test]
    fn three_bytes() {
        each_side::<[u8; 3]>();
    }

    #[test]
    fn sixteen_bytes() {
        each_side::<[u64; 2]>();
    }

    #[test]
    fn forty_bytes() {
        each_side::<Bytes40>();
    }
}

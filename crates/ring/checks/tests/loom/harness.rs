//! What the models are made of.

use linecard_ring::{Consumer, Ends, Producer, Ring, Side};
use linecard_ring_checks::{Parcel, assert_exactly_once, assert_in_order};
use loom::thread::JoinHandle;

/// Runs `model` in every interleaving with up to `preemptions` switches away from a thread that
/// could have gone on; what gives way by itself is not counted. `LOOM_MAX_PREEMPTIONS` overrides.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}

/// The ends of a new ring, `skip` elements after its beginning.
pub(crate) fn ring<P: Side, C: Side>(capacity: usize, skip: u32) -> Ends<Parcel, P, C> {
    let (mut tx, mut rx) = Ring::new(capacity).unwrap().split().unwrap();
    for number in 0..skip {
        tx.enqueue(Parcel { sender: u32::MAX, number }).unwrap();
        rx.dequeue().unwrap();
    }
    (tx, rx)
}

/// Tries to send each once; says which were taken.
pub(crate) fn send<P: Side, C: Side>(
    tx: &mut Producer<Parcel, P, C>,
    parcels: Vec<Parcel>,
) -> Vec<Parcel> {
    parcels.into_iter().filter(|parcel| tx.enqueue(*parcel).is_ok()).collect()
}

/// Tries to get one, `tries` times.
pub(crate) fn receive<P: Side, C: Side>(
    rx: &mut Consumer<Parcel, P, C>,
    tries: usize,
) -> Vec<Parcel> {
    (0..tries).filter_map(|_| rx.dequeue()).collect()
}

/// Runs `model` in every interleaving there is.
pub(crate) fn exhaust(model: impl Fn() + Send + Sync + 'static) {
    loom::model::Builder::new().check(model);
}

/// What all threads came to, one after the other.
pub(crate) fn join<const N: usize>(threads: [JoinHandle<Vec<Parcel>>; N]) -> Vec<Parcel> {
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

/// Takes what is left, and checks `got`, by one consumer, against `sent`.
pub(crate) fn settle<P: Side, C: Side>(
    sent: &[Parcel],
    mut got: Vec<Parcel>,
    rx: &mut Consumer<Parcel, P, C>,
) {
    got.extend(std::iter::from_fn(|| rx.dequeue()));
    assert_in_order(&got);
    assert_exactly_once(sent, &got);
}

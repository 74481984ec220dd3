//! Counters against an exact count.

use super::*;
use proptest::prelude::*;

/// Few flows, some of which come far more often than others.
fn flows() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..4, 2 => 0_u32..40, 2 => 0_u32..1000, 1 => any::<u32>()]
}

type Exact = HashMap<u32, u64>;

fn count(heavy: &mut HeavyHitters<u32>, stream: &[(u32, u64)]) -> Exact {
    let mut exact = Exact::new();
    for (flow, weight) in stream {
        heavy.add(flow, *weight);
        *exact.entry(*flow).or_default() += weight;
    }
    exact
}

fn holds(heavy: &HeavyHitters<u32>, exact: &Exact) -> Result<(), TestCaseError> {
    let total: u64 = exact.values().sum();
    let bound = total / heavy.room as u64;
    prop_assert_eq!(heavy.total(), total);
    prop_assert!(heavy.floor() <= bound);
    prop_assert_eq!(heavy.iter().map(|it| it.at_most).sum::<u64>(), total);
    for (flow, truth) in exact {
        let found = heavy.get(flow);
        prop_assert!(found.at_least <= *truth && *truth <= found.at_most, "{found:?}, {truth}");
        prop_assert!(found.at_most - found.at_least <= bound);
        prop_assert!(*truth <= bound || heavy.iter().any(|it| it.key == *flow), "{flow}");
    }
    let all = heavy.top(usize::MAX);
    prop_assert!(all.is_sorted_by(|one, other| one.at_most >= other.at_most));
    prop_assert_eq!(all.len(), heavy.len());
    Ok(())
}

proptest! {
    #[test]
    fn the_bounds_hold_for_every_flow(
        counters in 1_usize..50,
        stream in prop::collection::vec((flows(), prop_oneof![Just(1_u64), 64_u64..1519]), 0..2000),
    ) {
        let mut heavy = HeavyHitters::new(counters).unwrap();
        let exact = count(&mut heavy, &stream);
        holds(&heavy, &exact)?;
        heavy.clear();
        prop_assert!(heavy.is_empty() && heavy.total() == 0);
        let exact = count(&mut heavy, &stream[stream.len() / 2..]);
        holds(&heavy, &exact)?;
    }

    #[test]
    fn with_a_counter_for_each_flow_counts_are_exact(
        stream in prop::collection::vec((0_u32..30, 0_u64..100), 0..500),
    ) {
        let mut heavy = HeavyHitters::new(30).unwrap();
        let exact = count(&mut heavy, &stream);
        for (flow, truth) in exact {
            let found = heavy.get(&flow);
            prop_assert_eq!((found.at_least, found.at_most), (truth, truth));
        }
    }

    #[test]
    fn what_threads_have_counted_apart_has_the_bounds_of_all(
        stream in prop::collection::vec((flows(), 1_u64..100), 0..1000),
        counters in [1_usize..40, 1_usize..40],
    ) {
        let mut parts = counters.map(|counters| HeavyHitters::new(counters).unwrap());
        let mut exact = Exact::new();
        for (nth, (flow, weight)) in stream.iter().enumerate() {
            parts[nth % 3 % 2].add(flow, *weight);
            *exact.entry(*flow).or_default() += weight;
        }
        for found in combined(&[&parts[0], &parts[1]], usize::MAX) {
            let truth = exact[&found.key];
            prop_assert!(found.at_least <= truth && truth <= found.at_most);
        }
    }
}

#[test]
fn a_skewed_stream_gives_its_heaviest_flows_in_order() {
    let mut heavy = HeavyHitters::<u32>::new(256).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    // Flow n has about 1/n of what flow 1 has.
    for _ in 0..200_000 {
        heavy.add(&((1.0 / random.f64().max(1e-9)) as u32), 1);
    }
    let first: Vec<_> = heavy.top(4).iter().map(|found| found.key).collect();
    assert_eq!(first, [1, 2, 3, 4]);
}

#[test]
fn none_and_too_many_counters_are_refused() {
    for asked in [0, LIMIT + 1] {
        assert_eq!(HeavyHitters::<u32>::new(asked).err(), Some(Error { asked, limit: LIMIT }));
    }
    let heavy = HeavyHitters::<[u8; 16]>::new(1000).unwrap();
    assert!(heavy.memory() < 70_000, "{}", heavy.memory());
}

//! Every interleaving of a writer and a reader on small tables. Leaves are watched: one that is freed while a
//! reader may look at it fails a model by itself.

use super::{Acl, AclRule, RuleId};
use crate::simd::Simd;
use linecard_net::flow::KeyV4;
use linecard_net::rule::Match;
use loom::thread::spawn;

/// Explores with up to `preemptions` switches away from a thread that could have gone on.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}

/// A rule for all keys, of this priority.
fn rule(priority: u32) -> AclRule<KeyV4> {
    AclRule { priority, ..AclRule::default() }
}

/// One rule, of priority and id 5.
fn table() -> Acl<KeyV4> {
    let mut acl = Acl::with_simd(Simd::Plain).unwrap();
    acl.insert(RuleId(5), rule(5)).unwrap();
    acl
}

fn look_up(acl: &Acl<KeyV4>) -> impl Fn() -> u32 + Send + 'static {
    let reader = acl.reader();
    move || reader.lookup(&KeyV4::default()).expect("there is always a rule").0
}

#[test]
fn a_rule_that_comes_is_seen_or_not_and_then_for_good() {
    explore(3, || {
        let mut acl = table();
        let look_up = look_up(&acl);
        let looking = spawn(move || {
            let (before, after) = (look_up(), look_up());
            assert!([before, after] != [1, 5], "what was seen is gone");
            assert!([before, after].iter().all(|found| [1, 5].contains(found)));
        });
        acl.insert(RuleId(1), rule(1)).unwrap();
        let _ = acl.collect();
        looking.join().unwrap();
    });
}

#[test]
fn a_rule_that_goes_leaves_no_gap() {
    explore(3, || {
        let mut acl = table();
        acl.insert(RuleId(1), rule(1)).unwrap();
        let look_up = look_up(&acl);
        let looking = spawn(move || assert!([1, 5].contains(&look_up())));
        assert!(acl.remove(RuleId(1)).is_some());
        let _ = acl.collect();
        looking.join().unwrap();
    });
}

#[test]
fn a_set_that_is_replaced_is_seen_whole() {
    explore(3, || {
        let mut acl = table();
        let look_up = look_up(&acl);
        let looking = spawn(move || assert!([5, 7].contains(&look_up())));
        let other = AclRule { dport: Match::Exact(9), ..rule(1) };
        acl.replace([(RuleId(6), other), (RuleId(7), rule(7))]).unwrap();
        let _ = acl.collect();
        looking.join().unwrap();
    });
}

#[test]
fn readers_outlive_the_writer() {
    explore(3, || {
        let mut acl = table();
        // Loom does not see what `Arc` orders: the last one to go goes here.
        let (look_up, last) = (look_up(&acl), acl.reader());
        let looking = spawn(move || assert!([1, 5].contains(&look_up())));
        acl.insert(RuleId(1), rule(1)).unwrap();
        drop(acl);
        looking.join().unwrap();
        drop(last);
    });
}

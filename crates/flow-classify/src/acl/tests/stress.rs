//! A writer at full speed, and readers that must never see what was not there.

use super::{TestKey, host};
use crate::acl::{Acl, AclRule, RuleId, Verdict};
use linecard_net::flow::KeyV4;
use linecard_net::rule::Match;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Rules that are always there: one for each of these destinations, and one for all others.
const STEADY: u32 = 200;
const CHANGES: u32 = if cfg!(miri) { 50 } else { 1000 };

/// A rule that comes and goes: it never wins over a steady one, but for the last.
fn passing(random: &mut fastrand::Rng) -> AclRule<KeyV4> {
    let src = Match::prefix(random.u32(..).into(), random.u8(0..=32));
    let dport = Match::Range { lo: random.u16(..100), hi: random.u16(100..) };
    AclRule { src, dport, priority: random.u32(20..30), ..AclRule::default() }
}

#[test]
fn readers_see_steady_rules_and_whole_changes_while_a_writer_works() {
    let mut acl = Acl::<KeyV4>::new();
    (0..STEADY).for_each(|n| acl.insert(RuleId(n), host(n)).unwrap());
    acl.insert(RuleId(STEADY), AclRule { priority: 1000, ..AclRule::default() }).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (reader, done) = (acl.reader(), &done);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                // Relaxed: a flag to stop; nothing is read because of it.
                while !done.load(Ordering::Relaxed) {
                    let keys: [_; 40] = std::array::from_fn(|n| {
                        let dst = random.u32(..2 * STEADY);
                        KeyV4::of(random.u32(..), dst, (0, n as u16 * 10), 6)
                    });
                    let mut verdicts = [Verdict::NONE; 40];
                    reader.classify(&keys, &mut verdicts);
                    for (key, verdict) in keys.iter().zip(verdicts) {
                        let dst = u32::from_be_bytes(key.dst);
                        let found = verdict.rule().expect("there is one for all");
                        assert!(if dst < STEADY { found.0 == dst } else { found.0 >= STEADY });
                    }
                }
            });
        }
        write(&mut acl);
        // Relaxed: see above.
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(acl.len(), STEADY as usize + 1);
    while acl.collect() > 0 {
        thread::yield_now();
    }
}

fn write(acl: &mut Acl<KeyV4>) {
    let mut random = fastrand::Rng::with_seed(7);
    for n in STEADY + 1..STEADY + 1 + CHANGES {
        acl.insert(RuleId(n), passing(&mut random)).unwrap();
        if n > 2 * STEADY {
            let _ = acl.remove(RuleId(n - STEADY));
        }
    }
    (STEADY + 1..STEADY + 1 + CHANGES).for_each(|n| _ = acl.remove(RuleId(n)));
}

//! Barriers between two threads, one of which plays the device.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const ROUNDS: u32 = 20_000;

/// Waits until `word` is `value`. Lets others run, as there may be fewer processors than threads.
fn await_value(word: &AtomicU32, value: u32) {
    while word.load(Relaxed) != value {
        std::thread::yield_now();
    }
}

#[test]
fn what_was_published_is_there_when_its_sign_is_observed() {
    let (data, sign) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                // Relaxed throughout: the barriers under test are what orders the two words.
                data.store(round, Relaxed);
                dma_publish();
                sign.store(round, Relaxed);
                if round % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut seen = 0;
        while seen < ROUNDS {
            seen = sign.load(Relaxed);
            dma_observe();
            assert!(data.load(Relaxed) >= seen);
        }
    });
}

#[test]
fn of_two_that_tell_then_look_at_least_one_sees_the_other() {
    let (mine, yours) = (AtomicU32::new(0), AtomicU32::new(0));
    let (turn, done) = (AtomicU32::new(0), AtomicU32::new(0));
    let blind = AtomicU32::new(0);
    let tell_and_look = |tell: &AtomicU32, look: &AtomicU32, round| {
        tell.store(round, Relaxed);
        dma_full();
        if look.load(Relaxed) != round {
            blind.fetch_add(1, Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS / 20 {
                await_value(&turn, round);
                tell_and_look(&mine, &yours, round);
                done.store(round, Relaxed);
            }
        });
        for round in 1..=ROUNDS / 20 {
            blind.store(0, Relaxed);
            dma_full();
            turn.store(round, Relaxed);
            tell_and_look(&yours, &mine, round);
            await_value(&done, round);
            dma_observe();
            assert!(blind.load(Relaxed) < 2, "both missed each other in round {round}");
        }
    });
}

#[test]
fn the_barriers_towards_registers_can_be_called_anywhere() {
    doorbell();
    flush_write_combining();
}

//! One thread hands a million numbers to another, in bursts, through a ring of 256.
//!
//! `cargo run --release -p linecard-ring --example hand_over`
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use linecard_ring::{Consumer, Error, Fill, Producer, Single, spsc};
use std::time::Instant;
use std::{iter, thread};

const NUMBERS: u64 = 1_000_000;
const BURST: usize = 32;

fn main() -> Result<(), Error> {
    let (tx, rx) = spsc(256)?;
    let start = Instant::now();
    let sum = thread::scope(|scope| {
        scope.spawn(move || produce(tx));
        consume(rx)
    });
    println!("{NUMBERS} numbers in {:?}, sum {sum}", start.elapsed());
    assert_eq!(sum, NUMBERS * (NUMBERS - 1) / 2);
    Ok(())
}

/// What does not fit stays in the burst, and is tried again.
fn produce(mut tx: Producer<u64, Single, Single>) {
    let mut numbers = 0..NUMBERS;
    let mut burst = Vec::with_capacity(BURST);
    loop {
        burst.extend(iter::from_fn(|| numbers.next()).take(BURST - burst.len()));
        if burst.is_empty() {
            return;
        }
        if tx.enqueue_burst(&mut burst) == 0 {
            thread::yield_now();
        }
    }
}

/// Until the producer is gone and, asked after that, the ring is empty.
fn consume(mut rx: Consumer<u64, Single, Single>) -> u64 {
    let (mut sum, mut burst) = (0, [0; BURST]);
    loop {
        let closed = rx.is_closed();
        let mut fill = Fill::new(&mut burst);
        match rx.dequeue_burst(&mut fill, BURST) {
            0 if closed => return sum,
            0 => thread::yield_now(),
            _ => sum += fill.filled().iter().sum::<u64>(),
        }
    }
}

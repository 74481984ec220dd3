//! The fuzz harness with random bytes, for so many seconds: where there is no nightly compiler.
//!
//! ```text
//! cargo run --release -p linecard-pmd-vhost --features harness --example soak -- 600
//! ```

use linecard_pmd_vhost::harness;
use std::time::{Duration, Instant};

/// Bytes of one run, most of them small numbers: indices, kinds and lengths are.
fn bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    let small = random.u8(2..=255);
    (0..random.usize(..2000))
        .map(|_| if random.bool() { random.u8(..small) } else { random.u8(..) })
        .collect()
}

#[expect(clippy::print_stdout, reason = "a program")]
fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10);
    let (start, mut runs) = (Instant::now(), 0u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        // Printed with a panic, so that it can be run again.
        let seed = fastrand::u64(..);
        let data = bytes(&mut fastrand::Rng::with_seed(seed));
        if std::panic::catch_unwind(|| harness::run(&data)).is_err() {
            println!("seed {seed}: {data:?}");
            std::process::exit(1);
        }
        runs += 1;
    }
    println!("{runs} runs, nothing found");
}

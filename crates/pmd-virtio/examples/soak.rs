//! The fuzz harness with random bytes, for so many seconds: where there is no nightly compiler.
//!
//! ```text
//! cargo run --release -p linecard-pmd-virtio --features harness --example soak -- 600
//! ```

use linecard_pmd_virtio::harness;
use std::time::{Duration, Instant};

#[expect(clippy::print_stdout, reason = "a program")]
fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10);
    let (start, mut runs) = (Instant::now(), 0u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        // Printed with a panic, so that it can be run again.
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let data: Vec<u8> = (0..random.usize(..800)).map(|_| random.u8(..)).collect();
        if std::panic::catch_unwind(|| harness::run(&data)).is_err() {
            println!("seed {seed}: {data:?}");
            std::process::exit(1);
        }
        runs += 1;
    }
    println!("{runs} runs, nothing found");
}

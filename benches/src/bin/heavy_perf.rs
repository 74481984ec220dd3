//! What it costs to count flows, of which the heaviest are to be known: the twin of
//! `benches/dpdk/heavy_perf.c`, which has the method. Ours never samples: it is the same in both rows.
#![expect(clippy::print_stderr, reason = "remarks are for who runs it, rows for who reads it")]

use clap::Parser;
use linecard_benches::routes::Draw;
use linecard_benches::{Options, cycles, pin, row};
use linecard_flow_classify::heavy::HeavyHitters;

const UNIT: &str = "cycles/packet";
const PACKETS: usize = 1 << 20;
const COUNTERS: usize = 1000;

fn keys() -> Vec<[u8; 16]> {
    let mut draw = Draw::new(6);
    let mut key = || {
        let unit = ((draw.next() >> 11) as f64 + 1.0) / 9_007_199_254_740_993.0;
        let flow = (1.0 / unit).min(1e6) as u32;
        let mut key = [7; 16];
        key[..4].copy_from_slice(&flow.to_le_bytes());
        key
    };
    (0..PACKETS).map(|_| key()).collect()
}

fn main() {
    let options = Options::parse();
    pin(0);
    let keys = keys();
    for name in ["heavy 1 in 1000", "heavy 1 in 1000 sampled"] {
        if options.wants(name) {
            row(name, UNIT, count(&options, &keys));
        }
    }
}

fn count(options: &Options, keys: &[[u8; 16]]) -> f64 {
    let mut heavy = HeavyHitters::new(COUNTERS).expect("a good number");
    let mut turn = || {
        let start = cycles();
        keys.iter().for_each(|key| heavy.add(key, 1));
        cycles() - start
    };
    turn();
    let (budget, mut spent, mut times) = (options.cycles(0.2), 0, 0);
    while times == 0 || spent < budget {
        spent += turn();
        times += 1;
    }
    let top = heavy.top(10);
    for (flow, found) in (1_u32..).zip(&top) {
        assert_eq!(found.key[..4], flow.to_le_bytes(), "the heaviest flows in order");
    }
    eprintln!("heavy: {} bytes", heavy.memory());
    spent as f64 / (times * PACKETS) as f64
}

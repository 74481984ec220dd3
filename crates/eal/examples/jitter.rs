//! How quiet each cpu is that this process may use, and what is wrong with polling on it.
//!
//! `cargo run --release -p linecard-eal --example jitter -- 1-3` looks at three cpus.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::time::Duration;

use linecard_eal::clock::Clock;
use linecard_eal::lcore::{Jitter, Launcher, LcoreMap, Topology, Warning};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (topology, clock) = (Topology::discover(), Clock::new());
    println!("{} MHz ({:?}, {:?})", clock.hz() / 1_000_000, clock.source(), clock.rate());
    let map: LcoreMap = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => topology.allowed_list().parse()?,
    };
    for warning in Warning::of(&topology, &map) {
        println!("note: {warning}");
    }
    let mut launcher = Launcher::new(&topology).name("jitter");
    for lcore in map.lcores() {
        launcher.add(lcore.clone(), move |_| Jitter::measure(&clock, Duration::from_secs(2)));
    }
    for outcome in launcher.start()?.join() {
        println!("\nlcore {} on cpus {:?}", outcome.lcore.id, outcome.lcore.cpus);
        println!("{}", outcome.result?);
    }
    Ok(())
}

//! What a packet takes testpmd, by its own rates.

use crate::cases::{Case, Rate};
use linecard_testbed::programs::Program;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(100);

/// Between two looks at the rates, in the guest's own time. A look takes some two milliseconds itself.
const LONG: Duration = Duration::from_millis(200);

/// How often the rates are looked at. The guest's kernel has work of its own now and then, so the least
/// is the figure, as for our driver.
const LOOKS: usize = 3;

/// An instruction is a nanosecond, so a second has 10⁹, shared by what both ports receive, or send. Both
/// threads of testpmd are on the one CPU; that of the prompt sleeps.
pub(crate) fn instructions_a_packet(cards: [&str; 2], case: &Case) -> f64 {
    let [eal, own] = case.testpmd;
    let mut testpmd = Program::new("dpdk-testpmd")
        .words("--lcores 0@0,1@0 --in-memory --no-telemetry --iova-mode=pa")
        .words(eal)
        .args(["-a", cards[0], "-a", cards[1], "--", "-i"])
        .words("--total-num-mbufs=4096 --no-mlockall --rxd=256 --txd=256")
        .arg(format!("--burst={}", case.burst))
        .words(own)
        .within(PATIENCE)
        .spawn()
        .unwrap();
    testpmd.wait_for("testpmd>", PATIENCE).unwrap();
    testpmd.send_line(if case.goes_round() { "start tx_first" } else { "start" }).unwrap();
    for _ in 0..LOOKS {
        testpmd.send_line("show port stats all").unwrap();
        std::thread::sleep(LONG);
    }
    testpmd.send_line("quit").unwrap();
    let output = testpmd.wait(PATIENCE).unwrap();
    let label = if case.rate == Rate::Sent { "Tx-pps:" } else { "Rx-pps:" };
    let rates: Vec<f64> = output.stdout.split(label).skip(1).filter_map(first_number).collect();
    assert_eq!(rates.len(), 2 * LOOKS, "{}", output.printed());
    // A rate is since the last look; the first of each port is since its start.
    let costs = rates.chunks_exact(2).skip(1).map(|ports| 1e9 / (ports[0] + ports[1]));
    costs.fold(f64::INFINITY, f64::min)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

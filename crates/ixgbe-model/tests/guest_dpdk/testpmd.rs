//! Running testpmd on both cards, and reading what it says at the end.

use linecard_testbed::programs::Program;
use std::time::Duration;

/// Where the cards are.
pub(crate) const CARDS: [&str; 2] = ["0000:00:05.0", "0000:00:06.0"];

/// What testpmd counted over all ports.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
}

/// Lets a burst of packets go round between the cards for a while.
pub(crate) fn forward(addressing: &str) -> Totals {
    let [one, other] = CARDS;
    let mut testpmd = Program::new("dpdk-testpmd")
        .words("-l 0,1 --in-memory --no-telemetry")
        .args([addressing, "-a", one, "-a", other, "--"])
        .words("--tx-first --forward-mode=io --stats-period 1")
        .words("--total-num-mbufs=4096 --no-mlockall --rxd=256 --txd=256")
        .within(Duration::from_secs(150))
        .spawn()
        .unwrap();
    testpmd.wait_for("Port statistics", Duration::from_secs(60)).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let output = testpmd.interrupt(Duration::from_secs(60)).unwrap();
    let (_, end) =
        output.stdout.rsplit_once("Accumulated forward statistics").unwrap_or_else(|| {
            panic!("testpmd has not counted: {}", output.printed());
        });
    let number = |label: &str| -> u64 {
        let after = end.split_once(label).map(|(_, after)| after.trim_start()).unwrap_or_default();
        after.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    Totals {
        received: number("RX-packets:"),
        sent: number("TX-packets:"),
        dropped: number("RX-dropped:") + number("TX-dropped:"),
    }
}

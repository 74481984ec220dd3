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

/// Has each card put what has two bytes at an offset into queue 1, lets packets go round, and says what each
/// queue of each card has received.
pub(crate) fn steer(addressing: &str, words: [(u16, &str); 2]) -> [[u64; 2]; 2] {
    let [one, other] = CARDS;
    let mut testpmd = Program::new("dpdk-testpmd")
        .words("-l 0,1 --in-memory --no-telemetry")
        .args([addressing, "-a", one, "-a", other, "--"])
        .words("-i --rxq=2 --txq=2 --disable-rss --total-num-mbufs=4096 --no-mlockall")
        .words("--rxd=256 --txd=256")
        .within(Duration::from_secs(150))
        .spawn()
        .unwrap();
    testpmd.wait_for("testpmd>", Duration::from_secs(60)).unwrap();
    for (card, (offset, word)) in words.into_iter().enumerate() {
        let flow = "eth / ipv4 dst is 198.18.0.2 / udp dst is 9";
        let raw = format!("raw relative is 0 search is 0 offset is {offset} limit is 0");
        let queue = "end actions queue index 1 / end";
        let line = format!(
            "flow create {card} ingress pattern {flow} / {raw} pattern_hex is {word} / {queue}"
        );
        testpmd.send_line(&line).unwrap();
    }
    testpmd.send_line("start tx_first").unwrap();
    std::thread::sleep(Duration::from_secs(4));
    // What it says comes when it ends: it is no terminal that it speaks to.
    testpmd.send_line("stop").unwrap();
    testpmd.send_line("quit").unwrap();
    let output = testpmd.wait(Duration::from_secs(60)).unwrap();
    assert_eq!(output.stdout.matches("Flow rule #0 created").count(), 2, "{}", output.printed());
    let received = |card: usize, queue: usize| {
        let label = format!("Forward Stats for RX Port= {card}/Queue= {queue} ");
        // Queues without packets are left out.
        let after = output.stdout.split_once(&label).map_or("", |(_, after)| after);
        let number = after.split_once("RX-packets:").map_or("0", |(_, after)| after.trim_start());
        number.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    [0, 1].map(|card| [0, 1].map(|queue| received(card, queue)))
}

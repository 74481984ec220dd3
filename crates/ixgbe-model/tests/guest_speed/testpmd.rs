//! What a packet takes testpmd, by its own rates.

use linecard_testbed::programs::Program;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(100);

/// Between two looks at the rates, in the guest's own time. A look takes some two milliseconds itself.
const LONG: Duration = Duration::from_millis(200);

/// How often the rates are looked at. The guest's kernel has work of its own now and then, so the least
/// is the figure, as for our driver.
const LOOKS: usize = 3;

/// An instruction is a nanosecond, so a second has 10⁹, shared by what both ports receive. Both
/// threads of testpmd are on the one CPU; that of the prompt sleeps.
pub(crate) fn instructions_a_packet(cards: [&str; 2], burst: usize, offloads: &str) -> f64 {
    // The numbers are DPDK's: tags, and checksums of IPv4, UDP and TCP.
    let more = match offloads {
        "plain" => "",
        _ => "--enable-rx-cksum --enable-hw-vlan-strip --tx-offloads=0xf",
    };
    let mut testpmd = Program::new("dpdk-testpmd")
        .words("--lcores 0@0,1@0 --in-memory --no-telemetry --iova-mode=pa")
        .args(["-a", cards[0], "-a", cards[1], "--", "-i"])
        .words("--forward-mode=io --total-num-mbufs=4096 --no-mlockall --rxd=256 --txd=256")
        .arg(format!("--burst={burst}"))
        .words(more)
        .within(PATIENCE)
        .spawn()
        .unwrap();
    testpmd.wait_for("testpmd>", PATIENCE).unwrap();
    testpmd.send_line("start tx_first").unwrap();
    for _ in 0..LOOKS {
        testpmd.send_line("show port stats all").unwrap();
        std::thread::sleep(LONG);
    }
    testpmd.send_line("quit").unwrap();
    let output = testpmd.wait(PATIENCE).unwrap();
    let rates: Vec<f64> = output.stdout.split("Rx-pps:").skip(1).filter_map(first_number).collect();
    // A rate is since the last look; the first of each port is since its start.
    let costs = rates.chunks_exact(2).skip(1).map(|ports| 1e9 / (ports[0] + ports[1]));
    let least = costs.fold(f64::INFINITY, f64::min);
    assert_eq!(rates.len(), 2 * LOOKS, "{}", output.printed());
    least
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

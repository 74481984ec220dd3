//! What a packet takes in instructions on all four ways, both ends in one thread: sent and received by a driver, and
//! sent and received by a device; ours, and DPDK's. The guest's clock counts instructions: a nanosecond each.
//!
//! `cargo xtask test guest guest_instructions` prints a JSON line for each ring and side; that all can be measured is
//! what it shows, and no figure fails it.
//!
//! guest: icount=on, profile=release, iommu=none, nodes=1, cpus=1, memory=1024, hugepages=128, limit=600
//! guest: programs=dpdk-testpmd, built=linecard-benches/bin/virtio_loop

#![expect(clippy::print_stdout, reason = "what it measures goes to standard output")]

use linecard_testbed::programs::Program;
use linecard_testbed::{Need, needs};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(200);

/// Bursts of 32 that our ends send to and fro.
const BURSTS: &str = "2000";

/// Between two looks at testpmd's rates, in the guest's own time; and how many looks. The guest's kernel has work of
/// its own now and then, so the least is the figure.
const LONG: Duration = Duration::from_millis(200);
const LOOKS: usize = 5;

/// A kind of ring: its name, and how each side is told of it.
type Ring = (&'static str, &'static [&'static str], &'static str);

const RINGS: [Ring; 4] = [
    ("packed mergeable", &["--packed", "--mergeable"], "packed_vq=1,mrg_rxbuf=1,in_order=0"),
    ("split mergeable", &["--mergeable"], "mrg_rxbuf=1,in_order=0"),
    ("split in-order", &["--in-order"], "mrg_rxbuf=0,in_order=1"),
    ("packed in-order", &["--packed", "--in-order"], "packed_vq=1,mrg_rxbuf=0,in_order=1"),
];

fn tell(ring: &Ring, value: f64) {
    let name = ring.0;
    // A line of its own: the harness leaves the name of the test before it.
    println!("\n{{\"case\":\"{name}\",\"unit\":\"instructions/packet\",\"value\":{value:.3}}}");
    assert!((50.0..10_000.0).contains(&value), "{name}: {value}");
}

fn measure_ours(rings: &[Ring]) {
    if !needs(&[Need::Guest]) {
        return;
    }
    for ring in rings {
        let program = Program::new("virtio_loop").args(["both", "/tmp/ours.sock"]);
        let program = program.args(["--frame", "64", "--first", BURSTS]).args(ring.1);
        let output = program.within(PATIENCE).run().unwrap();
        let packets = number(&output.stdout, "\"packets\":");
        assert!(packets > 0.99 * 32.0 * BURSTS.parse::<f64>().unwrap(), "{}", output.stdout);
        tell(ring, number(&output.stdout, "\"nanoseconds\":") / packets);
    }
}

fn number(text: &str, label: &str) -> f64 {
    let (_, rest) = text.split_once(label).unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}

fn measure_testpmd(rings: &[Ring]) {
    if !needs(&[Need::Guest]) {
        return;
    }
    rings.iter().for_each(|ring| tell(ring, testpmd(ring)));
}

/// Each port sends back what the other one receives, a burst of 32 at a time: a packet each way is four ways.
fn testpmd(ring: &Ring) -> f64 {
    let socket = "/tmp/theirs.sock";
    let _ = std::fs::remove_file(socket);
    let mut testpmd = Program::new("dpdk-testpmd")
        .words("--lcores 0@0,1@0 --in-memory --single-file-segments --no-telemetry --no-pci -m 128")
        .arg(format!("--vdev=net_vhost0,iface={socket},queues=1"))
        .words("-- -i --total-num-mbufs=4096 --no-mlockall --rxd=256 --txd=256 --burst=32")
        .words("--forward-mode=io")
        .within(PATIENCE)
        .spawn()
        .unwrap();
    testpmd.wait_for("testpmd>", PATIENCE).unwrap();
    // `net_vhost` makes its socket when its port starts: the other end comes after that.
    let attach = format!("port attach net_virtio_user0,path={socket},queues=1,{}", ring.2);
    for line in [attach.as_str(), "port start 1", "set portlist 0,1"] {
        testpmd.send_line(line).unwrap();
        // It keeps what it says; the device's thread finds the rings meanwhile.
        std::thread::sleep(LONG);
    }
    testpmd.send_line("start tx_first").unwrap();
    for _ in 0..LOOKS {
        testpmd.send_line("show port stats all").unwrap();
        std::thread::sleep(LONG);
    }
    testpmd.send_line("quit").unwrap();
    let output = testpmd.wait(PATIENCE).unwrap();
    let rate = |text: &str| text.split_whitespace().next().and_then(|word| word.parse().ok());
    let rates: Vec<f64> = output.stdout.split("Rx-pps:").skip(1).filter_map(rate).collect();
    assert_eq!(rates.len(), 2 * LOOKS, "{}", output.printed());
    // A rate is since the last look, the first of each port since its start; two looks that were taken at once tell
    // nothing.
    let told = rates.chunks_exact(2).skip(1).filter(|ports| ports[0] > 0.0);
    let costs = told.map(|ports| {
        let apart = (ports[0] - ports[1]).abs() / ports[0].max(ports[1]);
        assert!(apart < 0.02, "{ports:?} packets a second: {}", output.printed());
        2e9 / (ports[0] + ports[1])
    });
    costs.fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn our_ends_are_measured() {
    measure_ours(&RINGS);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn testpmds_ends_are_measured() {
    measure_testpmd(&RINGS);
}

//! A port of several queues before a guest that uses one.

use crate::{Outcome, PATIENCE, PROGRAM, forwarder, stop};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::{Program, ping};
use linecard_testbed::{Need, needs};

/// The frames of the queue that it does not use get there by the other.
#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_testpmd_with_one_queue_gets_what_came_over_two() -> Outcome {
    let tools = ["ip", "ping", "dpdk-testpmd"].map(Need::Tool);
    if !needs(&[&[Need::Root, Need::HugePages(100)][..], &tools].concat()) {
        return Ok(());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket").display().to_string();
    let (far, home) = (Netns::new("far")?, Netns::new("home")?);
    let cable = Veth::between(&far, &home)?;
    far.address(cable.first(), "198.51.100.1/24")?;
    // Frames that come in are dealt out to the port's queues in turn.
    let ports = format!(
        "--rxq 2 --port vhost:path={socket},queues=2 --port af-packet:iface={},queues=2,fanout=lb",
        cable.second()
    );
    let running = forwarder(home.program(PROGRAM), &ports)?;
    let eal = "--no-pci --in-memory --single-file-segments --no-telemetry -m 160";
    let device = format!("net_virtio_user0,path={socket},queues=1");
    let program = Program::new("dpdk-testpmd").words(eal).words("--lcores 0@(0-1),1@(0-1)");
    let program = program.args(["--vdev", &device, "--"]);
    let words = "--interactive --total-num-mbufs=4096 --forward-mode=icmpecho";
    let mut testpmd = program.words(words).spawn()?;
    testpmd.wait_for("testpmd>", PATIENCE)?;
    testpmd.send_line("start")?;
    let start = std::time::Instant::now();
    while ping(&far, "198.51.100.2", 1)?.received == 0 {
        assert!(start.elapsed() < PATIENCE, "no answer");
    }
    let answered = ping(&far, "198.51.100.2", 20)?;
    assert!(answered.is_lossless(), "{answered:?}");
    drop(testpmd);
    stop(running)
}

//! The `linecard` program between real interfaces, judged by the kernel, tshark and iperf3.
//! Host level: `cargo xtask test host`.

mod bridge;
#[path = "../program/capture.rs"]
mod capture;
mod captures;
mod leftovers;
mod machine;
mod queues;
mod rules;
mod wire;

use linecard_testbed::programs::{Program, ProgramError, Running};
use std::time::Duration;

type Outcome = Result<(), ProgramError>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_linecard");
const PATIENCE: Duration = Duration::from_secs(60);

/// A forwarder at work, started by `program` with these words after `fwd`.
fn forwarder(program: Program, words: &str) -> Result<Running, ProgramError> {
    let mut running = program.words("fwd --idle sleep --stats-period 0.1").words(words).spawn()?;
    running.wait_for("lcore", PATIENCE)?;
    Ok(running)
}

/// Interrupts it; it must end well and have lost nothing.
fn stop(running: Running) -> Outcome {
    let output = running.interrupt(PATIENCE)?;
    assert!(output.status.success(), "{}", output.printed());
    assert!(output.stdout.contains(" 0 leaked"), "{}", output.printed());
    Ok(())
}

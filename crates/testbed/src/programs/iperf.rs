//! `iperf3`: TCP and UDP streams through the kernel's stack.

use super::{Output, ProgramError, Running};
use crate::netns::Netns;
use serde_json::Value;
use std::time::{Duration, Instant};

const SERVER_START: Duration = Duration::from_secs(30);
/// What starting, ending and a slow machine may take.
const SLACK: Duration = Duration::from_secs(60);

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One TCP stream, as fast as it goes.
    Tcp,
    /// One TCP stream of so many bytes, as fast as it goes, however long that takes.
    TcpBytes {
        /// How many.
        bytes: u64,
    },
    /// UDP datagrams at a fixed rate.
    Udp {
        /// The rate in megabits per second.
        megabits: u32,
    },
}

/// What arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Throughput {
    /// Bytes that the receiver got.
    pub bytes: u64,
    /// Bits per second that the receiver got.
    pub bits_per_second: f64,
    /// TCP segments sent again; 0 for UDP.
    pub retransmits: u64,
    /// UDP datagrams that did not arrive; 0 for TCP.
    pub lost: u64,
}

/// An `iperf3` server for one client after another; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    _running: Running,
}

impl Server {
    /// Starts a server inside `at`, on iperf3's port 5201.
    ///
    /// # Errors
    /// If `iperf3` is missing or does not come up.
    pub fn start(at: &Netns) -> Result<Self, ProgramError> {
        let mut running = at.program("iperf3").words("--server --forceflush").spawn()?;
        running.wait_for("Server listening", SERVER_START)?;
        Ok(Self { _running: running })
    }
}

/// Sends `load` from inside `from` to the server at `target`, for `seconds`.
///
/// # Errors
/// If `iperf3` is missing, cannot reach the server, or reports an error.
pub fn send(
    from: &Netns,
    target: &str,
    load: Load,
    seconds: u32,
) -> Result<Throughput, ProgramError> {
    let start = Instant::now();
    loop {
        let output = client(from, target, load, seconds)?;
        if output.status.success() {
            return parse(&output.stdout).ok_or_else(|| output.unreadable("received sum"));
        }
        // The server may still be closing the test before this one.
        if start.elapsed() > SERVER_START || !output.printed().contains("server is busy") {
            return Err(output.failed());
        }
    }
}

fn client(from: &Netns, target: &str, load: Load, seconds: u32) -> Result<Output, ProgramError> {
    let program = from
        .program("iperf3")
        .args(["--json", "--client", target])
        .within(SLACK + Duration::from_secs(u64::from(seconds)));
    let time = seconds.to_string();
    match load {
        Load::Tcp => program.args(["--time", &time]).finish(),
        Load::TcpBytes { bytes } => program.args(["--bytes", &bytes.to_string()]).finish(),
        Load::Udp { megabits } => {
            let rate = format!("{megabits}M");
            program.args(["--udp", "--time", &time, "--bitrate", &rate]).finish()
        }
    }
}

fn parse(text: &str) -> Option<Throughput> {
    let report: Value = serde_json::from_str(text).ok()?;
    let end = &report["end"];
    let udp = end["sum_received"].is_null();
    let received = if udp { &end["sum"] } else { &end["sum_received"] };
    let lost = end["sum"]["lost_packets"].as_u64().unwrap_or(0);
    let packets = end["sum"]["packets"].as_u64().unwrap_or(0).max(1);
    // For UDP, "sum" counts what was sent; what is lost has not arrived.
    let arrived = if udp { 1.0 - lost as f64 / packets as f64 } else { 1.0 };
    Some(Throughput {
        bytes: (received["bytes"].as_u64()? as f64 * arrived) as u64,
        bits_per_second: received["bits_per_second"].as_f64()? * arrived,
        retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
        lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tcp_report_gives_what_the_receiver_got() {
        let text = r#"{"end":{"sum_sent":{"bytes":20,"bits_per_second":160.0,"retransmits":2},
                       "sum_received":{"bytes":10,"bits_per_second":80.0}}}"#;
        let expected = Throughput { bytes: 10, bits_per_second: 80.0, retransmits: 2, lost: 0 };
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn a_udp_report_counts_only_what_arrived() {
        let text = r#"{"end":{"sum":{"bytes":1000,"bits_per_second":8000.0,
                       "lost_packets":1,"packets":4}}}"#;
        let expected = Throughput { bytes: 750, bits_per_second: 6000.0, retransmits: 0, lost: 1 };
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn an_error_report_is_not_a_throughput() {
        assert_eq!(parse(r#"{"error":"unable to connect"}"#), None);
    }
}

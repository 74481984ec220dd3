//! `ping`: does the kernel's stack behind that address answer?

use super::{Output, ProgramError};
use crate::netns::Netns;
use std::time::Duration;

/// What a run of `ping` found.
#[derive(Debug, Clone, PartialEq)]
pub struct Ping {
    /// Echo requests sent.
    pub sent: u32,
    /// Echo replies received.
    pub received: u32,
    /// Mean round-trip time, if there was a reply.
    pub mean: Option<Duration>,
}

impl Ping {
    /// Whether every request was answered.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.sent > 0 && self.sent == self.received
    }
}

/// Sends `count` echo requests to `target` from inside `from`, five a second.
///
/// No answer at all is not an error: it is a [`Ping`] with nothing received.
///
/// # Errors
/// If `ping` is missing or cannot send at all (no route, say).
pub fn ping(from: &Netns, target: &str, count: u32) -> Result<Ping, ProgramError> {
    let limit = Duration::from_secs(60) + Duration::from_millis(200) * count;
    let output = from
        .program("ping")
        .words("-n -q -i 0.2 -W 1 -c")
        .arg(count.to_string())
        .arg(target)
        .within(limit)
        .finish()?;
    match parse(&output.stdout) {
        Some(ping) => Ok(ping),
        None => Err(unanswerable(output)),
    }
}

fn unanswerable(output: Output) -> ProgramError {
    if output.status.success() { output.unreadable("statistics") } else { output.failed() }
}

fn parse(text: &str) -> Option<Ping> {
    let totals = text.lines().find(|line| line.contains("packets transmitted"))?;
    let sent = number_before(totals, " packets transmitted")?;
    let received = number_before(totals, " received")?;
    Some(Ping { sent, received, mean: mean(text) })
}

fn number_before(line: &str, label: &str) -> Option<u32> {
    let before = line.split_once(label)?.0;
    before.rsplit([' ', ',']).next()?.parse().ok()
}

/// From `rtt min/avg/max/mdev = 0.037/0.278/0.519/0.241 ms`.
fn mean(text: &str) -> Option<Duration> {
    let figures = text.lines().find(|line| line.starts_with("rtt "))?.split_once("= ")?.1;
    let milliseconds: f64 = figures.split('/').nth(1)?.parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_and_their_mean_are_read() {
        let text = "--- 10.0.0.1 ping statistics ---\n\
                    3 packets transmitted, 2 received, 33.3333% packet loss, time 204ms\n\
                    rtt min/avg/max/mdev = 0.037/0.250/0.519/0.241 ms\n";
        let expected = Ping { sent: 3, received: 2, mean: Some(Duration::from_micros(250)) };
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn silence_is_a_result() {
        let text = "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1ms\n";
        assert_eq!(parse(text), Some(Ping { sent: 2, received: 0, mean: None }));
    }

    #[test]
    fn anything_else_is_not() {
        assert_eq!(parse("ping: connect: Network is unreachable"), None);
    }
}

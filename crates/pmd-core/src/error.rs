//! What a port can refuse.

use linecard_eal::mem::IovaMode;
use std::io;

/// Why a port refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number out of its range.
    #[error("{port}: {what} {asked}: this port takes {min} to {max}{hint}")]
    Range {
        /// Which port.
        port: String,
        /// Which number.
        what: &'static str,
        /// What was asked for.
        asked: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
        /// What to do about it; empty or starts with a semicolon.
        hint: String,
    },
    /// A number between those allowed that is not allowed itself.
    #[error("{port}: {what} {asked}: take {step}")]
    Step {
        /// Which port.
        port: String,
        /// Which number.
        what: &'static str,
        /// What was asked for.
        asked: usize,
        /// What it must be.
        step: crate::Step,
    },
    /// Offloads that the port does not have.
    #[error("{port}: no {missing} here: this port offers {offered}")]
    Offloads {
        /// Which port.
        port: String,
        /// What was asked for and is missing.
        missing: String,
        /// What there is.
        offered: String,
    },
    /// An RSS key of the wrong length.
    #[error("{port}: an RSS key of {given} bytes: this port takes {wanted}")]
    RssKey {
        /// Which port.
        port: String,
        /// Bytes given.
        given: usize,
        /// Bytes wanted, in words.
        wanted: String,
    },
    /// An entry of the RSS table that names a queue that there is not.
    #[error("{port}: RSS table entry {entry} names queue {queue}, and there are {queues}")]
    RssQueue {
        /// Which port.
        port: String,
        /// Which entry.
        entry: usize,
        /// The queue it names.
        queue: usize,
        /// Queues that there are.
        queues: usize,
    },
    /// Buffers too small for the device or the frames.
    #[error(
        "{port}: buffers of {room} bytes: frames of {frame} need {needed}; make the pool's data room \
         larger, the MTU smaller, or ask for scattered receive where the port has it"
    )]
    Buffers {
        /// Which port.
        port: String,
        /// What the pool's buffers hold.
        room: usize,
        /// The largest frame.
        frame: usize,
        /// What a buffer must hold.
        needed: usize,
    },
    /// A pool whose addresses the device cannot use.
    #[error(
        "{port}: pool {pool} was made for {has:?} addresses, and this device is reached by {needs:?} \
         ones: build the pool with .iova(IovaMode::{needs:?})"
    )]
    Pool {
        /// Which port.
        port: String,
        /// Which pool.
        pool: String,
        /// What it was made for.
        has: IovaMode,
        /// What the device needs.
        needs: IovaMode,
    },
    /// The port cannot do it.
    #[error("{port}: a port of kind {kind} cannot {what}")]
    Unsupported {
        /// Which port.
        port: String,
        /// Its kind.
        kind: &'static str,
        /// What was asked.
        what: &'static str,
    },
    /// An address, rule or tag that is not there, or is there already, or has no place.
    #[error("{port}: {what}")]
    Refused {
        /// Which port.
        port: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A flow rule that is wrong in itself.
    #[error(transparent)]
    Rule(#[from] linecard_net::rule::RuleError),
    /// The system refused.
    #[error("{port}: {doing}: {error}{hint}")]
    System {
        /// Which port.
        port: String,
        /// What was being done.
        doing: String,
        /// What the system said.
        error: io::Error,
        /// What to do about it; empty or starts with a semicolon.
        hint: String,
    },
    /// The device is gone.
    #[error("{port}: the device is gone: it was removed, or its other end closed")]
    Gone {
        /// Which port.
        port: String,
    },
}

impl Error {
    /// A refusal by the system, without a hint.
    pub fn system(port: &str, doing: impl Into<String>, error: io::Error) -> Self {
        Error::System { port: port.into(), doing: doing.into(), error, hint: String::new() }
    }

    /// A refusal by the system, with what to do about it.
    pub fn system_hint(
        port: &str,
        doing: impl Into<String>,
        error: io::Error,
        hint: impl AsRef<str>,
    ) -> Self {
        let hint = format!("; {}", hint.as_ref());
        Error::System { port: port.into(), doing: doing.into(), error, hint }
    }
}

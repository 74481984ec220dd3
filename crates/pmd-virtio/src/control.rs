//! The control queue (virtio 1.2 §5.1.6.5): commands, each waited for within bounds. Never on the hot
//! path.

use crate::bell::Bell;
use crate::layout::Scratch;
use crate::ring::{Answer, ControlRing, Lie};
use linecard_virtqueue::net::control::{Command, OK};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Where in the scratch memory the header, the answer and the data are.
const HEADER: usize = 0;
const ANSWER: usize = 8;
const DATA: usize = 64;

/// Neither of the two answers that there are.
const UNANSWERED: u8 = 0xFF;

/// How long a device is asked without a pause: one in software answers within that.
const BRIEFLY: Duration = Duration::from_micros(50);

/// Why a command was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("the device refused {0:?} (its answer: {1})")]
    Refused(Command, u8),
    #[error("the device did not answer {0:?} within {1:?}: stop the port and start it again")]
    Silent(Command, Duration),
    #[error("the device's control queue is broken: {0}; stop the port and start it again")]
    Broken(Lie),
    #[error("{0:?} with {1} bytes is too long for the control queue")]
    TooLong(Command, usize),
}

/// The control queue of a device that runs.
pub(crate) struct Control {
    ring: ControlRing,
    scratch: Scratch,
    bell: Bell,
    patience: Duration,
    /// The device still has a command, or is not to be trusted: no more of them.
    dead: Option<ControlError>,
}

impl Control {
    pub(crate) fn new(ring: ControlRing, scratch: Scratch, bell: Bell, patience: Duration) -> Self {
        Control { ring, scratch, bell, patience, dead: None }
    }

    /// Has the device do something.
    pub(crate) fn command(&mut self, command: Command, data: &[u8]) -> Result<(), ControlError> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        if DATA + data.len() > Scratch::LEN {
            return Err(ControlError::TooLong(command, data.len()));
        }
        let header = self.scratch.write(HEADER, command.header().as_bytes());
        let parts = [header, self.scratch.write(DATA, data)];
        let answer = self.scratch.write(ANSWER, &[UNANSWERED]);
        // Each in a descriptor of its own: legacy devices insist on it (§5.1.6.5.1).
        self.ring.offer(&parts[..if data.is_empty() { 1 } else { 2 }], answer);
        self.bell.ring(self.ring.place());
        if let Err(error) = self.wait(command) {
            self.dead = Some(error.clone());
            return Err(error);
        }
        match self.scratch.read(ANSWER) {
            OK => Ok(()),
            other => Err(ControlError::Refused(command, other)),
        }
    }

    /// Waits until the device has used the chain.
    fn wait(&self, command: Command) -> Result<(), ControlError> {
        let begin = Instant::now();
        loop {
            match self.ring.answer() {
                Answer::Done => return Ok(()),
                Answer::Lie(lie) => return Err(ControlError::Broken(lie)),
                Answer::None => {}
            }
            match begin.elapsed() {
                waited if waited > self.patience => {
                    return Err(ControlError::Silent(command, self.patience));
                }
                waited if waited > BRIEFLY => std::thread::sleep(BRIEFLY),
                _ => core::hint::spin_loop(),
            }
        }
    }
}

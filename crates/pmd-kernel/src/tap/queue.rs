//! The queues of a TAP: a file each.

use crate::sys::{TunFile, TunFlags};
use std::io::{self, Read};
use std::sync::Arc;

/// The most frames that are thrown away when a queue starts: more than any queue holds.
const STALE: usize = 1 << 17;

/// Whether the kernel spreads frames to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// Not yet: what to attach it with.
    Fresh(TunFlags),
    In,
    Out,
}

/// A queue that a TAP may have.
#[derive(Debug)]
pub(super) struct Slot {
    file: Arc<TunFile>,
    membership: Membership,
}

impl Slot {
    /// A file that is attached to the interface.
    pub(super) fn attached(file: TunFile) -> Self {
        Slot { file: Arc::new(file), membership: Membership::In }
    }

    /// A file that will be.
    pub(super) fn fresh(file: TunFile, flags: TunFlags) -> Self {
        Slot { file: Arc::new(file), membership: Membership::Fresh(flags) }
    }

    pub(super) fn file(&self) -> &Arc<TunFile> {
        &self.file
    }

    /// Has the kernel spread frames to it; `name` is the interface's.
    pub(super) fn join(&mut self, name: &str) -> io::Result<()> {
        match self.membership {
            Membership::Fresh(flags) => self.file.attach(name, flags).map(drop)?,
            Membership::Out => self.file.switch_queue(libc::IFF_ATTACH_QUEUE)?,
            Membership::In => {}
        }
        self.membership = Membership::In;
        Ok(())
    }

    /// Has the kernel spread no frames to it any more.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.membership == Membership::In {
            self.file.switch_queue(libc::IFF_DETACH_QUEUE)?;
            self.membership = Membership::Out;
        }
        Ok(())
    }

    /// Throws away what has come while nobody was there to receive.
    pub(super) fn drain(&self) {
        let mut nothing = [0; 64];
        for _ in 0..STALE {
            if self.file.file().read(&mut nothing).is_err() {
                break;
            }
        }
    }
}

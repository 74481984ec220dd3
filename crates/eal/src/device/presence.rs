//! Whether a device is still there.

use std::sync::atomic::{AtomicU8, Ordering};

use super::config::ConfigSpace;

/// Whether a device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is, as far as is known.
    Present,
    /// It still is; the kernel wants it back. Stop, and drop it.
    Leaving,
    /// It is gone, for good: what comes to its place later is another device.
    Removed,
}

/// What is known about a device's presence; it only ever gets worse. For whoever implements
/// [`Device`](super::Device).
#[derive(Debug, Default)]
pub struct Presence(AtomicU8);

/// The vendor id of no device.
const NOBODY: u16 = 0xffff;

impl Presence {
    /// A device that is there.
    pub const fn new() -> Self {
        Self(AtomicU8::new(State::Present as u8))
    }

    /// What is known.
    pub fn state(&self) -> State {
        // Relaxed: a flag that says nothing about other memory; pairs with `worsen`.
        match self.0.load(Ordering::Relaxed) {
            0 => State::Present,
            1 => State::Leaving,
            _ => State::Removed,
        }
    }

    /// Takes note of something worse.
    pub fn worsen(&self, to: State) {
        // Relaxed: a flag that says nothing about other memory; pairs with `state`.
        self.0.fetch_max(to as u8, Ordering::Relaxed);
    }

    /// Whether the device is gone: asks its vendor id, unless it is known.
    pub fn is_gone(&self, config: &dyn ConfigSpace) -> bool {
        if self.state() != State::Removed && config.read16(0).unwrap_or(NOBODY) == NOBODY {
            self.worsen(State::Removed);
        }
        self.state() == State::Removed
    }
}

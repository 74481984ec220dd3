//! Whether a device is still there.

use std::sync::atomic::{AtomicU8, Ordering};

use super::config::ConfigSpace;
use super::error::DeviceError;

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

/// Where the header has vendor and device, and class and revision.
const IDS: u16 = 0;
const CLASS: u16 = 8;

/// Whether an error says that the device is not there; any other says nothing about it.
fn says_gone(error: &DeviceError) -> bool {
    match error {
        DeviceError::Removed { .. } => true,
        DeviceError::Io { source, .. } => {
            matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
        }
        _ => false,
    }
}

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

    /// Whether the device is gone: asks for its ids and its class, unless it is known. A virtual
    /// function's ids may be all ones by right, its class is not.
    pub fn is_gone(&self, config: &dyn ConfigSpace) -> bool {
        let is_void = |offset| match config.read32(offset) {
            Ok(word) => word == u32::MAX,
            Err(error) => says_gone(&error),
        };
        if self.state() != State::Removed && is_void(IDS) && is_void(CLASS) {
            self.worsen(State::Removed);
        }
        self.state() == State::Removed
    }
}

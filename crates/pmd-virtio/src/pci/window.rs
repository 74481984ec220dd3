//! A structure through configuration space (§4.1.4.9): slow, and there where a BAR cannot be mapped.

use linecard_eal::device::{Device, Registers, Width};
use std::sync::{Arc, Mutex, PoisonError};

/// Fields of `struct virtio_pci_cfg_cap`, from the capability on.
const BAR: u16 = 4;
const OFFSET: u16 = 8;
const LENGTH: u16 = 12;
const DATA: u16 = 16;

/// The capability that is a window, to be moved to any access. There is one of a device.
pub(super) struct Access {
    device: Arc<dyn Device>,
    at: u16,
    /// One access after the other.
    moving: Mutex<()>,
}

impl Access {
    /// The one at `at` of configuration space.
    pub(super) fn new(device: &Arc<dyn Device>, at: u16) -> Self {
        Access { device: Arc::clone(device), at, moving: Mutex::new(()) }
    }

    /// Moves it to an access; `None` if that cannot be.
    fn turn(&self, bar: u8, offset: usize, bytes: usize) -> Option<()> {
        let config = self.device.config();
        config.write8(self.at + BAR, bar).ok()?;
        config.write32(self.at + OFFSET, u32::try_from(offset).ok()?).ok()?;
        config.write32(self.at + LENGTH, bytes as u32).ok()
    }

    fn get(&self, bar: u8, offset: usize, bytes: usize) -> Option<u64> {
        self.turn(bar, offset, bytes)?;
        let mut data = [0; 8];
        self.device.config().read(self.at + DATA, &mut data[..bytes]).ok()?;
        Some(u64::from_le_bytes(data))
    }

    fn put(&self, bar: u8, offset: usize, bytes: &[u8]) -> Option<()> {
        self.turn(bar, offset, bytes.len())?;
        self.device.config().write(self.at + DATA, bytes).ok()
    }
}

/// A part of a BAR.
pub(super) struct Window {
    pub(super) access: Arc<Access>,
    pub(super) bar: u8,
    pub(super) start: usize,
}

impl Registers for Window {
    fn read(&self, offset: usize, width: Width) -> u64 {
        let _moving = self.access.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = self.start + offset;
        // Four bytes at most at a time.
        let part = |at: usize, bytes| self.access.get(self.bar, at, bytes).unwrap_or(u64::MAX);
        match width {
            Width::Double => part(offset, 4) & 0xFFFF_FFFF | part(offset + 4, 4) << 32,
            width => part(offset, width.bytes()),
        }
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        let _moving = self.access.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = value.to_le_bytes();
        for (index, part) in bytes[..width.bytes()].chunks(4).enumerate() {
            // A device that is gone takes no writes, and nobody is told: it is as on the bus.
            let _ = self.access.put(self.bar, self.start + offset + 4 * index, part);
        }
    }
}

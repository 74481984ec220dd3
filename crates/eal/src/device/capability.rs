//! Walking the lists of capabilities.

use super::config::ConfigSpace;
use super::error::DeviceError;

/// A capability's number (PCI Code and ID Assignment, §2; §3 for extended ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapabilityId(pub u16);

impl CapabilityId {
    /// Power management.
    pub const POWER: Self = Self(0x01);
    /// Message-signalled interrupts.
    pub const MSI: Self = Self(0x05);
    /// Of the vendor: virtio's structures, say.
    pub const VENDOR: Self = Self(0x09);
    /// PCI Express.
    pub const EXPRESS: Self = Self(0x10);
    /// Message-signalled interrupts with a table in a BAR.
    pub const MSI_X: Self = Self(0x11);
    /// Advanced features of conventional PCI, among them a function-level reset.
    pub const ADVANCED: Self = Self(0x13);
}

/// Where a capability is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is.
    pub id: CapabilityId,
    /// Its version; 0 of those in the first 256 bytes.
    pub version: u8,
    /// Where in configuration space it starts, with its id.
    pub offset: u16,
}

fn broken(offset: u16, reason: &'static str) -> DeviceError {
    DeviceError::BrokenCapabilities { offset, reason }
}

/// The list in the first 256 bytes: a byte of id, a byte of where to go on.
#[derive(Debug)]
pub struct Capabilities<'a> {
    config: &'a dyn ConfigSpace,
    next: u8,
    left: u8,
}

/// Four bytes at least for each, behind the header.
const MOST: u8 = ((0x100 - 0x40) / 4) as u8;

impl<'a> Capabilities<'a> {
    pub(super) fn new(config: &'a dyn ConfigSpace, first: u8) -> Self {
        Self { config, next: first, left: MOST }
    }

    fn step(&mut self) -> Result<Option<Capability>, DeviceError> {
        // The two lowest bits are reserved, and to be masked.
        let offset = u16::from(self.next & !3);
        match (offset, self.left) {
            (0, _) => return Ok(None),
            (1..0x40, _) => return Err(broken(offset, "it leads into the header")),
            (_, 0) => return Err(broken(offset, "it leads in a circle")),
            _ => self.left -= 1,
        }
        let [id, next] = self.config.read16(offset)?.to_le_bytes();
        self.next = next;
        match id {
            0xff => Err(broken(offset, "it reads as all ones")),
            id => Ok(Some(Capability { id: CapabilityId(id.into()), version: 0, offset })),
        }
    }
}

impl Iterator for Capabilities<'_> {
    type Item = Result<Capability, DeviceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.next = 0;
        }
        step
    }
}

/// The list from 0x100 on: 16 bits of id, 4 of version, 12 of where to go on.
#[derive(Debug)]
pub struct ExtendedCapabilities<'a> {
    config: &'a dyn ConfigSpace,
    next: u16,
    left: u16,
}

const EXTENDED: u16 = 0x100;
/// Eight bytes at least for each.
const MOST_EXTENDED: u16 = (0x1000 - EXTENDED) / 8;

impl<'a> ExtendedCapabilities<'a> {
    pub(super) fn new(config: &'a dyn ConfigSpace) -> Self {
        let next = if config.size() > EXTENDED.into() { EXTENDED } else { 0 };
        Self { config, next, left: MOST_EXTENDED }
    }

    fn step(&mut self) -> Result<Option<Capability>, DeviceError> {
        let offset = self.next & !3;
        match (offset, self.left) {
            (0, _) => return Ok(None),
            (1..EXTENDED, _) => return Err(broken(offset, "it leads out of the extended part")),
            (_, 0) => return Err(broken(offset, "it leads in a circle")),
            _ => self.left -= 1,
        }
        let header = self.config.read32(offset)?;
        self.next = (header >> 20) as u16;
        match header {
            // No list, or a bridge on the way that does not pass such accesses on.
            0 | u32::MAX if offset == EXTENDED => {
                self.next = 0;
                Ok(None)
            }
            u32::MAX => Err(broken(offset, "it reads as all ones")),
            _ => Ok(Some(Capability {
                id: CapabilityId(header as u16),
                version: (header >> 16) as u8 & 0xf,
                offset,
            })),
        }
    }
}

impl Iterator for ExtendedCapabilities<'_> {
    type Item = Result<Capability, DeviceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.next = 0;
        }
        step
    }
}

//! What a device says it is.

use std::fmt;

use super::config::ConfigSpace;
use super::error::DeviceError;

/// The ids of a function's header (PCI Local Bus 3.0, §6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Who made it.
    pub vendor: u16,
    /// Which of their devices.
    pub device: u16,
    /// Who made the card.
    pub subsystem_vendor: u16,
    /// Which of their cards.
    pub subsystem: u16,
    /// The device's revision.
    pub revision: u8,
    /// What kind of device.
    pub class: Class,
}

impl Identity {
    /// As configuration space has it.
    ///
    /// # Errors
    ///
    /// As [`ConfigSpace::read`].
    pub fn read(config: &dyn ConfigSpace) -> Result<Self, DeviceError> {
        let [ids, class, subsystem] = [config.read32(0)?, config.read32(8)?, config.read32(0x2c)?];
        Ok(Self {
            vendor: ids as u16,
            device: (ids >> 16) as u16,
            subsystem_vendor: subsystem as u16,
            subsystem: (subsystem >> 16) as u16,
            revision: class as u8,
            class: Class::new(class >> 8),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

/// A class code: base class, subclass, programming interface, a byte each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Class(u32);

impl Class {
    /// Of a number, of which the low 24 bits count.
    pub const fn new(code: u32) -> Self {
        Self(code & 0xff_ffff)
    }

    /// The 24 bits.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The base class: 2 is a network controller, 6 a bridge.
    pub const fn base(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The subclass: 0 of a network controller is Ethernet.
    pub const fn sub(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Whether it is a network controller.
    pub const fn is_network(self) -> bool {
        self.base() == 2
    }

    /// Whether it is a bridge, which forwards and does not count as somebody in an IOMMU group.
    pub const fn is_bridge(self) -> bool {
        self.base() == 6
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0 >> 8)
    }
}

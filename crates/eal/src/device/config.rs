//! Configuration space.

use std::fmt::Debug;

use super::capability::{Capabilities, Capability, CapabilityId, ExtendedCapabilities};
use super::error::DeviceError;

bitflags::bitflags! {
    /// The command register at offset 4 (PCI Local Bus 3.0, §6.2.2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Command: u16 {
        /// Answers in I/O space.
        const IO = 1 << 0;
        /// Answers in memory space.
        const MEMORY = 1 << 1;
        /// May access memory by itself: DMA, and message-signalled interrupts.
        const BUS_MASTER = 1 << 2;
        /// Does not assert its interrupt line.
        const INTX_DISABLE = 1 << 10;
        const _ = !0;
    }
}

const COMMAND: u16 = 4;
const STATUS: u16 = 6;
/// Status: there is a list of capabilities.
const HAS_LIST: u16 = 1 << 4;
const LIST: u16 = 0x34;

/// A device's configuration space: little-endian, 256 bytes, or 4096 with the extended part.
///
/// Only the two calls that take bytes have to be written; a width is 1, 2 or 4 bytes, aligned.
pub trait ConfigSpace: Debug + Send + Sync {
    /// How many bytes of it can be reached: 64, 256 or 4096.
    fn size(&self) -> usize;

    /// Reads `bytes.len()` bytes at `offset`. Of a device that is gone they are all ones.
    ///
    /// # Errors
    ///
    /// [`DeviceError::ConfigRange`], or what the way to the device says.
    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Reads a byte.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read8(&self, offset: u16) -> Result<u8, DeviceError> {
        let mut bytes = [0; 1];
        self.read(offset, &mut bytes)?;
        Ok(bytes[0])
    }

    /// Reads two bytes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read16(&self, offset: u16) -> Result<u16, DeviceError> {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// Reads four bytes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read32(&self, offset: u16) -> Result<u32, DeviceError> {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Writes a byte.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write8(&self, offset: u16, value: u8) -> Result<(), DeviceError> {
        self.write(offset, &[value])
    }

    /// Writes two bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write16(&self, offset: u16, value: u16) -> Result<(), DeviceError> {
        self.write(offset, &value.to_le_bytes())
    }

    /// Writes four bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write32(&self, offset: u16, value: u32) -> Result<(), DeviceError> {
        self.write(offset, &value.to_le_bytes())
    }
}

impl dyn ConfigSpace + '_ {
    /// An error unless `size` bytes at `offset` are within what can be reached: for whoever
    /// implements the trait.
    ///
    /// # Errors
    ///
    /// [`DeviceError::ConfigRange`].
    pub fn check_range(len: usize, offset: u16, size: usize) -> Result<(), DeviceError> {
        match usize::from(offset) + size <= len {
            true => Ok(()),
            false => Err(DeviceError::ConfigRange { offset, size, len }),
        }
    }

    /// The command register.
    ///
    /// # Errors
    ///
    /// As [`ConfigSpace::read`].
    pub fn command(&self) -> Result<Command, DeviceError> {
        self.read16(COMMAND).map(Command::from_bits_retain)
    }

    /// Sets and clears bits of the command register.
    ///
    /// # Errors
    ///
    /// As [`ConfigSpace::read`] and [`ConfigSpace::write`].
    pub fn change_command(&self, set: Command, clear: Command) -> Result<(), DeviceError> {
        let before = self.command()?;
        let after = (before - clear) | set;
        if before == after { Ok(()) } else { self.write16(COMMAND, after.bits()) }
    }

    /// Lets the device access memory, which every driver has to before it starts a queue.
    ///
    /// # Errors
    ///
    /// As `change_command`.
    pub fn enable_bus_master(&self) -> Result<(), DeviceError> {
        self.change_command(Command::BUS_MASTER, Command::empty())
    }

    /// Takes it away again: from here on the device reaches no memory.
    ///
    /// # Errors
    ///
    /// As `change_command`.
    pub fn disable_bus_master(&self) -> Result<(), DeviceError> {
        self.change_command(Command::empty(), Command::BUS_MASTER)
    }

    /// The capabilities, in the order of their list. Ends after as many as there is room for, so
    /// that a list that leads in a circle is an error and not a hang.
    ///
    /// # Errors
    ///
    /// As [`ConfigSpace::read`].
    pub fn capabilities(&self) -> Result<Capabilities<'_>, DeviceError> {
        let first = match self.read16(STATUS)? & HAS_LIST {
            0 => 0,
            _ => self.read8(LIST)?,
        };
        Ok(Capabilities::new(self, first))
    }

    /// The first capability of a kind.
    ///
    /// # Errors
    ///
    /// As [`ConfigSpace::read`]; [`DeviceError::BrokenCapabilities`] if the list breaks before it.
    pub fn capability(&self, id: CapabilityId) -> Result<Option<Capability>, DeviceError> {
        self.capabilities()?
            .find(|found| found.as_ref().is_ok_and(|c| c.id == id) || found.is_err())
            .transpose()
    }

    /// The extended capabilities, from 0x100 on; none if that cannot be reached.
    pub fn extended_capabilities(&self) -> ExtendedCapabilities<'_> {
        ExtendedCapabilities::new(self)
    }
}

//! What a driver asks of a device, whatever stands behind it: hardware through VFIO or UIO, a
//! software model in the same process, a model in another process.
//!
//! A driver takes a `Box<dyn Device>` and gets from it, once and at leisure, what it then uses
//! without indirection:
//!
//! | it asks for | and gets | hot |
//! |---|---|---|
//! | [`Device::config`] | [`ConfigSpace`]: configuration space and its capabilities | no |
//! | [`Device::bar`] | [`Bar`]: a window of registers, mapped, called, or both | no |
//! | [`Bar::register`] | [`BarRegister`]: one register, bounds checked once | yes: a branch and a store |
//! | [`Device::dma`] | [`Dma`]: makes memory known to the device, [`Mapping`]: what it is called there | no |
//! | [`Device::interrupts`] | [`Interrupts`]: vectors as descriptors to sleep on, [`Vector`] | no |
//!
//! ```no_run
//! use linecard_eal::device::{DmaMemory, InterruptKind, ReadOnly, ReadWrite, Reg};
//! use linecard_eal::{mem::Request, pci};
//!
//! const STATUS: Reg<u32, ReadOnly> = Reg::at(0x8);
//! const TAIL: Reg<u32, ReadWrite> = Reg::at(0x6018);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = pci::open("0000:03:00.0".parse()?)?;
//! let bar = device.bar(0)?;
//! bar.at_least(0x8000)?; // a device with a smaller BAR is an error, and not a panic below
//! println!("{:#x}", bar.read(STATUS));
//!
//! // SAFETY: the device is stopped before this is dropped.
//! let ring = unsafe { DmaMemory::new(&*device.dma(), Request::new(1 << 16)) }?;
//! println!("{:?}", ring.contiguous(0, 1 << 12));
//! let vectors = device.interrupts().enable(InterruptKind::MsiX, 1)?;
//! device.config().enable_bus_master()?;
//! let doorbell = bar.bind(TAIL)?;
//! doorbell.write(1);
//! println!("{}", vectors[0].take()?);
//! # Ok(())
//! # }
//! ```
//!
//! # Who goes first
//!
//! 1. The driver stops the device's queues, then drops their rings and buffers.
//! 2. A [`Mapping`] takes the memory away from the device, if there is an IOMMU, and only then is
//!    the memory unmapped: [`DmaMemory`] does both in this order.
//! 3. Dropping the [`Device`] ends its interrupts and takes bus mastering away: from then on it
//!    reaches no memory at all. Whatever a queue could not be stopped with goes after this.
//! 4. Registers outlive all of it: a [`Bar`] and a [`BarRegister`] keep the mapping and the open
//!    file, so that a late doorbell is a write into the void and not into somebody's memory.
//!
//! # A device that goes away
//!
//! A device that is pulled, or whose link is down, reads as all ones. Some registers may hold all
//! ones by right, so a driver that reads such a value asks [`Device::is_gone`], which looks at the
//! ids and the class, which never are. From then on the device is [`State::Removed`] for good: reads give
//! all ones, writes go nowhere, and nothing crashes.

mod access;
mod bar;
mod capability;
mod config;
mod dma;
mod error;
mod identity;
mod interrupt;
mod presence;

use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

pub use access::{
    Access, ReadClear, ReadOnly, ReadWrite, Readable, Reg, RegArray, Writable, WriteOnly,
};
pub use bar::{Bar, BarBuilder, BarRegister, Registers, Width};
pub use capability::{Capabilities, Capability, CapabilityId, ExtendedCapabilities};
pub use config::{Command, ConfigSpace};
pub use dma::{Dma, DmaLimits, DmaMemory, Mapping, Place};
pub use error::DeviceError;
pub use identity::{Class, Identity};
pub use interrupt::{InterruptKind, Interrupts, Vector};
pub use presence::{Presence, State};

/// A device, opened: nobody else drives it.
///
/// Dropping it disables its interrupts and takes bus mastering away.
pub trait Device: Debug + Send + Sync {
    /// What to call it in messages: its address, or the path of its socket.
    fn name(&self) -> &str;

    /// What it is.
    fn identity(&self) -> Identity;

    /// The NUMA node that it is attached to; `None` where the machine does not tell.
    fn node(&self) -> Option<u32> {
        None
    }

    /// Its configuration space.
    fn config(&self) -> &dyn ConfigSpace;

    /// One of its six base address registers. The same every time, and cheap to clone.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NoBar`] if the device has none of that number,
    /// [`DeviceError::Io`] if it cannot be mapped.
    fn bar(&self, index: u8) -> Result<Bar, DeviceError>;

    /// How memory is made known to it.
    fn dma(&self) -> Arc<dyn Dma>;

    /// How it asks for attention.
    fn interrupts(&self) -> &dyn Interrupts;

    /// Resets all of it: queues stop, registers go back to what they are after power-on, bus
    /// mastering goes off, interrupts are no longer enabled. BARs stay where they are.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unsupported`] if the device can only be reset through its own registers.
    fn reset(&self) -> Result<(), DeviceError>;

    /// Whether it is still there, as far as is known without touching it.
    fn state(&self) -> State;

    /// Whether it is gone. Asks the device, unless that is known already: a call for when a
    /// register reads as all ones.
    fn is_gone(&self) -> bool;

    /// Whether it certainly reaches no memory any more, as it is gone from the bus. A device that only
    /// stopped answering, as a process may, is gone and not cut off: what it could write to is not
    /// given to anybody else.
    fn is_cut_off(&self) -> bool {
        self.is_gone()
    }

    /// A descriptor that becomes readable when the kernel wants the device back, for unplugging or
    /// unbinding: from then on [`state`](Self::state) is [`State::Leaving`]. Who gets it stops,
    /// and drops the device; the kernel waits for that.
    fn removal(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl dyn Device + '_ {
    /// An error if the device is gone.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Removed`].
    pub fn present(&self) -> Result<(), DeviceError> {
        match self.is_gone() {
            true => Err(DeviceError::Removed { name: self.name().to_owned() }),
            false => Ok(()),
        }
    }
}

//! Opening a function by whichever driver it is bound to.

use super::address::Address;
use super::error::PciError;
use super::function::Function;
use crate::device::Device;
use crate::uio::{self, UioDevice};
use crate::vfio::{Api, Space};

/// Opens a function of this machine, through VFIO or UIO: whichever driver it is bound to. With
/// VFIO it gets an address space of its own.
///
/// # Errors
///
/// [`PciError::Absent`], [`PciError::OtherDriver`] if it is bound to neither, and as
/// [`Space::open`] and [`UioDevice::open`].
pub fn open(address: Address) -> Result<Box<dyn Device>, PciError> {
    open_in(&Space::new(Api::Auto), address)
}

/// As [`open`], in an address space that it may share with other devices; through UIO there is one
/// only.
///
/// # Errors
///
/// As [`open`].
pub fn open_in(space: &Space, address: Address) -> Result<Box<dyn Device>, PciError> {
    let function = Function::find(address)?;
    match function.driver.as_deref() {
        Some(uio::DRIVER) => Ok(Box::new(UioDevice::open(address)?)),
        Some(driver) if driver.contains("vfio") => Ok(Box::new(space.open(address)?)),
        _ => {
            let (driver, wanted) = (function.driver, "vfio-pci");
            Err(PciError::OtherDriver { address, driver, wanted })
        }
    }
}

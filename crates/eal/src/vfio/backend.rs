//! The two ways to an IOMMU: a container of groups, and iommufd with a file for each device.

use std::fs::{File, OpenOptions};
use std::io;

use super::container::Container;
use super::iommufd::Iommufd;
use crate::Root;
use crate::device::DeviceError;
use crate::pci::{Function, PciError};

/// Which way to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// iommufd if the kernel has it for the device and this process may use it, else groups.
    #[default]
    Auto,
    /// Groups and containers: all kernels.
    Group,
    /// iommufd: since Linux 6.6.
    Cdev,
}

/// One address space, empty or with devices in it.
#[derive(Debug)]
pub(super) enum Backend {
    Container(Container),
    Iommufd(Iommufd),
}

/// What an address space can do; known once a device is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Abilities {
    pub(super) ranges: Vec<(u64, u64)>,
    pub(super) page_sizes: u64,
    pub(super) mappings: Option<u32>,
}

pub(super) fn open(path: &str, module: &'static str) -> Result<File, PciError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map_err(|error| PciError::opening(path, module, error))
}

pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> PciError {
    let what = what.into();
    |source| PciError::Device(DeviceError::io(what, source))
}

impl Backend {
    /// Opens a device and puts it into the address space.
    pub(super) fn device(&self, root: &Root, function: &Function) -> Result<File, PciError> {
        match self {
            Self::Container(container) => container.device(root, function),
            Self::Iommufd(iommufd) => iommufd.device(root, function),
        }
    }

    pub(super) fn abilities(&self) -> io::Result<Abilities> {
        match self {
            Self::Container(container) => container.abilities(),
            Self::Iommufd(iommufd) => iommufd.abilities(),
        }
    }

    /// # Safety
    ///
    /// The `len` bytes at `base` stay mapped until `unmap`, and the device is told only of those
    /// that nothing else accesses.
    pub(super) unsafe fn map(&self, base: *mut u8, len: usize, iova: u64) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Container(container) => container.map(base, len, iova),
                Self::Iommufd(iommufd) => iommufd.map(base, len, iova),
            }
        }
    }

    pub(super) fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
        match self {
            Self::Container(container) => container.unmap(iova, len),
            Self::Iommufd(iommufd) => iommufd.unmap(iova, len),
        }
    }
}

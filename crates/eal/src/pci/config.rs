//! Configuration space through sysfs.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::address::Address;
use super::error::PciError;
use super::function::Folder;
use crate::Root;
use crate::device::{ConfigSpace, DeviceError};

/// A function's `config` file.
#[derive(Debug)]
pub struct SysfsConfig {
    address: Address,
    file: File,
    size: usize,
}

impl SysfsConfig {
    /// For reading only, as anybody may: 64 bytes without CAP_SYS_ADMIN.
    ///
    /// # Errors
    ///
    /// [`PciError::Absent`], or [`PciError::Attribute`].
    pub fn read_only(root: &Root, address: Address) -> Result<Self, PciError> {
        Self::open(root, address, OpenOptions::new().read(true))
    }

    /// For reading and writing.
    ///
    /// # Errors
    ///
    /// [`PciError::Absent`], or [`PciError::Attribute`].
    pub fn read_write(root: &Root, address: Address) -> Result<Self, PciError> {
        Self::open(root, address, OpenOptions::new().read(true).write(true))
    }

    fn open(root: &Root, address: Address, options: &OpenOptions) -> Result<Self, PciError> {
        let folder = Folder::of(root, address);
        let path = folder.path("config");
        let opened = options.open(&path).and_then(|file| Ok((reachable(&file)?, file)));
        match opened {
            Ok((size, file)) => Ok(Self { address, file, size }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(PciError::Absent { address })
            }
            Err(source) => Err(PciError::Attribute { path, source }),
        }
    }

    fn failed(&self, what: &str, offset: u16, source: io::Error) -> DeviceError {
        DeviceError::io(format!("{}: cannot {what} config {offset:#x}", self.address), source)
    }
}

/// How much of the file this process can read: the kernel cuts a read short for the unprivileged.
fn reachable(file: &File) -> io::Result<usize> {
    let mut whole = [0; 4096];
    file.read_at(&mut whole, 0)
}

impl ConfigSpace for SysfsConfig {
    fn size(&self) -> usize {
        self.size
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size, offset, bytes.len())?;
        let got = self.file.read_exact_at(bytes, offset.into());
        match got {
            // The function has been taken off the bus: what a read of the bus would give.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                bytes.fill(0xff);
                Ok(())
            }
            got => got.map_err(|source| self.failed("read", offset, source)),
        }
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size, offset, bytes.len())?;
        let put = self.file.write_all_at(bytes, offset.into());
        match put {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            put => put.map_err(|source| self.failed("write", offset, source)),
        }
    }
}

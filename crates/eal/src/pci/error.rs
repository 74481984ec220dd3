//! What can go wrong on the way to a PCI device.

use std::io;
use std::path::PathBuf;

use super::address::Address;
use super::interface::Use;
use crate::device::DeviceError;

/// Why a device could not be found, bound or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PciError {
    /// Not an address.
    #[error("{text:?} is no PCI address: {reason}; one looks like 0000:03:00.0 or 03:00.0")]
    BadAddress {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing there.
    #[error("there is no PCI device at {address}: `linecard ports` lists those that there are")]
    Absent {
        /// Where.
        address: Address,
    },
    /// The kernel's description of a device makes no sense, or cannot be read.
    #[error("cannot read {path}: {source}")]
    Attribute {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Another driver has the device.
    #[error(
        "{address} is driven by {}, not by {wanted}: `linecard bind {address} --driver {wanted}` \
         changes that", driver.as_deref().unwrap_or("nothing")
    )]
    OtherDriver {
        /// Which device.
        address: Address,
        /// The driver that it is bound to.
        driver: Option<String>,
        /// The one, or the ones, that would do.
        wanted: &'static str,
    },
    /// The driver to bind to is not in the kernel.
    #[error("the kernel has no driver {driver}: `modprobe {driver}` loads it")]
    DriverAbsent {
        /// Which.
        driver: String,
    },
    /// The interface of the device is needed.
    #[error(
        "{address} is the interface {interface}, which {reason}: taking it away may cut off this \
         machine; if that is meant, force it"
    )]
    InterfaceInUse {
        /// Which device.
        address: Address,
        /// The name of its interface.
        interface: String,
        /// What it is used for.
        reason: Use,
    },
    /// Binding failed; what became of the device is told.
    #[error("cannot bind {address} to {driver}: {source}; {aftermath}")]
    Bind {
        /// Which device.
        address: Address,
        /// The driver that it was to be bound to.
        driver: String,
        /// What the kernel said.
        source: io::Error,
        /// What state the device is in now.
        aftermath: String,
    },
    /// This process may not bind.
    #[error("binding {address} to another driver needs root: `sudo linecard bind {address} …`")]
    BindDenied {
        /// Which device.
        address: Address,
    },
    /// There is no IOMMU before the device.
    #[error(
        "{address} has no IOMMU group, so vfio-pci cannot drive it: switch the IOMMU on \
         (firmware setup; intel_iommu=on on the kernel's command line), or use uio_pci_generic"
    )]
    NoIommu {
        /// Which device.
        address: Address,
    },
    /// Somebody else is in the device's IOMMU group.
    #[error(
        "IOMMU group {group} is not viable: {}; all in a group must be bound to vfio-pci, or to \
         nothing", others.join(", ")
    )]
    GroupNotViable {
        /// Which group.
        group: u32,
        /// Who is in it and in the way, with the driver.
        others: Vec<String>,
    },
    /// Somebody else has it open.
    #[error("{path} is in use: another process drives the device (`fuser -v {path}` names it)")]
    Busy {
        /// Which file.
        path: String,
    },
    /// This process may not open it.
    #[error(
        "no permission for {path}: run as root, or give the file to this user (`chown USER {path}`)"
    )]
    Denied {
        /// Which file.
        path: String,
    },
    /// A file of the kernel's is not there.
    #[error("{path} is absent: `modprobe {module}` makes it")]
    ModuleAbsent {
        /// Which file.
        path: String,
        /// Which module has it.
        module: &'static str,
    },
    /// The kernel offers something else than it should.
    #[error("{what}")]
    Unsuitable {
        /// What, and what to do.
        what: String,
    },
    /// The device itself.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl PciError {
    /// What an error of opening `path`, which `module` makes, means.
    pub(crate) fn opening(path: &str, module: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::ModuleAbsent { path, module },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            io::ErrorKind::ResourceBusy => Self::Busy { path },
            _ => Self::Device(DeviceError::io(format!("cannot open {path}"), source)),
        }
    }
}

//! What goes wrong between the driver and the device.

use linecard_eal::device::DeviceError;
use linecard_eal::mmio::MmioError;
use linecard_pmd_core::Error;
use linecard_virtqueue::Features;
use std::io;
use std::time::Duration;

/// Why the device did not do what it should. Becomes the port's [`Error`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(
        "{0} is no virtio network device (1af4:1000 or 1af4:1041): see `linecard ports` for those that are"
    )]
    Stranger(String),
    #[error("the device has no {what} structure (virtio 1.2 §{section}): it is no {kind} device")]
    Absent { what: &'static str, section: &'static str, kind: &'static str },
    #[error(
        "the device's {what} structure is at {offset:#x} of a BAR, and must be at a multiple of {align}"
    )]
    Crooked { what: &'static str, offset: usize, align: usize },
    #[error("the device's {what} structure has {len:#x} bytes, and must have {needed:#x}")]
    Small { what: &'static str, len: usize, needed: usize },
    #[error("queue {index} of the device has {size} descriptors: {why}")]
    Queue { index: u16, size: u16, why: &'static str },
    #[error("the device did not take {asked} descriptors for queue {index}: it says {size}")]
    Size { index: u16, asked: u16, size: u16 },
    #[error("queue {index} of the device is in use already after a reset")]
    InUse { index: u16 },
    #[error("the device offers features and refuses them: {0:?}")]
    Features(Features),
    #[error("the device does not offer VERSION_1, which every modern device does")]
    Old,
    #[error(
        "the device does not heed the IOMMU that it is behind (it does not offer ACCESS_PLATFORM): it would \
         write to the wrong memory. Give it iommu_platform=on in QEMU, or bind it to uio_pci_generic \
         on a machine without an IOMMU"
    )]
    Heedless,
    #[error("the device did not come out of its reset within {0:?}: its status is still {1:#04x}")]
    NeverResets(Duration, u8),
    #[error("the device has no vector for interrupt {0}")]
    Vector(u16),
    #[error("the queue at {0:#x} is beyond what a legacy device can address (44 bits)")]
    High(u64),
    #[error("the device's configuration changes all the time")]
    Restless,
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<MmioError> for Trouble {
    fn from(error: MmioError) -> Self {
        Trouble::Device(error.into())
    }
}

impl Trouble {
    /// As the port's error, while `doing` something.
    pub(super) fn at(self, port: &str, doing: &str) -> Error {
        match self {
            Trouble::Device(DeviceError::Removed { .. }) => Error::Gone { port: port.into() },
            Trouble::NeverResets(..) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, self.to_string());
                Error::system(port, doing, late)
            }
            Trouble::System(error) => Error::system(port, doing, error),
            other => Error::Refused { port: port.into(), what: format!("{doing}: {other}") },
        }
    }
}

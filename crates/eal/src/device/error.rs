//! What can go wrong with a device.

use std::io;

use super::interrupt::InterruptKind;
use crate::mem::{Iova, MemError};
use crate::mmio::MmioError;

/// Why a device did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The device does not answer any more.
    #[error("{name} is gone: it has been removed, or its link is down; drop its port")]
    Removed {
        /// Which.
        name: String,
    },
    /// There is no such base address register.
    #[error("{name} has no BAR {index}: is it the device that the driver takes it for?")]
    NoBar {
        /// Which device.
        name: String,
        /// Which BAR.
        index: u8,
    },
    /// A BAR is smaller than the driver's registers.
    #[error("a BAR of {len:#x} bytes is too small: the driver's registers need {needed:#x}")]
    SmallBar {
        /// What the device has.
        len: usize,
        /// What the driver needs.
        needed: usize,
    },
    /// A register that is not where it was said to be.
    #[error(transparent)]
    Register(#[from] MmioError),
    /// Configuration space ends before the place.
    #[error(
        "{size} bytes at {offset:#x} are beyond the configuration space of {len:#x} bytes \
         (what is above 0x40 needs CAP_SYS_ADMIN through sysfs, and nothing through VFIO)"
    )]
    ConfigRange {
        /// Where.
        offset: u16,
        /// How much.
        size: usize,
        /// What there is.
        len: usize,
    },
    /// A list of capabilities that leads nowhere, or in a circle.
    #[error("the list of capabilities is broken at {offset:#x}: {reason}")]
    BrokenCapabilities {
        /// Where.
        offset: u16,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The device, or the way to it, has no such thing.
    #[error("{name} has no {what}")]
    Unsupported {
        /// Which device.
        name: String,
        /// What was asked for; may go on to say what to do instead.
        what: String,
    },
    /// More vectors than the device has, or none.
    #[error("{asked} {kind} vectors were asked for: this device has {limit}, ask for 1 to {limit}")]
    Vectors {
        /// Of which kind.
        kind: InterruptKind,
        /// How many were asked for.
        asked: u32,
        /// How many there are.
        limit: u32,
    },
    /// The IOMMU, or the device, cannot form the address.
    #[error(
        "{len:#x} bytes at IOVA {iova} do not fit the {bits} address bits of the IOMMU: \
         ask for Place::Private, or for a smaller segment, which mem::Request places low"
    )]
    AddressTooWide {
        /// Where.
        iova: Iova,
        /// How much.
        len: usize,
        /// How many bits there are.
        bits: u8,
    },
    /// Part of the range is mapped already, or reserved by the platform.
    #[error("IOVA {iova} with {len:#x} bytes is taken: {reason}")]
    AddressTaken {
        /// Where.
        iova: Iova,
        /// How much.
        len: usize,
        /// By what.
        reason: String,
    },
    /// The process may not lock that much memory.
    #[error(
        "{needed} bytes cannot be locked for DMA: RLIMIT_MEMLOCK is {limit} bytes; raise it \
         (`ulimit -l unlimited`, LimitMEMLOCK=infinity in a systemd unit, /etc/security/limits.conf)"
    )]
    LockedMemory {
        /// How much was to be locked by this call; what is locked already counts too.
        needed: usize,
        /// The limit.
        limit: u64,
    },
    /// Memory could not be had, or its physical addresses not be told.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// The kernel, or the other process, refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// What it said.
        source: io::Error,
    },
}

impl DeviceError {
    /// What was tried, and what the kernel said.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}

//! virtio-net on the PCI bus (virtio 1.2 §4.1), modern and legacy, over whatever
//! [`Device`] is given: VFIO, UIO, or one in software.
//!
//! * **Modern** devices say by capabilities where their structures are (§4.1.4); **legacy** ones have
//!   them at fixed places of I/O ports (§4.1.4.10). A transitional device is both, and is driven
//!   as a modern one unless told otherwise.
//! * **Nothing waits for ever**: resets and commands are waited for within
//!   [`PciOptions::patience`]; a device that does not stop loses bus mastering, and one that keeps
//!   even that keeps its memory as well.
//! * **Addresses** are those that the way to the device gives: its own behind an IOMMU, physical ones
//!   without. A device that would not heed the IOMMU is refused.
//! * **Interrupts**: with MSI-X a vector for the configuration (link, announcements) and one for each
//!   receive queue, as far as there are vectors; else the line, for the configuration alone.

mod capability;
mod interface;
mod legacy;
mod link;
mod modern;
mod trouble;
mod window;

use crate::options::{RingOptions, driver_options};
use crate::port::VirtioPort;
use linecard_eal::device::{Device, Identity};
use linecard_net::MacAddr;
use linecard_pmd_core::Error;
use link::PciLink;
use std::time::Duration;

/// Red Hat, whose ids virtio has (§4.1.2).
const VENDOR: u16 = 0x1AF4;
/// A network device that has the legacy interface too, or alone (§4.1.2).
const TRANSITIONAL: u16 = 0x1000;
/// A network device: 0x1040 and the device type (§4.1.2.1, §5.1.1).
const MODERN: u16 = 0x1041;

/// Whether the driver knows a device by its ids: a virtio network device on the PCI bus.
pub fn is_net(identity: Identity) -> bool {
    identity.vendor == VENDOR && matches!(identity.device, TRANSITIONAL | MODERN)
}

/// By which of a device's interfaces it is driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// The modern one if there is one, else the legacy one.
    #[default]
    Auto,
    /// The modern one.
    Modern,
    /// The legacy one.
    Legacy,
}

/// How a virtio device on the PCI bus is to be driven.
#[derive(Clone, Debug)]
pub struct PciOptions {
    name: Option<String>,
    queues: usize,
    /// The device's own unless told.
    mac: Option<MacAddr>,
    rings: RingOptions,
    interface: Interface,
    translation: Translation,
    patience: Duration,
}

/// Whether the IOMMU translates what the device accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Translation {
    /// If it says so (`ACCESS_PLATFORM`).
    AsOffered,
    /// It does, whatever the device says.
    Always,
}

impl Default for PciOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PciOptions {
    /// As most want it: all queue pairs that the device has.
    pub fn new() -> Self {
        PciOptions {
            name: None,
            queues: usize::MAX,
            mac: None,
            rings: RingOptions::default(),
            interface: Interface::Auto,
            translation: Translation::AsOffered,
            patience: Duration::from_secs(3),
        }
    }

    /// What to call the port; the device's own name unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    driver_options!();

    /// By which of its interfaces it is driven.
    pub fn interface(mut self, interface: Interface) -> Self {
        self.interface = interface;
        self
    }

    /// Says that the IOMMU translates what the device accesses though the device does not say so: it is
    /// in hardware, and older than the feature. A device of QEMU's that does not say so means
    /// it, and would write to the wrong memory; it is refused without this.
    pub fn translated(mut self) -> Self {
        self.translation = Translation::Always;
        self
    }

    /// How long the device may take for a reset or a command.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl VirtioPort {
    /// Takes over a virtio network device on the PCI bus: resets it, and reads what it is.
    ///
    /// ```no_run
    /// use linecard_pmd_core::Port;
    /// use linecard_pmd_virtio::{PciOptions, VirtioPort};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Bound to vfio-pci or uio_pci_generic: `linecard bind 0000:00:05.0 --driver vfio-pci`.
    /// let device = linecard_eal::pci::open("0000:00:05.0".parse()?)?;
    /// let port = Port::open(VirtioPort::pci(device, PciOptions::new().name("virtio0"))?);
    /// println!("{:?}", port.info().capabilities);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no such device, lacks a structure, has queues that make no sense,
    /// or would not heed the IOMMU that it is behind; [`Error::System`] if it does not come out of its
    /// reset in time; [`Error::Gone`].
    pub fn pci(device: Box<dyn Device>, options: PciOptions) -> Result<Self, Error> {
        let name = options.name.clone().unwrap_or_else(|| device.name().to_owned());
        let link = PciLink::open(device, &name, &options)?;
        let (rings, limits) = (options.rings, (options.mac, options.queues));
        Self::over(Box::new(link), (name, "virtio"), &rings, limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_devices_of_both_kinds_are_known_by_their_ids() {
        let id = |vendor, device| Identity { vendor, device, ..Identity::default() };
        assert!(is_net(id(0x1AF4, 0x1000)) && is_net(id(0x1AF4, 0x1041)));
        assert!(!is_net(id(0x1AF4, 0x1042)) && !is_net(id(0x8086, 0x1000)));
    }
}

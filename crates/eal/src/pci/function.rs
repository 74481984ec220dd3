//! A PCI function, as sysfs describes it.

use std::io;
use std::path::PathBuf;

use super::address::Address;
use super::error::PciError;
use super::resource::{self, BarInfo};
use crate::Root;
use crate::device::{Class, Identity};

pub(super) const DEVICES: &str = "sys/bus/pci/devices";

/// Virtual functions of a physical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sriov {
    /// How many there can be.
    pub most: u16,
    /// How many there are.
    pub enabled: u16,
}

/// One function: what it is, where, and who drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub identity: Identity,
    /// The NUMA node that it is attached to; `None` where the firmware does not tell.
    pub node: Option<u32>,
    /// Its IOMMU group; `None` if there is no IOMMU before it.
    pub iommu_group: Option<u32>,
    /// Its BARs that have an address.
    pub bars: Vec<BarInfo>,
    /// The kernel driver that it is bound to.
    pub driver: Option<String>,
    /// The driver that it shall have, whatever its ids say.
    pub driver_override: Option<String>,
    /// Its virtual functions, if it can have any.
    pub sriov: Option<Sriov>,
    /// The physical function that it is a virtual one of.
    pub physical: Option<Address>,
    /// The names of its network interfaces, while a kernel driver drives it.
    pub interfaces: Vec<String>,
}

impl Function {
    /// The one at an address of this machine.
    ///
    /// # Errors
    ///
    /// As [`find_in`](Self::find_in).
    pub fn find(address: Address) -> Result<Self, PciError> {
        Self::find_in(&Root::host(), address)
    }

    /// The one at an address of the machine that the tree at `root` describes.
    ///
    /// # Errors
    ///
    /// [`PciError::Absent`], or [`PciError::Attribute`] if its description makes no sense.
    pub fn find_in(root: &Root, address: Address) -> Result<Self, PciError> {
        let folder = Folder::of(root, address);
        if !folder.path("").exists() {
            return Err(PciError::Absent { address });
        }
        Ok(Self {
            address,
            identity: folder.identity()?,
            node: folder.value("numa_node"),
            iommu_group: folder.link("iommu_group").and_then(|name| name.parse().ok()),
            bars: folder.bars()?,
            driver: folder.link("driver"),
            driver_override: folder.driver_override(),
            sriov: folder.sriov(),
            physical: folder.link("physfn").and_then(|name| name.parse().ok()),
            interfaces: folder.interfaces(),
        })
    }

    /// Its BAR with a number.
    pub fn bar(&self, index: u8) -> Option<&BarInfo> {
        self.bars.iter().find(|bar| bar.index == index)
    }
}

/// A function's folder in sysfs.
pub(crate) struct Folder<'a> {
    root: &'a Root,
    base: String,
}

impl<'a> Folder<'a> {
    pub(crate) fn of(root: &'a Root, address: Address) -> Self {
        Self { root, base: format!("{DEVICES}/{address}") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path(format!("{}/{name}", self.base))
    }

    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        self.root.names(format!("{}/{name}", self.base))
    }

    fn text(&self, name: &str) -> Result<String, PciError> {
        let text = self.root.text(format!("{}/{name}", self.base));
        text.map_err(|source| PciError::Attribute { path: self.path(name), source })
    }

    /// A decimal number; `None` if it is absent, or -1 for "not known".
    fn value<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).ok()?.parse().ok()
    }

    /// The last part of what a link points to.
    pub(crate) fn link(&self, name: &str) -> Option<String> {
        let target = std::fs::read_link(self.path(name)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// A number in hexadecimal, with or without its prefix.
    fn hex(&self, name: &str, most: u32) -> Result<u32, PciError> {
        let text = self.text(name)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let value = u32::from_str_radix(digits, 16).ok().filter(|&value| value <= most);
        value.ok_or_else(|| {
            let reason = format!("{text:?} is no hexadecimal number up to {most:#x}");
            let source = io::Error::new(io::ErrorKind::InvalidData, reason);
            PciError::Attribute { path: self.path(name), source }
        })
    }

    fn identity(&self) -> Result<Identity, PciError> {
        Ok(Identity {
            vendor: self.hex("vendor", 0xffff)? as u16,
            device: self.hex("device", 0xffff)? as u16,
            subsystem_vendor: self.hex("subsystem_vendor", 0xffff)? as u16,
            subsystem: self.hex("subsystem_device", 0xffff)? as u16,
            revision: self.hex("revision", 0xff)? as u8,
            class: Class::new(self.hex("class", 0xff_ffff)?),
        })
    }

    fn bars(&self) -> Result<Vec<BarInfo>, PciError> {
        let parsed = resource::parse(&self.text("resource")?);
        parsed.map_err(|source| PciError::Attribute { path: self.path("resource"), source })
    }

    fn driver_override(&self) -> Option<String> {
        self.text("driver_override").ok().filter(|name| !name.is_empty() && name != "(null)")
    }

    fn sriov(&self) -> Option<Sriov> {
        let most = self.value("sriov_totalvfs").filter(|&most| most > 0)?;
        Some(Sriov { most, enabled: self.value("sriov_numvfs").unwrap_or(0) })
    }

    /// Interfaces are below the function itself, or below a device that it makes, as `virtio0` is.
    fn interfaces(&self) -> Vec<String> {
        let below = self.names("").into_iter().filter(|name| name.starts_with("virtio"));
        let folders = std::iter::once("net".to_owned()).chain(below.map(|name| name + "/net"));
        folders.flat_map(|folder| self.names(&folder)).collect()
    }
}

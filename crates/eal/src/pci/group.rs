//! IOMMU groups: who goes together, because the IOMMU cannot tell them apart.

use super::address::Address;
use super::error::PciError;
use super::function::Function;
use crate::Root;

/// Drivers that leave a function to user space, or only pass on what others do.
const HARMLESS: &[&str] = &["vfio-pci", "pci-stub", "pcieport"];

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub number: u32,
    /// The PCI functions in it.
    pub members: Vec<Function>,
}

impl Group {
    /// A group of the machine that the tree at `root` describes.
    ///
    /// # Errors
    ///
    /// [`PciError::Attribute`] if the description of a member makes no sense.
    pub fn read_in(root: &Root, number: u32) -> Result<Self, PciError> {
        let names = root.names(format!("sys/kernel/iommu_groups/{number}/devices"));
        let addresses = names.iter().filter_map(|name| name.parse::<Address>().ok());
        let members: Result<_, _> =
            addresses.map(|address| Function::find_in(root, address)).collect();
        Ok(Self { number, members: members? })
    }

    /// Members that keep user space from the group: those that a kernel driver drives, other than
    /// ones that are made for this. Written as address and driver.
    pub fn in_the_way(&self) -> Vec<String> {
        let driven = |function: &Function| {
            let driver = function.driver.as_deref()?;
            let harmless = HARMLESS.contains(&driver);
            (!harmless).then(|| format!("{} is driven by {driver}", function.address))
        };
        self.members.iter().filter_map(driven).collect()
    }

    /// Whether user space can have the group.
    ///
    /// # Errors
    ///
    /// [`PciError::GroupNotViable`], which names who is in the way.
    pub fn viable(&self) -> Result<(), PciError> {
        let others = self.in_the_way();
        match others.is_empty() {
            true => Ok(()),
            false => Err(PciError::GroupNotViable { group: self.number, others }),
        }
    }
}

//! PCI network devices: who drives them, and whether linecard could.

use crate::table::table;
use linecard::eal::Root;
use linecard::eal::device::Identity;
use linecard::eal::pci::{Function, Scan, Uses};
use serde_json::{Value, json};

/// Kernel drivers that give a device to user space, the better one first.
pub(crate) const USER_SPACE: &[&str] = &["vfio-pci", "uio_pci_generic"];

/// A network device, seen from here.
#[derive(Debug)]
pub(crate) struct Nic {
    pub(crate) function: Function,
    /// Our driver for it, if there is one.
    pub(crate) ours: Option<&'static str>,
    /// Why its interface should not be taken away.
    pub(crate) needed: Option<String>,
}

impl Nic {
    /// All of a machine.
    pub(crate) fn all(root: &Root) -> Vec<Self> {
        let uses = Uses::read_in(root);
        let nic = |function: &Function| {
            let needed = |name: &String| Some(format!("{name} {}", uses.of(name)?));
            Self {
                function: function.clone(),
                ours: driver_for(&function.identity),
                needed: function.interfaces.iter().find_map(needed),
            }
        };
        Scan::discover_in(root).network().map(nic).collect()
    }

    /// The driver that gives it to user space, if one has it.
    pub(crate) fn user_space(&self) -> Option<&str> {
        self.function.driver.as_deref().filter(|driver| USER_SPACE.contains(driver))
    }

    /// The driver that would give it to user space, as this machine is.
    pub(crate) fn wanted(&self) -> &'static str {
        if self.function.iommu_group.is_some() { USER_SPACE[0] } else { USER_SPACE[1] }
    }

    /// How to use it: a port, or the command that makes it one.
    fn use_it(&self) -> Option<String> {
        let address = self.function.address;
        match (self.ours, self.user_space()) {
            (Some(_), Some(_)) => Some(format!("pci:{address}")),
            (Some(_), None) => Some(format!("linecard bind {address} --driver {}", self.wanted())),
            (None, _) => None,
        }
    }

    pub(crate) fn describe(&self) -> Value {
        let Function { address, identity, node, iommu_group, driver, interfaces, .. } =
            &self.function;
        json!({
            "address": address.to_string(),
            "ids": identity.to_string(),
            "class": identity.class.to_string(),
            "driver": driver,
            "interfaces": interfaces,
            "needed": self.needed,
            "node": node,
            "group": iommu_group,
            "drives": self.ours,
            "use": self.use_it(),
        })
    }
}

/// Which of our drivers a device is for.
pub(crate) fn driver_for(identity: &Identity) -> Option<&'static str> {
    if linecard::ixgbe::family(*identity).is_some() {
        return Some("ixgbe");
    }
    if linecard::ixgbe::virtual_family(*identity).is_some() {
        return Some("ixgbe_vf");
    }
    linecard::virtio::is_net(*identity).then_some("virtio")
}

/// A table of devices for people.
pub(crate) fn print(nics: &[Nic]) {
    let heads =
        ["device", "ids", "driver", "interface", "node", "group", "linecard's", "use it as"];
    let mut table = table(&heads, heads.len());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for nic in nics {
        let function = &nic.function;
        table.add_row([
            function.address.to_string(),
            function.identity.to_string(),
            or_none(function.driver.clone()),
            nic.needed.clone().unwrap_or_else(|| function.interfaces.join(", ")),
            or_none(function.node.map(|node| node.to_string())),
            or_none(function.iommu_group.map(|group| group.to_string())),
            or_none(nic.ours.map(str::to_owned)),
            nic.use_it().unwrap_or_default(),
        ]);
    }
    crate::tell!("{table}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(vendor: u16, device: u16) -> Identity {
        Identity { vendor, device, ..Identity::default() }
    }

    #[test]
    fn devices_are_known_by_their_ids() {
        assert_eq!(driver_for(&identity(0x1af4, 0x1041)), Some("virtio"));
        assert_eq!(driver_for(&identity(0x8086, 0x10fb)), Some("ixgbe"));
        assert_eq!(driver_for(&identity(0x8086, 0x10ed)), Some("ixgbe_vf"));
        assert_eq!(driver_for(&identity(0x8086, 0x1041)), None);
    }

    #[test]
    fn a_machine_without_pci_has_no_devices() {
        let empty = tempfile::tempdir().unwrap();
        assert!(Nic::all(&Root::at(empty.path())).is_empty());
    }
}

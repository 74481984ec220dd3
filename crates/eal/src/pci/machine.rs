//! A made-up machine's sysfs, for tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::address::Address;
use crate::Root;

pub(super) struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(machine.path("sys/bus/pci/devices")).unwrap();
        for driver in ["vfio-pci", "uio_pci_generic", "ixgbe"] {
            fs::create_dir_all(machine.path("sys/bus/pci/drivers").join(driver)).unwrap();
        }
        machine
    }

    pub(super) fn root(&self) -> Root {
        Root::at(self.dir.path())
    }

    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(super) fn folder(&self, address: &str) -> PathBuf {
        self.path("sys/bus/pci/devices").join(address)
    }

    pub(super) fn set(&self, address: &str, file: &str, text: &str) {
        let path = self.folder(address).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// An 82599 in group 7, driven by ixgbe, with an interface.
    pub(super) fn add(&self, address: &str) -> Address {
        for (file, text) in [
            ("vendor", "0x8086\n"),
            ("device", "0x10fb\n"),
            ("subsystem_vendor", "0x8086\n"),
            ("subsystem_device", "0x000c\n"),
            ("revision", "0x01\n"),
            ("class", "0x020000\n"),
            ("numa_node", "1\n"),
            ("driver_override", "(null)\n"),
            ("sriov_totalvfs", "63\n"),
            ("sriov_numvfs", "2\n"),
            ("net/e0/mtu", "1500\n"),
            (
                "resource",
                "0x00000000fe000000 0x00000000fe07ffff 0x000000000014220c\n\
                 0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                 0x000000000000c000 0x000000000000c01f 0x0000000000040101\n",
            ),
        ] {
            self.set(address, file, text);
        }
        self.link(address, "driver", "sys/bus/pci/drivers/ixgbe");
        self.join(address, 7);
        address.parse().unwrap()
    }

    pub(super) fn join(&self, address: &str, group: u32) {
        let group = format!("sys/kernel/iommu_groups/{group}");
        self.link(address, "iommu_group", &group);
        fs::create_dir_all(self.path(&group).join("devices").join(address)).unwrap();
    }

    pub(super) fn link(&self, address: &str, name: &str, target: &str) {
        let link = self.folder(address).join(name);
        let _ = fs::remove_file(&link);
        fs::create_dir_all(self.path(target)).unwrap();
        symlink(self.path(target), link).unwrap();
    }
}

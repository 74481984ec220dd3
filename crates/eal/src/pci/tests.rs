//! Machines that are made up, and badly.

use super::machine::Machine;
use super::*;
use crate::device::{CapabilityId, Command, ConfigSpace, DeviceError};
use std::fs::{self, File};
use std::sync::Arc;

const ONE: &str = "0000:03:00.0";
const TWO: &str = "0000:03:00.1";

fn one(machine: &Machine) -> Result<Function, PciError> {
    Function::find_in(&machine.root(), ONE.parse().unwrap())
}

#[test]
fn a_function_is_as_sysfs_describes_it() {
    let machine = Machine::new();
    machine.add(ONE);
    let function = one(&machine).unwrap();
    assert_eq!(function.identity.to_string(), "8086:10fb");
    assert_eq!(function.identity.class.to_string(), "0200");
    assert_eq!((function.node, function.iommu_group), (Some(1), Some(7)));
    assert_eq!(function.sriov, Some(Sriov { most: 63, enabled: 2 }));
    assert_eq!(function.driver.as_deref(), Some("ixgbe"));
    assert_eq!((function.driver_override, function.physical), (None, None));
    assert_eq!(function.interfaces, ["e0"]);
    let bars: Vec<_> = function.bars.iter().map(|bar| (bar.index, bar.len)).collect();
    assert_eq!(bars, [(0, 0x80000), (2, 32)]);
}

#[test]
fn a_machine_without_numa_iommu_or_virtual_functions_has_none() {
    let machine = Machine::new();
    machine.add(ONE);
    machine.set(ONE, "numa_node", "-1\n");
    for absent in ["iommu_group", "driver", "sriov_totalvfs"] {
        fs::remove_file(machine.folder(ONE).join(absent)).unwrap();
    }
    let function = one(&machine).unwrap();
    assert_eq!((function.node, function.iommu_group, function.sriov), (None, None, None));
    assert_eq!(function.driver, None);
}

#[test]
fn an_interface_of_virtio_is_below_the_device_that_it_makes() {
    let machine = Machine::new();
    machine.add(ONE);
    machine.set(ONE, "virtio0/net/enp3s0/mtu", "1500\n");
    assert_eq!(one(&machine).unwrap().interfaces, ["e0", "enp3s0"]);
}

#[test]
fn a_virtual_function_names_its_physical_one() {
    let machine = Machine::new();
    machine.add(ONE);
    machine.add(TWO);
    machine.link(TWO, "physfn", &format!("sys/bus/pci/devices/{ONE}"));
    let function = Function::find_in(&machine.root(), TWO.parse().unwrap()).unwrap();
    assert_eq!(function.physical, ONE.parse().ok());
}

#[test]
fn a_scan_is_sorted_and_sets_apart_what_makes_no_sense() {
    let machine = Machine::new();
    for address in [TWO, "10000:00:01.0", ONE, "0000:04:00.0", "0000:05:00.0"] {
        machine.add(address);
    }
    machine.set("0000:04:00.0", "vendor", "0x12345\n");
    machine.set("0000:05:00.0", "class", "0x060400\n");
    let scan = Scan::discover_in(&machine.root());
    let found: Vec<_> = scan.functions.iter().map(|f| f.address.to_string()).collect();
    assert_eq!(found, [ONE, TWO, "0000:05:00.0", "10000:00:01.0"]);
    assert_eq!(scan.network().count(), 3);
    let (name, error) = &scan.unreadable[0];
    assert_eq!(name, "0000:04:00.0");
    assert!(error.to_string().contains("vendor") && error.to_string().contains("0x12345"));
}

#[test]
fn a_machine_without_pci_has_an_empty_scan_and_an_absent_function_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = crate::Root::at(dir.path());
    assert!(Scan::discover_in(&root).functions.is_empty());
    let error = Function::find_in(&root, ONE.parse().unwrap()).unwrap_err();
    assert!(matches!(error, PciError::Absent { .. }));
    assert!(error.to_string().contains(ONE) && error.to_string().contains("linecard ports"));
}

#[test]
fn a_group_names_who_is_in_the_way() {
    let machine = Machine::new();
    for (address, driver) in [(ONE, "vfio-pci"), (TWO, "ixgbe"), ("0000:02:00.0", "pcieport")] {
        machine.add(address);
        machine.link(address, "driver", &format!("sys/bus/pci/drivers/{driver}"));
    }
    let group = Group::read_in(&machine.root(), 7).unwrap();
    assert_eq!(group.members.len(), 3);
    let error = group.viable().unwrap_err().to_string();
    assert!(error.contains("0000:03:00.1 is driven by ixgbe") && !error.contains(ONE), "{error}");
    fs::remove_file(machine.folder(TWO).join("driver")).unwrap();
    Group::read_in(&machine.root(), 7).unwrap().viable().unwrap();
}

fn config_of(machine: &Machine, bytes: &[u8]) -> Result<SysfsConfig, PciError> {
    machine.add(ONE);
    fs::write(machine.folder(ONE).join("config"), bytes).unwrap();
    SysfsConfig::read_write(&machine.root(), ONE.parse().unwrap())
}

/// A configuration space with a list from 0x40 on: each entry is where, the id, and the next.
fn listed(size: usize, list: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = vec![0; size];
    (bytes[6], bytes[0x34]) = (0x10, 0x40);
    for &(at, id, next) in list {
        (bytes[at], bytes[at + 1]) = (id, next);
    }
    bytes
}

#[test]
fn capabilities_are_walked_in_the_order_of_their_list() {
    let machine = Machine::new();
    let mut bytes = listed(4096, &[(0x40, 1, 0x83), (0x80, 0x11, 0x60), (0x60, 9, 0)]);
    bytes[0x100..0x104].copy_from_slice(&0x1402_0003u32.to_le_bytes());
    bytes[0x140..0x144].copy_from_slice(&0x0001_0010u32.to_le_bytes());
    let config = config_of(&machine, &bytes).unwrap();
    let config: &dyn ConfigSpace = &config;
    let list: Result<Vec<_>, _> = config.capabilities().unwrap().collect();
    let list: Vec<_> = list.unwrap().iter().map(|c| (c.offset, c.id.0)).collect();
    assert_eq!(list, [(0x40, 1), (0x80, 0x11), (0x60, 9)]);
    let extended: Result<Vec<_>, _> = config.extended_capabilities().collect();
    let extended: Vec<_> =
        extended.unwrap().iter().map(|c| (c.offset, c.id.0, c.version)).collect();
    assert_eq!(extended, [(0x100, 3, 2), (0x140, 0x10, 1)]);
}

#[test]
fn a_list_in_a_circle_gives_what_comes_before_and_is_an_error_then() {
    let machine = Machine::new();
    let config = config_of(&machine, &listed(256, &[(0x40, 5, 0x50), (0x50, 0x11, 0x40)])).unwrap();
    let config: &dyn ConfigSpace = &config;
    assert!(config.capability(CapabilityId::MSI_X).unwrap().is_some());
    let error = config.capability(CapabilityId::EXPRESS).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    let walked = config.capabilities().unwrap();
    assert_eq!(walked.filter(|found| found.is_err()).count(), 1, "an error ends the walk");
}

#[test]
fn an_extended_list_in_a_circle_ends_too() {
    let machine = Machine::new();
    let mut bytes = listed(4096, &[]);
    bytes[0x100..0x104].copy_from_slice(&0x1001_0003u32.to_le_bytes());
    let config = config_of(&machine, &bytes).unwrap();
    let config: &dyn ConfigSpace = &config;
    assert!(config.extended_capabilities().last().unwrap().is_err());
}

#[test]
fn a_list_into_the_header_or_the_void_is_an_error() {
    for (next, id) in [(0x10, 1), (0xf0, 0xff)] {
        let machine = Machine::new();
        let config = config_of(&machine, &listed(256, &[(0x40, 1, next), (next.into(), id, 0)]));
        let config = config.unwrap();
        let config: &dyn ConfigSpace = &config;
        let last = config.capabilities().unwrap().last().unwrap();
        assert!(matches!(last, Err(DeviceError::BrokenCapabilities { .. })), "{next:#x}");
    }
}

#[test]
fn a_configuration_space_that_is_cut_short_is_an_error_that_names_the_privilege() {
    let machine = Machine::new();
    let config = config_of(&machine, &listed(64, &[])).unwrap();
    let config: &dyn ConfigSpace = &config;
    let error = config.capabilities().unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
    assert_eq!(config.extended_capabilities().count(), 0);
}

#[test]
fn bus_mastering_is_switched_without_touching_other_bits() {
    let machine = Machine::new();
    let mut bytes = listed(256, &[]);
    bytes[4..6].copy_from_slice(&[0x02, 0x84]);
    let config = config_of(&machine, &bytes).unwrap();
    let config: &dyn ConfigSpace = &config;
    config.enable_bus_master().unwrap();
    assert_eq!(config.command().unwrap().bits(), 0x8406);
    assert!(config.command().unwrap().contains(Command::BUS_MASTER | Command::INTX_DISABLE));
    config.disable_bus_master().unwrap();
    assert_eq!(config.read16(4).unwrap(), 0x8402);
}

#[test]
fn a_memory_bar_is_mapped_and_ports_are_called() {
    let machine = Machine::new();
    machine.add(ONE);
    for (file, len) in [("resource0", 0x80000), ("resource2", 32)] {
        fs::write(machine.folder(ONE).join(file), vec![0; len]).unwrap();
    }
    let function = one(&machine).unwrap();
    for index in [0, 2] {
        let open = Arc::new(File::open("/dev/null").unwrap());
        let bar = map::bar(&machine.root(), &function, index, open).unwrap();
        bar.write32(8, 0x1234_5678);
        bar.write16(12, 9);
        bar.write64(16, 0x1122_3344_5566_7788);
        assert_eq!((bar.read32(8), bar.read8(9), bar.read16(12)), (0x1234_5678, 0x56, 9));
        assert_eq!(bar.read64(16), 0x1122_3344_5566_7788);
        assert_eq!(bar.mmio().is_some(), index == 0);
    }
    let open = Arc::new(File::open("/dev/null").unwrap());
    let error = map::bar(&machine.root(), &function, 1, open).unwrap_err();
    assert!(matches!(error, DeviceError::NoBar { index: 1, .. }));
}

//! Binding on a machine whose kernel is made up, and may refuse.

use super::super::machine::Machine;
use super::*;
use std::cell::RefCell;
use std::fs;

const ONE: &str = "0000:03:00.0";

/// Does what the kernel does, but for drivers that do not take the device.
#[derive(Default)]
struct Made {
    refusing: Vec<&'static str>,
    writes: RefCell<Vec<String>>,
}

impl Made {
    fn take(&self, root: &Root, address: &str, driver: &str) -> io::Result<()> {
        if self.refusing.contains(&driver) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let target = root.path(DRIVERS).join(driver);
        std::os::unix::fs::symlink(
            target,
            root.path(super::super::function::DEVICES).join(address).join("driver"),
        )
    }
}

impl Kernel for Made {
    fn write(&self, root: &Root, path: &Path, text: &str) -> io::Result<()> {
        let name = path.file_name().unwrap().to_str().unwrap();
        self.writes.borrow_mut().push(format!("{name} {}", text.trim()));
        let device = root.path(super::super::function::DEVICES).join(text);
        let driver = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        match name {
            "driver_override" => fs::write(path, text),
            "unbind" => fs::remove_file(device.join("driver")),
            "bind" => self.take(root, text, driver),
            "drivers_probe" => {
                let wanted = fs::read_to_string(device.join("driver_override"))?;
                let wanted = if wanted.trim().is_empty() { "ixgbe" } else { wanted.trim() };
                // Like the kernel, which reports no failure to probe here.
                let _ = self.take(root, text, wanted);
                Ok(())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn binder(machine: &Machine, refusing: &[&'static str]) -> Binder<Made> {
    let kernel = Made { refusing: refusing.to_vec(), ..Made::default() };
    Binder { root: machine.root(), kernel }
}

#[test]
fn a_function_goes_to_the_driver_and_back() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    let binder = binder(&machine, &[]);
    let bound = binder.bind(address, "vfio-pci", InUse::Refuse).unwrap();
    assert_eq!(binder.driver(address).as_deref(), Some("vfio-pci"));
    assert_eq!(bound.before(), Some("ixgbe"));
    binder.restore(&bound).unwrap();
    assert_eq!(binder.driver(address).as_deref(), Some("ixgbe"));
    let writes = binder.kernel.writes.borrow();
    assert_eq!(
        *writes,
        [
            "driver_override vfio-pci",
            "unbind 0000:03:00.0",
            "drivers_probe 0000:03:00.0",
            "driver_override ",
            "unbind 0000:03:00.0",
            "bind 0000:03:00.0",
        ]
    );
}

#[test]
fn a_driver_that_does_not_take_it_leaves_the_old_one_in_place() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    let binder = binder(&machine, &["vfio-pci"]);
    let error = binder.bind(address, "vfio-pci", InUse::Refuse).unwrap_err().to_string();
    assert!(error.contains("ixgbe has it back"), "{error}");
    assert_eq!(binder.driver(address).as_deref(), Some("ixgbe"));
}

#[test]
fn when_the_old_driver_is_lost_too_the_error_says_so() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    let binder = binder(&machine, &["vfio-pci", "ixgbe"]);
    let error = binder.bind(address, "vfio-pci", InUse::Refuse).unwrap_err().to_string();
    assert!(error.contains("could not be put back") && error.contains("no driver now"), "{error}");
}

#[test]
fn an_interface_in_use_is_refused_unless_forced() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    fs::create_dir_all(machine.path("sys/class/net/e0/upper_bond0")).unwrap();
    let binder = binder(&machine, &[]);
    let error = binder.bind(address, "vfio-pci", InUse::Refuse).unwrap_err().to_string();
    assert!(error.contains("e0") && error.contains("part of bond0"), "{error}");
    assert!(binder.kernel.writes.borrow().is_empty());
    let _bound = binder.bind(address, "vfio-pci", InUse::Force).unwrap();
    assert_eq!(binder.driver(address).as_deref(), Some("vfio-pci"));
}

#[test]
fn absent_drivers_and_names_that_are_paths_are_errors() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    for driver in ["igb_uio", "", "../drivers/ixgbe", "a\nb"] {
        let error = binder(&machine, &[]).bind(address, driver, InUse::Refuse).unwrap_err();
        assert!(matches!(error, PciError::DriverAbsent { .. }), "{driver:?}");
    }
}

#[test]
fn vfio_without_an_iommu_is_refused_and_uio_is_not() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    fs::remove_file(machine.folder(ONE).join("iommu_group")).unwrap();
    let binder = binder(&machine, &[]);
    let error = binder.bind(address, "vfio-pci", InUse::Refuse).unwrap_err();
    assert!(matches!(error, PciError::NoIommu { .. }));
    let bound = binder.bind(address, "uio_pci_generic", InUse::Refuse).unwrap();
    assert_eq!(binder.driver(bound.address()).as_deref(), Some("uio_pci_generic"));
}

#[test]
fn unbinding_gives_it_to_the_driver_that_wants_its_ids() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    let binder = binder(&machine, &[]);
    let _bound = binder.bind(address, "vfio-pci", InUse::Refuse).unwrap();
    assert_eq!(binder.unbind(address).unwrap().as_deref(), Some("ixgbe"));
}

#[test]
fn unbinding_leaves_a_kernel_driver_alone() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    let binder = binder(&machine, &[]);
    assert_eq!(binder.unbind(address).unwrap().as_deref(), Some("ixgbe"));
    assert_eq!(*binder.kernel.writes.borrow(), ["driver_override "]);
}

#[test]
fn binding_to_the_driver_that_it_has_changes_nothing() {
    let machine = Machine::new();
    let address = machine.add(ONE);
    let binder = binder(&machine, &[]);
    let bound = binder.bind(address, "ixgbe", InUse::Refuse).unwrap();
    binder.restore(&bound).unwrap();
    assert_eq!(binder.driver(address).as_deref(), Some("ixgbe"));
}

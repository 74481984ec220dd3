//! Giving a function to another driver, and back.
//!
//! The kernel's way: name the driver in `driver_override`, take the function away from the one it
//! has, have the kernel look for a driver again. If that goes wrong at any point, the old one gets
//! it back.

use std::io;
use std::path::Path;

use super::address::Address;
use super::error::PciError;
use super::function::{Folder, Function};
use super::interface::Uses;
use crate::Root;

const DRIVERS: &str = "sys/bus/pci/drivers";
const PROBE: &str = "sys/bus/pci/drivers_probe";

/// What to do about an interface that is used for something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InUse {
    /// Leave it alone: [`PciError::InterfaceInUse`].
    #[default]
    Refuse,
    /// Take it away nevertheless.
    Force,
}

/// A function that has been given to another driver, or that had it already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "`restore` puts the old driver back; dropping this does not"]
pub struct Bound {
    address: Address,
    before: Option<String>,
    override_before: Option<String>,
}

impl Bound {
    /// Which function.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The driver that it had before.
    pub fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// Puts the old driver back, or leaves the function without one if it had none.
    ///
    /// # Errors
    ///
    /// [`PciError::Absent`] if the function is gone, [`PciError::Bind`].
    pub fn restore(&self) -> Result<(), PciError> {
        Binder::host().restore(self)
    }
}

/// Gives a function of this machine to a driver: `vfio-pci`, `uio_pci_generic`, or another.
///
/// # Errors
///
/// [`PciError::Absent`], [`PciError::DriverAbsent`], [`PciError::InterfaceInUse`] unless forced,
/// [`PciError::Bind`] if the kernel does not do it, which says whether the old driver is back.
pub fn bind(address: Address, driver: &str, in_use: InUse) -> Result<Bound, PciError> {
    Binder::host().bind(address, driver, in_use)
}

/// Takes a function from a driver for user space and gives it to the one of the kernel that wants it
/// by its ids; says which one did. `None` if none does. A function that a kernel driver drives stays
/// as it is.
///
/// # Errors
///
/// [`PciError::Absent`]; [`PciError::Bind`] if the kernel refuses.
pub fn unbind(address: Address) -> Result<Option<String>, PciError> {
    Binder::host().unbind(address)
}

/// Whether a driver only holds a function for others: `vfio-pci` and its variants, the UIO drivers,
/// `pci-stub`.
fn is_for_user_space(driver: &str) -> bool {
    ["vfio", "uio", "stub"].iter().any(|part| driver.contains(part))
}

/// Writes a kernel's control file. In tests, what the kernel would then do.
trait Kernel {
    fn write(&self, root: &Root, path: &Path, text: &str) -> io::Result<()>;
}

struct Real;

impl Kernel for Real {
    fn write(&self, root: &Root, path: &Path, text: &str) -> io::Result<()> {
        // Not created if absent; one write for all, as the kernel's files want it.
        let mut file = std::fs::OpenOptions::new().write(true).open(root.path(path))?;
        io::Write::write_all(&mut file, text.as_bytes())
    }
}

struct Binder<K> {
    root: Root,
    kernel: K,
}

impl Binder<Real> {
    fn host() -> Self {
        Self { root: Root::host(), kernel: Real }
    }
}

impl<K: Kernel> Binder<K> {
    fn bind(&self, address: Address, driver: &str, in_use: InUse) -> Result<Bound, PciError> {
        let function = Function::find_in(&self.root, address)?;
        let before = function.driver.clone();
        let override_before = function.driver_override.clone();
        let bound = Bound { address, before, override_before };
        if bound.before.as_deref() == Some(driver) {
            return Ok(bound);
        }
        self.check(&function, driver, in_use)?;
        let moved = self.give(address, bound.before.as_deref(), driver);
        match moved {
            Ok(()) => Ok(bound),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                Err(PciError::BindDenied { address })
            }
            Err(source) => {
                let aftermath = self.aftermath(&bound);
                Err(PciError::Bind { address, driver: driver.to_owned(), source, aftermath })
            }
        }
    }

    fn check(&self, function: &Function, driver: &str, in_use: InUse) -> Result<(), PciError> {
        let plain = !driver.is_empty() && !driver.contains(['/', '\n', '.']);
        if !plain || !self.root.path(DRIVERS).join(driver).exists() {
            return Err(PciError::DriverAbsent { driver: driver.to_owned() });
        }
        let address = function.address;
        if driver == "vfio-pci" && function.iommu_group.is_none() {
            return Err(PciError::NoIommu { address });
        }
        let uses = match in_use {
            InUse::Force => Uses::default(),
            InUse::Refuse => Uses::read_in(&self.root),
        };
        let used = |name: &String| Some((name.clone(), uses.of(name)?.clone()));
        match function.interfaces.iter().find_map(used) {
            Some((interface, reason)) => {
                Err(PciError::InterfaceInUse { address, interface, reason })
            }
            None => Ok(()),
        }
    }

    fn give(&self, address: Address, from: Option<&str>, to: &str) -> io::Result<()> {
        self.set_override(address, to)?;
        if let Some(from) = from {
            self.release(address, from)?;
        }
        self.probe(address)?;
        self.expect(address, Some(to))
    }

    fn unbind(&self, address: Address) -> Result<Option<String>, PciError> {
        let function = Function::find_in(&self.root, address)?;
        let failed = |source| PciError::Bind {
            address,
            driver: "its kernel driver".to_owned(),
            source,
            aftermath: self.standing(address),
        };
        self.set_override(address, "").map_err(failed)?;
        match function.driver {
            Some(driver) if !is_for_user_space(&driver) => return Ok(Some(driver)),
            Some(driver) => self.release(address, &driver).map_err(failed)?,
            None => {}
        }
        self.probe(address).map_err(failed)?;
        Ok(self.driver(address))
    }

    fn restore(&self, bound: &Bound) -> Result<(), PciError> {
        Function::find_in(&self.root, bound.address)?;
        self.put_back(bound).map_err(|source| PciError::Bind {
            address: bound.address,
            driver: bound.before.clone().unwrap_or_else(|| "nothing".to_owned()),
            source,
            aftermath: self.standing(bound.address),
        })
    }

    fn put_back(&self, bound: &Bound) -> io::Result<()> {
        let address = bound.address;
        let now = self.driver(address);
        self.set_override(address, bound.override_before.as_deref().unwrap_or(""))?;
        if now == bound.before {
            return Ok(());
        }
        if let Some(now) = now {
            self.release(address, &now)?;
        }
        if let Some(before) = &bound.before {
            // By name: another driver may want the same ids.
            let path = format!("{DRIVERS}/{before}/bind");
            self.kernel.write(&self.root, path.as_ref(), &address.to_string())?;
        }
        self.expect(address, bound.before.as_deref())
    }

    /// Puts the old driver back, and tells what came of it.
    fn aftermath(&self, bound: &Bound) -> String {
        match (self.put_back(bound), &bound.before) {
            (Ok(()), Some(driver)) => format!("{driver} has it back"),
            (Ok(()), None) => "it has no driver, as before".to_owned(),
            (Err(error), _) => format!(
                "its old driver could not be put back ({error}): {}",
                self.standing(bound.address)
            ),
        }
    }

    fn standing(&self, address: Address) -> String {
        match self.driver(address) {
            Some(driver) => format!("it is driven by {driver} now"),
            None => "it has no driver now".to_owned(),
        }
    }

    fn driver(&self, address: Address) -> Option<String> {
        Folder::of(&self.root, address).link("driver")
    }

    fn set_override(&self, address: Address, driver: &str) -> io::Result<()> {
        let path = Folder::of(&self.root, address).path("driver_override");
        self.kernel.write(&self.root, &path, &format!("{driver}\n"))
    }

    fn release(&self, address: Address, driver: &str) -> io::Result<()> {
        let path = format!("{DRIVERS}/{driver}/unbind");
        self.kernel.write(&self.root, path.as_ref(), &address.to_string())
    }

    fn probe(&self, address: Address) -> io::Result<()> {
        self.kernel.write(&self.root, PROBE.as_ref(), &address.to_string())
    }

    fn expect(&self, address: Address, driver: Option<&str>) -> io::Result<()> {
        match self.driver(address) {
            now if now.as_deref() == driver => Ok(()),
            _ => Err(io::Error::other(format!(
                "the driver did not take it; {}, and the kernel's log may say why",
                self.standing(address)
            ))),
        }
    }
}

#[cfg(test)]
#[path = "bind_tests.rs"]
mod tests;

//! PCI: what is on the buses, which driver has it, and the way to its registers.
//!
//! ```
//! use linecard_eal::pci::Scan;
//!
//! for function in Scan::discover().network() {
//!     println!(
//!         "{} [{}] on node {:?}, group {:?}, driven by {:?}",
//!         function.address, function.identity, function.node, function.iommu_group, function.driver,
//!     );
//! }
//! ```
//!
//! # Binding
//!
//! ```no_run
//! use linecard_eal::pci::{self, InUse};
//!
//! # fn main() -> Result<(), linecard_eal::pci::PciError> {
//! let address = "0000:03:00.0".parse()?;
//! // Refuses an interface that carries an address or the default route.
//! let bound = pci::bind(address, "vfio-pci", InUse::Refuse)?;
//! // … drive it …
//! bound.restore()?;
//! # Ok(())
//! # }
//! ```

mod address;
mod bind;
mod config;
mod error;
mod function;
mod group;
mod interface;
mod map;
mod open;
mod resource;
mod scan;

pub use address::Address;
pub use bind::{Bound, InUse, bind, unbind};
pub use config::SysfsConfig;
pub use error::PciError;
pub(crate) use function::Folder;
pub use function::{Function, Sriov};
pub use group::Group;
pub use interface::{Use, Uses};
pub(crate) use map::bar as sysfs_bar;
pub use open::{open, open_in};
pub use resource::{BARS, BarInfo, BarKind};
pub use scan::Scan;

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;

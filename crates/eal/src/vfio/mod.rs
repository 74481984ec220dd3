//! Devices through VFIO: registers, DMA and interrupts behind an IOMMU, without privilege.
//!
//! All that is needed is access to the group's file (`/dev/vfio/7`), or with iommufd to the
//! device's (`/dev/vfio/devices/vfio0`) and `/dev/iommu`, and a limit of locked memory
//! (`RLIMIT_MEMLOCK`) that covers what is mapped.
//!
//! ```no_run
//! use linecard_eal::device::{Device, Place};
//! use linecard_eal::mem::Request;
//! use linecard_eal::vfio::{Api, Space};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let space = Space::new(Api::Auto);
//! let device = space.open("0000:03:00.0".parse()?)?;
//! let registers = device.bar(0)?;
//! println!("{:#x}", registers.read32(8));
//!
//! let packets = Request::new(1 << 21).map()?;
//! // SAFETY: the device is told of no byte of it; the mapping goes before the segment.
//! let mapping = unsafe { device.dma().map(&packets, Place::Native) }?;
//! println!("{:?}", mapping.contiguous(0, 64));
//! # Ok(())
//! # }
//! ```
//!
//! # Addresses
//!
//! A device sees memory where this process does ([`Place::Native`](crate::device::Place)), or, on
//! request, where the space has room (`Private`) or where it is told to (`At`). An IOMMU of 39 bits
//! cannot hold an address of 47: [`mem::Request`](crate::mem::Request) therefore maps low by
//! itself, and a segment that is too high all the same is an error that says so.
//!
//! # Devices that share
//!
//! Devices opened in one [`Space`] share their mappings; those of one IOMMU group must. The space
//! lives as long as a device, a mapping, or a handle of it does; until then the group belongs to
//! this process, and the kernel gives it to no driver.

mod backend;
pub(crate) mod caps;
mod container;
mod device;
mod iommufd;
mod iova;
mod irq;
mod space;
mod sys;

pub use backend::Api;
pub use device::VfioDevice;
pub(crate) use iova::IovaSpace;
pub use space::Space;

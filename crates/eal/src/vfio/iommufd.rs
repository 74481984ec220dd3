//! iommufd, with a file for each device: VFIO's way to an IOMMU since Linux 6.6.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use iommufd_bindings::iommufd as iommu;
use vfio_bindings::bindings::vfio;

use super::backend::{Abilities, failed, open};
use super::sys;
use crate::Root;
use crate::pci::{Folder, Function, Group, PciError};

/// An I/O address space of iommufd.
#[derive(Debug)]
pub(super) struct Iommufd {
    file: File,
    ioas: u32,
}

const IOMMU: &str = "/dev/iommu";

/// The file of a device for iommufd, if the kernel makes one.
pub(super) fn cdev(root: &Root, function: &Function) -> Option<String> {
    let names = Folder::of(root, function.address).names("vfio-dev");
    names.first().map(|name| format!("/dev/vfio/devices/{name}"))
}

impl Iommufd {
    pub(super) fn new() -> Result<Self, PciError> {
        let file = open(IOMMU, "iommufd")?;
        let mut alloc = iommu::iommu_ioas_alloc::default();
        // SAFETY: it points to nothing.
        unsafe { sys::call(file.as_fd(), sys::IOAS_ALLOC, &mut alloc) }
            .map_err(failed("cannot make an address space of iommufd"))?;
        Ok(Self { file, ioas: alloc.out_ioas_id })
    }

    pub(super) fn device(&self, root: &Root, function: &Function) -> Result<File, PciError> {
        let address = function.address;
        let path = cdev(root, function).ok_or_else(|| PciError::Unsuitable {
            what: format!(
                "the kernel makes no file in /dev/vfio/devices for {address}: use groups"
            ),
        })?;
        let file = open(&path, "vfio-pci")?;
        let busy = |error: io::Error| match error.kind() {
            io::ErrorKind::ResourceBusy => PciError::Busy { path: path.clone() },
            _ => self.refused(root, function, error),
        };
        let mut bind =
            vfio::vfio_device_bind_iommufd { iommufd: self.file.as_raw_fd(), ..Default::default() };
        // SAFETY: without flags it points to nothing.
        unsafe { sys::call(file.as_fd(), sys::DEVICE_BIND_IOMMUFD, &mut bind) }.map_err(busy)?;
        let mut attach =
            vfio::vfio_device_attach_iommufd_pt { pt_id: self.ioas, ..Default::default() };
        // SAFETY: it points to nothing.
        unsafe { sys::call(file.as_fd(), sys::DEVICE_ATTACH, &mut attach) }
            .map_err(|error| self.refused(root, function, error))?;
        Ok(file)
    }

    fn refused(&self, root: &Root, function: &Function, error: io::Error) -> PciError {
        let group = function.iommu_group.map(|number| Group::read_in(root, number));
        match group.map(|group| group.and_then(|group| group.viable())) {
            Some(Err(reason)) => reason,
            _ => failed(format!("cannot give {} an address space", function.address))(error),
        }
    }

    /// # Safety
    ///
    /// As [`Backend::map`](super::backend::Backend::map).
    pub(super) unsafe fn map(&self, base: *mut u8, len: usize, iova: u64) -> io::Result<()> {
        let mut map = iommu::iommu_ioas_map {
            flags: iommu::iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
                | iommu::iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE
                | iommu::iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
            ioas_id: self.ioas,
            user_va: base.expose_provenance() as u64,
            length: len as u64,
            iova,
            ..Default::default()
        };
        // SAFETY: the caller's promise about what `user_va` points to.
        unsafe { sys::call(self.file.as_fd(), sys::IOAS_MAP, &mut map) }.map(drop)
    }

    pub(super) fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
        let (ioas_id, length) = (self.ioas, len as u64);
        let mut unmap = iommu::iommu_ioas_unmap { ioas_id, iova, length, ..Default::default() };
        // SAFETY: it points to nothing.
        unsafe { sys::call(self.file.as_fd(), sys::IOAS_UNMAP, &mut unmap) }.map(drop)
    }

    pub(super) fn abilities(&self) -> io::Result<Abilities> {
        const ROOM: usize = 256;
        let mut ranges = [iommu::iommu_iova_range::default(); ROOM];
        let mut ask = iommu::iommu_ioas_iova_ranges {
            size: size_of::<iommu::iommu_ioas_iova_ranges>() as u32,
            ioas_id: self.ioas,
            num_iovas: ROOM as u32,
            allowed_iovas: ranges.as_mut_ptr().expose_provenance() as u64,
            ..Default::default()
        };
        // SAFETY: `allowed_iovas` has room for as many as `num_iovas` says, and is exposed by the
        // cast of its pointer; both outlive the call.
        unsafe { sys::raw(self.file.as_fd(), sys::IOAS_IOVA_RANGES, &raw mut ask) }?;
        let count = (ask.num_iovas as usize).min(ROOM);
        Ok(Abilities {
            ranges: ranges[..count].iter().map(|range| (range.start, range.last)).collect(),
            page_sizes: ask.out_iova_alignment.max(1).wrapping_neg(),
            mappings: None,
        })
    }
}

//! A container of groups: VFIO's way to an IOMMU in all kernels.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Mutex;

use vfio_bindings::bindings::vfio;

use super::backend::{Abilities, failed, open};
use super::caps;
use super::sys::{self, Request};
use crate::Root;
use crate::pci::{Function, Group, PciError};

#[repr(C)]
struct Unmap {
    argsz: u32,
    flags: u32,
    iova: u64,
    len: u64,
}

const _: () = assert!(size_of::<Unmap>() == size_of::<vfio::vfio_iommu_type1_dma_unmap>());

/// A container with the groups in it. They stay open as long as the container, so that mappings
/// stay when a device is closed and opened again.
#[derive(Debug)]
pub(super) struct Container {
    file: File,
    groups: Mutex<BTreeMap<u32, File>>,
}

const CONTAINER: &str = "/dev/vfio/vfio";

impl Container {
    pub(super) fn new() -> Result<Self, PciError> {
        let file = open(CONTAINER, "vfio-pci")?;
        let ask = |request: Request, value| sys::number(file.as_fd(), request, value).unwrap_or(0);
        let version = sys::number(file.as_fd(), sys::GET_API_VERSION, 0);
        let knows = ask(sys::CHECK_EXTENSION, vfio::VFIO_TYPE1v2_IOMMU) == 1;
        match version {
            Ok(vfio::VFIO_API_VERSION) if knows => Ok(Self { file, groups: Mutex::default() }),
            Ok(vfio::VFIO_API_VERSION) => Err(PciError::Unsuitable {
                what: "the kernel's VFIO has no type 1 IOMMU: `modprobe vfio_iommu_type1`".into(),
            }),
            version => Err(PciError::Unsuitable {
                what: format!("{CONTAINER} is of version {version:?}, and 0 is the only one known"),
            }),
        }
    }

    pub(super) fn device(&self, root: &Root, function: &Function) -> Result<File, PciError> {
        let address = function.address;
        let number = function.iommu_group.ok_or(PciError::NoIommu { address })?;
        let mut groups = self.groups.lock().unwrap_or_else(|poison| poison.into_inner());
        if !groups.contains_key(&number) {
            let group = self.join(root, number, groups.is_empty())?;
            groups.insert(number, group);
        }
        let name = CString::new(address.to_string()).unwrap_or_default();
        // SAFETY: a string, ended by a zero, that outlives the call.
        let fd = unsafe {
            sys::raw(groups[&number].as_fd(), sys::GROUP_GET_DEVICE_FD, name.as_ptr().cast_mut())
        };
        let fd = fd.map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => PciError::Busy { path: format!("/dev/vfio/{number}") },
            _ => failed(format!("cannot get {address} from its group"))(error),
        })?;
        // SAFETY: a descriptor that the kernel just made for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }.into())
    }

    /// Opens a group and puts it into the container.
    fn join(&self, root: &Root, number: u32, is_first: bool) -> Result<File, PciError> {
        let path = format!("/dev/vfio/{number}");
        let group = open(&path, "vfio-pci")?;
        let mut status = vfio::vfio_group_status::default();
        // SAFETY: it points to nothing.
        unsafe { sys::call(group.as_fd(), sys::GROUP_GET_STATUS, &mut status) }
            .map_err(failed(format!("cannot ask the state of {path}")))?;
        if status.flags & vfio::VFIO_GROUP_FLAGS_VIABLE == 0 {
            Group::read_in(root, number)?.viable()?;
            return Err(PciError::GroupNotViable { group: number, others: Vec::new() });
        }
        let mut container = self.file.as_raw_fd();
        // SAFETY: the kernel reads one number from `container`.
        unsafe { sys::raw(group.as_fd(), sys::GROUP_SET_CONTAINER, &raw mut container) }
            .map_err(failed(format!("cannot put {path} into a container")))?;
        if is_first {
            sys::number(self.file.as_fd(), sys::SET_IOMMU, vfio::VFIO_TYPE1v2_IOMMU)
                .map_err(unsafe_interrupts)?;
        }
        Ok(group)
    }

    /// # Safety
    ///
    /// As [`Backend::map`](super::backend::Backend::map).
    pub(super) unsafe fn map(&self, base: *mut u8, len: usize, iova: u64) -> io::Result<()> {
        let mut map = vfio::vfio_iommu_type1_dma_map {
            flags: vfio::VFIO_DMA_MAP_FLAG_READ | vfio::VFIO_DMA_MAP_FLAG_WRITE,
            vaddr: base.expose_provenance() as u64,
            iova,
            size: len as u64,
            ..Default::default()
        };
        // SAFETY: the caller's promise about what `vaddr` points to.
        unsafe { sys::call(self.file.as_fd(), sys::IOMMU_MAP_DMA, &mut map) }.map(drop)
    }

    pub(super) fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
        // As vfio_iommu_type1_dma_unmap without the bitmap, of which we ask for none.
        let argsz = size_of::<Unmap>() as u32;
        let mut unmap = Unmap { argsz, flags: 0, iova, len: len as u64 };
        // SAFETY: the structure is as long as it says, and points to nothing.
        unsafe { sys::raw(self.file.as_fd(), sys::IOMMU_UNMAP_DMA, &raw mut unmap) }.map(drop)
    }

    pub(super) fn abilities(&self) -> io::Result<Abilities> {
        let info = vfio::vfio_iommu_type1_info::default();
        let answer = sys::query(self.file.as_fd(), sys::IOMMU_GET_INFO, info)?;
        let mut abilities =
            Abilities { page_sizes: answer.head.iova_pgsizes, ..Abilities::default() };
        let has_caps = answer.head.flags & vfio::VFIO_IOMMU_INFO_CAPS != 0;
        let first = if has_caps { answer.head.cap_offset } else { 0 };
        for cap in caps::chain(&answer.bytes, first) {
            match u32::from(cap.id) {
                vfio::VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE => {
                    abilities.ranges = caps::pairs(cap.body);
                }
                vfio::VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL => {
                    let count = cap.body.first_chunk().copied();
                    abilities.mappings = count.map(u32::from_ne_bytes);
                }
                _ => {}
            }
        }
        Ok(abilities)
    }
}

/// The kernel refuses an IOMMU that does not check interrupts, as a device could forge them.
fn unsafe_interrupts(error: io::Error) -> PciError {
    match error.raw_os_error() {
        Some(libc::EPERM) => PciError::Unsuitable {
            what: "the IOMMU does not remap interrupts, and the kernel wants that: switch it on \
                   in the firmware, or load vfio_iommu_type1 with allow_unsafe_interrupts=1"
                .into(),
        },
        _ => failed("cannot set the IOMMU of a VFIO container")(error),
    }
}

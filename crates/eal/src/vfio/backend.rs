//! The two ways to an IOMMU: a container of groups, and iommufd with a file for each device.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Mutex;

use iommufd_bindings::iommufd as iommu;
use vfio_bindings::bindings::vfio;

use super::caps;
use super::sys::{self, Request};
use crate::Root;
use crate::device::DeviceError;
use crate::pci::{Folder, Function, Group, PciError};

/// Which way to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// iommufd if the kernel has it for the device and this process may use it, else groups.
    #[default]
    Auto,
    /// Groups and containers: all kernels.
    Group,
    /// iommufd: since Linux 6.6.
    Cdev,
}

/// One address space, empty or with devices in it.
#[derive(Debug)]
pub(super) enum Backend {
    Container(Container),
    Iommufd(Iommufd),
}

/// What an address space can do; known once a device is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Abilities {
    pub(super) ranges: Vec<(u64, u64)>,
    pub(super) page_sizes: u64,
    pub(super) mappings: Option<u32>,
}

pub(super) fn open(path: &str, module: &'static str) -> Result<File, PciError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map_err(|error| PciError::opening(path, module, error))
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> PciError {
    let what = what.into();
    |source| PciError::Device(DeviceError::io(what, source))
}

impl Backend {
    /// Opens a device and puts it into the address space.
    pub(super) fn device(&self, root: &Root, function: &Function) -> Result<File, PciError> {
        match self {
            Self::Container(container) => container.device(root, function),
            Self::Iommufd(iommufd) => iommufd.device(root, function),
        }
    }

    pub(super) fn abilities(&self) -> io::Result<Abilities> {
        match self {
            Self::Container(container) => container.abilities(),
            Self::Iommufd(iommufd) => iommufd.abilities(),
        }
    }

    /// # Safety
    ///
    /// The `len` bytes at `base` stay mapped until `unmap`, and the device is told only of those
    /// that nothing else accesses.
    pub(super) unsafe fn map(&self, base: *mut u8, len: usize, iova: u64) -> io::Result<()> {
        let (user, len) = (base.addr() as u64, len as u64);
        match self {
            Self::Container(container) => {
                let flags = vfio::VFIO_DMA_MAP_FLAG_READ | vfio::VFIO_DMA_MAP_FLAG_WRITE;
                let mut map = vfio::vfio_iommu_type1_dma_map {
                    flags,
                    vaddr: user,
                    iova,
                    size: len,
                    ..Default::default()
                };
                // SAFETY: the caller's promise about what `vaddr` points to.
                unsafe { sys::call(container.file.as_fd(), sys::IOMMU_MAP_DMA, &mut map) }?;
            }
            Self::Iommufd(iommufd) => {
                let mut map = iommu::iommu_ioas_map {
                    flags: iommu::iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
                        | iommu::iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE
                        | iommu::iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
                    ioas_id: iommufd.ioas,
                    user_va: user,
                    length: len,
                    iova,
                    ..Default::default()
                };
                // SAFETY: the caller's promise about what `user_va` points to.
                unsafe { sys::call(iommufd.file.as_fd(), sys::IOAS_MAP, &mut map) }?;
            }
        }
        Ok(())
    }

    pub(super) fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
        let len = len as u64;
        match self {
            Self::Container(container) => {
                // As vfio_iommu_type1_dma_unmap without the bitmap, of which we ask for none.
                let mut unmap = Unmap { argsz: size_of::<Unmap>() as u32, flags: 0, iova, len };
                // SAFETY: the structure is as long as it says, and points to nothing.
                unsafe { sys::raw(container.file.as_fd(), sys::IOMMU_UNMAP_DMA, &raw mut unmap) }?;
            }
            Self::Iommufd(iommufd) => {
                let mut unmap = iommu::iommu_ioas_unmap {
                    ioas_id: iommufd.ioas,
                    iova,
                    length: len,
                    ..Default::default()
                };
                // SAFETY: it points to nothing.
                unsafe { sys::call(iommufd.file.as_fd(), sys::IOAS_UNMAP, &mut unmap) }?;
            }
        }
        Ok(())
    }
}

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

    fn device(&self, root: &Root, function: &Function) -> Result<File, PciError> {
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

    fn abilities(&self) -> io::Result<Abilities> {
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

    fn device(&self, root: &Root, function: &Function) -> Result<File, PciError> {
        let address = function.address;
        let path = cdev(root, function).ok_or_else(|| PciError::Unsuitable {
            what: format!(
                "the kernel makes no file in /dev/vfio/devices for {address}: use groups"
            ),
        })?;
        let file = open(&path, "vfio-pci")?;
        let mut bind =
            vfio::vfio_device_bind_iommufd { iommufd: self.file.as_raw_fd(), ..Default::default() };
        // SAFETY: without flags it points to nothing.
        unsafe { sys::call(file.as_fd(), sys::DEVICE_BIND_IOMMUFD, &mut bind) }
            .map_err(|error| self.refused(root, function, error))?;
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

    fn abilities(&self) -> io::Result<Abilities> {
        const ROOM: usize = 256;
        let mut ranges = [iommu::iommu_iova_range::default(); ROOM];
        let mut ask = iommu::iommu_ioas_iova_ranges {
            size: size_of::<iommu::iommu_ioas_iova_ranges>() as u32,
            ioas_id: self.ioas,
            num_iovas: ROOM as u32,
            allowed_iovas: ranges.as_mut_ptr().addr() as u64,
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

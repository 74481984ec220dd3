//! An address space that devices share.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::backend::{Api, Backend};
use super::container::Container;
use super::device::VfioDevice;
use super::iommufd::{Iommufd, cdev};
use super::iova::IovaSpace;
use crate::Root;
use crate::device::{DeviceError, Dma, DmaLimits, Mapping, Place};
use crate::mem::{Iova, IovaMap, IovaMode, Segment};
use crate::pci::{Address, Function, PciError};

/// An address space of the IOMMU: devices that are opened in it see the same memory, so that a
/// pool of packets is mapped once for all of them. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Space(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    /// Made with the first device, which decides what there is.
    opened: Mutex<Option<Arc<Opened>>>,
}

/// The address space, once a device is in it.
#[derive(Debug)]
pub(super) struct Opened {
    backend: Backend,
    iovas: Mutex<IovaSpace>,
    limits: DmaLimits,
}

/// The driver that a function must be bound to, or a variant of it for a kind of device.
const DRIVER: &str = "vfio-pci";

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

impl Space {
    /// An empty one.
    pub fn new(api: Api) -> Self {
        Self(Arc::new(Inner { api, opened: Mutex::new(None) }))
    }

    /// Which way to the IOMMU is taken; [`Api::Auto`] as long as no device is in it.
    pub fn api(&self) -> Api {
        match locked(&self.0.opened).as_deref().map(|opened| &opened.backend) {
            Some(Backend::Container(_)) => Api::Group,
            Some(Backend::Iommufd(_)) => Api::Cdev,
            None => self.0.api,
        }
    }

    /// Opens a function of this machine in this address space.
    ///
    /// # Errors
    ///
    /// [`PciError::Absent`], [`PciError::OtherDriver`], [`PciError::NoIommu`],
    /// [`PciError::GroupNotViable`], [`PciError::ModuleAbsent`], [`PciError::Denied`],
    /// [`PciError::Busy`] if it is open elsewhere.
    pub fn open(&self, address: Address) -> Result<VfioDevice, PciError> {
        let root = Root::host();
        let function = Function::find_in(&root, address)?;
        if !function.driver.as_deref().is_some_and(|driver| driver.contains("vfio")) {
            let driver = function.driver;
            return Err(PciError::OtherDriver { address, driver, wanted: DRIVER });
        }
        let mut opened = locked(&self.0.opened);
        let (space, file) = match opened.as_ref() {
            Some(space) => (space.clone(), space.backend.device(&root, &function)?),
            None => self.first(&root, &function)?,
        };
        let device = VfioDevice::new(function, file, space.clone())?;
        *opened = Some(space);
        Ok(device)
    }

    fn first(
        &self,
        root: &Root,
        function: &Function,
    ) -> Result<(Arc<Opened>, std::fs::File), PciError> {
        let backend = backend(self.0.api, root, function)?;
        let file = backend.device(root, function)?;
        let abilities = backend
            .abilities()
            .map_err(|source| DeviceError::io("cannot ask what the IOMMU can do", source))?;
        let iovas = IovaSpace::new(abilities.ranges);
        let limits = DmaLimits {
            mode: IovaMode::Virtual,
            address_bits: iovas.address_bits(),
            page_sizes: abilities.page_sizes,
            mappings: abilities.mappings,
        };
        Ok((Arc::new(Opened { backend, iovas: Mutex::new(iovas), limits }), file))
    }
}

fn backend(api: Api, root: &Root, function: &Function) -> Result<Backend, PciError> {
    let has_cdev = || {
        let path = cdev(root, function);
        path.is_some_and(|path| usable(&path) && usable("/dev/iommu"))
    };
    match api {
        Api::Cdev => Iommufd::new().map(Backend::Iommufd),
        Api::Auto if has_cdev() => Iommufd::new().map(Backend::Iommufd),
        Api::Auto | Api::Group => {
            let address = function.address;
            function.iommu_group.ok_or(PciError::NoIommu { address })?;
            Container::new().map(Backend::Container)
        }
    }
}

/// Whether this process may read and write a file.
fn usable(path: &str) -> bool {
    let Ok(path) = std::ffi::CString::new(path) else { return false };
    // SAFETY: a string, ended by a zero, that outlives the call.
    unsafe { libc::access(path.as_ptr(), libc::R_OK | libc::W_OK) == 0 }
}

impl Opened {
    fn place(&self, segment: &Segment, place: Place) -> Result<Iova, DeviceError> {
        let (len, page) = (segment.len(), segment.page_size().bytes());
        let mut iovas = locked(&self.iovas);
        let fixed = match place {
            Place::Native => Iova::new(segment.address().raw() as u64),
            Place::At(iova) => iova,
            Place::Private => {
                let bits = self.limits.address_bits;
                let full = DeviceError::AddressTooWide { iova: Iova::new(0), len, bits };
                return iovas.allocate(len, page).ok_or(full);
            }
        };
        iovas.take(fixed, len)?;
        Ok(fixed)
    }

    fn refused(&self, iova: Iova, len: usize, error: io::Error) -> DeviceError {
        let taken = |reason: &str| DeviceError::AddressTaken { iova, len, reason: reason.into() };
        match (error.raw_os_error(), memlock()) {
            (Some(libc::ENOMEM), Some(limit)) => DeviceError::LockedMemory { needed: len, limit },
            (Some(libc::EEXIST), _) => taken("another segment is mapped there"),
            (Some(libc::ENOSPC), _) => taken(
                "there are as many mappings as the kernel allows (dma_entry_limit of \
                 vfio_iommu_type1): use larger segments",
            ),
            _ => DeviceError::io(format!("cannot map {len:#x} bytes at IOVA {iova}"), error),
        }
    }
}

/// The limit of locked memory, unless there is none.
fn memlock() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is where the answer is written.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (got == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// What a mapping undoes when it is dropped.
struct Undo {
    space: Arc<Opened>,
    iova: Iova,
    len: usize,
}

impl Drop for Undo {
    fn drop(&mut self) {
        // It can only fail if the kernel has undone it already, with the last device.
        let _ = self.space.backend.unmap(self.iova.raw(), self.len);
        locked(&self.space.iovas).release(self.iova);
    }
}

/// A handle for drivers.
#[derive(Debug)]
pub(super) struct SpaceDma(pub(super) Arc<Opened>);

impl Dma for SpaceDma {
    fn limits(&self) -> DmaLimits {
        self.0.limits
    }

    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError> {
        let iova = self.0.place(segment, place)?;
        let (base, len) = (segment.base().as_ptr(), segment.len());
        // SAFETY: the caller keeps the segment until the mapping is dropped, and tells the device
        // only of bytes that nothing else accesses.
        let mapped = unsafe { self.0.backend.map(base, len, iova.raw()) };
        if let Err(error) = mapped {
            locked(&self.0.iovas).release(iova);
            return Err(self.0.refused(iova, len, error));
        }
        let addresses = IovaMap::contiguous_from(iova, len, segment.page_size().bytes());
        Ok(Mapping::new(addresses, Undo { space: self.0.clone(), iova, len }))
    }
}

//! A device through VFIO.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use memmap2::MmapOptions;
use vfio_bindings::bindings::vfio;

use super::caps;
use super::irq::Irqs;
use super::space::{Opened, SpaceDma};
use super::sys;
use crate::device::{
    Bar, Command, ConfigSpace, Device, DeviceError, Dma, Identity, Interrupts, Presence, Registers,
    State, Width,
};
use crate::event::EventFd;
use crate::mmio::Mmio;
use crate::pci::{BARS, Function, PciError};

/// A function that is bound to `vfio-pci`, opened.
#[derive(Debug)]
pub struct VfioDevice {
    name: String,
    function: Function,
    file: Arc<File>,
    flags: u32,
    config: Region,
    irqs: Irqs,
    removal: EventFd,
    bars: [OnceLock<Bar>; BARS],
    presence: Presence,
    space: Arc<Opened>,
}

static_assertions::assert_impl_all!(VfioDevice: Send, Sync);

/// A stretch of the device's file.
#[derive(Debug)]
struct Region {
    file: Arc<File>,
    offset: u64,
    size: usize,
}

/// A region's place in the device's file, and its windows that can be mapped (offset, length).
struct Layout {
    region: Region,
    windows: Vec<(u64, u64)>,
}

fn layout(file: &Arc<File>, index: u32) -> io::Result<Layout> {
    let ask = vfio::vfio_region_info { index, ..Default::default() };
    let answer = sys::query(file.as_fd(), sys::DEVICE_GET_REGION_INFO, ask)?;
    let info = answer.head;
    let size = usize::try_from(info.size).map_err(|_| io::ErrorKind::InvalidData)?;
    let has = |flag| info.flags & flag != 0;
    let first = if has(vfio::VFIO_REGION_INFO_FLAG_CAPS) { info.cap_offset } else { 0 };
    let mut caps = caps::chain(&answer.bytes, first);
    let sparse = caps.find(|cap| u32::from(cap.id) == vfio::VFIO_REGION_INFO_CAP_SPARSE_MMAP);
    let windows = match (has(vfio::VFIO_REGION_INFO_FLAG_MMAP), sparse) {
        (false, _) => Vec::new(),
        (true, None) => vec![(0, info.size)],
        (true, Some(sparse)) => caps::pairs(sparse.body),
    };
    let region = Region { file: file.clone(), offset: info.offset, size };
    Ok(Layout { region, windows })
}

impl VfioDevice {
    pub(super) fn new(
        function: Function,
        file: File,
        space: Arc<Opened>,
    ) -> Result<Self, PciError> {
        let name = function.address.to_string();
        let failed = |source| DeviceError::io(format!("cannot ask what {name} is"), source);
        let file = Arc::new(file);
        let info = vfio::vfio_device_info::default();
        let info = sys::query(file.as_fd(), sys::DEVICE_GET_INFO, info).map_err(failed)?.head;
        if info.flags & vfio::VFIO_DEVICE_FLAGS_PCI == 0 {
            return Err(PciError::Unsuitable { what: format!("VFIO says that {name} is not PCI") });
        }
        let config = layout(&file, vfio::VFIO_PCI_CONFIG_REGION_INDEX).map_err(failed)?.region;
        let irqs = Irqs::new(file.clone(), info.num_irqs).map_err(failed)?;
        let removal = EventFd::new().map_err(failed)?;
        irqs.notify_removal(&removal).map_err(failed)?;
        let device = Self {
            name,
            function,
            file,
            flags: info.flags,
            config,
            irqs,
            removal,
            bars: Default::default(),
            presence: Presence::new(),
            space,
        };
        device.config().change_command(Command::MEMORY | Command::IO, Command::BUS_MASTER)?;
        Ok(device)
    }

    /// The function, as it was when it was opened.
    pub fn function(&self) -> &Function {
        &self.function
    }

    fn map(&self, index: u8) -> Result<Bar, DeviceError> {
        let failed =
            |source| DeviceError::io(format!("cannot map BAR {index} of {}", self.name), source);
        let Layout { region, windows } = layout(&self.file, index.into()).map_err(failed)?;
        let (len, offset) = (region.size, region.offset);
        if len == 0 {
            return Err(self.no_bar(index));
        }
        let mut builder = Bar::builder(len);
        for (start, size) in windows {
            let (start, size) = (start as usize, size as usize);
            if start.checked_add(size).is_none_or(|end| end > len) {
                return Err(failed(io::ErrorKind::InvalidData.into()));
            }
            let mut options = MmapOptions::new();
            options.offset(offset + start as u64).len(size);
            let map = options.map_raw(&*self.file).map_err(failed)?;
            // SAFETY: the mapping is of the device's registers, for reading and writing.
            let window = unsafe { Mmio::over_with(map, self.file.clone()) };
            builder = builder.window(start, window.ok_or_else(|| self.no_bar(index))?);
        }
        Ok(builder.rest(Arc::new(region)).build())
    }

    fn no_bar(&self, index: u8) -> DeviceError {
        DeviceError::NoBar { name: self.name.clone(), index }
    }
}

impl Device for VfioDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn identity(&self) -> Identity {
        self.function.identity
    }

    fn node(&self) -> Option<u32> {
        self.function.node
    }

    fn config(&self) -> &dyn ConfigSpace {
        &self.config
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        let place = self.bars.get(usize::from(index)).ok_or_else(|| self.no_bar(index))?;
        match place.get() {
            Some(bar) => Ok(bar.clone()),
            None => {
                let bar = self.map(index)?;
                Ok(place.get_or_init(|| bar).clone())
            }
        }
    }

    fn dma(&self) -> Arc<dyn Dma> {
        Arc::new(SpaceDma(self.space.clone()))
    }

    fn interrupts(&self) -> &dyn Interrupts {
        &self.irqs
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.irqs.disable()?;
        self.config().disable_bus_master()?;
        if self.flags & vfio::VFIO_DEVICE_FLAGS_RESET == 0 {
            let what = "reset but by its own registers".to_owned();
            return Err(DeviceError::Unsupported { name: self.name.clone(), what });
        }
        let reset = sys::number(self.file.as_fd(), sys::DEVICE_RESET, 0);
        let failed = |source| DeviceError::io(format!("cannot reset {}", self.name), source);
        reset.map(drop).map_err(failed)
    }

    fn state(&self) -> State {
        if is_readable(self.removal.as_fd()) {
            self.presence.worsen(State::Leaving);
        }
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.presence.is_gone(self.config())
    }

    fn removal(&self) -> Option<BorrowedFd<'_>> {
        Some(self.removal.as_fd())
    }
}

impl Drop for VfioDevice {
    fn drop(&mut self) {
        // Nobody is left to tell of an error; a device that is gone does no DMA either.
        let _ = self.irqs.disable();
        let _ = self.config().disable_bus_master();
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, valid for the call, which does not wait.
    let got = unsafe { libc::poll(&raw mut poll, 1, 0) };
    got == 1 && poll.revents & libc::POLLIN != 0
}

impl ConfigSpace for Region {
    fn size(&self) -> usize {
        self.size
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size, offset, bytes.len())?;
        // A device that is gone is an error of the read; what the bus would give is all ones.
        if self.file.read_exact_at(bytes, self.offset + u64::from(offset)).is_err() {
            bytes.fill(0xff);
        }
        Ok(())
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size, offset, bytes.len())?;
        let put = self.file.write_all_at(bytes, self.offset + u64::from(offset));
        put.map_err(|source| DeviceError::io(format!("cannot write config {offset:#x}"), source))
    }
}

/// Registers that cannot be mapped: I/O ports, and pages with a table of interrupts in them.
impl Registers for Region {
    fn read(&self, offset: usize, width: Width) -> u64 {
        let mut bytes = [0; 8];
        let got = self.file.read_exact_at(&mut bytes[..width.bytes()], self.offset + offset as u64);
        got.map_or(u64::MAX, |()| u64::from_le_bytes(bytes))
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        let bytes = &value.to_le_bytes()[..width.bytes()];
        // A device that is gone takes no writes, and nobody is told: it is as on the bus.
        let _ = self.file.write_all_at(bytes, self.offset + offset as u64);
    }
}

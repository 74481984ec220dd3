//! A device through `uio_pci_generic`: registers and an interrupt line, and no IOMMU.
//!
//! The device reaches all of the machine's memory, by physical address. So this needs root, memory
//! in huge pages (which stay where they are), and a driver that can be trusted: where there is an
//! IOMMU, [`vfio`](crate::vfio) is the better way.
//!
//! A device that is unplugged while it is driven through UIO takes its mapped registers with it,
//! and the next access is a SIGBUS: only VFIO holds the kernel back until the driver lets go.

mod dma;
mod interrupt;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, OnceLock};

use crate::Root;
use crate::device::{
    Bar, Command, ConfigSpace, Device, DeviceError, Dma, Identity, InterruptKind, Interrupts,
    Presence, State,
};
use crate::pci::{Address, BARS, Folder, Function, PciError, SysfsConfig, sysfs_bar};
use dma::Physical;
use interrupt::Line;

/// The driver that a function must be bound to.
pub const DRIVER: &str = "uio_pci_generic";

/// A function that is bound to `uio_pci_generic`, opened.
#[derive(Debug)]
pub struct UioDevice {
    root: Root,
    name: String,
    function: Function,
    config: Arc<SysfsConfig>,
    line: Line,
    bars: [OnceLock<Bar>; BARS],
    presence: Presence,
}

impl UioDevice {
    /// Opens a function of this machine.
    ///
    /// # Errors
    ///
    /// [`PciError::Absent`], [`PciError::OtherDriver`], [`PciError::Denied`],
    /// [`PciError::Busy`] if it is open elsewhere.
    pub fn open(address: Address) -> Result<Self, PciError> {
        let root = Root::host();
        let function = Function::find_in(&root, address)?;
        if function.driver.as_deref() != Some(DRIVER) {
            let driver = function.driver;
            return Err(PciError::OtherDriver { address, driver, wanted: DRIVER });
        }
        let file = Arc::new(open_alone(&root, address)?);
        let config = Arc::new(SysfsConfig::read_write(&root, address)?);
        let space: &dyn ConfigSpace = &*config;
        // What was running before must not go on: the interrupt line and DMA are off at first.
        let off = Command::BUS_MASTER;
        space.change_command(Command::MEMORY | Command::IO | Command::INTX_DISABLE, off)?;
        Ok(Self {
            root,
            name: address.to_string(),
            line: Line::new(file, config.clone()),
            function,
            config,
            bars: Default::default(),
            presence: Presence::new(),
        })
    }

    /// The function, as it was when it was opened.
    pub fn function(&self) -> &Function {
        &self.function
    }

    fn unsupported(&self, what: &str) -> DeviceError {
        DeviceError::Unsupported { name: self.name.clone(), what: what.to_owned() }
    }
}

/// Opens the function's UIO file, and locks it: the kernel would let others in.
fn open_alone(root: &Root, address: Address) -> Result<File, PciError> {
    let names = Folder::of(root, address).names("uio");
    let Some(name) = names.first() else {
        let what = format!("{address} has no uio device, though {DRIVER} drives it");
        return Err(PciError::Unsuitable { what });
    };
    let path = root.path("dev").join(name).display().to_string();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(&path).map_err(|e| PciError::opening(&path, DRIVER, e))?;
    // SAFETY: flock takes no pointers, and the descriptor is open.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(file),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Err(PciError::Busy { path }),
            error => Err(PciError::opening(&path, DRIVER, error)),
        },
    }
}

impl Device for UioDevice {
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
        &*self.config
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        let name = || self.name.clone();
        let place = self.bars.get(usize::from(index));
        let place = place.ok_or_else(|| DeviceError::NoBar { name: name(), index })?;
        match place.get() {
            Some(bar) => Ok(bar.clone()),
            None => {
                let bar = sysfs_bar(&self.root, &self.function, index, self.line.file())?;
                Ok(place.get_or_init(|| bar).clone())
            }
        }
    }

    fn dma(&self) -> Arc<dyn Dma> {
        Arc::new(Physical::new(self.name.clone()))
    }

    fn interrupts(&self) -> &dyn Interrupts {
        &self.line
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.line.disable()?;
        self.config().disable_bus_master()?;
        let path = Folder::of(&self.root, self.function.address).path("reset");
        std::fs::write(&path, "1").map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.unsupported("reset but by its own registers"),
            _ => DeviceError::io(format!("cannot reset {}", self.name), error),
        })
    }

    fn state(&self) -> State {
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.presence.is_gone(self.config())
    }
}

impl Drop for UioDevice {
    fn drop(&mut self) {
        // Nobody is left to tell of an error; a device that is gone does no DMA either. The kernel
        // takes bus mastering away once more when the file is closed.
        let _ = self.line.disable();
        let _ = self.config().disable_bus_master();
    }
}

static_assertions::assert_impl_all!(UioDevice: Send, Sync);

/// What a UIO device has: one line.
const fn lines(kind: InterruptKind, pin: u8) -> u32 {
    matches!(kind, InterruptKind::Intx) as u32 * (pin != 0) as u32
}

//! A device in another process, by the vfio-user protocol: a software model, or a device of another
//! emulator.
//!
//! ```no_run
//! use linecard_eal::device::Device;
//! use linecard_eal::vfio_user::UserDevice;
//!
//! # fn main() -> Result<(), linecard_eal::device::DeviceError> {
//! let device = UserDevice::open("/run/model.sock")?;
//! println!("{}: {:#x}", device.identity(), device.bar(0)?.read32(8));
//! # Ok(())
//! # }
//! ```
//!
//! Registers are messages, but for windows that the other side offers to map. Memory is shared by
//! its file, so that segments must have one (a memfd, as is the default); the other side reaches what
//! is mapped and nothing else. Interrupts are eventfds.
//!
//! # When the other side is gone, or wrong
//!
//! Connecting takes ten seconds at most, however busy the other side is. A closed socket, an answer that
//! makes no sense, none within ten seconds, or one in pieces that is not whole within twenty: from then on the
//! device is [`State::Removed`], reads give all ones, writes go nowhere. A window is mapped only if its file
//! is sealed against shrinking, as an access beyond its end would be a SIGBUS; other windows are
//! reached by messages. Requests of the other side (DMA by message) are refused.

mod connect;
mod connection;
mod dma;
mod irq;
mod message;
mod region;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use vfio_bindings::bindings::vfio;

use crate::device::{
    Bar, Command, ConfigSpace, Device, DeviceError, Dma, Identity, Interrupts, Presence, State,
};
use crate::pci::BARS;
use connect::connect;
use connection::{Connection, PATIENCE};
use dma::UserDma;
use irq::UserIrqs;
use message::{Payload, Request};
use region::Region;

/// A device at the other end of a socket.
#[derive(Debug)]
pub struct UserDevice {
    connection: Arc<Connection>,
    identity: Identity,
    is_resettable: bool,
    config: Region,
    irqs: UserIrqs,
    dma: Arc<UserDma>,
    bars: [OnceLock<Bar>; BARS],
    presence: Presence,
}

static_assertions::assert_impl_all!(UserDevice: Send, Sync);

impl UserDevice {
    /// Connects to the device whose process listens at `path`.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Io`] if nobody listens, or accepts within ten seconds, or what answers is not a PCI
    /// device of vfio-user.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        let path = path.as_ref();
        let failed = |source| DeviceError::io(format!("cannot open {}", path.display()), source);
        let stream = connect(path, PATIENCE).map_err(failed)?;
        Self::over(path.display().to_string(), stream)
    }

    /// The device at the other end of a connected socket, called `name` in messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn over(name: impl Into<String>, stream: UnixStream) -> Result<Self, DeviceError> {
        let connection = Arc::new(Connection::open(name.into(), stream)?);
        let ask = Payload::new().word(16).word(0).word(0).word(0);
        let info = connection.call("describe itself", Request::DeviceInfo, ask, &[])?;
        let (flags, irqs) = (info.word(4), info.word(12));
        if flags & vfio::VFIO_DEVICE_FLAGS_PCI == 0 {
            return Err(connection.unsupported("PCI device behind it"));
        }
        let config = Region::open(&connection, vfio::VFIO_PCI_CONFIG_REGION_INDEX)?;
        let space: &dyn ConfigSpace = &config;
        let identity = Identity::read(space)?;
        space.change_command(Command::MEMORY | Command::IO, Command::BUS_MASTER)?;
        Ok(Self {
            irqs: UserIrqs::open(&connection, irqs)?,
            dma: Arc::new(UserDma::new(connection.clone())),
            is_resettable: flags & vfio::VFIO_DEVICE_FLAGS_RESET != 0,
            identity,
            config,
            connection,
            bars: Default::default(),
            presence: Presence::new(),
        })
    }

    fn no_bar(&self, index: u8) -> DeviceError {
        DeviceError::NoBar { name: self.name().to_owned(), index }
    }

    fn map(&self, index: u8) -> Result<Bar, DeviceError> {
        let region = Region::open(&self.connection, index.into())?;
        if region.len() == 0 {
            return Err(self.no_bar(index));
        }
        let mut builder = Bar::builder(region.len());
        for (offset, window) in region.windows() {
            builder = builder.window(offset, window);
        }
        Ok(builder.rest(Arc::new(region)).build())
    }
}

impl Device for UserDevice {
    fn name(&self) -> &str {
        self.connection.name()
    }

    fn identity(&self) -> Identity {
        self.identity
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
        self.dma.clone()
    }

    fn interrupts(&self) -> &dyn Interrupts {
        &self.irqs
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.irqs.disable()?;
        self.config().disable_bus_master()?;
        match self.is_resettable {
            true => self.connection.call("reset", Request::Reset, Payload::new(), &[]).map(drop),
            false => Err(self.connection.unsupported("reset but by its own registers")),
        }
    }

    fn state(&self) -> State {
        if self.connection.is_closed() {
            self.presence.worsen(State::Removed);
        }
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.state() == State::Removed || self.presence.is_gone(self.config())
    }

    fn is_cut_off(&self) -> bool {
        self.is_gone() && self.connection.is_hung_up()
    }
}

impl Drop for UserDevice {
    fn drop(&mut self) {
        // Nobody is left to tell of an error.
        let _ = self.irqs.disable();
        let _ = self.config().disable_bus_master();
    }
}

#[cfg(test)]
mod tests;

//! The front end for guests: QEMU's `x-pci-proxy-dev`.
//!
//! QEMU 7.2 or later is started with one end of a pair of stream sockets and a test socket:
//!
//! ```text
//! -object memory-backend-memfd,id=mem,size=1G,share=on -machine q35,memory-backend=mem
//! -accel tcg,thread=single -nodefaults
//! -qtest unix:PATH,server=on,wait=off -qtest-log none
//! -device x-pci-proxy-dev,id=nic0,fd=N,addr=5
//! ```
//!
//! Interrupts go by the test socket, as the link has none under TCG. With `intel-iommu` the model
//! walks the IOMMU's tables itself, at every access: a stale mapping is seen, a missing
//! invalidation is not.
//!
//! A virtual function ([`QemuCard::attach`]) is another device of QEMU's, with a link, a place on the bus and
//! interrupts of its own: the guest does not know whose it is, as a guest does to which a hypervisor has
//! given it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use linecard_ixgbe_regs::{BAR0_BYTES, MSIX_BAR_BYTES, VF_BAR_BYTES};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::interrupt_thread::{Guest, ToGuest};
use super::message::{Link, Request};
use super::qtest::Qtest;
use super::system_memory::SystemMemory;
use super::vtd::{Iommu, Requester, left_in_page};
use crate::bus::{Direction, Dma, DmaFault, Host};
use crate::config_space::ConfigSpace;
use crate::device::{Bar, Device, Identity};
use crate::virtualization::{Function, FunctionHost};
use crate::wire::{Outlet, Plug};

/// Frames that are taken from the wire before the guest is listened to again.
const FRAMES_AT_ONCE: usize = 64;

/// Frames in the packet buffer above which the wire has to wait, if it can.
const HELD_FRAMES: usize = 64;

/// Whether the guest has `intel-iommu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Translation {
    /// Addresses are physical.
    #[default]
    None,
    /// The model walks VT-d's tables.
    Vtd,
}

/// QEMU's test socket. It takes one connection, which all cards of a guest share: clone it.
#[derive(Clone, Debug)]
pub struct TestSocket {
    inner: Arc<Mutex<Qtest>>,
}

impl TestSocket {
    /// The socket at `path`; it is connected to when it is first needed.
    pub fn new(path: &Path) -> Self {
        Self { inner: Arc::new(Mutex::new(Qtest::new(path))) }
    }
}

/// Where the card is in the guest.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The way of interrupts.
    pub test_socket: TestSocket,
    /// Bus.
    pub bus: u8,
    /// Device number, as in `addr=`.
    pub slot: u8,
    /// Whether addresses are translated.
    pub translation: Translation,
}

impl Seat {
    /// The input of the I/O APIC that pin A of this device is led to on machine q35.
    fn gsi(&self) -> u32 {
        16 + u32::from(self.slot) % 8
    }
}

struct GuestDma {
    memory: Arc<RwLock<SystemMemory>>,
    qtest: Arc<Mutex<Qtest>>,
    requester: Requester,
    translation: Translation,
    iommu: Option<Iommu>,
}

impl GuestDma {
    /// Runs `access` for every piece of a range that is one piece of physical memory.
    fn pieces(
        &mut self,
        address: u64,
        len: usize,
        what: Direction,
        mut access: impl FnMut(&SystemMemory, u64, std::ops::Range<usize>) -> Option<()>,
    ) -> Result<(), DmaFault> {
        let fault = DmaFault { address, len, what };
        let iommu = self.current_iommu();
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < len {
            let at = address + done as u64;
            let part = match iommu {
                Some(_) => left_in_page(at).min(len - done),
                None => len - done,
            };
            let physical = match iommu {
                Some(iommu) => iommu.translate(&memory, self.requester, at, what).ok_or(fault)?,
                None => at,
            };
            access(&memory, physical, done..done + part).ok_or(fault)?;
            done += part;
        }
        Ok(())
    }

    /// The IOMMU if it translates; looked at once, and again after a reset of the device.
    fn current_iommu(&mut self) -> Option<Iommu> {
        if self.translation == Translation::None {
            return None;
        }
        if self.iommu.is_none() {
            let mut qtest = self.qtest.lock().unwrap_or_else(PoisonError::into_inner);
            self.iommu = Iommu::look(&mut qtest).ok();
        }
        self.iommu.filter(Iommu::translates)
    }
}

impl Dma for GuestDma {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.pieces(address, into.len(), Direction::Read, |memory, at, range| {
            memory.read(at, &mut into[range])
        })
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.pieces(address, bytes.len(), Direction::Write, |memory, at, range| {
            memory.write(at, &bytes[range])
        })
    }

    fn write_descriptor(&mut self, address: u64, words: [u64; 2]) -> Result<(), DmaFault> {
        self.pieces(address, 16, Direction::Write, |memory, at, _| {
            memory.write_descriptor(at, words)
        })
    }

    fn forget(&mut self) {
        self.iommu = None;
    }
}

/// A link to QEMU, with the memory that it tells of.
#[derive(Debug)]
struct Line {
    link: Link,
    memory: Arc<RwLock<SystemMemory>>,
}

impl Line {
    fn new(socket: UnixStream) -> Self {
        Self { link: Link::new(socket), memory: Arc::default() }
    }

    /// The guest, as a device at this place reaches it.
    fn outside(&self, seat: &Seat) -> io::Result<(GuestDma, ToGuest)> {
        let qtest = seat.test_socket.inner.clone();
        let guest = Guest {
            qtest: qtest.clone(),
            memory: self.memory.clone(),
            gsi: seat.gsi(),
            has_iommu: seat.translation == Translation::Vtd,
        };
        let (interrupts, _ends_with_its_sender) = ToGuest::start(guest)?;
        let dma = GuestDma {
            memory: self.memory.clone(),
            qtest,
            requester: Requester { bus: seat.bus, slot: seat.slot },
            translation: seat.translation,
            iommu: None,
        };
        Ok((dma, interrupts))
    }
}

/// A card in a guest.
#[derive(Debug)]
pub struct QemuCard {
    /// The card's own, and those of its virtual functions.
    lines: Vec<Line>,
    device: Device,
    outlet: OutletBox,
}

struct OutletBox(Box<dyn Outlet>);

impl std::fmt::Debug for OutletBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}

impl QemuCard {
    /// A card at the other end of `socket`. It must be served before QEMU starts, or with it.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn new(
        socket: UnixStream,
        seat: &Seat,
        identity: Identity,
        plug: Plug,
    ) -> io::Result<Self> {
        let line = Line::new(socket);
        let (dma, interrupts) = line.outside(seat)?;
        let host = Host { dma: Box::new(dma), interrupts: Box::new(interrupts), wire: plug.wire };
        Ok(Self {
            lines: vec![line],
            device: Device::new(identity, host),
            outlet: OutletBox(plug.outlet),
        })
    }

    /// Adds a virtual function, at the other end of a socket of its own.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    ///
    /// # Panics
    ///
    /// As [`Device::attach`] does.
    pub fn attach(&mut self, socket: UnixStream, seat: &Seat) -> io::Result<u32> {
        let line = Line::new(socket);
        let (dma, interrupts) = line.outside(seat)?;
        let host = FunctionHost { dma: Box::new(dma), interrupts: Box::new(interrupts) };
        self.lines.push(line);
        Ok(self.device.attach(host))
    }

    /// The device, to ask it for faults, or what happened to it.
    pub fn device(&mut self) -> &mut Device {
        &mut self.device
    }

    /// Serves the guest until QEMU has gone.
    ///
    /// # Errors
    ///
    /// If QEMU says what is not in its protocol, or the wire breaks.
    pub fn serve(&mut self) -> io::Result<()> {
        while self.serve_once(Duration::from_secs(1))? {}
        Ok(())
    }

    /// Waits for something to do, at most `limit`, and does it. False when QEMU has gone.
    ///
    /// # Errors
    ///
    /// As for [`serve`](Self::serve).
    pub fn serve_once(&mut self, limit: Duration) -> io::Result<bool> {
        let Ready { lines, frames } = self.wait(limit)?;
        self.device.tick(super::now());
        for line in lines {
            match self.lines[line].link.next()? {
                Some(request) => self.handle(line, request)?,
                None => return Ok(false),
            }
        }
        if frames {
            self.take_frames()?;
        }
        Ok(true)
    }

    fn wait(&self, limit: Duration) -> io::Result<Ready> {
        let links = self.lines.iter();
        let mut fds: Vec<_> =
            links.map(|line| PollFd::new(line.link.socket(), PollFlags::IN)).collect();
        if self.device.held_frames() < HELD_FRAMES
            && let Some(fd) = self.outlet.0.readable()
        {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        let limit = self.until_deadline().map_or(limit, |until| until.min(limit));
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            outcome => outcome?,
        };
        let ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        let count = self.lines.len();
        Ok(Ready { lines: (0..count).filter(|&line| ready(line)).collect(), frames: ready(count) })
    }

    fn until_deadline(&self) -> Option<Duration> {
        self.device.deadline().map(|at| Duration::from_nanos(at.saturating_sub(super::now())))
    }

    fn take_frames(&mut self) -> io::Result<()> {
        self.device.set_light(self.outlet.0.light());
        for _ in 0..FRAMES_AT_ONCE {
            if self.device.held_frames() >= HELD_FRAMES {
                break;
            }
            let Some(arrival) = self.outlet.0.take()? else { break };
            arrival.reach(&mut self.device);
        }
        Ok(())
    }

    fn handle(&mut self, line: usize, request: Request) -> io::Result<()> {
        let is_write = matches!(request, Request::BarWrite { .. });
        let answer = match (request, line.checked_sub(1)) {
            (Request::SystemMemory(told), _) => {
                let memory = &self.lines[line].memory;
                return memory.write().unwrap_or_else(PoisonError::into_inner).replace(told);
            }
            (Request::PinEvents, _) => return Ok(()),
            (request, None) => serve(&mut self.device, &request),
            (request, Some(function)) => {
                serve(&mut self.device.function(function as u32), &request)
            }
        };
        if is_write && self.outlet.0.is_prompt() {
            self.take_frames()?;
        }
        self.lines[line].link.answer(answer)
    }
}

/// What there is to do.
#[derive(Debug, Default)]
struct Ready {
    /// Lines with a request.
    lines: Vec<usize>,
    frames: bool,
}

/// What QEMU can ask a card for, and a virtual function of it.
trait Endpoint {
    /// Numbers of BARs, the windows, and their bytes.
    fn windows() -> &'static [(u8, Bar, u32)];
    fn read(&mut self, bar: Bar, offset: u64, size: u8) -> u64;
    fn write(&mut self, bar: Bar, offset: u64, value: u64, size: u8);
    fn read_config(&mut self, offset: u8, size: u8) -> u32;
    fn write_config(&mut self, offset: u8, value: u32, size: u8);
    fn reset_function(&mut self);
    fn config(&self) -> &ConfigSpace;
}

macro_rules! endpoint {
    ($endpoint:ty, $windows:expr) => {
        impl Endpoint for $endpoint {
            fn windows() -> &'static [(u8, Bar, u32)] {
                const { &$windows }
            }
            fn read(&mut self, bar: Bar, offset: u64, size: u8) -> u64 {
                self.read(bar, offset, size)
            }
            fn write(&mut self, bar: Bar, offset: u64, value: u64, size: u8) {
                self.write(bar, offset, value, size);
            }
            fn read_config(&mut self, offset: u8, size: u8) -> u32 {
                self.read_config(offset, size)
            }
            fn write_config(&mut self, offset: u8, value: u32, size: u8) {
                self.write_config(offset, value, size);
            }
            fn reset_function(&mut self) {
                self.reset_function();
            }
            fn config(&self) -> &ConfigSpace {
                self.config()
            }
        }
    };
}

endpoint!(
    Device,
    [(0, Bar::Registers, BAR0_BYTES), (2, Bar::Io, 32), (4, Bar::Msix, MSIX_BAR_BYTES)]
);
endpoint!(Function<'_>, [(0, Bar::Registers, VF_BAR_BYTES), (3, Bar::Msix, VF_BAR_BYTES)]);

/// Does what is asked for, and gives the answer.
fn serve<E: Endpoint>(endpoint: &mut E, request: &Request) -> u64 {
    match *request {
        Request::ConfigRead { offset, size } => endpoint.read_config(offset, size).into(),
        Request::ConfigWrite { offset, value, size } => {
            endpoint.write_config(offset, value, size);
            0
        }
        Request::BarRead { address, size } => window(endpoint, address)
            .map_or(u64::MAX, |(bar, offset)| endpoint.read(bar, offset, size)),
        Request::BarWrite { address, value, size } => {
            if let Some((bar, offset)) = window(endpoint, address) {
                endpoint.write(bar, offset, value, size);
            }
            0
        }
        Request::Reset => {
            endpoint.reset_function();
            0
        }
        // Not the device's.
        Request::SystemMemory(_) | Request::PinEvents => 0,
    }
}

/// The window that an absolute address is in.
fn window<E: Endpoint>(endpoint: &E, address: u64) -> Option<(Bar, u64)> {
    E::windows().iter().find_map(|&(number, bar, len)| {
        let offset = address.checked_sub(endpoint.config().bar(number))?;
        (offset < u64::from(len)).then_some((bar, offset))
    })
}

//! The front end for drivers in another process: a server of the vfio-user protocol.
//!
//! All registers are reached by messages. What the driver has mapped (by file) is the memory that
//! the card sees, and nothing else. Interrupts are eventfds; the driver's side keeps their table,
//! as VFIO does.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vfio_bindings::bindings::vfio;
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};

use super::mapping::Mapping;
use crate::bus::{Direction, Dma, DmaFault, Host, Interrupts, Level, Message};
use crate::device::{Bar, Device, Identity};
use crate::vectors::Table;
use crate::wire::{Outlet, Plug};

/// How long the wire's thread sleeps at most.
const NAP: Duration = Duration::from_millis(5);

/// Frames that are taken from the wire before others have their turn.
const FRAMES_AT_ONCE: usize = 64;

const CONFIG: u32 = vfio::VFIO_PCI_CONFIG_REGION_INDEX;
const PIN: u32 = vfio::VFIO_PCI_INTX_IRQ_INDEX;
const MSIX: u32 = vfio::VFIO_PCI_MSIX_IRQ_INDEX;

/// Kinds of interrupts, and how many of each there are.
const INTERRUPTS: [u32; 5] = [1, 1, linecard_ixgbe_regs::MSIX_VECTORS, 0, 0];

/// Bytes of each region: BARs 0 to 5, ROM, configuration space, VGA.
const REGIONS: [u64; 9] = [
    linecard_ixgbe_regs::BAR0_BYTES as u64,
    0,
    32,
    0,
    linecard_ixgbe_regs::MSIX_BAR_BYTES as u64,
    0,
    0,
    256,
    0,
];

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Mapped {
    address: u64,
    len: u64,
    can: DmaMapFlags,
    mapping: Mapping,
}

/// What the driver has mapped.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<Mapped>>>);

impl Memory {
    /// Runs `access` where all of a range is mapped for this.
    fn within(
        &self,
        address: u64,
        len: usize,
        what: Direction,
        access: impl FnOnce(&Mapping, u64) -> Option<()>,
    ) -> Result<(), DmaFault> {
        let right = match what {
            Direction::Read => DmaMapFlags::READ,
            Direction::Write => DmaMapFlags::WRITE,
        };
        let all = locked(&self.0);
        let found = all.iter().find(|mapped| {
            let Some(within) = address.checked_sub(mapped.address) else { return false };
            let fits = within.checked_add(len as u64).is_some_and(|end| end <= mapped.len);
            fits && mapped.can.contains(right)
        });
        let done = found.and_then(|mapped| access(&mapped.mapping, address - mapped.address));
        done.ok_or(DmaFault { address, len, what })
    }
}

impl Dma for Memory {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        self.within(address, into.len(), Direction::Read, |mapping, at| mapping.read(at, into))
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        self.within(address, bytes.len(), Direction::Write, |mapping, at| mapping.write(at, bytes))
    }

    fn write_descriptor(&mut self, address: u64, words: [u64; 2]) -> Result<(), DmaFault> {
        self.within(address, 16, Direction::Write, |mapping, at| {
            mapping.write_descriptor(at, words)
        })
    }
}

/// Event file descriptors, by vector; the pin's is apart.
#[derive(Clone, Debug, Default)]
struct Events {
    vectors: Arc<Mutex<Vec<Option<File>>>>,
    pin: Arc<Mutex<Option<File>>>,
}

fn ring(event: Option<&File>) {
    if let Some(mut event) = event {
        // One that has rung too often is ringing already.
        let _ = event.write(&1u64.to_ne_bytes());
    }
}

impl Interrupts for Events {
    fn message(&mut self, message: Message) {
        let vectors = locked(&self.vectors);
        ring(vectors.get(usize::from(message.vector)).and_then(Option::as_ref));
    }

    fn pin(&mut self, level: Level) {
        if level == Level::Asserted {
            ring(locked(&self.pin).as_ref());
        }
    }
}

/// A card that listens on a socket.
pub struct UserCard {
    server: Server,
    device: Arc<Mutex<Device>>,
    memory: Memory,
    events: Events,
    is_prompt: bool,
    outlet: Mutex<Box<dyn Outlet>>,
}

impl std::fmt::Debug for UserCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserCard")
    }
}

impl UserCard {
    /// A card that listens at `path`, which must not be there yet.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made.
    pub fn listen(path: &Path, identity: Identity, plug: Plug) -> io::Result<Self> {
        let (memory, events) = (Memory::default(), Events::default());
        let host = Host {
            dma: Box::new(memory.clone()),
            interrupts: Box::new(events.clone()),
            wire: plug.wire,
        };
        let server = Server::new(path, true, interrupts(), regions()).map_err(io::Error::other)?;
        Ok(Self {
            server,
            device: Arc::new(Mutex::new(Device::new(identity, host))),
            memory,
            events,
            is_prompt: plug.outlet.is_prompt(),
            outlet: Mutex::new(plug.outlet),
        })
    }

    /// The device, which the server's threads use too.
    pub fn device(&self) -> Arc<Mutex<Device>> {
        self.device.clone()
    }

    /// Serves one driver, until it has gone.
    ///
    /// # Errors
    ///
    /// If the driver's side breaks the protocol, or the wire breaks.
    pub fn serve(&self) -> io::Result<()> {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let wire = scope.spawn(|| self.run_wire(&is_done));
            let served = self.server.run(&mut Backend(self)).map_err(io::Error::other);
            // Relaxed: it says only that it is time to go; the thread is joined.
            is_done.store(true, Ordering::Relaxed);
            self.forget_driver();
            let wired = wire.join().unwrap_or_else(|_| Err(io::Error::other("the wire's thread")));
            served.and(wired)
        })
    }

    fn forget_driver(&self) {
        locked(&self.device).reset_function();
        locked(&self.memory.0).clear();
        locked(&self.events.vectors).clear();
        *locked(&self.events.pin) = None;
    }

    fn run_wire(&self, is_done: &AtomicBool) -> io::Result<()> {
        // Relaxed: as at the store.
        while !is_done.load(Ordering::Relaxed) {
            self.wait()?;
            let mut device = locked(&self.device);
            device.tick(super::now());
            device.set_light(locked(&self.outlet).light());
            if !self.is_prompt {
                self.take_frames(&mut device)?;
            }
        }
        Ok(())
    }

    fn take_frames(&self, device: &mut Device) -> io::Result<()> {
        let mut outlet = locked(&self.outlet);
        for _ in 0..FRAMES_AT_ONCE {
            if device.held_frames() >= FRAMES_AT_ONCE {
                break;
            }
            let Some(arrival) = outlet.take()? else { break };
            arrival.reach(device);
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        let now = super::now();
        let (deadline, held) = {
            let device = locked(&self.device);
            (device.deadline(), device.held_frames())
        };
        let limit =
            deadline.map_or(NAP, |at| NAP.min(Duration::from_nanos(at.saturating_sub(now))));
        if self.is_prompt {
            // The driver's accesses take frames meanwhile.
            std::thread::sleep(limit);
            return Ok(());
        }
        let outlet = locked(&self.outlet);
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let fd = outlet.readable().filter(|_| held < FRAMES_AT_ONCE);
        let mut fds: Vec<_> =
            fd.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn regions() -> Vec<ServerRegion> {
    let region = |(index, size): (u32, u64)| ServerRegion {
        region_info: vfio::vfio_region_info {
            argsz: size_of::<vfio::vfio_region_info>() as u32,
            flags: match size {
                0 => 0,
                _ => vfio::VFIO_REGION_INFO_FLAG_READ | vfio::VFIO_REGION_INFO_FLAG_WRITE,
            },
            index,
            cap_offset: 0,
            size,
            offset: u64::from(index) << 40,
        },
        sparse_areas: Vec::new(),
        mmap_fd: None,
    };
    (0..).zip(REGIONS).map(region).collect()
}

fn interrupts() -> Vec<IrqInfo> {
    let kind = |(index, count)| IrqInfo { index, flags: vfio::VFIO_IRQ_INFO_EVENTFD, count };
    (0..).zip(INTERRUPTS).map(kind).collect()
}

/// What the driver asks for, done.
struct Backend<'a>(&'a UserCard);

fn window(region: u32) -> io::Result<Bar> {
    match region {
        vfio::VFIO_PCI_BAR0_REGION_INDEX => Ok(Bar::Registers),
        vfio::VFIO_PCI_BAR2_REGION_INDEX => Ok(Bar::Io),
        vfio::VFIO_PCI_BAR4_REGION_INDEX => Ok(Bar::Msix),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no such region")),
    }
}

/// What of an access lies in its region, up to eight bytes at a time, as on a bus.
fn pieces(
    region: u32,
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let end = REGIONS.get(region as usize).copied().unwrap_or(0);
    let len = len.min(usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX));
    let mut done = 0;
    std::iter::from_fn(move || {
        // No overflow: where the region has something at `offset`, it ends behind what is done.
        let at = if len > 0 { offset + done as u64 } else { 0 };
        let size = [8, 4, 2, 1]
            .into_iter()
            .find(|size| at.is_multiple_of(*size as u64) && done + size <= len)?;
        done += size;
        Some((at, done - size..done))
    })
}

impl ServerBackend for Backend<'_> {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let mut device = locked(&self.0.device);
        data.fill(0);
        for (at, range) in pieces(region, offset, data.len()) {
            if let (CONFIG, Ok(at)) = (region, u8::try_from(at)) {
                for (at, byte) in (at..=u8::MAX).zip(&mut data[range]) {
                    *byte = device.read_config(at, 1) as u8;
                }
                continue;
            }
            let word = device.read(window(region)?, at, range.len() as u8).to_le_bytes();
            data[range.clone()].copy_from_slice(&word[..range.len()]);
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut device = locked(&self.0.device);
        for (at, range) in pieces(region, offset, data.len()) {
            let mut word = [0; 8];
            let size = range.len() as u8;
            word[..range.len()].copy_from_slice(&data[range]);
            let word = u64::from_le_bytes(word);
            match (region, u8::try_from(at)) {
                (CONFIG, Ok(at)) => write_config(&mut device, at, word, size),
                (CONFIG, Err(_)) => {}
                _ => device.write(window(region)?, at, word, size),
            }
        }
        if self.0.is_prompt && region != CONFIG {
            self.0.take_frames(&mut device)?;
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        can: DmaMapFlags,
        offset: u64,
        address: u64,
        len: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        let Some(file) = file else { return refused("memory without a file cannot be reached") };
        let end = offset.checked_add(len);
        if end.is_none_or(|end| end > file.metadata().map_or(0, |meta| meta.len())) {
            return refused("the file is shorter than what is mapped of it");
        }
        let mapping = Mapping::of(&file, offset, len as usize)?;
        locked(&self.0.memory.0).push(Mapped { address, len, can, mapping });
        Ok(())
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, len: u64) -> io::Result<()> {
        // While this is held, the device is not within an access.
        let _device = locked(&self.0.device);
        let mut all = locked(&self.0.memory.0);
        let end = address.saturating_add(len);
        match flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            true => all.clear(),
            false => all.retain(|mapped| mapped.address < address || mapped.address >= end),
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        locked(&self.0.device).reset_function();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        files: Vec<File>,
    ) -> io::Result<()> {
        if flags & vfio::VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            return Ok(());
        }
        match index {
            PIN => *locked(&self.0.events.pin) = files.into_iter().next(),
            MSIX => self.set_vectors(start, count, files),
            _ => {}
        }
        Ok(())
    }
}

impl Backend<'_> {
    /// Descriptors for vectors from `start` on; none at all switches MSI-X off.
    fn set_vectors(&self, start: u32, count: u32, files: Vec<File>) {
        let mut vectors = locked(&self.0.events.vectors);
        if count == 0 {
            vectors.clear();
        }
        for (vector, file) in
            (start as usize..linecard_ixgbe_regs::MSIX_VECTORS as usize).zip(files)
        {
            if vectors.len() <= vector {
                vectors.resize_with(vector + 1, || None);
            }
            vectors[vector] = Some(file);
        }
        let table = if vectors.is_empty() { Table::OnCard } else { Table::AtHost };
        drop(vectors);
        locked(&self.0.device).place_table(table);
    }
}

/// Configuration space is written in words of four bytes at most.
fn write_config(device: &mut Device, at: u8, word: u64, size: u8) {
    device.write_config(at, word as u32, size.min(4));
    if size == 8 {
        device.write_config(at.wrapping_add(4), (word >> 32) as u32, 4);
    }
}

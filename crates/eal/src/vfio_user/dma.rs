//! Memory that is shared with the other process.

use std::sync::{Arc, Mutex, MutexGuard};

use super::connection::Connection;
use super::message::{Payload, Request};
use crate::device::{DeviceError, Dma, DmaLimits, Mapping, Place};
use crate::mem::{Iova, IovaMap, IovaMode, Segment};
use crate::vfio::IovaSpace;

const READ_WRITE: u32 = 3;

#[derive(Debug)]
pub(super) struct UserDma {
    connection: Arc<Connection>,
    iovas: Arc<Mutex<IovaSpace>>,
}

impl UserDma {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        // Any address will do; what the processor could not have is left out.
        let iovas = IovaSpace::new(vec![(0, (1 << 52) - 1)]);
        Self { connection, iovas: Arc::new(Mutex::new(iovas)) }
    }

    fn place(&self, segment: &Segment, place: Place) -> Result<Iova, DeviceError> {
        let (len, align) = (segment.len(), segment.page_size().bytes());
        let fixed = match place {
            Place::Native => Iova::new(segment.address().raw() as u64),
            Place::At(iova) => iova,
            Place::Private => {
                let bits = self.limits().address_bits;
                let full = DeviceError::AddressTooWide { iova: Iova::new(0), len, bits };
                return locked(&self.iovas).allocate(len, align).ok_or(full);
            }
        };
        locked(&self.iovas).take(fixed, len)?;
        Ok(fixed)
    }
}

fn locked(iovas: &Mutex<IovaSpace>) -> MutexGuard<'_, IovaSpace> {
    iovas.lock().unwrap_or_else(|poison| poison.into_inner())
}

impl Dma for UserDma {
    fn limits(&self) -> DmaLimits {
        let (mode, address_bits) = (IovaMode::Virtual, locked(&self.iovas).address_bits());
        DmaLimits { mode, address_bits, page_sizes: u64::MAX << 12, mappings: None }
    }

    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError> {
        // SAFETY: the other process is the device: it is told only of bytes that nothing else
        // accesses, by the caller's promise, and is trusted as a device without an IOMMU is.
        let Some((file, start)) = (unsafe { segment.file() }) else {
            let what = "way to memory without a file: map the segment with Backing::Memfd";
            return Err(self.connection.unsupported(what));
        };
        let (iova, len) = (self.place(segment, place)?, segment.len());
        let undo =
            Undo { connection: self.connection.clone(), iovas: self.iovas.clone(), iova, len };
        let map = Payload::new().word(32).word(READ_WRITE).double(start);
        let map = map.double(iova.raw()).double(len as u64);
        self.connection.call("map memory", Request::DmaMap, map, &[file])?;
        let addresses = IovaMap::contiguous_from(iova, len, segment.page_size().bytes());
        Ok(Mapping::new(addresses, undo))
    }
}

/// What a mapping undoes when it is dropped.
struct Undo {
    connection: Arc<Connection>,
    iovas: Arc<Mutex<IovaSpace>>,
    iova: Iova,
    len: usize,
}

impl Drop for Undo {
    fn drop(&mut self) {
        let unmap = Payload::new().word(24).word(0).double(self.iova.raw()).double(self.len as u64);
        // It can only fail if the other side is gone, or has not mapped it.
        let _ = self.connection.ask(Request::DmaUnmap, unmap, &[]);
        locked(&self.iovas).release(self.iova);
    }
}

//! Regions of the device: configuration space and BARs.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use memmap2::MmapOptions;
use vfio_bindings::bindings::vfio;

use super::connection::Connection;
use super::message::{HEADER, Payload, Request};
use crate::device::{ConfigSpace, DeviceError, Registers, Width};
use crate::mmio::Mmio;
use crate::vfio::caps;

/// The most that a region's description may take.
const ROOM: u32 = 4096;
/// What precedes the data of an access: offset, region, count.
const ACCESS: usize = 16;

#[derive(Debug)]
pub(super) struct Region {
    connection: Arc<Connection>,
    index: u32,
    size: usize,
    /// Where in `file` it begins, and its windows that can be mapped (offset, length).
    offset: u64,
    areas: Vec<(u64, u64)>,
    file: Option<File>,
}

impl Region {
    pub(super) fn open(connection: &Arc<Connection>, index: u32) -> Result<Self, DeviceError> {
        let ask = Payload::new().word(ROOM).word(0).word(index).word(0).double(0).double(0);
        let mut got = connection.call("describe a region", Request::RegionInfo, ask, &[])?;
        let (flags, first) = (got.word(4), got.word(12));
        let size = usize::try_from(got.double(16)).unwrap_or(0);
        let has = |flag| flags & flag != 0;
        let first = if has(vfio::VFIO_REGION_INFO_FLAG_CAPS) { first } else { 0 };
        let mut caps = caps::chain(&got.bytes, first);
        let sparse = caps.find(|cap| u32::from(cap.id) == vfio::VFIO_REGION_INFO_CAP_SPARSE_MMAP);
        let areas = match (has(vfio::VFIO_REGION_INFO_FLAG_MMAP), sparse) {
            (false, _) => Vec::new(),
            (true, Some(sparse)) => caps::pairs(sparse.body),
            (true, None) => vec![(0, size as u64)],
        };
        let offset = got.double(24);
        let file = got.fds.pop().map(File::from).filter(cannot_shrink);
        Ok(Self { connection: connection.clone(), index, size, offset, areas, file })
    }

    pub(super) fn len(&self) -> usize {
        self.size
    }

    /// The windows that can be mapped, safely; the others are reached by messages.
    pub(super) fn windows(&self) -> Vec<(usize, Mmio)> {
        let Some(file) = &self.file else { return Vec::new() };
        let length = file.metadata().map_or(0, |data| data.len());
        let windows = self.areas.iter().filter_map(|&(start, len)| {
            let end = start.checked_add(len).filter(|&end| end <= self.size as u64)?;
            self.offset.checked_add(end).filter(|&end| end <= length)?;
            let mut options = MmapOptions::new();
            options.offset(self.offset + start).len(len as usize);
            let map = options.map_raw(file).ok()?;
            // SAFETY: for reading and writing, of registers of the other process, within a file that
            // cannot shrink; memory of its own Rust has no business here.
            Some((start as usize, unsafe { Mmio::over(map) }?))
        });
        windows.collect()
    }

    fn access(&self, offset: u64, len: usize) -> Payload {
        Payload::new().double(offset).word(self.index).word(len as u32)
    }

    fn fetch(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let ask = self.access(offset, bytes.len());
        let got = self.connection.ask(Request::RegionRead, ask, &[])?;
        let data = got.bytes.get(ACCESS..ACCESS + bytes.len()).ok_or(io::ErrorKind::InvalidData)?;
        bytes.copy_from_slice(data);
        Ok(())
    }

    fn store(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let put = self.access(offset, bytes.len()).bytes(bytes);
        self.connection.ask(Request::RegionWrite, put, &[]).map(drop)
    }
}

const _: () = assert!(HEADER == ACCESS);

/// Whether the file can be mapped without fear that its pages go away.
fn cannot_shrink(file: &File) -> bool {
    // SAFETY: F_GET_SEALS takes no pointers, and the descriptor is open.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    seals >= 0 && seals & libc::F_SEAL_SHRINK != 0
}

impl ConfigSpace for Region {
    fn size(&self) -> usize {
        self.size
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size, offset, bytes.len())?;
        if self.fetch(offset.into(), bytes).is_err() {
            bytes.fill(0xff);
        }
        Ok(())
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size, offset, bytes.len())?;
        // As on a bus: what is gone takes no writes.
        let _ = self.store(offset.into(), bytes);
        Ok(())
    }
}

impl Registers for Region {
    fn read(&self, offset: usize, width: Width) -> u64 {
        let mut bytes = [0; 8];
        let got = self.fetch(offset as u64, &mut bytes[..width.bytes()]);
        got.map_or(u64::MAX, |()| u64::from_le_bytes(bytes))
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        // As on a bus: what is gone takes no writes.
        let _ = self.store(offset as u64, &value.to_le_bytes()[..width.bytes()]);
    }
}

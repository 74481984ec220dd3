//! The device in software behind rust-vmm's server of vfio-user.

use super::{Layout, Model, PAGE, Part, Range};
use linecard_eal::device::{ConfigSpace, Registers, Width};
use linecard_eal::event::EventFd;
use linecard_eal::mem::{PagePolicy, Request};
use linecard_eal::mmio::Mmio;
use linecard_eal::vfio_user::UserDevice;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use vfio_bindings::bindings::vfio;
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion, SparseArea};

/// What the other process would hold.
struct Remote {
    model: Arc<Model>,
    maps: Vec<(u64, MmapRaw)>,
}

fn width(len: usize) -> io::Result<Width> {
    let widths = [Width::Byte, Width::Half, Width::Word, Width::Double];
    widths.into_iter().find(|w| w.bytes() == len).ok_or(io::ErrorKind::InvalidInput.into())
}

impl ServerBackend for Remote {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        if region == vfio::VFIO_PCI_CONFIG_REGION_INDEX {
            return Part(self.model.clone()).read(offset as u16, data).map_err(io::Error::other);
        }
        let value = Registers::read(&*self.model, offset as usize, width(data.len())?);
        data.copy_from_slice(&value.to_le_bytes()[..data.len()]);
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        if region == vfio::VFIO_PCI_CONFIG_REGION_INDEX {
            return Part(self.model.clone()).write(offset as u16, data).map_err(io::Error::other);
        }
        let mut bytes = [0; 8];
        bytes[..data.len()].copy_from_slice(data);
        let value = u64::from_le_bytes(bytes);
        Registers::write(&*self.model, offset as usize, width(data.len())?, value);
        Ok(())
    }

    fn dma_map(
        &mut self,
        _: DmaMapFlags,
        offset: u64,
        iova: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        let file = file.ok_or(io::ErrorKind::InvalidInput)?;
        let mut options = MmapOptions::new();
        let map = options.offset(offset).len(size as usize).map_raw(&file)?;
        let range = Range { iova, base: map.as_mut_ptr(), len: map.len() };
        self.model.inside().ranges.push(range);
        self.maps.push((iova, map));
        Ok(())
    }

    fn dma_unmap(&mut self, _: DmaUnmapFlags, iova: u64, _: u64) -> io::Result<()> {
        self.model.inside().ranges.retain(|range| range.iova != iova);
        self.maps.retain(|(start, _)| *start != iova);
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        *self.model.config.lock().unwrap() = super::config();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        _: u32,
        _: u32,
        start: u32,
        count: u32,
        files: Vec<File>,
    ) -> io::Result<()> {
        let mut inside = self.model.inside();
        inside.vectors.truncate(start as usize);
        for file in files.into_iter().take(count as usize) {
            inside.vectors.push(EventFd::from_fd(file.into())?);
        }
        Ok(())
    }
}

/// A server for one client, on a thread of its own.
pub(crate) struct Server {
    _dir: tempfile::TempDir,
    path: PathBuf,
    model: Arc<Model>,
    thread: JoinHandle<()>,
}

fn region(index: u32, size: usize) -> ServerRegion {
    let flags = vfio::VFIO_REGION_INFO_FLAG_READ | vfio::VFIO_REGION_INFO_FLAG_WRITE;
    let argsz = size_of::<vfio::vfio_region_info>() as u32;
    let size = size as u64;
    let region_info = vfio::vfio_region_info { argsz, flags, index, size, ..Default::default() };
    ServerRegion { region_info, sparse_areas: Vec::new(), mmap_fd: None }
}

impl Server {
    pub(crate) fn start(layout: Layout) -> Self {
        let memory = Request::new(2 * PAGE).pages(PagePolicy::Small).map().unwrap();
        // SAFETY: what is written through it are the device's registers.
        let (file, _) = unsafe { memory.file() }.unwrap();
        let file = file.try_clone_to_owned().unwrap();
        let base = memory.base();
        // SAFETY: the segment has two pages, which the window keeps, and which are registers.
        let window = unsafe { Mmio::keeping(base, 2 * PAGE, memory) };
        let model = Model::new(window.part(PAGE, PAGE).unwrap());
        let mut regions: Vec<_> = (0..9).map(|index| region(index, 0)).collect();
        regions[0] = region(0, 2 * PAGE);
        regions[7] = region(7, 256);
        if matches!(layout, Layout::Mixed) {
            let area = vfio::vfio_region_sparse_mmap_area { offset: 4096, size: 4096 };
            regions[0].region_info.flags |= vfio::VFIO_REGION_INFO_FLAG_MMAP;
            regions[0].sparse_areas.push(SparseArea { area });
            regions[0].mmap_fd = Some(file.as_raw_fd());
        }
        let flags = vfio::VFIO_IRQ_INFO_EVENTFD;
        let irqs = [1, 0, 2].into_iter().enumerate();
        let irqs = irqs.map(|(index, count)| IrqInfo { index: index as u32, flags, count });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.sock");
        let server = vfio_user::Server::new(&path, true, irqs.collect(), regions).unwrap();
        let mut remote = Remote { model: model.clone(), maps: Vec::new() };
        let thread = std::thread::spawn(move || {
            let _file = file;
            server.run(&mut remote).unwrap();
        });
        Self { _dir: dir, path, model, thread }
    }

    pub(crate) fn connect(&self) -> UserDevice {
        UserDevice::open(&self.path).unwrap()
    }

    /// Waits until the client has gone; says whether it left bus mastering on, and how many mappings.
    pub(crate) fn end(self) -> (bool, usize) {
        self.thread.join().unwrap();
        (self.model.is_bus_master(), self.model.inside().ranges.len())
    }
}

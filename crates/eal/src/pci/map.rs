//! BARs through sysfs: memory mapped from `resourceN`, ports read and written through it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memmap2::MmapOptions;

use super::function::{Folder, Function};
use super::resource::BarKind;
use crate::Root;
use crate::device::{Bar, DeviceError, Registers, Width};
use crate::mem::base_page;
use crate::mmio::Mmio;

/// A function's BAR, mapped or called. It keeps `open` open as long as there are copies of it.
pub(crate) fn bar(
    root: &Root,
    function: &Function,
    index: u8,
    open: Arc<File>,
) -> Result<Bar, DeviceError> {
    let name = || function.address.to_string();
    let info = function.bar(index).ok_or_else(|| DeviceError::NoBar { name: name(), index })?;
    let path = Folder::of(root, function.address).path(&format!("resource{index}"));
    let failed = |source| DeviceError::io(format!("cannot map {}", path.display()), source);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
    let len = usize::try_from(info.len).map_err(|_| DeviceError::NoBar { name: name(), index })?;
    match info.kind {
        BarKind::Io => Ok(Bar::called(len, Arc::new(Ports { file, _open: open }))),
        BarKind::Memory { .. } => {
            // A BAR smaller than a page may begin within one; the kernel maps the page.
            let skip = (info.start % base_page() as u64) as usize;
            let map =
                MmapOptions::new().len(skip.saturating_add(len)).map_raw(&file).map_err(failed)?;
            // SAFETY: the mapping is of a device's registers (or, in a test, of a file of no other
            // use), for reading and writing.
            let page = unsafe { Mmio::over_with(map, open) };
            let window = page.and_then(|page| page.part(skip, len).ok());
            window.map(Bar::mapped).ok_or_else(|| DeviceError::NoBar { name: name(), index })
        }
    }
}

/// I/O ports: a read or a write of the file is one `in` or `out`. There is no 64-bit one.
struct Ports {
    file: File,
    _open: Arc<File>,
}

impl Registers for Ports {
    fn read(&self, offset: usize, width: Width) -> u64 {
        let mut bytes = [0; 8];
        let got = match width {
            Width::Double => return self.halves(offset),
            _ => self.file.read_exact_at(&mut bytes[..width.bytes()], offset as u64),
        };
        got.map_or(u64::MAX, |()| u64::from_le_bytes(bytes))
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        let bytes = value.to_le_bytes();
        let parts = bytes[..width.bytes()].chunks(Width::Word.bytes()).enumerate();
        for (index, part) in parts {
            // A device that is gone takes no writes, and nobody is told: it is as on the bus.
            let _ = self.file.write_all_at(part, (offset + index * Width::Word.bytes()) as u64);
        }
    }
}

impl Ports {
    fn halves(&self, offset: usize) -> u64 {
        let [low, high] = [0, 4].map(|half| self.read(offset + half, Width::Word));
        (high << 32) | (low & 0xffff_ffff)
    }
}

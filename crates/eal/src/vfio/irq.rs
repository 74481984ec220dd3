//! Interrupts through VFIO.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};

use vfio_bindings::bindings::vfio;

use super::sys;
use crate::device::{DeviceError, InterruptKind, Interrupts, Vector};
use crate::event::EventFd;

/// How many vectors there are of each kind, and which kind is enabled.
#[derive(Debug)]
pub(super) struct Irqs {
    file: Arc<File>,
    counts: [u32; 3],
    enabled: Mutex<Option<InterruptKind>>,
}

const fn index(kind: InterruptKind) -> u32 {
    match kind {
        InterruptKind::Intx => vfio::VFIO_PCI_INTX_IRQ_INDEX,
        InterruptKind::Msi => vfio::VFIO_PCI_MSI_IRQ_INDEX,
        InterruptKind::MsiX => vfio::VFIO_PCI_MSIX_IRQ_INDEX,
    }
}

/// The most vectors that MSI-X has.
const MOST: u32 = 2048;

impl Irqs {
    pub(super) fn new(file: Arc<File>, kinds: u32) -> io::Result<Self> {
        let mut counts = [0; 3];
        for (index, count) in (0..kinds).zip(&mut counts) {
            let ask = vfio::vfio_irq_info { index, ..Default::default() };
            let info = sys::query(file.as_fd(), sys::DEVICE_GET_IRQ_INFO, ask)?.head;
            let by_event = info.flags & vfio::VFIO_IRQ_INFO_EVENTFD != 0;
            *count = if by_event { info.count.min(MOST) } else { 0 };
        }
        Ok(Self { file, counts, enabled: Mutex::new(None) })
    }

    /// Has the kernel signal `event` when it wants the device back. Old kernels do not.
    pub(super) fn notify_removal(&self, event: &EventFd) -> io::Result<()> {
        let action = vfio::VFIO_IRQ_SET_ACTION_TRIGGER | vfio::VFIO_IRQ_SET_DATA_EVENTFD;
        let fds = [event.as_fd().as_raw_fd()];
        match self.set(vfio::VFIO_PCI_REQ_IRQ_INDEX, action, 1, &fds) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            done => done,
        }
    }

    /// `count` vectors of a kind from the first on; `fds` is empty, or has one for each.
    fn set(&self, index: u32, flags: u32, count: u32, fds: &[libc::c_int]) -> io::Result<()> {
        let size = size_of::<vfio::vfio_irq_set>() + size_of_val(fds);
        let mut words = vec![size as u32, flags, index, 0, count];
        words.extend(fds.iter().map(|fd| fd.cast_unsigned()));
        // SAFETY: the kernel reads `size` bytes: the header's five words, and a word for each fd.
        unsafe { sys::raw(self.file.as_fd(), sys::DEVICE_SET_IRQS, words.as_mut_ptr()) }.map(drop)
    }

    fn act(&self, kind: InterruptKind, action: u32, count: u32) -> Result<(), DeviceError> {
        let done = self.set(index(kind), action | vfio::VFIO_IRQ_SET_DATA_NONE, count, &[]);
        done.map_err(|source| DeviceError::io(format!("cannot change {kind}"), source))
    }

    fn enabled(&self) -> Option<InterruptKind> {
        *self.enabled.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

const _: () = assert!(size_of::<vfio::vfio_irq_set>() == 5 * size_of::<u32>());

impl Interrupts for Irqs {
    fn vectors(&self, kind: InterruptKind) -> u32 {
        self.counts[index(kind) as usize]
    }

    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError> {
        let this: &dyn Interrupts = self;
        this.check(kind, count)?;
        self.disable()?;
        let failed =
            |source| DeviceError::io(format!("cannot enable {count} {kind} vectors"), source);
        let events: io::Result<Vec<_>> = (0..count).map(|_| EventFd::new()).collect();
        let events = events.map_err(failed)?;
        let fds: Vec<_> = events.iter().map(|event| event.as_fd().as_raw_fd()).collect();
        let flags = vfio::VFIO_IRQ_SET_ACTION_TRIGGER | vfio::VFIO_IRQ_SET_DATA_EVENTFD;
        let mut enabled = self.enabled.lock().unwrap_or_else(|poison| poison.into_inner());
        self.set(index(kind), flags, count, &fds).map_err(failed)?;
        *enabled = Some(kind);
        Ok(events.into_iter().map(Vector::from).collect())
    }

    fn unmask(&self) -> Result<(), DeviceError> {
        match self.enabled() {
            Some(kind @ InterruptKind::Intx) => self.act(kind, vfio::VFIO_IRQ_SET_ACTION_UNMASK, 1),
            _ => Ok(()),
        }
    }

    fn mask(&self) -> Result<(), DeviceError> {
        match self.enabled() {
            Some(kind @ InterruptKind::Intx) => self.act(kind, vfio::VFIO_IRQ_SET_ACTION_MASK, 1),
            _ => Err(DeviceError::Unsupported {
                name: "a device without INTx enabled".to_owned(),
                what: "line to mask; messages are masked in its own registers".to_owned(),
            }),
        }
    }

    fn disable(&self) -> Result<(), DeviceError> {
        let mut enabled = self.enabled.lock().unwrap_or_else(|poison| poison.into_inner());
        match enabled.take() {
            Some(kind) => self.act(kind, vfio::VFIO_IRQ_SET_ACTION_TRIGGER, 0),
            None => Ok(()),
        }
    }
}

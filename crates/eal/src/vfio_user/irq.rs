//! Interrupts of the other process: it signals eventfds that it was given.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use vfio_bindings::bindings::vfio;

use super::connection::Connection;
use super::message::{Payload, Request};
use crate::device::{DeviceError, InterruptKind, Interrupts, Vector};
use crate::event::EventFd;

/// The most vectors that MSI-X has.
const MOST: u32 = 2048;

#[derive(Debug)]
pub(super) struct UserIrqs {
    connection: Arc<Connection>,
    counts: [u32; 3],
    enabled: Mutex<Option<InterruptKind>>,
}

const KINDS: [InterruptKind; 3] = [InterruptKind::Intx, InterruptKind::Msi, InterruptKind::MsiX];

/// The kinds in the order of their numbers.
fn index(kind: InterruptKind) -> u32 {
    KINDS.iter().position(|&known| known == kind).unwrap_or(0) as u32
}

impl UserIrqs {
    pub(super) fn open(connection: &Arc<Connection>, kinds: u32) -> Result<Self, DeviceError> {
        let mut counts = [0; 3];
        for (index, count) in (0..kinds).zip(&mut counts) {
            let ask = Payload::new().word(16).word(0).word(index).word(0);
            let got = connection.call("describe an interrupt", Request::IrqInfo, ask, &[])?;
            let by_event = got.word(4) & vfio::VFIO_IRQ_INFO_EVENTFD != 0;
            *count = if by_event { got.word(12).min(MOST) } else { 0 };
        }
        Ok(Self { connection: connection.clone(), counts, enabled: Mutex::new(None) })
    }

    fn set(
        &self,
        kind: InterruptKind,
        flags: u32,
        vectors: std::ops::Range<u32>,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), DeviceError> {
        let set = Payload::new().word(20).word(flags).word(index(kind));
        let set = set.word(vectors.start).word(vectors.end - vectors.start);
        self.connection.call("set an interrupt", Request::SetIrqs, set, fds).map(drop)
    }

    /// Something that concerns the line only, which is the first vector of its kind.
    fn line(&self, action: u32) -> Result<bool, DeviceError> {
        let enabled = *self.enabled.lock().unwrap_or_else(|poison| poison.into_inner());
        if enabled != Some(InterruptKind::Intx) {
            return Ok(false);
        }
        let flags = action | vfio::VFIO_IRQ_SET_DATA_NONE;
        self.set(InterruptKind::Intx, flags, 0..1, &[]).map(|()| true)
    }
}

impl Interrupts for UserIrqs {
    fn vectors(&self, kind: InterruptKind) -> u32 {
        self.counts[index(kind) as usize]
    }

    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError> {
        let this: &dyn Interrupts = self;
        this.check(kind, count)?;
        self.disable()?;
        let mut enabled = self.enabled.lock().unwrap_or_else(|poison| poison.into_inner());
        let flags = vfio::VFIO_IRQ_SET_ACTION_TRIGGER | vfio::VFIO_IRQ_SET_DATA_EVENTFD;
        let vectors = (0..count).map(|vector| {
            let event = EventFd::new();
            let event =
                event.map_err(|source| DeviceError::io("cannot make an eventfd", source))?;
            // One a message: how many descriptors the other side takes is its own business.
            self.set(kind, flags, vector..vector + 1, &[event.as_fd()])?;
            Ok(Vector::from(event))
        });
        let vectors: Result<Vec<_>, DeviceError> = vectors.collect();
        *enabled = Some(kind);
        vectors
    }

    fn unmask(&self) -> Result<(), DeviceError> {
        self.line(vfio::VFIO_IRQ_SET_ACTION_UNMASK).map(drop)
    }

    fn mask(&self) -> Result<(), DeviceError> {
        match self.line(vfio::VFIO_IRQ_SET_ACTION_MASK)? {
            true => Ok(()),
            false => Err(self.connection.unsupported("line to mask: INTx is not enabled")),
        }
    }

    fn disable(&self) -> Result<(), DeviceError> {
        let mut enabled = self.enabled.lock().unwrap_or_else(|poison| poison.into_inner());
        let flags = vfio::VFIO_IRQ_SET_ACTION_TRIGGER | vfio::VFIO_IRQ_SET_DATA_NONE;
        enabled.take().map_or(Ok(()), |kind| self.set(kind, flags, 0..0, &[]))
    }
}

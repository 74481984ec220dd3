//! The one interrupt line.
//!
//! The kernel masks it at the device (`INTX_DISABLE`) each time that it fires, and counts; a read of
//! the file gives the count.

use std::fs::File;
use std::sync::Arc;

use super::lines;
use crate::device::{Command, ConfigSpace, DeviceError, InterruptKind, Interrupts, Vector};
use crate::pci::SysfsConfig;

/// Which pin the function has; 0 for none (PCI Local Bus 3.0, §6.2.4).
const PIN: u16 = 0x3d;

#[derive(Debug)]
pub(super) struct Line {
    file: Arc<File>,
    config: Arc<SysfsConfig>,
}

impl Line {
    pub(super) fn new(file: Arc<File>, config: Arc<SysfsConfig>) -> Self {
        Self { file, config }
    }

    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    fn config(&self) -> &dyn ConfigSpace {
        &*self.config
    }
}

impl Interrupts for Line {
    fn vectors(&self, kind: InterruptKind) -> u32 {
        lines(kind, self.config.read8(PIN).unwrap_or(0))
    }

    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError> {
        let this: &dyn Interrupts = self;
        this.check(kind, count)?;
        let file = self.file.try_clone();
        let file = file.map_err(|source| DeviceError::io("cannot duplicate a uio file", source))?;
        let vector = Vector::uio(file.into());
        // What fired before is nobody's business.
        let _ = vector.take();
        self.unmask()?;
        Ok(vec![vector])
    }

    fn unmask(&self) -> Result<(), DeviceError> {
        self.config().change_command(Command::empty(), Command::INTX_DISABLE)
    }

    fn mask(&self) -> Result<(), DeviceError> {
        self.config().change_command(Command::INTX_DISABLE, Command::empty())
    }

    fn disable(&self) -> Result<(), DeviceError> {
        self.mask()
    }
}

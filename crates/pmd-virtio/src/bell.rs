//! Telling the device that something is there for it.

use linecard_eal::event::EventFd;
use linecard_eal::mmio::Register;
use std::sync::Arc;

/// How a queue's device is told.
pub(crate) enum Bell {
    /// By an eventfd: vhost, in user space or in the kernel.
    Event(Arc<EventFd>),
    #[expect(dead_code, reason = "for devices on PCI, which come next")]
    /// By writing the queue's number to a register (virtio 1.2 §4.1.5.2).
    Register(Register<u16>, u16),
}

impl Bell {
    /// Tells it. Out of line: a device that polls is never told.
    #[cold]
    pub(crate) fn ring(&self) {
        match self {
            // It can only fail on what is no eventfd.
            Bell::Event(event) => drop(event.signal()),
            Bell::Register(register, value) => register.write(*value),
        }
    }
}

//! Telling the device that something is there for it.

use linecard_eal::device::BarRegister;
use linecard_eal::event::EventFd;
use std::sync::Arc;

/// How a queue's device is told.
#[derive(Clone)]
pub(crate) enum Bell {
    /// By an eventfd: vhost, in user space or in the kernel.
    Event(Arc<EventFd>),
    /// By writing the queue's number to a register (virtio 1.2 §4.1.5.2).
    Number(BarRegister<u16>, u16),
    /// By its number and the place of the next buffer (`NOTIFICATION_DATA`, §2.9).
    Place(BarRegister<u32>, u16),
}

impl Bell {
    /// Tells it; the next buffer will be put at `place`. Out of line: a device that polls is never
    /// told.
    #[cold]
    pub(crate) fn ring(&self, place: u16) {
        match self {
            // It can only fail on what is no eventfd.
            Bell::Event(event) => drop(event.signal()),
            Bell::Number(register, number) => register.write(*number),
            Bell::Place(register, number) => {
                register.write(u32::from(place) << 16 | u32::from(*number));
            }
        }
    }
}

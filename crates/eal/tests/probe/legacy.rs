//! As much of the legacy interface, by I/O ports (virtio 1.2, §4.1.4.10), as it takes to send.

use super::ring::Ring;
use super::{ACKNOWLEDGE, DRIVER, DRIVER_OK, PATIENCE, TRANSMIT};
use linecard_eal::device::{Bar, Device, DeviceError, DmaMemory};
use linecard_eal::mem::{PagePolicy, Request};
use std::time::Instant;

const DEVICE_FEATURES: usize = 0;
const DRIVER_FEATURES: usize = 4;
const QUEUE_PAGE: usize = 8;
const QUEUE_SIZE: usize = 12;
const QUEUE_SELECT: usize = 14;
const QUEUE_NOTIFY: usize = 16;
const STATUS: usize = 18;
const ISR: usize = 19;
const PAGE: usize = 4096;

pub(crate) struct LegacySender {
    ports: Bar,
    ring: Ring,
    pub(crate) device: Box<dyn Device>,
}

impl LegacySender {
    pub(crate) fn open(device: Box<dyn Device>) -> Result<Self, DeviceError> {
        let ports = device.bar(0)?;
        assert!(ports.mmio().is_none(), "ports are called");
        ports.write8(STATUS, 0);
        ports.write8(STATUS, ACKNOWLEDGE | DRIVER);
        assert_ne!(ports.read32(DEVICE_FEATURES), 0);
        ports.write32(DRIVER_FEATURES, 0);
        ports.write16(QUEUE_SELECT, TRANSMIT);
        let size = ports.read16(QUEUE_SIZE);
        let request = Request::new(8 * PAGE).pages(PagePolicy::Huge);
        // SAFETY: the ring accesses it only as the device and it take turns; the device is reset
        // in `drop`.
        let memory = unsafe { DmaMemory::new(&*device.dma(), request) }?;
        let ring = Ring::legacy(memory, size);
        ports.write32(QUEUE_PAGE, (ring.addresses()[0].raw() / PAGE as u64) as u32);
        device.config().enable_bus_master()?;
        ports.write8(STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
        Ok(Self { ports, ring, device })
    }

    pub(crate) fn send(&mut self) {
        let address = self.ring.frame();
        self.ring.post(address, 72);
        self.ports.write16(QUEUE_NOTIFY, TRANSMIT);
    }

    pub(crate) fn wait_until_done(&self) {
        let start = Instant::now();
        while !self.ring.is_done() {
            assert!(start.elapsed() < PATIENCE, "nothing was sent");
        }
    }

    /// Has the device lower its line.
    pub(crate) fn acknowledge(&self) -> u8 {
        self.ports.read8(ISR)
    }
}

impl Drop for LegacySender {
    fn drop(&mut self) {
        self.ports.write8(STATUS, 0);
    }
}

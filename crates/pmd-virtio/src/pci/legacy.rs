//! The legacy interface: registers at fixed places of BAR 0, which are I/O ports (§4.1.4.10). Little
//! endian here, as the guests that it was made for are.

use super::interface::{Interface, NO_VECTOR};
use super::trouble::Trouble;
use crate::bell::Bell;
use crate::transport::RingPlan;
use linecard_eal::device::{Bar, ReadOnly, ReadWrite, Reg};
use linecard_net::MacAddr;
use linecard_virtqueue::{Features, Status};
use std::sync::atomic::{AtomicBool, Ordering};

const DEVICE_FEATURES: Reg<u32, ReadOnly> = Reg::at(0x00);
const DRIVER_FEATURES: Reg<u32, ReadWrite> = Reg::at(0x04);
/// The queue's page: its address divided by 4096.
const QUEUE_ADDRESS: Reg<u32, ReadWrite> = Reg::at(0x08);
const QUEUE_SIZE: Reg<u16, ReadOnly> = Reg::at(0x0C);
const QUEUE_SELECT: Reg<u16, ReadWrite> = Reg::at(0x0E);
const QUEUE_NOTIFY: usize = 0x10;
const DEVICE_STATUS: Reg<u8, ReadWrite> = Reg::at(0x12);
const ISR_STATUS: usize = 0x13;
/// Only if MSI-X is on.
const CONFIG_MSIX_VECTOR: Reg<u16, ReadWrite> = Reg::at(0x14);
const QUEUE_MSIX_VECTOR: Reg<u16, ReadWrite> = Reg::at(0x16);

/// Where the network device's own configuration begins: without MSI-X, with it.
const OWN: [usize; 2] = [0x14, 0x18];
/// Bytes of it that every device has: address and status.
const OWN_LEN: usize = 8;

/// Queues are in pages, whose numbers have 32 bits.
const PAGE: u64 = 4096;

/// Queues that are looked for.
const MOST_QUEUES: u16 = 256;

/// A legacy device's registers.
#[derive(Debug)]
pub(super) struct Legacy {
    ports: Bar,
    msix: AtomicBool,
}

impl Legacy {
    /// Over BAR 0.
    pub(super) fn new(ports: Bar) -> Result<Self, Trouble> {
        ports.at_least(OWN[1] + OWN_LEN)?;
        Ok(Legacy { ports, msix: AtomicBool::new(false) })
    }

    fn select(&self, index: u16) -> &Bar {
        self.ports.write(QUEUE_SELECT, index);
        &self.ports
    }

    fn has_msix(&self) -> bool {
        // Relaxed: the control side's alone.
        self.msix.load(Ordering::Relaxed)
    }
}

impl Interface for Legacy {
    fn offered(&self) -> Features {
        Features::from_bits_truncate(self.ports.read(DEVICE_FEATURES).into())
    }

    fn accept(&self, features: Features) {
        self.ports.write(DRIVER_FEATURES, features.bits() as u32);
    }

    fn status(&self) -> u8 {
        self.ports.read(DEVICE_STATUS)
    }

    fn set_status(&self, status: Status) {
        self.ports.write(DEVICE_STATUS, status.bits());
    }

    fn queues(&self) -> u16 {
        (0..MOST_QUEUES).find(|index| self.size(*index) == 0).unwrap_or(MOST_QUEUES)
    }

    fn size(&self, index: u16) -> u16 {
        self.select(index).read(QUEUE_SIZE)
    }

    fn sizes_are_fixed(&self) -> bool {
        true
    }

    fn start_queue(&self, ring: &RingPlan, vector: u16) -> Result<(), Trouble> {
        let (index, asked) = (ring.index, ring.size);
        let ports = self.select(index);
        if ports.read(QUEUE_ADDRESS) != 0 {
            return Err(Trouble::InUse { index });
        }
        let size = ports.read(QUEUE_SIZE);
        if size != asked {
            return Err(Trouble::Size { index, asked, size });
        }
        if self.has_msix() {
            ports.write(QUEUE_MSIX_VECTOR, vector);
            if ports.read(QUEUE_MSIX_VECTOR) != vector && vector != NO_VECTOR {
                return Err(Trouble::Vector(vector));
            }
        }
        let page = u32::try_from(ring.descriptors / PAGE);
        let page = page.map_err(|_| Trouble::High(ring.descriptors))?;
        // The other parts follow it, at multiples of a page (§2.7.2).
        ports.write(QUEUE_ADDRESS, page);
        Ok(())
    }

    fn reset_queue(&self, _: u16) -> bool {
        false
    }

    fn is_queue_reset(&self, _: u16) -> bool {
        false
    }

    fn set_config_vector(&self, vector: u16) -> Result<(), Trouble> {
        self.ports.write(CONFIG_MSIX_VECTOR, vector);
        match self.ports.read(CONFIG_MSIX_VECTOR) == vector {
            true => Ok(()),
            false => Err(Trouble::Vector(vector)),
        }
    }

    fn set_msix(&self, on: bool) {
        // Relaxed: the control side's alone.
        self.msix.store(on, Ordering::Relaxed);
    }

    fn bell(&self, index: u16, _: Features) -> Result<Bell, Trouble> {
        Ok(Bell::Number(self.ports.register(QUEUE_NOTIFY)?, index))
    }

    fn take_cause(&self) -> u8 {
        self.ports.read8(ISR_STATUS)
    }

    fn generation(&self) -> u8 {
        0
    }

    fn own(&self) -> Result<Bar, Trouble> {
        let start = OWN[usize::from(self.has_msix())];
        Ok(self.ports.part(start, self.ports.len() - start)?)
    }

    fn set_mac(&self, mac: MacAddr) -> bool {
        // §5.1.4.1: legacy drivers write it here.
        let Ok(own) = self.own() else { return false };
        mac.0.iter().enumerate().for_each(|(at, byte)| own.write8(at, *byte));
        true
    }
}

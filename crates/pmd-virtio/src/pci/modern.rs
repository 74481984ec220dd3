//! The modern interface: the common configuration structure (§4.1.4.3) and its neighbours.

use super::capability::Structures;
use super::interface::{Interface, NO_VECTOR};
use super::trouble::Trouble;
use crate::bell::Bell;
use crate::transport::RingPlan;
use linecard_eal::device::{Bar, ReadOnly, ReadWrite, Reg};
use linecard_net::MacAddr;
use linecard_virtqueue::{Features, Status};

const DEVICE_FEATURE_SELECT: Reg<u32, ReadWrite> = Reg::at(0x00);
const DEVICE_FEATURE: Reg<u32, ReadOnly> = Reg::at(0x04);
const DRIVER_FEATURE_SELECT: Reg<u32, ReadWrite> = Reg::at(0x08);
const DRIVER_FEATURE: Reg<u32, ReadWrite> = Reg::at(0x0C);
const CONFIG_MSIX_VECTOR: Reg<u16, ReadWrite> = Reg::at(0x10);
const NUM_QUEUES: Reg<u16, ReadOnly> = Reg::at(0x12);
const DEVICE_STATUS: Reg<u8, ReadWrite> = Reg::at(0x14);
const CONFIG_GENERATION: Reg<u8, ReadOnly> = Reg::at(0x15);
const QUEUE_SELECT: Reg<u16, ReadWrite> = Reg::at(0x16);
const QUEUE_SIZE: Reg<u16, ReadWrite> = Reg::at(0x18);
const QUEUE_MSIX_VECTOR: Reg<u16, ReadWrite> = Reg::at(0x1A);
const QUEUE_ENABLE: Reg<u16, ReadWrite> = Reg::at(0x1C);
const QUEUE_NOTIFY_OFF: Reg<u16, ReadOnly> = Reg::at(0x1E);
/// 64 bits each, written as two halves (§4.1.3.1).
const QUEUE_DESC: [Reg<u32, ReadWrite>; 2] = [Reg::at(0x20), Reg::at(0x24)];
const QUEUE_DRIVER: [Reg<u32, ReadWrite>; 2] = [Reg::at(0x28), Reg::at(0x2C)];
const QUEUE_DEVICE: [Reg<u32, ReadWrite>; 2] = [Reg::at(0x30), Reg::at(0x34)];
const QUEUE_RESET: Reg<u16, ReadWrite> = Reg::at(0x3A);

/// Bytes of the structure with `queue_reset`.
const WITH_RESET: usize = 0x3C;

/// A modern device's registers.
#[derive(Debug)]
pub(super) struct Modern(Structures);

impl Modern {
    pub(super) fn new(structures: Structures) -> Self {
        Modern(structures)
    }

    fn select(&self, index: u16) -> &Bar {
        self.0.common.write(QUEUE_SELECT, index);
        &self.0.common
    }
}

impl Interface for Modern {
    fn offered(&self) -> Features {
        let half = |select| {
            self.0.common.write(DEVICE_FEATURE_SELECT, select);
            u64::from(self.0.common.read(DEVICE_FEATURE))
        };
        let offered = Features::from_bits_truncate(half(0) | half(1) << 32);
        // A structure without the register cannot do it.
        match self.0.common.len() < WITH_RESET {
            true => offered - Features::RING_RESET,
            false => offered,
        }
    }

    fn accept(&self, features: Features) {
        for (select, half) in [(0, features.bits() as u32), (1, (features.bits() >> 32) as u32)] {
            self.0.common.write(DRIVER_FEATURE_SELECT, select);
            self.0.common.write(DRIVER_FEATURE, half);
        }
    }

    fn status(&self) -> u8 {
        self.0.common.read(DEVICE_STATUS)
    }

    fn set_status(&self, status: Status) {
        self.0.common.write(DEVICE_STATUS, status.bits());
    }

    fn queues(&self) -> u16 {
        self.0.common.read(NUM_QUEUES)
    }

    fn size(&self, index: u16) -> u16 {
        self.select(index).read(QUEUE_SIZE)
    }

    fn sizes_are_fixed(&self) -> bool {
        false
    }

    fn start_queue(&self, ring: &RingPlan, vector: u16) -> Result<(), Trouble> {
        let (index, asked) = (ring.index, ring.size);
        let common = self.select(index);
        if common.read(QUEUE_ENABLE) != 0 {
            return Err(Trouble::InUse { index });
        }
        common.write(QUEUE_SIZE, asked);
        let size = common.read(QUEUE_SIZE);
        if size != asked {
            return Err(Trouble::Size { index, asked, size });
        }
        let parts = [
            (QUEUE_DESC, ring.descriptors),
            (QUEUE_DRIVER, ring.driver),
            (QUEUE_DEVICE, ring.device),
        ];
        for ([low, high], address) in parts {
            common.write(low, address as u32);
            common.write(high, (address >> 32) as u32);
        }
        common.write(QUEUE_MSIX_VECTOR, vector);
        if common.read(QUEUE_MSIX_VECTOR) != vector && vector != NO_VECTOR {
            return Err(Trouble::Vector(vector));
        }
        common.write(QUEUE_ENABLE, 1);
        Ok(())
    }

    fn reset_queue(&self, index: u16) -> bool {
        let there = self.0.common.len() >= WITH_RESET;
        if there {
            self.select(index).write(QUEUE_RESET, 1);
        }
        there
    }

    fn is_queue_reset(&self, index: u16) -> bool {
        // 1 while it is being reset (§4.1.4.3.2); and then the queue is disabled.
        let common = self.select(index);
        common.read(QUEUE_RESET) == 0 && common.read(QUEUE_ENABLE) == 0
    }

    fn set_config_vector(&self, vector: u16) -> Result<(), Trouble> {
        self.0.common.write(CONFIG_MSIX_VECTOR, vector);
        match self.0.common.read(CONFIG_MSIX_VECTOR) == vector {
            true => Ok(()),
            false => Err(Trouble::Vector(vector)),
        }
    }

    fn set_msix(&self, _: bool) {}

    fn bell(&self, index: u16, features: Features) -> Result<Bell, Trouble> {
        let place = usize::from(self.select(index).read(QUEUE_NOTIFY_OFF));
        let place = place.saturating_mul(self.0.multiplier);
        Ok(match features.contains(Features::NOTIFICATION_DATA) {
            true => Bell::Place(self.0.notify.register(place)?, index),
            false => Bell::Number(self.0.notify.register(place)?, index),
        })
    }

    fn take_cause(&self) -> u8 {
        self.0.isr.read8(0)
    }

    fn generation(&self) -> u8 {
        self.0.common.read(CONFIG_GENERATION)
    }

    fn own(&self) -> Result<Bar, Trouble> {
        Ok(self.0.own.clone())
    }

    fn set_mac(&self, _: MacAddr) -> bool {
        // §5.1.4: read-only for the driver.
        false
    }
}

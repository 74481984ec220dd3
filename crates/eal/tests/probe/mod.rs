//! As much of a driver for virtio-net (virtio 1.2, §4.1, §5.1) as it takes to send one frame through
//! the traits of `eal::device`, over the modern interface.

pub(super) mod legacy;
pub(super) mod ring;

use linecard_eal::device::{
    Bar, Capability, CapabilityId, ConfigSpace, Device, DeviceError, DmaMemory, InterruptKind,
    Vector,
};
use linecard_eal::event::{Epoll, Wake};
use linecard_eal::mem::{Iova, PagePolicy, Request};
use ring::Ring;
use std::time::{Duration, Instant};

/// Waiting for a guest under an interpreter, on a machine that has other things to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

const TRANSMIT: u16 = 1;
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
/// `VIRTIO_F_VERSION_1` and `VIRTIO_F_ACCESS_PLATFORM`, in the upper half of the features.
const VERSION_1: u32 = 1;
const ACCESS_PLATFORM: u32 = 2;

/// Where the common configuration has what.
mod common {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0;
    pub(super) const DEVICE_FEATURE: usize = 4;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 8;
    pub(super) const DRIVER_FEATURE: usize = 12;
    pub(super) const STATUS: usize = 20;
    pub(super) const QUEUE_SELECT: usize = 22;
    pub(super) const QUEUE_SIZE: usize = 24;
    pub(super) const QUEUE_VECTOR: usize = 26;
    pub(super) const QUEUE_ENABLE: usize = 28;
    pub(super) const QUEUE_NOTIFY: usize = 30;
    pub(super) const QUEUE_ADDRESSES: [usize; 3] = [32, 40, 48];
}

/// A structure of the device, by its number: 1 common, 2 notification, 3 ISR, 4 device.
pub(super) fn structure(device: &dyn Device, wanted: u8) -> Result<(Bar, u32), DeviceError> {
    let config = device.config();
    for found in config.capabilities()? {
        let Capability { id, offset, .. } = found?;
        if id == CapabilityId::VENDOR && config.read8(offset + 3)? == wanted {
            let bar = device.bar(config.read8(offset + 4)?)?;
            let [start, len] = [config.read32(offset + 8)?, config.read32(offset + 12)?];
            // Only the notification structure has a multiplier.
            let multiplier = if wanted == 2 { config.read32(offset + 16)? } else { 0 };
            return Ok((bar.part(start as usize, len as usize)?, multiplier));
        }
    }
    panic!("{} has no structure {wanted}", device.name());
}

/// A device that is set up to send.
pub(super) struct Sender {
    common: Bar,
    notify: Bar,
    pub(super) isr: Bar,
    ring: Ring,
    pub(super) device: Box<dyn Device>,
}

/// Whether the device may address memory as the platform says only.
fn negotiate(common: &Bar) -> bool {
    common.write8(common::STATUS, 0);
    let start = Instant::now();
    while common.read8(common::STATUS) != 0 {
        assert!(start.elapsed() < PATIENCE, "the device does not reset");
    }
    common.write8(common::STATUS, ACKNOWLEDGE | DRIVER);
    common.write32(common::DEVICE_FEATURE_SELECT, 1);
    let offered = common.read32(common::DEVICE_FEATURE);
    assert_ne!(offered & VERSION_1, 0, "a modern device");
    // None of the lower half; what the kernel's driver negotiated is still in there.
    common.write32(common::DRIVER_FEATURE_SELECT, 0);
    common.write32(common::DRIVER_FEATURE, 0);
    common.write32(common::DRIVER_FEATURE_SELECT, 1);
    common.write32(common::DRIVER_FEATURE, offered & (VERSION_1 | ACCESS_PLATFORM));
    common.write8(common::STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assert_ne!(common.read8(common::STATUS) & FEATURES_OK, 0, "the features are accepted");
    offered & ACCESS_PLATFORM != 0
}

impl Sender {
    /// Sets up the transmit queue, with a message for its interrupts if there are messages.
    pub(super) fn open(device: Box<dyn Device>, pages: PagePolicy) -> Result<Self, DeviceError> {
        let (common, _) = structure(&*device, 1)?;
        let (notify, multiplier) = structure(&*device, 2)?;
        let (isr, _) = structure(&*device, 3)?;
        negotiate(&common);
        // SAFETY: the ring accesses it only as the device and it take turns; `Sender` is dropped
        // with the device reset, in `drop`.
        let memory = unsafe { DmaMemory::new(&*device.dma(), Request::new(8192).pages(pages)) }?;
        let ring = Ring::new(memory, 8);
        common.write16(common::QUEUE_SELECT, TRANSMIT);
        common.write16(common::QUEUE_SIZE, 8);
        for (register, address) in common::QUEUE_ADDRESSES.into_iter().zip(ring.addresses()) {
            // As the device is 32 bits wide here, a half at a time (§4.1.3.1).
            common.write32(register, address.raw() as u32);
            common.write32(register + 4, (address.raw() >> 32) as u32);
        }
        let place = usize::from(common.read16(common::QUEUE_NOTIFY)) * multiplier as usize;
        let notify = notify.part(place, 4)?;
        device.config().enable_bus_master()?;
        Ok(Self { common, notify, isr, ring, device })
    }

    /// Enables `count` vectors, and has the transmit queue use the last.
    pub(super) fn enable(&self, kind: InterruptKind, count: u32) -> Vec<Vector> {
        let vectors = self.device.interrupts().enable(kind, count).unwrap();
        if kind == InterruptKind::MsiX {
            self.common.write16(common::QUEUE_SELECT, TRANSMIT);
            self.common.write16(common::QUEUE_VECTOR, count as u16 - 1);
            assert_eq!(self.common.read16(common::QUEUE_VECTOR), count as u16 - 1);
        }
        vectors
    }

    pub(super) fn start(&self) {
        self.common.write16(common::QUEUE_SELECT, TRANSMIT);
        self.common.write16(common::QUEUE_ENABLE, 1);
        self.common.write8(common::STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    }

    /// Sends a frame of 60 bytes from the ring's own memory.
    pub(super) fn send(&mut self) {
        let address = self.ring.frame();
        self.send_from(address);
    }

    /// Has the device fetch a frame from anywhere.
    pub(super) fn send_from(&mut self, address: Iova) {
        self.ring.post(address, 72);
        self.notify.write16(0, TRANSMIT);
    }

    /// Waits until the device has taken all that was sent.
    pub(super) fn wait_until_done(&self) {
        let start = Instant::now();
        while !self.ring.is_done() {
            assert!(start.elapsed() < PATIENCE, "nothing was sent: status {:#x}", self.status());
        }
    }

    pub(super) fn status(&self) -> u8 {
        self.common.read8(common::STATUS)
    }

    /// The station address in the device's own configuration.
    pub(super) fn mac(&self) -> [u8; 6] {
        let (own, _) = structure(&*self.device, 4).unwrap();
        std::array::from_fn(|at| own.read8(at))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.common.write8(common::STATUS, 0);
    }
}

/// Waits for a vector, and takes it.
pub(super) fn wait_for(vector: &Vector) {
    let epoll = Epoll::new().unwrap();
    epoll.add(vector, 0).unwrap();
    let mut wakes = [Wake::default()];
    assert_eq!(epoll.wait(&mut wakes, Some(PATIENCE)).unwrap().len(), 1, "no interrupt came");
    assert!(vector.take().unwrap());
}

/// Waits until something is so.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The capabilities that are in the first 256 bytes, and the extended ones, by offset.
pub(super) fn offsets(config: &dyn ConfigSpace) -> (Vec<u16>, Vec<u16>) {
    let of = |found: Result<Capability, DeviceError>| found.unwrap().offset;
    let mut plain: Vec<_> = config.capabilities().unwrap().map(of).collect();
    plain.sort_unstable();
    (plain, config.extended_capabilities().map(of).collect())
}

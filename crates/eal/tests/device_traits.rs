//! A device in software behind the traits of `eal::device`, written as another crate would, and a
//! driver for it that knows the traits only: that they suffice.
//!
//! The device copies: its registers hold a source, a target and a length, and its doorbell starts
//! it. It reaches memory by the mappings it was told of, and by nothing else.

mod fake;

use fake::server::Server;
use fake::{Fake, Layout};
use linecard_eal::device::{
    BarRegister, CapabilityId, Command, Device, DeviceError, DmaMemory, Identity, InterruptKind,
    Place, ReadClear, ReadOnly, ReadWrite, Reg, RegArray, State, Vector, WriteOnly,
};
use linecard_eal::mem::{Backing, PagePolicy, Request};

const STATUS: Reg<u32, ReadOnly> = Reg::at(0x00);
const ERRORS: Reg<u32, ReadClear> = Reg::at(0x04);
const DOORBELL: Reg<u32, WriteOnly> = Reg::at(0x08);
const LENGTH: Reg<u32, ReadWrite> = Reg::at(0x1000);
const PLACES: RegArray<u64, ReadWrite, 2> = RegArray::new(0x1008, 8);

/// What a driver keeps of a device.
struct Copier {
    memory: DmaMemory,
    doorbell: BarRegister<u32>,
    done: Vector,
    device: Box<dyn Device>,
}

fn memory() -> Request {
    Request::new(8192).pages(PagePolicy::Small)
}

impl Copier {
    fn open(device: Box<dyn Device>) -> Result<Self, DeviceError> {
        let bar = device.bar(0)?;
        bar.at_least(0x1018)?;
        // SAFETY: the memory is accessed by `copy` only, which waits for the device.
        let memory = unsafe { DmaMemory::new(&*device.dma(), memory()) }?;
        let done = device.interrupts().enable(InterruptKind::MsiX, 1)?.remove(0);
        device.config().enable_bus_master()?;
        Ok(Self { memory, doorbell: bar.bind(DOORBELL)?, done, device })
    }

    fn copy(&mut self, text: &[u8]) -> Result<Vec<u8>, DeviceError> {
        let base = self.memory.base().as_ptr();
        // SAFETY: the device does not run, and the text is shorter than half of the memory.
        unsafe { base.copy_from_nonoverlapping(text.as_ptr(), text.len()) };
        let bar = self.device.bar(0)?;
        for (place, offset) in [0, 4096].into_iter().enumerate() {
            let address = self.memory.contiguous(offset, text.len()).expect("within the memory");
            bar.write(PLACES.nth(place), address.raw());
        }
        bar.write(LENGTH, text.len() as u32);
        self.doorbell.write(1);
        if bar.read(STATUS) == u32::MAX {
            self.device.present()?;
        }
        assert!(self.done.take().unwrap(), "the device fires when it is done");
        let mut copy = vec![0; text.len()];
        // SAFETY: the device is done, and the range is within the memory.
        unsafe { base.add(4096).copy_to_nonoverlapping(copy.as_mut_ptr(), copy.len()) };
        Ok(copy)
    }
}

#[test]
fn one_driver_runs_on_called_and_on_partly_mapped_registers() {
    for layout in [Layout::Called, Layout::Mixed] {
        let mut copier = Copier::open(Box::new(Fake::new(layout))).unwrap();
        assert_eq!(copier.copy(b"over there").unwrap(), b"over there");
        assert!(!copier.done.take().unwrap(), "a vector that was taken is silent");
    }
}

#[test]
fn the_same_driver_runs_on_a_device_behind_a_socket_that_others_serve() {
    for layout in [Layout::Called, Layout::Mixed] {
        let server = Server::start(layout);
        let mut copier = Copier::open(Box::new(server.connect())).unwrap();
        let page = copier.device.bar(0).unwrap().part(0x1000, 0x1000).unwrap();
        assert_eq!(page.mmio().is_some(), matches!(layout, Layout::Mixed));
        assert_eq!(copier.copy(b"far away").unwrap(), b"far away");
        assert_eq!(copier.copy(b"once more").unwrap(), b"once more");
        copier.device.reset().unwrap();
        copier.device.config().enable_bus_master().unwrap();
        // Registers keep the connection, as they keep a device's file.
        drop((copier, page));
        assert_eq!(server.end(), (false, 0), "neither bus mastering nor mappings are left");
    }
}

#[test]
fn a_device_behind_a_socket_says_what_it_cannot() {
    let server = Server::start(Layout::Called);
    let device: Box<dyn Device> = Box::new(server.connect());
    assert_eq!(device.identity().vendor, 0xca0d);
    assert!(matches!(device.bar(3), Err(DeviceError::NoBar { index: 3, .. })));
    assert!(device.interrupts().enable(InterruptKind::Msi, 1).is_err());
    let anonymous = memory().backing(Backing::Anonymous).map().unwrap();
    // SAFETY: the device stands still.
    let error = unsafe { device.dma().map(&anonymous, Place::Native) }.unwrap_err();
    assert!(error.to_string().contains("Memfd"), "{error}");
    assert_eq!(device.state(), State::Present);
}

#[test]
fn a_device_without_bus_mastering_copies_nothing_and_counts_it() {
    let mut copier = Copier::open(Box::new(Fake::new(Layout::Called))).unwrap();
    copier.device.config().disable_bus_master().unwrap();
    assert_eq!(copier.copy(b"text").unwrap(), [0; 4]);
    let bar = copier.device.bar(0).unwrap();
    assert_eq!((bar.take(ERRORS), bar.take(ERRORS)), (1, 0));
}

#[test]
fn memory_whose_mapping_is_gone_is_not_reached() {
    let device = Fake::new(Layout::Mixed);
    let mut copier = Copier::open(Box::new(device)).unwrap();
    let other = memory().map().unwrap();
    // SAFETY: nothing accesses `other` but the device, which stands still; it goes after the mapping.
    let mapping = unsafe { copier.device.dma().map(&other, Place::Private) }.unwrap();
    let address = mapping.contiguous(0, 16).unwrap();
    assert_ne!(address.raw(), other.address().raw() as u64);
    drop(mapping);
    let bar = copier.device.bar(0).unwrap();
    bar.write(PLACES.nth(0), address.raw());
    bar.write(LENGTH, 16);
    copier.doorbell.write(1);
    assert_eq!(bar.take(ERRORS), 1);
    assert_eq!(copier.copy(b"still alive").unwrap(), b"still alive");
}

#[test]
fn a_device_that_was_pulled_is_an_error_and_not_data() {
    let device = Fake::new(Layout::Called);
    let plug = device.plug();
    let mut copier = Copier::open(Box::new(device)).unwrap();
    assert_eq!(copier.device.state(), State::Present);
    plug.pull();
    assert!(matches!(copier.copy(b"text"), Err(DeviceError::Removed { .. })));
    assert_eq!(copier.device.state(), State::Removed);
}

#[test]
fn dropping_the_device_ends_its_dma_and_a_late_doorbell_is_harmless() {
    let device = Fake::new(Layout::Called);
    let plug = device.plug();
    let Copier { memory, doorbell, device, done } = Copier::open(Box::new(device)).unwrap();
    drop(device);
    doorbell.write(1);
    assert!(!plug.is_bus_master() && !done.take().unwrap());
    drop(memory);
}

#[test]
fn configuration_space_tells_ids_capabilities_and_the_command_register() {
    let device: Box<dyn Device> = Box::new(Fake::new(Layout::Called));
    let config = device.config();
    assert_eq!(Identity::read(config).unwrap(), device.identity());
    assert!(device.identity().class.is_network());
    let msix = config.capability(CapabilityId::MSI_X).unwrap().unwrap();
    assert_eq!(msix.offset, 0x50);
    assert_eq!(config.capability(CapabilityId::VENDOR).unwrap(), None);
    assert_eq!(config.extended_capabilities().count(), 0);
    assert!(!config.command().unwrap().contains(Command::BUS_MASTER));
    assert!(matches!(config.read32(0xfe), Err(DeviceError::ConfigRange { len: 256, .. })));
}

#[test]
fn more_vectors_than_there_are_is_an_error_with_the_limit() {
    let device = Fake::new(Layout::Called);
    let interrupts = device.interrupts();
    assert_eq!(interrupts.best(2), Some(InterruptKind::MsiX));
    assert_eq!(interrupts.best(9), None);
    let error = interrupts.enable(InterruptKind::MsiX, 9).unwrap_err();
    assert!(error.to_string().contains("this device has 2"), "{error}");
}

//! Devices without an IOMMU, driven through uio_pci_generic.
//!
//! guest: iommu=none, nodes=1, cpus=2, limit=120
//! guest: netdev=user,id=n0, netdev=user,id=n1, netdev=user,id=n2
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,addr=6,disable-legacy=off,disable-modern=off
//! guest: device=e1000e,id=nic2,netdev=n2,addr=7
//! guest: modules=virtio_pci+virtio_net+e1000e, carried=uio_pci_generic+vfio-pci, programs=ping+ip

#[expect(dead_code, reason = "each file of tests uses a part of it")]
mod probe;

use linecard_eal::device::{DeviceError, InterruptKind, Place, State};
use linecard_eal::mem::{IovaMode, PagePolicy, Request};
use linecard_eal::pci::{self, Address, Function, InUse, PciError};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use probe::legacy::LegacySender;
use probe::{Sender, wait_for};

const MODERN: &str = "0000:00:05.0";
const TRANSITIONAL: &str = "0000:00:06.0";
const INTEL: &str = "0000:00:07.0";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The device, bound to uio_pci_generic for as long as the test runs.
struct Borrowed(pci::Bound);

impl Borrowed {
    fn new(device: &str) -> Self {
        guest::load_module("uio_pci_generic").unwrap();
        Self(pci::bind(address(device), "uio_pci_generic", InUse::Force).unwrap())
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let restored = self.0.restore();
        assert!(std::thread::panicking() || restored.is_ok(), "{restored:?}");
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_modern_device_sends_by_physical_address_and_interrupts_by_its_line() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for nic in [MODERN, TRANSITIONAL] {
        let _borrowed = Borrowed::new(nic);
        let device = pci::open(address(nic)).unwrap();
        assert_eq!(device.dma().limits().mode, IovaMode::Physical);
        assert_eq!(device.interrupts().best(1), Some(InterruptKind::Intx));
        let mut sender = Sender::open(device, PagePolicy::Huge).unwrap();
        let line = sender.enable(InterruptKind::Intx, 1);
        sender.start();
        for _ in 0..3 {
            sender.send();
            wait_for(&line[0]);
            assert_eq!(sender.isr.read8(0) & 1, 1);
            sender.device.interrupts().unmask().unwrap();
        }
        sender.device.interrupts().disable().unwrap();
        sender.send();
        sender.wait_until_done();
        assert!(!line[0].take().unwrap());
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_transitional_device_sends_through_its_ports() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(TRANSITIONAL);
    let device = pci::open(address(TRANSITIONAL)).unwrap();
    assert_eq!(device.identity().device, 0x1000);
    let mut sender = LegacySender::open(device).unwrap();
    let line = sender.device.interrupts().enable(InterruptKind::Intx, 1).unwrap();
    for _ in 0..2 {
        sender.send();
        wait_for(&line[0]);
        assert_eq!(sender.acknowledge() & 1, 1);
        sender.device.interrupts().unmask().unwrap();
        sender.wait_until_done();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_that_is_taken_off_the_bus_reads_as_all_ones_and_is_known_to_be_gone() {
    if !needs(&[Need::Guest]) {
        return;
    }
    guest::load_module("uio_pci_generic").unwrap();
    let _bound = pci::bind(address(TRANSITIONAL), "uio_pci_generic", InUse::Force).unwrap();
    let mut sender = LegacySender::open(pci::open(address(TRANSITIONAL)).unwrap()).unwrap();
    sender.send();
    sender.wait_until_done();
    assert!(!sender.device.is_gone());
    std::fs::write(format!("/sys/bus/pci/devices/{TRANSITIONAL}/remove"), "1").unwrap();
    assert_eq!(sender.acknowledge(), 0xff);
    assert_eq!(sender.device.state(), State::Present, "nobody has asked yet");
    let error = sender.device.present().unwrap_err();
    assert!(matches!(error, DeviceError::Removed { .. }), "{error}");
    assert_eq!(sender.device.state(), State::Removed);
    drop(sender);
    std::fs::write("/sys/bus/pci/rescan", "1").unwrap();
    assert!(guest::interface_of(TRANSITIONAL).is_some(), "what comes back is the kernel's");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn registers_read_the_same_mapped_and_through_ports() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(INTEL);
    let device = pci::open(address(INTEL)).unwrap();
    let (registers, ports) = (device.bar(0).unwrap(), device.bar(2).unwrap());
    assert!(registers.mmio().is_some() && ports.mmio().is_none());
    for offset in [0x8, 0x5400, 0x5404] {
        ports.write32(0, offset);
        assert_eq!(ports.read32(4), registers.read32(offset as usize), "{offset:#x}");
    }
    assert!(matches!(device.bar(5), Err(DeviceError::NoBar { index: 5, .. })));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn what_takes_an_iommu_or_huge_pages_is_refused() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let error = {
        guest::load_module("vfio-pci").unwrap();
        pci::bind(address(MODERN), "vfio-pci", InUse::Force).unwrap_err()
    };
    assert!(matches!(error, PciError::NoIommu { .. }), "{error}");
    let _borrowed = Borrowed::new(MODERN);
    let device = pci::open(address(MODERN)).unwrap();
    let small = Request::new(4096).pages(PagePolicy::Small).map().unwrap();
    let huge = Request::new(4096).pages(PagePolicy::Huge).map().unwrap();
    for (segment, place) in [(&small, Place::Native), (&huge, Place::Private)] {
        // SAFETY: the device stands still.
        let error = unsafe { device.dma().map(segment, place) }.unwrap_err();
        assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
    }
    let busy = pci::open(address(MODERN)).unwrap_err();
    assert!(matches!(busy, PciError::Busy { .. }), "{busy}");
    let vectors = device.interrupts().enable(InterruptKind::MsiX, 1).unwrap_err();
    assert!(matches!(vectors, DeviceError::Vectors { limit: 0, .. }), "{vectors}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn going_back_to_the_kernel_restores_the_interface_and_ping_works() {
    if !needs(&[Need::Guest, Need::Tool("ping")]) {
        return;
    }
    drop(Borrowed::new(MODERN));
    let driver = Function::find(address(MODERN)).unwrap().driver;
    assert_eq!(driver.as_deref(), Some("virtio-pci"));
    let interface = guest::interface_of(MODERN).expect("an interface");
    for words in
        [format!("address add 10.0.2.15/24 dev {interface}"), format!("link set {interface} up")]
    {
        Program::new("ip").words(&words).run().unwrap();
    }
    Program::new("ping").words("-c 3 -i 0.2 -W 10 10.0.2.2").run().unwrap();
}

//! Devices behind an IOMMU, driven through vfio-pci.
//!
//! guest: iommu=intel, nodes=2, cpus=2, limit=120
//! guest: netdev=user,id=n0, netdev=user,id=n1, netdev=user,id=n2
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on
//! guest: device=pxb-pcie,id=pxb1,bus_nr=32,numa_node=1,bus=pcie.0
//! guest: device=pcie-root-port,id=rp1,bus=pxb1,slot=1,chassis=1
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,bus=rp1,disable-legacy=on,iommu_platform=on
//! guest: device=virtio-net-pci,id=nic2,netdev=n2,bus=pcie.0,addr=7.0,multifunction=on,disable-legacy=on,iommu_platform=on
//! guest: device=virtio-rng-pci,id=rng0,bus=pcie.0,addr=7.1,disable-legacy=on,iommu_platform=on
//! guest: netdev=user,id=n3, device=e1000e,id=nic3,netdev=n3,bus=pcie.0,addr=8
//! guest: modules=virtio_pci+virtio_net+vfio-pci, programs=lspci+ping+ip

#[expect(dead_code, reason = "each file of tests uses a part of it")]
mod probe;

use linecard_eal::device::{DeviceError, InterruptKind, Place, State};
use linecard_eal::mem::{Iova, Node, PagePolicy, Request};
use linecard_eal::pci::{self, Address, Function, InUse, PciError, Scan};
use linecard_eal::vfio::{Api, Space};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use probe::{Sender, wait_for, wait_until};

const NEAR: &str = "0000:00:05.0";
const FAR: &str = "0000:21:00.0";
const INTEL: &str = "0000:00:08.0";
const TWIN: &str = "0000:00:07.0";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The device, bound to vfio-pci for as long as the test runs.
struct Borrowed(pci::Bound);

impl Borrowed {
    fn new(device: &str) -> Self {
        Self(pci::bind(address(device), "vfio-pci", InUse::Force).unwrap())
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
fn a_scan_is_what_lspci_lists() {
    if !needs(&[Need::Guest, Need::Tool("lspci")]) {
        return;
    }
    let listed = Program::new("lspci").words("-n -D").run().unwrap().stdout;
    let theirs: Vec<_> = listed
        .lines()
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect();
    let line = |f: &Function| format!("{} {}: {}", f.address, f.identity.class, f.identity);
    let scan = Scan::discover();
    assert!(scan.unreadable.is_empty(), "{:?}", scan.unreadable);
    assert_eq!(scan.functions.iter().map(line).collect::<Vec<_>>(), theirs);
}

/// The offsets in lines such as `Capabilities: [98] MSI-X:` and `Capabilities: [100 v1] …`.
fn listed_capabilities(device: &str) -> (Vec<u16>, Vec<u16>) {
    let listed = Program::new("lspci").words(&format!("-v -s {device}")).run().unwrap().stdout;
    let after = listed.lines().filter_map(|line| line.trim().strip_prefix("Capabilities: ["));
    let words = after.filter_map(|rest| rest.split([']', ' ']).next());
    let mut offsets: Vec<_> = words.filter_map(|w| u16::from_str_radix(w, 16).ok()).collect();
    offsets.sort_unstable();
    offsets.into_iter().partition(|&offset| offset < 0x100)
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn configuration_space_is_walked_as_lspci_walks_it() {
    if !needs(&[Need::Guest, Need::Tool("lspci")]) {
        return;
    }
    for device in [NEAR, FAR] {
        let root = linecard_eal::Root::host();
        let config = pci::SysfsConfig::read_only(&root, address(device)).unwrap();
        assert_eq!(probe::offsets(&config), listed_capabilities(device), "{device}");
    }
    let _borrowed = Borrowed::new(FAR);
    let device = pci::open(address(FAR)).unwrap();
    assert_eq!(probe::offsets(device.config()), listed_capabilities(FAR), "through VFIO");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_is_driven_with_one_message_per_vector() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(NEAR);
    let device = pci::open(address(NEAR)).unwrap();
    assert_eq!(device.interrupts().best(3), Some(InterruptKind::MsiX));
    let mut sender = Sender::open(device, PagePolicy::Small).unwrap();
    assert_eq!(sender.mac()[0] & 1, 0, "the address of a station");
    let vectors = sender.enable(InterruptKind::MsiX, 3);
    sender.start();
    for _ in 0..3 {
        sender.send();
        wait_for(&vectors[2]);
        sender.wait_until_done();
    }
    assert!(!vectors[0].take().unwrap() && !vectors[1].take().unwrap());
    sender.device.interrupts().disable().unwrap();
    sender.send();
    sender.wait_until_done();
    assert!(!vectors[2].take().unwrap(), "a disabled vector is silent");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_line_is_masked_by_its_interrupt_until_it_is_unmasked() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(NEAR);
    let device = pci::open(address(NEAR)).unwrap();
    let mut sender = Sender::open(device, PagePolicy::Small).unwrap();
    let vectors = sender.enable(InterruptKind::Intx, 1);
    sender.start();
    for _ in 0..2 {
        sender.send();
        wait_for(&vectors[0]);
        // Reading the ISR register has the device lower its line.
        assert_eq!(sender.isr.read8(0) & 1, 1);
        sender.device.interrupts().unmask().unwrap();
    }
    sender.device.interrupts().mask().unwrap();
    sender.send();
    sender.wait_until_done();
    assert!(!vectors[0].take().unwrap());
    sender.device.interrupts().unmask().unwrap();
    wait_for(&vectors[0]);
}

/// An 82574's registers: status, interrupt causes to set, and causes that interrupt.
const STATUS: usize = 0x8;
const CAUSE: usize = 0xc8;
const MASK: usize = 0xd0;

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_with_messages_ports_and_a_line_has_all_three() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(INTEL);
    let device = pci::open(address(INTEL)).unwrap();
    let (registers, ports) = (device.bar(0).unwrap(), device.bar(2).unwrap());
    assert!(registers.mmio().is_some() && ports.mmio().is_none());
    ports.write32(0, STATUS as u32);
    assert_eq!(ports.read32(4), registers.read32(STATUS));
    device.config().enable_bus_master().unwrap();
    for kind in [InterruptKind::Msi, InterruptKind::Intx] {
        let vectors = device.interrupts().enable(kind, 1).unwrap();
        registers.write32(MASK, 4);
        registers.write32(CAUSE, 4);
        wait_for(&vectors[0]);
        // Reading the causes clears them, and lowers the line.
        assert_eq!(registers.read32(0xc0) & 4, 4);
    }
    let five = device.interrupts().vectors(InterruptKind::MsiX);
    let error = device.interrupts().enable(InterruptKind::MsiX, five + 1).unwrap_err();
    assert!(matches!(error, DeviceError::Vectors { .. }), "{error}");
}

fn faults() -> usize {
    let log = Program::new("dmesg").run().unwrap().stdout;
    log.lines().filter(|line| line.contains("DMAR") && line.contains("fault addr")).count()
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn memory_that_is_unmapped_is_out_of_reach_and_the_iommu_reports_the_attempt() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(NEAR);
    let device = pci::open(address(NEAR)).unwrap();
    let mut sender = Sender::open(device, PagePolicy::Small).unwrap();
    sender.start();
    let segment = Request::new(4096).pages(PagePolicy::Small).map().unwrap();
    for place in [Place::Native, Place::Private, Place::At(Iova::new(0x4000_0000))] {
        // SAFETY: the device reads it, and nobody writes it; the mapping goes before the segment.
        let mapping = unsafe { sender.device.dma().map(&segment, place) }.unwrap();
        sender.send_from(mapping.contiguous(0, 72).unwrap());
        sender.wait_until_done();
    }
    let before = faults();
    sender.send_from(Iova::new(0x4000_0000));
    wait_until("a report of the IOMMU", || faults() > before);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn addresses_that_the_iommu_cannot_hold_or_that_are_taken_are_errors() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(NEAR);
    let device = pci::open(address(NEAR)).unwrap();
    let dma = device.dma();
    let bits = dma.limits().address_bits;
    assert!((39..=57).contains(&bits), "{bits}");
    let segment = Request::new(8192).pages(PagePolicy::Small).map().unwrap();
    let at = |iova| {
        // SAFETY: the device stands still.
        unsafe { dma.map(&segment, Place::At(Iova::new(iova))) }
    };
    let wide = at(1 << bits).unwrap_err();
    assert!(matches!(wide, DeviceError::AddressTooWide { .. }), "{wide}");
    let reserved = at(0xfee0_0000).unwrap_err();
    assert!(matches!(reserved, DeviceError::AddressTaken { .. }), "{reserved}");
    let held = at(0x10_0000).unwrap();
    let taken = at(0x10_1000).unwrap_err();
    assert!(matches!(taken, DeviceError::AddressTaken { .. }), "{taken}");
    drop(held);
    drop(at(0x10_1000).unwrap());
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_device_on_the_far_node_gets_memory_there() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(FAR);
    let device = pci::open(address(FAR)).unwrap();
    assert_eq!(device.node(), Some(1));
    let request = Request::new(1 << 21).pages(PagePolicy::Huge).node(Node::Require(1));
    let segment = request.map().unwrap();
    assert_eq!(segment.node(), Some(1));
    // SAFETY: the device stands still.
    let mapping = unsafe { device.dma().map(&segment, Place::Native) }.unwrap();
    assert_eq!(mapping.addresses().runs().len(), 1);
    assert_eq!(guest::huge_pages(1).unwrap().0 + 1, guest::huge_pages(1).unwrap().1);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn two_devices_in_one_space_share_a_mapping() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = [NEAR, FAR].map(Borrowed::new);
    let space = Space::new(Api::Group);
    let mut senders = [NEAR, FAR].map(|device| {
        let device = space.open(address(device)).unwrap();
        Sender::open(Box::new(device), PagePolicy::Small).unwrap()
    });
    assert_eq!(space.api(), Api::Group);
    let segment = Request::new(4096).pages(PagePolicy::Small).map().unwrap();
    // SAFETY: the devices read it, and nobody writes it; the mapping goes before the segment.
    let mapping = unsafe { senders[0].device.dma().map(&segment, Place::Native) }.unwrap();
    for sender in &mut senders {
        sender.start();
        sender.send_from(mapping.contiguous(0, 72).unwrap());
        sender.wait_until_done();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_reset_stops_the_device_and_it_can_be_set_up_again() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _borrowed = Borrowed::new(FAR);
    let device = pci::open(address(FAR)).unwrap();
    let sender = Sender::open(device, PagePolicy::Small).unwrap();
    sender.start();
    sender.device.reset().unwrap();
    assert_eq!(sender.status(), 0);
    let command = sender.device.config().command().unwrap();
    assert!(!command.contains(linecard_eal::device::Command::BUS_MASTER));
    drop(sender);
    let mut again = Sender::open(pci::open(address(FAR)).unwrap(), PagePolicy::Small).unwrap();
    again.start();
    again.send();
    again.wait_until_done();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn going_back_to_the_kernel_restores_the_interface_and_ping_works() {
    if !needs(&[Need::Guest, Need::Tool("ping")]) {
        return;
    }
    let borrowed = Borrowed::new(NEAR);
    assert!(Function::find(address(NEAR)).unwrap().interfaces.is_empty());
    let mut sender = Sender::open(pci::open(address(NEAR)).unwrap(), PagePolicy::Small).unwrap();
    sender.start();
    sender.send();
    sender.wait_until_done();
    drop(sender);
    drop(borrowed);
    ping_through(NEAR);
    // And now that it carries an address, it is not taken away again.
    let error = pci::bind(address(NEAR), "vfio-pci", InUse::Refuse).unwrap_err();
    assert!(matches!(error, PciError::InterfaceInUse { .. }), "{error}");
    assert_eq!(Function::find(address(NEAR)).unwrap().driver.as_deref(), Some("virtio-pci"));
}

/// QEMU's own little network answers at 10.0.2.2.
fn ping_through(device: &str) {
    let interface = guest::interface_of(device).expect("an interface");
    for words in
        [format!("address add 10.0.2.15/24 dev {interface}"), format!("link set {interface} up")]
    {
        Program::new("ip").words(&words).run().unwrap();
    }
    Program::new("ping").words("-c 3 -i 0.2 -W 10 10.0.2.2").run().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn wrong_addresses_other_drivers_and_devices_in_use_are_errors_that_say_so() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let absent = pci::open(address("0000:00:1e.7")).unwrap_err();
    assert!(matches!(absent, PciError::Absent { .. }), "{absent}");
    let other = pci::open(address(NEAR)).unwrap_err().to_string();
    assert!(other.contains("driven by virtio-pci") && other.contains("linecard bind"), "{other}");
    let module = pci::bind(address(NEAR), "uio_pci_generic", InUse::Force).unwrap_err();
    assert!(module.to_string().contains("modprobe uio_pci_generic"), "{module}");
    let _borrowed = Borrowed::new(FAR);
    let device = pci::open(address(FAR)).unwrap();
    let busy = pci::open(address(FAR)).unwrap_err();
    assert!(matches!(busy, PciError::Busy { .. }), "{busy}");
    drop(device);
    pci::open(address(FAR)).unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_group_with_a_kernel_driver_in_it_is_not_viable_and_who_it_is_is_named() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let twins = ["0000:00:07.0", "0000:00:07.1"].map(|at| Function::find(address(at)).unwrap());
    assert_eq!(twins[0].iommu_group, twins[1].iommu_group, "functions without ACS share a group");
    guest::bind("0000:00:07.1", "virtio-pci").unwrap();
    let _borrowed = Borrowed::new(TWIN);
    let error = pci::open(address(TWIN)).unwrap_err();
    assert!(matches!(error, PciError::GroupNotViable { .. }), "{error}");
    assert!(error.to_string().contains("0000:00:07.1 is driven by virtio-pci"), "{error}");
    let _other = Borrowed::new("0000:00:07.1");
    pci::open(address(TWIN)).unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_kernel_asks_for_a_device_that_is_unplugged_and_gets_it() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let _bound = pci::bind(address(FAR), "vfio-pci", InUse::Force).unwrap();
    let mut sender = Sender::open(pci::open(address(FAR)).unwrap(), PagePolicy::Small).unwrap();
    sender.start();
    assert_eq!(sender.device.state(), State::Present);
    guest::monitor("device_del nic1").unwrap();
    wait_until("the request", || sender.device.state() == State::Leaving);
    sender.send();
    sender.wait_until_done();
    assert!(!sender.device.is_gone(), "it is still there until it is let go");
    drop(sender);
    wait_until("the end of the device", || Function::find(address(FAR)).is_err());
    let plug = "device_add virtio-net-pci,id=nic1,netdev=n1,bus=rp1,disable-legacy=on,\
                iommu_platform=on";
    wait_until("the slot to be free", || guest::monitor(plug).is_ok());
    assert!(guest::interface_of(FAR).is_some(), "the next one is the kernel's");
}

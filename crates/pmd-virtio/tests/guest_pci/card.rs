//! Our end: a port on a device of QEMU's.

use crate::end::PATIENCE;
use linecard_eal::event::{Epoll, Wake};
use linecard_eal::pci;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{Event, Opened, Port, Queues, Started};
use linecard_pmd_virtio::{PciOptions, VirtioPort};
use linecard_testbed::guest;
use std::time::Instant;

/// A port on the device at `address`, which `driver` gets if it does not have it.
pub(crate) fn open(address: &str, driver: &str, options: PciOptions) -> Port<Opened> {
    if guest::driver_of(address).as_deref() != Some(driver) {
        guest::load_module(driver).unwrap();
        guest::bind(address, driver).unwrap();
    }
    let device = pci::open(address.parse().unwrap()).unwrap();
    Port::open(VirtioPort::pci(device, options.name("virtio0")).unwrap())
}

/// A port that runs.
pub(crate) struct Running {
    pub(crate) port: Port<Started>,
    pub(crate) queues: Queues,
    pub(crate) pool: MbufPool,
}

impl Running {
    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        let mut packet = self.pool.alloc().expect("a buffer");
        packet.extend(&self.pool, frame).expect("buffers");
        let mut burst = Burst::new();
        burst.push(packet).expect("room");
        assert_eq!(self.queues.tx[0].send(&mut burst), 1);
    }

    /// The next packet on a queue.
    pub(crate) fn receive(&mut self) -> Mbuf {
        let start = Instant::now();
        let mut burst = Burst::with_limit(1);
        while self.queues.rx[0].receive(&mut burst) == 0 {
            assert!(start.elapsed() < PATIENCE, "nothing came: {}", self.queues.rx[0].path());
        }
        burst.pop().expect("one")
    }

    /// Waits for the interrupt of an event, and takes it.
    pub(crate) fn event(&mut self) -> Event {
        let start = Instant::now();
        loop {
            if let Some(event) = self.port.next_event().unwrap() {
                return event;
            }
            let epoll = Epoll::new().unwrap();
            epoll.add(self.port.events().expect("an interrupt"), 0).unwrap();
            let mut wakes = [Wake::default()];
            let woken = epoll.wait(&mut wakes, Some(PATIENCE)).unwrap().len();
            assert!(woken == 1 && start.elapsed() < PATIENCE, "no interrupt came");
        }
    }
}

/// The bytes of a packet.
pub(crate) fn bytes(packet: &Mbuf) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.copy_to(0, &mut bytes);
    bytes
}

/// A frame of an experimental type, to a station, which says a number.
pub(crate) fn frame(to: [u8; 6], number: u8, len: usize) -> Vec<u8> {
    let mut frame = [to.as_slice(), &[2, 0, 0, 0, 0, 1], &[0x88, 0xB5]].concat();
    frame.extend((frame.len()..len).map(|at| (at * 7) as u8 ^ number));
    frame
}

/// The same in a VLAN.
pub(crate) fn tagged(vlan: u16, number: u8) -> Vec<u8> {
    let mut frame = frame([0xFF; 6], number, 100);
    let [high, low] = vlan.to_be_bytes();
    frame.splice(12..12, [0x81, 0, high, low]);
    frame
}

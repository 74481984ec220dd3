//! A port on the device, started.

use crate::device::{Fake, Offer};
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{Error, Opened, Port, PortConfig, Queues, Started};
use linecard_pmd_virtio::{PciOptions, VirtioPort};
use std::time::Duration;

pub(crate) fn options() -> PciOptions {
    PciOptions::new().name("virtio0").patience(Duration::from_millis(200))
}

pub(crate) fn open(offer: Offer, options: PciOptions) -> Result<(Fake, Port<Opened>), Error> {
    let fake = Fake::new(offer);
    let port = VirtioPort::pci(Box::new(fake.clone()), options)?;
    Ok((fake, Port::open(port)))
}

/// Why a device is refused.
pub(crate) fn refusal(offer: Offer) -> String {
    open(offer, options()).expect_err("it is refused").to_string()
}

pub(crate) fn pool() -> MbufPool {
    MbufPool::builder("pci").size(2047).cache(0).build().expect("a pool")
}

pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) pool: MbufPool,
    pub(crate) port: Port<Started>,
    pub(crate) queues: Queues,
}

pub(crate) fn bench(offer: Offer, change: impl Fn(PortConfig) -> PortConfig) -> Bench {
    let (fake, port) = open(offer, options()).expect("it can be driven");
    let pool = pool();
    let config = change(PortConfig::new(&pool));
    let (port, queues) = port.configure(config).expect("it can").start().expect("it starts");
    Bench { fake, pool, port, queues }
}

pub(crate) fn frame(pool: &MbufPool, number: usize, len: usize) -> Mbuf {
    let bytes: Vec<u8> = (0..len).map(|at| (number * 31 + at * 7 + at / 256) as u8).collect();
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, &bytes).expect("buffers");
    packet
}

impl Bench {
    /// Sends a frame on a queue, and gives what comes back: at once, or never.
    pub(crate) fn round(&mut self, queue: usize, packet: Mbuf) -> Option<Mbuf> {
        let mut burst = Burst::new();
        burst.push(packet).expect("room");
        assert_eq!(self.queues.tx[queue].send(&mut burst), 1);
        let mut back = Burst::with_limit(1);
        self.queues.rx[queue].receive(&mut back);
        back.pop()
    }

    /// A frame goes round.
    pub(crate) fn assert_alive(&mut self) {
        let packet = frame(&self.pool, 1, 100);
        assert_eq!(self.round(0, packet).expect("it comes back").len(), 100);
    }

    /// Ends it, and sees that all buffers are back and nothing went wrong.
    pub(crate) fn end(self) {
        let Bench { fake, pool, port, queues } = self;
        drop((queues, port));
        fake.assert_clean();
        assert!(!fake.is_bus_master());
        assert_eq!(pool.in_use(), 0);
    }
}

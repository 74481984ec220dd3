//! Two ports on two models that a cable joins, and frames for them.

use crate::bed::Modelled;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_net::header::TcpFlags;
use linecard_net::{FrameBuilder, MacAddr};
use linecard_pmd_core::{Port, PortConfig, Queues, Started};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) fn pool() -> MbufPool {
    MbufPool::builder("packets").size(4095).build().expect("a pool")
}

pub(crate) struct End {
    pub(crate) card: Modelled,
    pub(crate) port: Port<Started>,
    pub(crate) queues: Queues,
}

pub(crate) fn start(card: &Modelled, config: PortConfig) -> (Port<Started>, Queues) {
    start_with(card, crate::options(), config)
}

/// The same, with options.
pub(crate) fn start_with(
    card: &Modelled,
    options: IxgbeOptions,
    config: PortConfig,
) -> (Port<Started>, Queues) {
    let port = IxgbePort::open(Box::new(card.clone()), options).expect("an 82599");
    Port::open(port).configure(config).expect("it can").start().expect("it starts")
}

/// Two ports, a cable between them.
pub(crate) fn ends(pool: &MbufPool, configure: impl Fn(PortConfig) -> PortConfig) -> [End; 2] {
    ends_with(pool, &crate::options(), configure)
}

/// The same, with options.
pub(crate) fn ends_with(
    pool: &MbufPool,
    options: &IxgbeOptions,
    configure: impl Fn(PortConfig) -> PortConfig,
) -> [End; 2] {
    Modelled::pair().map(|card| {
        let config = configure(PortConfig::new(pool));
        let (port, queues) = start_with(&card, options.clone(), config);
        End { card, port, queues }
    })
}

pub(crate) fn packet(pool: &MbufPool, bytes: &[u8]) -> Mbuf {
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, bytes).expect("buffers");
    packet
}

impl End {
    pub(crate) fn send(&mut self, packet: Mbuf) {
        let mut burst = Burst::new();
        burst.push(packet).expect("room");
        assert_eq!(self.queues.tx[0].send(&mut burst), 1);
    }

    pub(crate) fn receive(&mut self) -> Vec<Mbuf> {
        self.receive_on(0)
    }

    pub(crate) fn receive_on(&mut self, queue: usize) -> Vec<Mbuf> {
        let mut burst = Burst::with_limit(64);
        self.queues.rx[queue].receive(&mut burst);
        burst.drain(64).collect()
    }

    pub(crate) fn errors(&self) -> (u64, u64) {
        let stats = self.port.stats();
        (stats.rx_errors, stats.tx_errors)
    }

    /// One of the port's counters.
    pub(crate) fn named(&self, name: &str) -> u64 {
        let all = self.port.extended_stats();
        all.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

pub(crate) fn bytes(packet: &Mbuf) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.copy_to(0, &mut bytes);
    bytes
}

pub(crate) const ALL: MacAddr = MacAddr([0xFF; 6]);
pub(crate) const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
pub(crate) const FROM: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const TO: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

pub(crate) fn udp(payload: &[u8]) -> Vec<u8> {
    let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).udp(7, 9).payload(payload);
    frame.to_vec().expect("a frame")
}

pub(crate) fn tcp4(payload: &[u8]) -> Vec<u8> {
    let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).tcp(7, 9, TcpFlags::ACK);
    frame.payload(payload).to_vec().expect("a frame")
}

pub(crate) fn tcp6(payload: &[u8]) -> Vec<u8> {
    let at = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
    let frame = FrameBuilder::new(ALL, HERE).ipv6(at(1), at(2)).tcp(7, 9, TcpFlags::ACK);
    frame.payload(payload).to_vec().expect("a frame")
}

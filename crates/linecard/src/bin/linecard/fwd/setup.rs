//! From drivers to running ports and the streams between them. If anything fails, what was started
//! is stopped and closed again as it is dropped.

use super::detour::{self, Detour, Used};
use super::lcore::Stream;
use super::modes::{Context, Mode};
use super::rules::{self, Rules};
use super::{Offloads, Options};
use crate::port::OpenError;
use linecard::eal::lcore::{Lcore, LcoreMap};
use linecard::eal::mem::IovaMode;
use linecard::mbuf::{Burst, DATA_ROOM, MbufPool};
use linecard::mempool::Needs;
use linecard::pmd::{
    Configured, Driver, Error, Opened, Port, PortConfig, PortInfo, Queues, RssConfig, RxOffloads,
    Started, TxOffloads,
};
use std::sync::Arc;

/// An lcore and its streams.
pub(crate) struct Work {
    pub(crate) lcore: Lcore,
    pub(crate) streams: Vec<Stream>,
}

/// Everything under way.
pub(crate) struct Running {
    pub(crate) ports: Vec<Port<Started>>,
    pub(crate) work: Vec<Work>,
    pub(crate) pool: MbufPool,
    pub(crate) rules: Option<Rules>,
    /// By port.
    pub(crate) used: Vec<Arc<Used>>,
}

/// Configures and starts all ports, and deals their streams out to lcores.
pub(crate) fn start(
    options: &Options,
    drivers: Vec<Box<dyn Driver>>,
    map: &LcoreMap,
) -> Result<Running, OpenError> {
    let ports: Vec<_> = drivers.into_iter().map(Port::open_boxed).collect();
    check_queues(options)?;
    let texts = options.rules.as_deref().map(rules::read).transpose()?;
    ports.iter().try_for_each(|port| check_limits(options, port.info()))?;
    let pool = pool(options, &ports, map)?;
    let passed = passed(options, &ports);
    let mut configured = Vec::new();
    for (i, port) in ports.into_iter().enumerate() {
        configured.push(configure(options, port, &pool, i, passed)?);
    }
    let (mut started, mut queues) = (Vec::new(), Vec::new());
    for port in configured {
        let (port, its) = port.start().map_err(|refused| refused.error)?;
        started.push(port);
        queues.push(its);
    }
    let install = |texts| Rules::install(texts, &mut started, options.rxq);
    let rules = texts.map(install).transpose()?;
    let detours: Result<Vec<_>, _> = started.iter().map(|_| detour::between(options.rxq)).collect();
    let (used, detours) = detours?.into_iter().unzip();
    let work = deal(options, &started, queues, detours, &pool, map, rules.as_ref());
    Ok(Running { ports: started, work, pool, rules, used })
}

fn check_queues(options: &Options) -> Result<(), OpenError> {
    let (rxq, txq) = (options.rxq, options.txq.unwrap_or(options.rxq));
    if rxq == 0 {
        return Err("--rxq 0: a forwarder receives on one queue at least".into());
    }
    if txq < rxq {
        let why = "each stream has a transmit queue of its own, so that no two lcores share one";
        return Err(format!("--txq {txq} is fewer than --rxq {rxq}: {why}").into());
    }
    Ok(())
}

/// What the pool's size depends on, against the port's limits: before the pool is made.
fn check_limits(options: &Options, info: &PortInfo) -> Result<(), Error> {
    let can = &info.capabilities;
    let (rxd, txd) = (can.rx_descriptors, can.tx_descriptors);
    let checks = [
        ("receive queues (--rxq)", Some(options.rxq), 1, can.rx_queues),
        ("transmit queues (--txq)", Some(options.txq.unwrap_or(options.rxq)), 1, can.tx_queues),
        ("receive descriptors (--rxd)", options.rxd, rxd.min, rxd.max),
        ("transmit descriptors (--txd)", options.txd, txd.min, txd.max),
        ("MTU (--mtu)", options.mtu, *can.mtu.start(), *can.mtu.end()),
    ];
    for (what, asked, min, max) in checks {
        if let Some(asked) = asked.filter(|asked| !(min..=max).contains(asked)) {
            let (port, hint) = (info.name.clone(), String::new());
            return Err(Error::Range { port, what, asked, min, max, hint });
        }
    }
    Ok(())
}

/// What frames may have undone on their way: what every port can give so, and every port take.
fn passed(options: &Options, ports: &[Port<Opened>]) -> (RxOffloads, TxOffloads) {
    let sums = TxOffloads::TCP_CHECKSUM | TxOffloads::UDP_CHECKSUM;
    let cut = TxOffloads::TCP_SEGMENTATION | TxOffloads::IP_CHECKSUM | TxOffloads::MULTI_SEGMENT;
    let udp = TxOffloads::UDP_SEGMENTATION;
    let every = |rx: RxOffloads, tx: TxOffloads| {
        let can = ports.iter().map(|port| &port.info().capabilities);
        can.into_iter().all(|can| can.rx_offloads.contains(rx) && can.tx_offloads.contains(tx))
    };
    let (sum, large) = (RxOffloads::L4_CHECKSUM, RxOffloads::L4_CHECKSUM | RxOffloads::LRO);
    let every_large = large | RxOffloads::LARGE_UDP;
    match options.offloads {
        Offloads::Pass if !every(sum, sums) => (RxOffloads::empty(), TxOffloads::empty()),
        Offloads::Pass if !every(large | RxOffloads::SCATTER, sums | cut) => (sum, sums),
        Offloads::Pass if !every(every_large, cut | udp) => (large, sums | cut),
        Offloads::Pass => (every_large, sums | cut | udp),
        Offloads::None => (RxOffloads::empty(), TxOffloads::empty()),
    }
}

/// What a port is asked for; a port that cannot hold a frame in a buffer scatters it if it can.
fn configure(
    options: &Options,
    port: Port<Opened>,
    pool: &MbufPool,
    number: usize,
    passed: (RxOffloads, TxOffloads),
) -> Result<Port<Configured>, OpenError> {
    let mut config = PortConfig::new(pool)
        .rx_queues(options.rxq)
        .tx_queues(options.txq.unwrap_or(options.rxq))
        .port_number(number as u16);
    if let Some(rxd) = options.rxd {
        config = config.rx_descriptors(rxd);
    }
    if let Some(txd) = options.txd {
        config = config.tx_descriptors(txd);
    }
    if let Some(mtu) = options.mtu {
        config = config.mtu(mtu);
    }
    let can = port.info().capabilities.rx_offloads;
    config = config.rx_offloads(can & RxOffloads::SCATTER | passed.0).tx_offloads(passed.1);
    if let Some(rss) = port.info().capabilities.rss.as_ref().filter(|_| options.rxq > 1) {
        config = config.rss(RssConfig::over(rss.types));
    }
    Ok(port.configure(config).map_err(|refused| refused.error)?)
}

/// A pool that cannot starve the receivers, or the one asked for, if it cannot either.
fn pool(options: &Options, ports: &[Port<Opened>], map: &LcoreMap) -> Result<MbufPool, OpenError> {
    let (rxq, txq) = (options.rxq, options.txq.unwrap_or(options.rxq));
    let (mut rx, mut tx) = (0, 0);
    for port in ports {
        let can = &port.info().capabilities;
        rx += rxq * options.rxd.unwrap_or(can.rx_descriptors.default);
        tx += txq * options.txd.unwrap_or(can.tx_descriptors.default);
    }
    let burst = usize::from(options.burst);
    let needs = Needs::new()
        .rx_descriptors(rx)
        .tx_descriptors(tx)
        .bursts(2 * burst * rxq * ports.len())
        // The lcores, and whoever is at the far ends.
        .threads(map.lcores().len() + 2);
    let room = ports.iter().map(|port| buffer_room(options, port.info())).max();
    let cache = 256;
    let size = options.buffers.unwrap_or_else(|| needs.total(cache).max(2048));
    let pool = MbufPool::builder("packets").size(size).cache(cache.min(size / 8)).needs(needs);
    let pool = match addresses(ports)? {
        Some(mode) => pool.iova(mode),
        None => pool,
    };
    Ok(pool.data_room(room.unwrap_or(DATA_ROOM)).build()?)
}

/// How the ports' devices address memory: all of them share one pool.
fn addresses(ports: &[Port<Opened>]) -> Result<Option<IovaMode>, OpenError> {
    let mut all = ports.iter().filter_map(|port| Some((port, port.info().capabilities.iova?)));
    let Some((first, mode)) = all.next() else { return Ok(None) };
    match all.find(|(_, other)| *other != mode) {
        Some((port, other)) => {
            let (a, b) = (first.name(), port.name());
            let which = format!("{a} is reached by {mode:?} addresses, {b} by {other:?} ones");
            Err(format!("{which}: bind both to vfio-pci, or both to uio_pci_generic").into())
        }
        None => Ok(Some(mode)),
    }
}

/// What a buffer must hold for a port: what its device asks for, and a whole frame where that is not
/// scattered over several.
fn buffer_room(options: &Options, info: &PortInfo) -> usize {
    let can = &info.capabilities;
    let scatters = can.rx_offloads.contains(RxOffloads::SCATTER);
    let received = options.mtu.filter(|_| !scatters).map_or(0, |mtu| mtu + TAGGED_HEADER);
    let made = if options.mode.generates() { usize::from(options.frame) } else { 0 };
    DATA_ROOM.max(can.min_buffer).max(received).max(made)
}

/// An Ethernet header and two VLAN tags.
const TAGGED_HEADER: usize = 14 + 8;

/// Stream by stream, lcore by lcore in turn: queue *q* of a port receives, queue *q* of its partner
/// sends.
fn deal(
    options: &Options,
    ports: &[Port<Started>],
    queues: Vec<Queues>,
    detours: Vec<Vec<Detour>>,
    pool: &MbufPool,
    map: &LcoreMap,
    rules: Option<&Rules>,
) -> Vec<Work> {
    let mut work: Vec<_> =
        map.lcores().iter().cloned().map(|lcore| Work { lcore, streams: vec![] }).collect();
    let (rx, mut tx): (Vec<_>, Vec<_>) =
        queues.into_iter().map(|q| (q.rx, q.tx.into_iter().map(Some).collect::<Vec<_>>())).unzip();
    let mut detours: Vec<_> = detours.into_iter().map(Vec::into_iter).collect();
    let mut next = 0;
    for (port, receivers) in rx.into_iter().enumerate() {
        let partner = partner(port, ports.len(), options.mode);
        let mac = ports[partner].mac();
        for (queue, rx) in receivers.into_iter().enumerate() {
            // As many transmit queues were asked for as there are streams.
            let Some(tx) = tx[partner][queue].take() else { continue };
            let context = Context::new(options.mode, mac, pool.clone(), usize::from(options.frame));
            let filter = rules.and_then(|rules| rules.filter(port));
            let burst = Burst::with_limit(usize::from(options.burst));
            let detour = detours[partner].next();
            let stream = Stream { rx, tx, filter, context, detour, burst, tx_port: partner };
            let at = next % work.len();
            work[at].streams.push(stream);
            next += 1;
        }
    }
    work
}

/// Which port sends what a port receives.
fn partner(port: usize, ports: usize, mode: Mode) -> usize {
    let other = port ^ 1;
    let echoes = matches!(mode, Mode::Icmpecho | Mode::Txonly | Mode::Flowgen | Mode::Rxonly);
    if echoes || other >= ports { port } else { other }
}

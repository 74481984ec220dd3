//! The port: what every way to a device has in common.

use crate::layout::Rings;
use crate::negotiate;
use crate::options::RingOptions;
use crate::queues::{self, SPEAKING};
use crate::rx::RxSetup;
use crate::transport::{Plan, QueueControl, Region, RingPlan, Transport};
use crate::tx::{Known, TxSetup};
use linecard_eal::event::EventFd;
use linecard_eal::mem::{IovaMode, Segment};
use linecard_net::MacAddr;
use linecard_pmd_core::{
    Driver, Error, Event, Link, PortConfig, PortInfo, QueueStats, Queues, RxOffloads, RxQueue,
    TxQueue,
};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::{rx_queue, tx_queue};
use linecard_virtqueue::offload::Unfinished;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// An Ethernet header and two tags.
const OVERHEAD: usize = 14 + 8;

/// A virtio-net port: the driver's side of a device, however that is reached.
///
/// Made by [`user`](VirtioPort::user) and the other transports.
pub struct VirtioPort {
    info: PortInfo,
    transport: Box<dyn Transport>,
    /// What is agreed on about rings.
    rings: Features,
    config: Option<PortConfig>,
    features: Features,
    mtu: usize,
    stats: QueueStats,
    running: Option<Running>,
    /// Handles of queues that were given away live as long as this is shared.
    lease: Arc<()>,
}

/// What lives from start to stop. The last to go: rings, in which the device may write until then.
struct Running {
    queues: Vec<Arc<dyn QueueControl>>,
    _rings: Rings,
}

impl std::fmt::Debug for VirtioPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtioPort").field("info", &self.info).finish_non_exhaustive()
    }
}

impl VirtioPort {
    /// Over a transport.
    pub(crate) fn over(
        mut transport: Box<dyn Transport>,
        (name, kind): (String, &'static str),
        rings: &RingOptions,
        (mac, queues): (Option<MacAddr>, usize),
    ) -> Result<Self, Error> {
        let offered = transport.offered();
        let agreed = negotiate::ring_features(&name, rings, offered)?;
        let pairs = transport.max_pairs().min(queues).max(1);
        let mut capabilities = negotiate::capabilities(offered, agreed, pairs);
        capabilities.events = transport.events().is_some();
        let config = transport.config();
        if let Some(config) = config.filter(|_| offered.contains(Features::MTU)) {
            capabilities.mtu = 68..=usize::from(config.mtu).clamp(68, 9700);
        }
        let theirs = config.filter(|_| offered.contains(Features::MAC)).map(|c| MacAddr(c.mac));
        let mac = mac.or(theirs).unwrap_or_else(|| mac_for(&name));
        Ok(VirtioPort {
            info: PortInfo { name, kind, mac, node: None, capabilities },
            transport,
            rings: agreed,
            config: None,
            features: agreed,
            mtu: 1500,
            stats: QueueStats::default(),
            running: None,
            lease: Arc::new(()),
        })
    }

    /// What was negotiated at the last start.
    pub fn features(&self) -> Features {
        self.features
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::Refused { port: self.info.name.clone(), what: what.into() }
    }

    fn system(&self, doing: &str, error: std::io::Error) -> Error {
        Error::system(&self.info.name, doing, error)
    }

    /// Pools have room for a header before the data, and for a frame, and addresses that a device in
    /// software knows.
    fn check_pools(&self, config: &PortConfig, mtu: usize) -> Result<(), Error> {
        let header = self.features.header_len();
        for pool in config.all_pools() {
            if pool.iova_mode() != IovaMode::Virtual {
                let what = format!("pool {}: physical addresses mean nothing here", pool.name());
                return Err(self.refused(what));
            }
        }
        let scattered = config.rx_offloads_asked().contains(RxOffloads::SCATTER);
        for queue in 0..config.rx_queue_count() {
            let (pool, frame) = (config.pool(queue), mtu + OVERHEAD);
            let (headroom, room) = (usize::from(pool.rearm(0).data_off), pool.data_room());
            if headroom < header {
                let name = pool.name();
                return Err(self.refused(format!(
                    "pool {name} has a headroom of {headroom} bytes: the virtio-net header takes {header}"
                )));
            }
            let merges = self.features.contains(Features::MRG_RXBUF);
            if room < frame && !(merges && scattered) {
                let port = self.info.name.clone();
                return Err(Error::Buffers { port, room, frame, needed: frame });
            }
        }
        Ok(())
    }

    /// Queue pairs that a configuration takes.
    fn pairs(config: &PortConfig) -> usize {
        config.rx_queue_count().max(config.tx_queue_count()).max(1)
    }

    /// Descriptors of each ring, receive and transmit in turn.
    fn sizes(&self, config: &PortConfig) -> Vec<u16> {
        let can = &self.info.capabilities;
        let pair = [config.rx_descriptor_count(can), config.tx_descriptor_count(can)];
        (0..Self::pairs(config)).flat_map(|_| pair.map(|size| size as u16)).collect()
    }

    /// All memory that the device is to know.
    fn regions(&self, config: &PortConfig, rings: &Rings) -> Result<Vec<Region>, Error> {
        let mut all = BTreeMap::new();
        for pool in config.all_pools() {
            pool.raw().with_segments(|segments| {
                segments.iter().try_for_each(|segment| self.add_region(&mut all, segment))
            })?;
        }
        self.add_region(&mut all, &rings.memory)?;
        Ok(all.into_values().collect())
    }

    fn add_region(&self, all: &mut BTreeMap<usize, Region>, of: &Segment) -> Result<(), Error> {
        let start = of.base().as_ptr().addr();
        // SAFETY: the device writes to what the driver posts to it, as holders of buffers would; a
        // device that writes elsewhere in what it was given corrupts packets, and is trusted not to:
        // that is the meaning of sharing memory with it.
        let Some((file, offset)) = (unsafe { of.file() }) else {
            return Err(
                self.refused("a pool's memory has no file to share: not Backing::Anonymous")
            );
        };
        let file = file.try_clone_to_owned().map_err(|e| self.system("sharing memory", e))?;
        all.insert(start, Region { start, len: of.len(), file, offset });
        Ok(())
    }

    /// The plan for the device, without the queues.
    fn plan(&self, config: &PortConfig, rings: &Rings) -> Result<Plan, Error> {
        let event = || EventFd::new().map(Arc::new).map_err(|e| self.system("an eventfd", e));
        let mut plans = Vec::new();
        for (i, place) in rings.places.iter().enumerate() {
            let [descriptors, driver, device] = rings.addresses(i);
            let (index, size, kick, call) = (i as u16, place.size, event()?, event()?);
            plans.push(RingPlan { index, size, descriptors, driver, device, kick, call });
        }
        let regions = self.regions(config, rings)?;
        let mtu = config.mtu_asked().map(|mtu| mtu as u16);
        let receiving = config.rx_queue_count();
        Ok(Plan { features: self.features, regions, rings: plans, receiving, mtu })
    }

    fn unfinished(&self) -> Unfinished {
        let mut left = Unfinished::empty();
        left.set(Unfinished::CHECKSUM, self.features.contains(Features::GUEST_CSUM));
        let large = Features::GUEST_TSO4 | Features::GUEST_TSO6;
        left.set(Unfinished::LARGE, self.features.intersects(large));
        left
    }

    fn make_rx(
        &mut self,
        config: &PortConfig,
        rings: &Rings,
        plan: &Plan,
        queue: usize,
    ) -> Result<queues::Made<dyn RxQueue>, Error> {
        let index = rx_queue(queue as u16);
        let ring = &plan.rings[usize::from(index)];
        let setup = RxSetup {
            pool: config.pool(queue).clone(),
            port: config.number(),
            header: self.features.header_len() as u32,
            merge: self.features.contains(Features::MRG_RXBUF),
            speaks: self.features.intersects(SPEAKING),
            unfinished: self.unfinished(),
            counters: Arc::clone(&self.stats.rx[queue]),
            bell: self.transport.bell(index, &ring.kick)?,
            path: queues::path(self.features),
            _lease: Arc::clone(&self.lease),
        };
        Ok(queues::rx(rings, usize::from(index), self.features, setup, &ring.call))
    }

    fn make_tx(
        &mut self,
        config: &PortConfig,
        rings: &Rings,
        plan: &Plan,
        queue: usize,
    ) -> Result<queues::Made<dyn TxQueue>, Error> {
        let index = tx_queue(queue as u16);
        let ring = &plan.rings[usize::from(index)];
        let known = plan.regions.iter().map(|r| Known { here: r.start..r.start + r.len });
        let setup = TxSetup {
            homes: config.all_pools().map(|pool| pool.raw().home()).collect(),
            known: known.collect(),
            header: self.features.header_len(),
            features: self.features,
            longest: self.mtu + OVERHEAD,
            tables: rings.tables(usize::from(index)),
            counters: Arc::clone(&self.stats.tx[queue]),
            bell: self.transport.bell(index, &ring.kick)?,
            path: queues::path(self.features),
            _lease: Arc::clone(&self.lease),
        };
        Ok(queues::tx(rings, usize::from(index), self.features, setup))
    }

    /// All queues of a start, each for its user and for the control side.
    fn make(
        &mut self,
        config: &PortConfig,
        rings: &Rings,
        plan: &Plan,
    ) -> Result<(Queues, Vec<Arc<dyn QueueControl>>), Error> {
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        let mut controls = Vec::new();
        for queue in 0..config.rx_queue_count() {
            let (user, control) = self.make_rx(config, rings, plan, queue)?;
            queues.rx.push(user);
            controls.push(control);
        }
        for queue in 0..config.tx_queue_count() {
            let (user, control) = self.make_tx(config, rings, plan, queue)?;
            queues.tx.push(user);
            controls.push(control);
        }
        Ok((queues, controls))
    }

    /// Stops the device and gives all buffers back.
    fn halt(&mut self) -> Result<(), Error> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.queues.iter().for_each(|queue| queue.pause());
        let stopped = self.transport.stop();
        // A device that was told, or is gone: in both cases it was disconnected.
        running.queues.iter().for_each(|queue| queue.reset());
        stopped
    }
}

impl Driver for VirtioPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        let offered = self.transport.offered();
        let extra = negotiate::config_features(&config, Self::pairs(&config), offered);
        self.features = self.rings | extra;
        let mtu = config.mtu_asked().unwrap_or(1500.min(*self.info.capabilities.mtu.end()));
        self.check_pools(&config, mtu)?;
        self.mtu = mtu;
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let none = || Queues { rx: Vec::new(), tx: Vec::new() };
        let Some(config) = self.config.clone() else { return Ok(none()) };
        if Arc::strong_count(&self.lease) > 1 {
            let what = "drop the queues of a stopped port before it is started again";
            return Err(self.refused(what));
        }
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        let name = self.info.name.clone();
        let rings = Rings::map(&name, &self.sizes(&config), self.features)
            .map_err(|e| self.refused(format!("no memory for rings: {e}")))?;
        let plan = self.plan(&config, &rings)?;
        let (queues, controls) = self.make(&config, &rings, &plan)?;
        self.running = Some(Running { queues: controls.clone(), _rings: rings });
        match self.transport.start(plan, controls) {
            Ok(()) => Ok(queues),
            Err(error) => {
                drop(queues);
                // The first error says it all.
                let _ = self.halt();
                Err(error)
            }
        }
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.halt()
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        let queues = self.running.iter().flat_map(|running| &running.queues);
        let broken = queues.filter(|queue| queue.fault().is_some()).count();
        vec![("virtio_broken_queues".into(), broken as u64)]
    }

    fn link(&mut self) -> Result<Link, Error> {
        Ok(self.transport.link())
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        if let Some(config) = &self.config {
            self.check_pools(&config.clone(), mtu)?;
        }
        self.transport.set_mtu(mtu as u16)?;
        self.mtu = mtu;
        Ok(())
    }

    fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        self.info.mac = mac;
        Ok(())
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.transport.events()
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        Ok(self.transport.next_event())
    }
}

impl Drop for VirtioPort {
    fn drop(&mut self) {
        // Whatever it says: the transport goes next, and with it the device's way to our memory.
        let _ = self.halt();
    }
}

/// A locally administered address made from a name.
fn mac_for(name: &str) -> MacAddr {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    MacAddr([0x02, a, b, c, d, e])
}

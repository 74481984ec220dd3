//! Starting a port: memory made known, rings and queues made, the device told.

use crate::control::Control;
use crate::filters::{self, Say};
use crate::layout::{Rings, Shape};
use crate::port::{OVERHEAD, Running, VirtioPort};
use crate::queues::{self, RxEnds, SPEAKING};
use crate::rx::RxSetup;
use crate::transport::{Plan, QueueControl, Region, RingPlan};
use crate::tx::{Known, TxSetup};
use linecard_eal::device::{Dma, Mapping, Place};
use linecard_eal::event::EventFd;
use linecard_eal::mem::Segment;
use linecard_pmd_core::{Error, PortConfig, QueueStats, Queues, RxQueue, TxQueue};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::{rx_queue, tx_queue};
use linecard_virtqueue::offload::Unfinished;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Memory that the device knows.
struct Shared {
    /// By its files.
    regions: Vec<Region>,
    /// By its own addresses.
    mappings: Vec<Mapping>,
    known: Arc<[Known]>,
}

/// What queues are made from.
struct Parts<'a> {
    config: &'a PortConfig,
    rings: &'a Rings,
    plan: &'a Plan,
    known: Arc<[Known]>,
}

impl VirtioPort {
    /// Starts the device. After an error it is to be halted.
    pub(crate) fn try_start(&mut self, config: &PortConfig) -> Result<Queues, Error> {
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        self.transport.prepare(self.features, config.rx_queue_count())?;
        let dma = self.transport.dma();
        let rings = self.rings(config, dma.as_deref())?;
        let shared = self.share(config, &rings, dma.as_deref())?;
        let (plan, control) = self.plan(config, &rings, shared.regions)?;
        let parts = Parts { config, rings: &rings, plan: &plan, known: shared.known };
        let (queues, controls) = self.make(&parts)?;
        let pools = config.all_pools().cloned().collect();
        self.running = Some(Running {
            queues: controls.clone(),
            mappings: shared.mappings,
            control,
            pools,
            _rings: rings,
        });
        self.transport.start(plan, controls)?;
        self.tell_all(config)?;
        Ok(queues)
    }

    fn rings(&self, config: &PortConfig, dma: Option<&dyn Dma>) -> Result<Rings, Error> {
        let sizes = self.sizes(config);
        let control = self.transport.control(self.features).map(|(_, size)| size);
        let (name, features) = (self.info.name.as_str(), self.features);
        Rings::map(&Shape { name, sizes: &sizes, control, features }, dma)
            .map_err(|e| self.refused(format!("no memory for rings: {e}")))
    }

    /// Descriptors of each ring, receive and transmit in turn.
    fn sizes(&self, config: &PortConfig) -> Vec<u16> {
        let can = &self.info.capabilities;
        let pair = [config.rx_descriptor_count(can), config.tx_descriptor_count(can)];
        (0..Self::pairs(config)).flat_map(|_| pair.map(|size| size as u16)).collect()
    }

    /// Makes pools and rings known to the device.
    fn share(
        &self,
        config: &PortConfig,
        rings: &Rings,
        dma: Option<&dyn Dma>,
    ) -> Result<Shared, Error> {
        let (mut regions, mut mappings) = (BTreeMap::new(), BTreeMap::new());
        for pool in config.all_pools() {
            pool.raw().with_segments(|segments| {
                segments.iter().try_for_each(|segment| match dma {
                    Some(dma) => self.introduce(&mut mappings, segment, dma),
                    None => self.add_region(&mut regions, segment),
                })
            })?;
        }
        if dma.is_none() {
            self.add_region(&mut regions, &rings.memory)?;
        }
        let known = regions.values().map(|r: &Region| r.start..r.start + r.len);
        let known = known.chain(mappings.values().map(|(range, _)| range).cloned());
        let known = known.chain([rings.range()]).map(|here| Known { here }).collect();
        let mappings = mappings.into_values().map(|(_, mapping)| mapping).collect();
        Ok(Shared { regions: regions.into_values().collect(), mappings, known })
    }

    fn introduce(
        &self,
        all: &mut BTreeMap<usize, (std::ops::Range<usize>, Mapping)>,
        segment: &Segment,
        dma: &dyn Dma,
    ) -> Result<(), Error> {
        let start = segment.base().as_ptr().addr();
        if all.contains_key(&start) {
            return Ok(());
        }
        // SAFETY: the device is told of buffers only that the queues own while they are posted; the
        // mappings go after the device was stopped, or with the pools never.
        let mapping = unsafe { dma.map(segment, Place::Native) };
        let mapping =
            mapping.map_err(|e| self.refused(format!("a pool is not known to the device: {e}")))?;
        all.insert(start, (start..start + segment.len(), mapping));
        Ok(())
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

    /// The plan for the device, without the queues; and the control queue, if there is one.
    fn plan(
        &mut self,
        config: &PortConfig,
        rings: &Rings,
        regions: Vec<Region>,
    ) -> Result<(Plan, Option<Control>), Error> {
        let mut plans = Vec::new();
        for (i, place) in rings.places.iter().enumerate() {
            plans.push(self.ring_plan(i as u16, place.size, rings.addresses(i))?);
        }
        let mtu = config.mtu_asked().map(|mtu| mtu as u16);
        let (features, receiving) = (self.features, config.rx_queue_count());
        let mut plan = Plan { features, regions, rings: plans, receiving, control: None, mtu };
        let (Some((index, size)), Some((addresses, ring, scratch))) =
            (self.transport.control(self.features), rings.control())
        else {
            return Ok((plan, None));
        };
        let control = self.ring_plan(index, size, addresses)?;
        let bell = self.transport.bell(index, &control.kick)?;
        plan.control = Some(control);
        Ok((plan, Some(Control::new(ring, scratch, bell, self.transport.patience()))))
    }

    fn ring_plan(&self, index: u16, size: u16, addresses: [u64; 3]) -> Result<RingPlan, Error> {
        let event = || EventFd::new().map(Arc::new).map_err(|e| self.system("an eventfd", e));
        let [descriptors, driver, device] = addresses;
        Ok(RingPlan { index, size, descriptors, driver, device, kick: event()?, call: event()? })
    }

    fn unfinished(&self) -> Unfinished {
        let mut left = Unfinished::empty();
        left.set(Unfinished::CHECKSUM, self.features.contains(Features::GUEST_CSUM));
        let tcp = Features::GUEST_TSO4 | Features::GUEST_TSO6;
        left.set(Unfinished::LARGE_TCP, self.features.intersects(tcp));
        let udp = Features::GUEST_USO4 | Features::GUEST_USO6;
        left.set(Unfinished::LARGE_UDP, self.features.intersects(udp));
        left
    }

    fn make_rx(
        &mut self,
        parts: &Parts<'_>,
        queue: usize,
    ) -> Result<queues::Made<dyn RxQueue>, Error> {
        let index = rx_queue(queue as u16);
        let ring = &parts.plan.rings[usize::from(index)];
        let setup = RxSetup {
            pool: parts.config.pool(queue).clone(),
            port: parts.config.number(),
            header: self.features.header_len() as u32,
            merge: self.features.contains(Features::MRG_RXBUF),
            speaks: self.features.intersects(SPEAKING),
            unfinished: self.unfinished(),
            counters: Arc::clone(&self.stats.rx[queue]),
            bell: self.transport.bell(index, &ring.kick)?,
            path: queues::path(self.features),
            _lease: Arc::clone(&self.lease),
        };
        let quit = self.transport.quit().map(|quit| (quit, index));
        let ends = RxEnds { wake: self.transport.wake(index, &ring.call)?, quit };
        Ok(queues::rx(parts.rings, usize::from(index), self.features, setup, ends))
    }

    fn make_tx(
        &mut self,
        parts: &Parts<'_>,
        queue: usize,
    ) -> Result<queues::Made<dyn TxQueue>, Error> {
        let index = tx_queue(queue as u16);
        let ring = &parts.plan.rings[usize::from(index)];
        let setup = TxSetup {
            homes: parts.config.all_pools().map(|pool| pool.raw().home()).collect(),
            known: Arc::clone(&parts.known),
            header: self.features.header_len(),
            features: self.features,
            longest: self.mtu + OVERHEAD,
            tables: parts.rings.tables(usize::from(index)),
            counters: Arc::clone(&self.stats.tx[queue]),
            bell: self.transport.bell(index, &ring.kick)?,
            path: queues::path(self.features),
            _lease: Arc::clone(&self.lease),
        };
        let quit = self.transport.quit().map(|quit| (quit, index));
        Ok(queues::tx(parts.rings, usize::from(index), self.features, setup, quit))
    }

    /// All queues of a start, each for its user and for the control side.
    fn make(&mut self, parts: &Parts<'_>) -> Result<(Queues, Vec<Arc<dyn QueueControl>>), Error> {
        let mut controls = Vec::new();
        match self.make_each(parts, &mut controls) {
            Ok(queues) => Ok((queues, controls)),
            Err(error) => {
                // Those that were made have buffers, which no device knows of yet.
                controls.iter().for_each(|queue| queue.reset());
                Err(error)
            }
        }
    }

    fn make_each(
        &mut self,
        parts: &Parts<'_>,
        controls: &mut Vec<Arc<dyn QueueControl>>,
    ) -> Result<Queues, Error> {
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        for queue in 0..parts.config.rx_queue_count() {
            let (user, control) = self.make_rx(parts, queue)?;
            queues.rx.push(user);
            controls.push(control);
        }
        for queue in 0..parts.config.tx_queue_count() {
            let (user, control) = self.make_tx(parts, queue)?;
            queues.tx.push(user);
            controls.push(control);
        }
        Ok(queues)
    }

    /// Says all that the port was told to a device that has just been started.
    fn tell_all(&mut self, config: &PortConfig) -> Result<(), Error> {
        if let Some(mac) = self.filters.own.filter(|_| !self.has(Features::CTRL_MAC_ADDR)) {
            self.transport.set_mac(mac)?;
        }
        let mut says = self.spread(config);
        says.extend(self.filters.all(self.features));
        says.iter().try_for_each(|say| self.say(say))
    }

    /// How packets are spread over queues, and which hashes are reported.
    fn spread(&mut self, config: &PortConfig) -> Vec<Say> {
        let (rx, pairs) = (config.rx_queue_count(), Self::pairs(config));
        let device = self.transport.config().unwrap_or_default();
        if let Some(rss) = self.filters.rss.as_ref().filter(|_| self.has(Features::RSS)) {
            return vec![filters::rss(rss, &device, (rx, pairs))];
        }
        let mut says = Vec::new();
        if pairs > 1 && self.has(Features::MQ | Features::CTRL_VQ) {
            says.push(filters::pairs(pairs));
        }
        // Last: the other would end it.
        if self.has(Features::HASH_REPORT) {
            says.push(filters::hash(&device));
        }
        says
    }
}

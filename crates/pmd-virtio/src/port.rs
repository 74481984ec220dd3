//! The port: what every way to a device has in common.

use crate::control::Control;
use crate::filters::{self, Filters, MORE_ADDRESSES, Say};
use crate::layout::Rings;
use crate::negotiate;
use crate::options::RingOptions;
use crate::transport::{QueueControl, Transport};
use linecard_eal::device::Mapping;
use linecard_eal::mem::IovaMode;
use linecard_mbuf::MbufPool;
use linecard_net::MacAddr;
use linecard_pmd_core::{
    AllMulticast, Driver, Error, Event, Link, PortConfig, PortInfo, Promiscuous, QueueStats,
    Queues, RssConfig, RxOffloads, VlanFilter,
};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::control::Command;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// An Ethernet header and two tags.
pub(crate) const OVERHEAD: usize = 14 + 8;

/// A virtio-net port: the driver's side of a device, however that is reached.
///
/// Made by [`user`](VirtioPort::user) and the other transports.
pub struct VirtioPort {
    pub(crate) info: PortInfo,
    pub(crate) transport: Box<dyn Transport>,
    /// What is agreed on about rings.
    rings: Features,
    config: Option<PortConfig>,
    pub(crate) features: Features,
    pub(crate) filters: Filters,
    pub(crate) mtu: usize,
    pub(crate) stats: QueueStats,
    pub(crate) running: Option<Running>,
    /// Handles of queues that were given away live as long as this is shared.
    pub(crate) lease: Arc<()>,
}

/// What lives from start to stop. The last to go: rings, in which the device may write until then.
pub(crate) struct Running {
    pub(crate) queues: Vec<Arc<dyn QueueControl>>,
    pub(crate) control: Option<Control>,
    /// Before the pools: the device forgets their memory first.
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) pools: Vec<MbufPool>,
    pub(crate) _rings: Rings,
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
        let sizes = transport.sizes();
        let mut capabilities = negotiate::capabilities(offered, agreed, pairs, sizes);
        capabilities.events = transport.tells();
        let config = transport.config();
        capabilities.iova = transport.dma().map(|dma| dma.limits().mode);
        capabilities.rx_wake_up = transport.wakes() > 0;
        if transport.extra().contains(Features::CTRL_VQ) {
            negotiate::control(&mut capabilities, offered, config.as_ref());
        }
        if let Some(config) = config.filter(|_| offered.contains(Features::MTU)) {
            capabilities.mtu = 68..=usize::from(config.mtu).clamp(68, 9700);
        }
        let theirs = config.filter(|_| offered.contains(Features::MAC)).map(|c| MacAddr(c.mac));
        let filters = Filters { own: mac, ..Filters::default() };
        let mac = mac.or(theirs).unwrap_or_else(|| mac_for(&name));
        Ok(VirtioPort {
            info: PortInfo { name, kind, mac, node: transport.node(), capabilities },
            transport,
            rings: agreed,
            config: None,
            features: agreed,
            filters,
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

    /// Whether all of these were negotiated.
    pub(crate) fn has(&self, features: Features) -> bool {
        self.features.contains(features)
    }

    pub(crate) fn refused(&self, what: impl Into<String>) -> Error {
        Error::Refused { port: self.info.name.clone(), what: what.into() }
    }

    pub(crate) fn system(&self, doing: &str, error: std::io::Error) -> Error {
        Error::system(&self.info.name, doing, error)
    }

    /// Pools have room for a header before the data, and for a frame, and addresses that a device in
    /// software knows.
    fn check_pools(&self, config: &PortConfig, mtu: usize) -> Result<(), Error> {
        let header = self.features.header_len();
        // What a device with addresses of its own needs was checked by the capabilities.
        let ours = self.info.capabilities.iova.is_none();
        for pool in config.all_pools().filter(|_| ours) {
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
    pub(crate) fn pairs(config: &PortConfig) -> usize {
        config.rx_queue_count().max(config.tx_queue_count()).max(1)
    }

    /// Has the device do something, if it runs; else it is told when it does.
    pub(crate) fn say(&mut self, (command, data): &Say) -> Result<(), Error> {
        let Some(control) = self.running.as_mut().and_then(|running| running.control.as_mut())
        else {
            return Ok(());
        };
        let done = control.command(*command, data);
        done.map_err(|error| self.refused(format!("control queue: {error}")))
    }

    /// Whether the device can be told, now or later.
    fn offers(&self, feature: Features) -> bool {
        let all = feature | Features::CTRL_VQ;
        self.transport.extra().contains(Features::CTRL_VQ) && self.transport.offered().contains(all)
    }

    /// Stops the device and gives all buffers back.
    fn halt(&mut self) -> Result<(), Error> {
        let running = self.running.take();
        running.iter().flat_map(|running| &running.queues).for_each(|queue| queue.pause());
        let stopped = self.transport.stop();
        let Some(running) = running else { return stopped };
        if self.transport.is_loose() {
            // Better to lose the memory than to give it to somebody else.
            core::mem::forget(running);
            return stopped;
        }
        // The device was told, or is gone: in both cases it was disconnected.
        running.queues.iter().for_each(|queue| queue.reset());
        let Running { control, mappings, pools, .. } = running;
        drop((control, mappings, pools));
        stopped
    }
}

impl Driver for VirtioPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        let (offered, extra) = (self.transport.offered(), self.transport.extra());
        let added = negotiate::config_features(&config, Self::pairs(&config), offered, extra);
        self.features = match extra.is_empty() {
            true => self.rings | added,
            false => (self.rings | added).consistent(),
        };
        let mtu = config.mtu_asked().unwrap_or(1500.min(*self.info.capabilities.mtu.end()));
        self.check_pools(&config, mtu)?;
        self.mtu = mtu;
        self.filters.rss = config.rss_asked().cloned();
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
        let started = self.try_start(&config);
        if started.is_err() {
            // The first error says it all.
            let _ = self.halt();
        }
        started
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
        let queues = self.running.iter().flat_map(|running| &running.queues);
        queues.for_each(|queue| queue.set_longest(mtu + OVERHEAD));
        self.mtu = mtu;
        Ok(())
    }

    fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        if self.running.is_some() {
            match self.has(Features::CTRL_MAC_ADDR) {
                true => self.say(&(Command::MacAddress, mac.0.to_vec()))?,
                false => self.transport.set_mac(mac)?,
            }
        }
        self.info.mac = mac;
        self.filters.own = Some(mac);
        Ok(())
    }

    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        if self.info.capabilities.extra_macs == 0 {
            return Err(self.cannot("accept further addresses"));
        }
        if mac == self.info.mac || self.filters.more.contains(&mac) {
            return Err(self.refused(format!("{mac} is accepted already")));
        }
        if self.filters.more.len() == MORE_ADDRESSES {
            return Err(self.refused(format!(
                "all {MORE_ADDRESSES} places for further addresses are taken: remove one"
            )));
        }
        let mut more = self.filters.more.clone();
        more.push(mac);
        self.set_addresses(more)
    }

    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let mut more = self.filters.more.clone();
        more.retain(|other| *other != mac);
        if more.len() == self.filters.more.len() {
            return Err(self.refused(format!("{mac} was not added")));
        }
        self.set_addresses(more)
    }

    fn set_promiscuous(&mut self, promiscuous: Promiscuous) -> Result<(), Error> {
        if !self.offers(Features::CTRL_RX) {
            return Err(self.cannot("change what addresses it receives"));
        }
        self.say(&filters::promiscuous(promiscuous))?;
        self.filters.promiscuous = promiscuous;
        Ok(())
    }

    fn set_all_multicast(&mut self, all: AllMulticast) -> Result<(), Error> {
        if !self.offers(Features::CTRL_RX) {
            return Err(self.cannot("change what multicast it receives"));
        }
        self.say(&filters::all_multicast(all))?;
        self.filters.all_multicast = all;
        Ok(())
    }

    fn set_vlan_filter(&mut self, vlan: u16, filter: VlanFilter) -> Result<(), Error> {
        if !self.offers(Features::CTRL_VLAN) {
            return Err(self.cannot("filter VLANs"));
        }
        if !self.has(Features::CTRL_VLAN) {
            let what = "no VLAN filter was configured: ask for RxOffloads::VLAN_FILTER";
            return Err(self.refused(what));
        }
        if self.filters.vlans.contains(&vlan) == (filter == VlanFilter::Pass) {
            return Ok(());
        }
        self.say(&filters::vlan(vlan, filter))?;
        match filter {
            VlanFilter::Pass => self.filters.vlans.insert(vlan),
            VlanFilter::Drop => self.filters.vlans.remove(&vlan),
        };
        Ok(())
    }

    fn set_rss(&mut self, rss: &RssConfig) -> Result<(), Error> {
        if self.info.capabilities.rss.is_none() {
            return Err(self.cannot("spread packets over queues"));
        }
        if !self.has(Features::RSS) {
            let what = "no RSS was configured: ask for it with PortConfig::rss";
            return Err(self.refused(what));
        }
        if let (Some(config), Some(device)) = (self.config.clone(), self.transport.config()) {
            let pairs = (config.rx_queue_count(), Self::pairs(&config));
            self.say(&filters::rss(rss, &device, pairs))?;
        }
        self.filters.rss = Some(rss.clone());
        Ok(())
    }

    fn rss(&self) -> Option<RssConfig> {
        self.filters.rss.clone()
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.transport.events()
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let event = self.transport.next_event();
        if event == Some(Event::Announce) {
            self.say(&(Command::AnnounceAck, Vec::new()))?;
        }
        Ok(event)
    }
}

impl VirtioPort {
    fn set_addresses(&mut self, more: Vec<MacAddr>) -> Result<(), Error> {
        self.say(&filters::addresses(&more))?;
        self.filters.more = more;
        Ok(())
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

//! What is asked of a port, and whether it can be had.

use crate::capability::{Capabilities, Descriptors, RxOffloads, TxOffloads};
use crate::error::Error;
use linecard_mbuf::MbufPool;
use linecard_net::rss::RssTypes;

/// An Ethernet header and two VLAN tags: what a frame has besides its MTU.
pub(crate) const OVERHEAD: usize = 14 + 8;

/// Which hash spreads packets over queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RssHash {
    /// Toeplitz, as Microsoft defined it.
    #[default]
    Toeplitz,
}

/// How to spread packets over queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RssConfig {
    /// What to hash.
    pub types: RssTypes,
    /// The key; `None` for the port's own.
    pub key: Option<Vec<u8>>,
    /// The queue for each hash; empty for all queues in turn. Fewer entries than the port's table has
    /// are repeated.
    pub table: Vec<u16>,
    /// The hash.
    pub hash: RssHash,
}

impl RssConfig {
    /// Spreads over all queues in turn, with the port's own key.
    pub fn over(types: RssTypes) -> Self {
        RssConfig { types, key: None, table: Vec::new(), hash: RssHash::Toeplitz }
    }
}

/// What is asked of a port.
#[derive(Clone, Debug)]
pub struct PortConfig {
    pub(crate) pools: Vec<MbufPool>,
    pub(crate) tx_pools: Vec<MbufPool>,
    pub(crate) rx_queues: usize,
    pub(crate) tx_queues: usize,
    pub(crate) rx_descriptors: Option<usize>,
    pub(crate) tx_descriptors: Option<usize>,
    pub(crate) mtu: Option<usize>,
    pub(crate) rx_offloads: RxOffloads,
    pub(crate) tx_offloads: TxOffloads,
    pub(crate) rss: Option<RssConfig>,
    pub(crate) port_number: u16,
}

impl PortConfig {
    /// One queue each way, receiving into buffers of `pool`, and no offloads.
    pub fn new(pool: &MbufPool) -> Self {
        PortConfig {
            pools: vec![pool.clone()],
            tx_pools: Vec::new(),
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: None,
            tx_descriptors: None,
            mtu: None,
            rx_offloads: RxOffloads::empty(),
            tx_offloads: TxOffloads::empty(),
            rss: None,
            port_number: 0,
        }
    }

    /// How many receive queues.
    pub fn rx_queues(mut self, n: usize) -> Self {
        self.rx_queues = n;
        self
    }

    /// How many transmit queues.
    pub fn tx_queues(mut self, n: usize) -> Self {
        self.tx_queues = n;
        self
    }

    /// A pool for each receive queue, in turn: so that each may lie on its lcore's node.
    /// An empty list changes nothing.
    pub fn pools(mut self, pools: &[MbufPool]) -> Self {
        if !pools.is_empty() {
            self.pools = pools.to_vec();
        }
        self
    }

    /// Pools besides those received into that packets to be sent may come from. A port whose device
    /// reads memory by itself makes them known to it (to an IOMMU, to a vhost-user backend), and
    /// refuses to send from others; ports that copy take packets from anywhere.
    pub fn tx_pools(mut self, pools: &[MbufPool]) -> Self {
        self.tx_pools = pools.to_vec();
        self
    }

    /// Descriptors of each receive queue.
    pub fn rx_descriptors(mut self, n: usize) -> Self {
        self.rx_descriptors = Some(n);
        self
    }

    /// Descriptors of each transmit queue.
    pub fn tx_descriptors(mut self, n: usize) -> Self {
        self.tx_descriptors = Some(n);
        self
    }

    /// Bytes behind the Ethernet header that a frame may have.
    pub fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// What receive is to do.
    pub fn rx_offloads(mut self, offloads: RxOffloads) -> Self {
        self.rx_offloads = offloads;
        self
    }

    /// What transmit will be asked to do.
    pub fn tx_offloads(mut self, offloads: TxOffloads) -> Self {
        self.tx_offloads = offloads;
        self
    }

    /// How to spread packets over receive queues.
    pub fn rss(mut self, rss: RssConfig) -> Self {
        self.rss = Some(rss);
        self
    }

    /// The number that packets received here carry ([`Mbuf::port`](linecard_mbuf::Mbuf::port)).
    pub fn port_number(mut self, number: u16) -> Self {
        self.port_number = number;
        self
    }

    /// Receive queues asked for.
    pub fn rx_queue_count(&self) -> usize {
        self.rx_queues
    }

    /// Transmit queues asked for.
    pub fn tx_queue_count(&self) -> usize {
        self.tx_queues
    }

    /// The pool that receive queue `queue` fills buffers of.
    pub fn pool(&self, queue: usize) -> &MbufPool {
        &self.pools[queue % self.pools.len()]
    }

    /// Every pool that buffers given to the device may come from.
    pub fn all_pools(&self) -> impl Iterator<Item = &MbufPool> {
        self.pools.iter().chain(&self.tx_pools)
    }

    /// Descriptors of each receive queue; as many as the port likes unless asked otherwise.
    pub fn rx_descriptor_count(&self, capabilities: &Capabilities) -> usize {
        self.rx_descriptors.unwrap_or(capabilities.rx_descriptors.default)
    }

    /// Descriptors of each transmit queue; as many as the port likes unless asked otherwise.
    pub fn tx_descriptor_count(&self, capabilities: &Capabilities) -> usize {
        self.tx_descriptors.unwrap_or(capabilities.tx_descriptors.default)
    }

    /// The MTU asked for.
    pub fn mtu_asked(&self) -> Option<usize> {
        self.mtu
    }

    /// What receive is to do.
    pub fn rx_offloads_asked(&self) -> RxOffloads {
        self.rx_offloads
    }

    /// What transmit will be asked to do.
    pub fn tx_offloads_asked(&self) -> TxOffloads {
        self.tx_offloads
    }

    /// How to spread packets.
    pub fn rss_asked(&self) -> Option<&RssConfig> {
        self.rss.as_ref()
    }

    /// The number that received packets carry.
    pub fn number(&self) -> u16 {
        self.port_number
    }

    /// Checks what is asked against what the port can do.
    ///
    /// # Errors
    /// The first thing that cannot be had, with its limit.
    pub fn check(&self, port: &str, can: &Capabilities) -> Result<(), Error> {
        let check = Check { port };
        check.range("receive queues", self.rx_queues, 0, can.rx_queues)?;
        check.range("transmit queues", self.tx_queues, 0, can.tx_queues)?;
        if self.rx_queues + self.tx_queues == 0 {
            check.range("queues in all", 0, 1, can.rx_queues + can.tx_queues)?;
        }
        if self.rx_queues > 0 {
            check.descriptors("receive descriptors", self.rx_descriptors, can.rx_descriptors)?;
        }
        if self.tx_queues > 0 {
            check.descriptors("transmit descriptors", self.tx_descriptors, can.tx_descriptors)?;
        }
        if let Some(mtu) = self.mtu {
            check.range("MTU", mtu, *can.mtu.start(), *can.mtu.end())?;
        }
        check.offloads(names(self.rx_offloads), names(can.rx_offloads))?;
        check.offloads(names(self.tx_offloads), names(can.tx_offloads))?;
        self.check_addresses(port, can)?;
        self.check_buffers(&check, can)?;
        self.rss.as_ref().map_or(Ok(()), |rss| rss.check(port, can, self.rx_queues))
    }

    /// Every pool is made for the addresses that the device uses.
    fn check_addresses(&self, port: &str, can: &Capabilities) -> Result<(), Error> {
        let Some(needs) = can.iova else { return Ok(()) };
        match self.all_pools().find(|pool| pool.iova_mode() != needs) {
            Some(pool) => {
                let (port, has) = (port.into(), pool.iova_mode());
                Err(Error::Pool { port, pool: pool.name().into(), has, needs })
            }
            None => Ok(()),
        }
    }

    /// Every receive buffer holds what the device needs and, unless frames are scattered, a frame.
    fn check_buffers(&self, check: &Check<'_>, can: &Capabilities) -> Result<(), Error> {
        let scatter = self.rx_offloads.contains(RxOffloads::SCATTER);
        let frame = self.mtu.unwrap_or(1500) + OVERHEAD;
        let needed = if scatter { can.min_buffer } else { frame.max(can.min_buffer) };
        let pools = self.pools.iter().filter(|_| self.rx_queues > 0);
        match pools.map(MbufPool::data_room).find(|room| *room < needed) {
            Some(room) => Err(Error::Buffers { port: check.port.into(), room, frame, needed }),
            None => Ok(()),
        }
    }
}

impl RssConfig {
    /// Checks what is asked against what the port can do.
    ///
    /// # Errors
    /// The first thing that cannot be had, with its limit.
    pub fn check(&self, port: &str, can: &Capabilities, queues: usize) -> Result<(), Error> {
        let Some(can) = &can.rss else {
            let missing = "RSS".into();
            return Err(Error::Offloads { port: port.into(), missing, offered: "no hash".into() });
        };
        Check { port }.offloads(names(self.types), names(can.types))?;
        if let Some(key) = &self.key
            && !can.key_bytes.contains(&key.len())
        {
            let wanted: Vec<_> = can.key_bytes.iter().map(usize::to_string).collect();
            let wanted = wanted.join(" or ");
            return Err(Error::RssKey { port: port.into(), given: key.len(), wanted });
        }
        if self.table.len() > can.table {
            Check { port }.range("RSS table entries", self.table.len(), 0, can.table)?;
        }
        let wrong = self.table.iter().enumerate().find(|(_, q)| usize::from(**q) >= queues);
        wrong.map_or(Ok(()), |(entry, queue)| {
            let queue = usize::from(*queue);
            Err(Error::RssQueue { port: port.into(), entry, queue, queues })
        })
    }

    /// The table in full: `entries` queues.
    pub fn full_table(&self, entries: usize, queues: usize) -> Vec<u16> {
        let one = |i: usize| match self.table.len() {
            0 => (i % queues.max(1)) as u16,
            n => self.table[i % n],
        };
        (0..entries).map(one).collect()
    }
}

struct Check<'a> {
    port: &'a str,
}

impl Check<'_> {
    fn range(&self, what: &'static str, asked: usize, min: usize, max: usize) -> Result<(), Error> {
        if (min..=max).contains(&asked) {
            return Ok(());
        }
        Err(Error::Range { port: self.port.into(), what, asked, min, max, hint: String::new() })
    }

    fn descriptors(
        &self,
        what: &'static str,
        asked: Option<usize>,
        can: Descriptors,
    ) -> Result<(), Error> {
        let Some(asked) = asked else { return Ok(()) };
        self.range(what, asked, can.min, can.max)?;
        if !can.step.allows(asked) {
            let port = self.port.into();
            return Err(Error::Step { port, what, asked, step: can.step });
        }
        Ok(())
    }

    fn offloads(&self, asked: Vec<&str>, offered: Vec<&str>) -> Result<(), Error> {
        let missing: Vec<_> = asked.into_iter().filter(|name| !offered.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let offered = if offered.is_empty() { "none".into() } else { offered.join(", ") };
        Err(Error::Offloads { port: self.port.into(), missing: missing.join(", "), offered })
    }
}

/// The names of the flags that are set.
pub(crate) fn names<F: bitflags::Flags>(flags: F) -> Vec<&'static str> {
    flags.iter_names().map(|(name, _)| name).collect()
}

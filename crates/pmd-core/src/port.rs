//! The life of a port: opened, configured, started; each is a type.

use crate::config::{PortConfig, RssConfig};
use crate::control::{AllMulticast, Event, Link, LinkState, Promiscuous, VlanFilter, VlanStrip};
use crate::driver::{Driver, PortInfo};
use crate::error::Error;
use crate::flow::{FlowCount, FlowId};
use crate::queue::Queues;
use crate::stats::{PortStats, QueueStats};
use core::fmt;
use core::marker::PhantomData;
use linecard_net::MacAddr;
use linecard_net::rule::Rule;
use std::os::fd::BorrowedFd;

/// A stage in the life of a port.
pub trait State: sealed::Sealed {}

/// It is there, and can be looked at.
#[derive(Debug)]
pub enum Opened {}
/// It knows how many queues it will have.
#[derive(Debug)]
pub enum Configured {}
/// Its queues run.
#[derive(Debug)]
pub enum Started {}

mod sealed {
    pub trait Sealed {}
}
impl sealed::Sealed for Opened {}
impl sealed::Sealed for Configured {}
impl sealed::Sealed for Started {}
impl<S: sealed::Sealed> State for S {}

/// A port, whatever its driver. Dropping it stops it and lets the device go.
pub struct Port<S: State> {
    driver: Box<dyn Driver>,
    queues: usize,
    state: PhantomData<fn() -> S>,
}

/// The port said no: why, and the port as it was.
pub struct Refused<S: State> {
    /// Why.
    pub error: Error,
    /// The port, to be asked for something else.
    pub port: Port<S>,
}

impl Port<Opened> {
    /// A port with this driver.
    pub fn open(driver: impl Driver + 'static) -> Self {
        Self::open_boxed(Box::new(driver))
    }

    /// A port with this driver.
    pub fn open_boxed(driver: Box<dyn Driver>) -> Self {
        Port { driver, queues: 0, state: PhantomData }
    }

    /// Takes a configuration, checked against what the port can do before the driver sees it.
    ///
    /// # Errors
    /// What cannot be had, with its limit; the port is as it was.
    pub fn configure(mut self, config: PortConfig) -> Result<Port<Configured>, Refused<Opened>> {
        match self.try_configure(config) {
            Ok(()) => Ok(self.turn()),
            Err(error) => Err(Refused { error, port: self }),
        }
    }
}

impl Port<Configured> {
    /// Takes another configuration.
    ///
    /// # Errors
    /// What cannot be had; the port keeps the configuration that it has.
    pub fn reconfigure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.try_configure(config)
    }

    /// Starts the device; its queues are the caller's to give to threads.
    ///
    /// # Errors
    /// Why the device did not start; it may be tried again.
    pub fn start(mut self) -> Result<(Port<Started>, Queues), Refused<Configured>> {
        match self.driver.start() {
            Ok(queues) => Ok((self.turn(), queues)),
            Err(error) => Err(Refused { error, port: self }),
        }
    }
}

impl Port<Started> {
    /// Stops the device. Its queues, wherever they are, receive and take nothing more; dropping them
    /// returns what they hold.
    ///
    /// # Errors
    /// Why the device did not stop in time.
    pub fn stop(mut self) -> Result<Port<Configured>, Refused<Started>> {
        match self.driver.stop() {
            Ok(()) => Ok(self.turn()),
            Err(error) => Err(Refused { error, port: self }),
        }
    }

    /// Runs a rule.
    ///
    /// # Errors
    /// What is wrong with the rule, or which part of it the port cannot do.
    pub fn create_flow(&mut self, rule: &Rule) -> Result<FlowId, Error> {
        rule.validate()?;
        self.driver.create_flow(rule)
    }

    /// Runs a rule no longer.
    ///
    /// # Errors
    /// Why not.
    pub fn destroy_flow(&mut self, flow: FlowId) -> Result<(), Error> {
        self.driver.destroy_flow(flow)
    }

    /// What a rule has matched.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn query_flow(&self, flow: FlowId) -> Result<FlowCount, Error> {
        self.driver.query_flow(flow)
    }
}

impl<S: State> Port<S> {
    fn turn<T: State>(self) -> Port<T> {
        Port { driver: self.driver, queues: self.queues, state: PhantomData }
    }

    fn try_configure(&mut self, config: PortConfig) -> Result<(), Error> {
        let info = self.driver.info();
        config.check(&info.name, &info.capabilities)?;
        let queues = config.rx_queue_count();
        self.driver.configure(config)?;
        self.queues = queues;
        Ok(())
    }

    /// What the port is and can do.
    pub fn info(&self) -> &PortInfo {
        self.driver.info()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info().name
    }

    /// What it has counted since it was started.
    pub fn stats(&self) -> PortStats {
        self.driver.queue_stats().sum()
    }

    /// The counters themselves, to read while the port is used elsewhere.
    pub fn queue_stats(&self) -> QueueStats {
        self.driver.queue_stats().clone()
    }

    /// All counters by name, as DPDK names them.
    pub fn extended_stats(&self) -> Vec<(String, u64)> {
        let mut all = self.driver.queue_stats().extended();
        all.extend(self.driver.device_stats());
        all
    }

    /// The link now.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn link(&mut self) -> Result<Link, Error> {
        self.driver.link()
    }

    /// Sets the link up or down.
    ///
    /// # Errors
    /// Why not.
    pub fn set_link(&mut self, state: LinkState) -> Result<(), Error> {
        self.driver.set_link(state)
    }

    /// Bytes behind the Ethernet header that a frame may have.
    pub fn mtu(&self) -> usize {
        self.driver.mtu()
    }

    /// Sets the MTU.
    ///
    /// # Errors
    /// Its limits, or why not.
    pub fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        let info = self.driver.info();
        let (min, max) = (*info.capabilities.mtu.start(), *info.capabilities.mtu.end());
        if !(min..=max).contains(&mtu) {
            let (port, hint) = (info.name.clone(), String::new());
            return Err(Error::Range { port, what: "MTU", asked: mtu, min, max, hint });
        }
        self.driver.set_mtu(mtu)
    }

    /// Its own address.
    pub fn mac(&self) -> MacAddr {
        self.info().mac
    }

    /// Sets its own address.
    ///
    /// # Errors
    /// A group address is refused, or why not.
    pub fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        if mac.is_multicast() {
            let what = format!("{mac} is a group address: a port's own is for one station");
            return Err(Error::Refused { port: self.name().into(), what });
        }
        self.driver.set_mac(mac)
    }

    /// Accepts another address.
    ///
    /// # Errors
    /// Why not.
    pub fn add_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        self.driver.add_mac(mac)
    }

    /// Accepts an address no longer.
    ///
    /// # Errors
    /// Why not.
    pub fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        self.driver.remove_mac(mac)
    }

    /// Receives frames for others too, or not.
    ///
    /// # Errors
    /// Why not.
    pub fn set_promiscuous(&mut self, promiscuous: Promiscuous) -> Result<(), Error> {
        self.driver.set_promiscuous(promiscuous)
    }

    /// Receives all multicast frames, or not.
    ///
    /// # Errors
    /// Why not.
    pub fn set_all_multicast(&mut self, all: AllMulticast) -> Result<(), Error> {
        self.driver.set_all_multicast(all)
    }

    /// Lets frames of a VLAN through, or not.
    ///
    /// # Errors
    /// A number above 4094, or why not.
    pub fn set_vlan_filter(&mut self, vlan: u16, filter: VlanFilter) -> Result<(), Error> {
        if vlan > 4094 {
            let (port, hint) = (self.name().into(), String::new());
            let asked = usize::from(vlan);
            return Err(Error::Range { port, what: "VLAN", asked, min: 0, max: 4094, hint });
        }
        self.driver.set_vlan_filter(vlan, filter)
    }

    /// Takes tags off received frames, or not.
    ///
    /// # Errors
    /// Why not.
    pub fn set_vlan_strip(&mut self, strip: VlanStrip) -> Result<(), Error> {
        self.driver.set_vlan_strip(strip)
    }

    /// Spreads packets over queues in another way.
    ///
    /// # Errors
    /// What cannot be had, with its limit.
    pub fn set_rss(&mut self, rss: &RssConfig) -> Result<(), Error> {
        let info = self.driver.info();
        rss.check(&info.name, &info.capabilities, self.queues)?;
        self.driver.set_rss(rss)
    }

    /// How packets are spread over queues.
    pub fn rss(&self) -> Option<RssConfig> {
        self.driver.rss()
    }

    /// A file that is readable when [`next_event`](Port::next_event) has something to tell.
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.driver.events()
    }

    /// What has happened since the last call, oldest first. Never waits.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        self.driver.next_event()
    }
}

impl<S: State> fmt::Debug for Port<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({}, {})", self.name(), self.info().kind)
    }
}

impl<S: State> fmt::Debug for Refused<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl<S: State> fmt::Display for Refused<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<S: State> std::error::Error for Refused<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

impl<S: State> From<Refused<S>> for Error {
    fn from(refused: Refused<S>) -> Error {
        refused.error
    }
}

//! The life of a port: opened, configured, started; each is a type.

use crate::config::{PortConfig, RssConfig};
use crate::control::{
    AllMulticast, Direction, Event, Link, LinkState, Promiscuous, VlanFilter, VlanStrip,
};
use crate::device::{Adjust, FlowControl, Led, Module, RegisterValue, TimeSync, TxRate};
use crate::driver::{Driver, PortInfo};
use crate::error::Error;
use crate::flow::{FlowCount, FlowId};
use crate::queue::{Queues, RxQueue, TxQueue};
use crate::stats::{PortStats, QueueStats};
use core::fmt;
use core::marker::PhantomData;
use linecard_net::MacAddr;
use linecard_net::rule::Rule;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::time::Duration;

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
    /// Receive queues, and transmit queues.
    queues: [usize; 2],
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
        Port { driver, queues: [0; 2], state: PhantomData }
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

    /// Stops a queue: from now on it receives or takes nothing, and drops buffers of its device's once it
    /// is dropped.
    ///
    /// # Errors
    /// A number beyond the port's queues, or why it did not stop in time.
    pub fn stop_queue(&mut self, direction: Direction, queue: u16) -> Result<(), Error> {
        self.check_queue(direction, queue)?;
        self.driver.stop_queue(direction, queue)
    }

    /// Starts a receive queue anew, whose last value was dropped.
    ///
    /// # Errors
    /// A number beyond the port's queues; that its last value still lives; or why it did not start.
    pub fn start_rx_queue(&mut self, queue: u16) -> Result<Box<dyn RxQueue>, Error> {
        self.check_queue(Direction::Receive, queue)?;
        self.driver.start_rx_queue(queue)
    }

    /// Starts a transmit queue anew, whose last value was dropped.
    ///
    /// # Errors
    /// A number beyond the port's queues; that its last value still lives; or why it did not start.
    pub fn start_tx_queue(&mut self, queue: u16) -> Result<Box<dyn TxQueue>, Error> {
        self.check_queue(Direction::Transmit, queue)?;
        self.driver.start_tx_queue(queue)
    }

    /// Limits how fast a transmit queue sends, until the port is stopped.
    ///
    /// # Errors
    /// A number beyond the port's queues, or what cannot be had, with its limit.
    pub fn set_tx_rate(&mut self, queue: u16, rate: TxRate) -> Result<(), Error> {
        self.check_queue(Direction::Transmit, queue)?;
        self.driver.set_tx_rate(queue, rate)
    }

    fn check_queue(&self, direction: Direction, queue: u16) -> Result<(), Error> {
        let (what, queues) = match direction {
            Direction::Receive => ("receive queue", self.queues[0]),
            Direction::Transmit => ("transmit queue", self.queues[1]),
        };
        if usize::from(queue) < queues {
            return Ok(());
        }
        let (port, max) = (self.name().to_owned(), queues.saturating_sub(1));
        Err(Error::Range { port, what, asked: queue.into(), min: 0, max, hint: String::new() })
    }
}

impl<S: State> Port<S> {
    fn turn<T: State>(self) -> Port<T> {
        Port { driver: self.driver, queues: self.queues, state: PhantomData }
    }

    fn try_configure(&mut self, config: PortConfig) -> Result<(), Error> {
        let info = self.driver.info();
        config.check(&info.name, &info.capabilities)?;
        let queues = [config.rx_queue_count(), config.tx_queue_count()];
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
        rss.check(&info.name, &info.capabilities, self.queues[0])?;
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

    /// How the link is paused.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn flow_control(&mut self) -> Result<FlowControl, Error> {
        self.driver.flow_control()
    }

    /// Sets how the link is paused.
    ///
    /// # Errors
    /// What cannot be had, with its limit.
    pub fn set_flow_control(&mut self, control: &FlowControl) -> Result<(), Error> {
        self.driver.set_flow_control(control)
    }

    /// Bytes of the device's EEPROM.
    ///
    /// # Errors
    /// Its size, if the range is beyond it; or why it cannot be read.
    pub fn read_eeprom(&mut self, range: Range<usize>) -> Result<Vec<u8>, Error> {
        self.driver.read_eeprom(range)
    }

    /// Writes bytes of the device's EEPROM, from byte `at` on, for good. Some take effect with the next reset only, or when
    /// the power was away; and a device whose power goes meanwhile may be one no more.
    ///
    /// # Errors
    /// Its size, if they go beyond it; or why it cannot be written.
    pub fn write_eeprom(&mut self, at: usize, bytes: &[u8]) -> Result<(), Error> {
        self.driver.write_eeprom(at, bytes)
    }

    /// The memory of the transceiver module in its cage.
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub fn module(&mut self) -> Result<Module, Error> {
        self.driver.module()
    }

    /// Every register that can be read without changing anything.
    ///
    /// # Errors
    /// If there are none, or the device is gone.
    pub fn registers(&mut self) -> Result<Vec<RegisterValue>, Error> {
        self.driver.registers()
    }

    /// The version of its firmware, as its vendor writes it.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn firmware(&mut self) -> Result<String, Error> {
        self.driver.firmware()
    }

    /// Lights its lamp, or not.
    ///
    /// # Errors
    /// Why not.
    pub fn set_led(&mut self, led: Led) -> Result<(), Error> {
        self.driver.set_led(led)
    }

    /// Stamps frames of PTP (IEEE 1588), or not. A device may have room for one stamp each way: what is
    /// not taken with [`rx_stamp`](Port::rx_stamp) keeps later frames from being stamped.
    ///
    /// # Errors
    /// Why not.
    pub fn set_time_sync(&mut self, sync: TimeSync) -> Result<(), Error> {
        self.driver.set_time_sync(sync)
    }

    /// Its clock: the time since the beginning that [`set_clock`](Port::set_clock) gave it.
    ///
    /// # Errors
    /// Without time stamps there is none; or why it cannot be told.
    pub fn clock(&mut self) -> Result<Duration, Error> {
        self.driver.clock()
    }

    /// Sets its clock.
    ///
    /// # Errors
    /// Why not.
    pub fn set_clock(&mut self, time: Duration) -> Result<(), Error> {
        self.driver.set_clock(time)
    }

    /// Sets its clock right.
    ///
    /// # Errors
    /// Why not.
    pub fn adjust_clock(&mut self, by: Adjust) -> Result<(), Error> {
        self.driver.adjust_clock(by)
    }

    /// When a frame of PTP was received, by its clock; each is told once.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn rx_stamp(&mut self) -> Result<Option<Duration>, Error> {
        self.driver.rx_stamp()
    }

    /// When a packet that asked for it ([`Mbuf::stamp`](linecard_mbuf::Mbuf::stamp)) was sent, by its
    /// clock; each is told once.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn tx_stamp(&mut self) -> Result<Option<Duration>, Error> {
        self.driver.tx_stamp()
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

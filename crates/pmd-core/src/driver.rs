//! What a driver implements; users see it through [`Port`](crate::Port).

use crate::capability::Capabilities;
use crate::config::{PortConfig, RssConfig};
use crate::control::{
    AllMulticast, Direction, Event, Link, LinkState, Promiscuous, VlanFilter, VlanStrip,
};
use crate::device::{Adjust, FlowControl, Led, Module, RegisterValue, TimeSync, TxRate};
use crate::error::Error;
use crate::flow::{FlowCount, FlowId};
use crate::queue::{Queues, RxQueue, TxQueue};
use crate::stats::QueueStats;
use linecard_net::MacAddr;
use linecard_net::rule::Rule;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What a port is.
#[derive(Clone, Debug, PartialEq)]
pub struct PortInfo {
    /// Its name, unique among a program's ports by the user's choice.
    pub name: String,
    /// Its kind, as on the command line: `null`, `pcap`, `tap` …
    pub kind: &'static str,
    /// Its own address.
    pub mac: MacAddr,
    /// The NUMA node that it sits on.
    pub node: Option<u32>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// A driver's control side. Its data side are the queues that [`start`](Driver::start) gives away.
///
/// [`Port`](crate::Port) calls these in order and with arguments that the capabilities allow; a
/// driver need not check them again. Dropping a driver stops it: no access by the device to any
/// memory after that.
pub trait Driver: Send {
    /// What the port is. May change with [`configure`](Driver::configure).
    fn info(&self) -> &PortInfo;

    /// Takes a configuration that the capabilities allow. Called while stopped; the last one counts.
    ///
    /// # Errors
    /// What only the driver can know to be wrong.
    fn configure(&mut self, config: PortConfig) -> Result<(), Error>;

    /// Starts the device and gives its queues away. May refuse while queues of the last start live.
    ///
    /// # Errors
    /// Why the device did not start; it is stopped then.
    fn start(&mut self) -> Result<Queues, Error>;

    /// Stops the device: queues given away receive and take nothing more.
    ///
    /// # Errors
    /// Why the device did not stop in time.
    fn stop(&mut self) -> Result<(), Error>;

    /// The counters of the queues. Figures that a device clears when they are read are added up by
    /// the driver behind a `Cell` or a lock of its own: this is called from the control side only.
    fn queue_stats(&self) -> &QueueStats;

    /// Counters besides those of the queues, by name.
    fn device_stats(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// The link now.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn link(&mut self) -> Result<Link, Error> {
        Ok(Link::UP)
    }

    /// Sets the link up or down.
    ///
    /// # Errors
    /// Why not.
    fn set_link(&mut self, _: LinkState) -> Result<(), Error> {
        Err(self.cannot("set its link"))
    }

    /// The MTU now.
    fn mtu(&self) -> usize {
        1500
    }

    /// Sets the MTU, within what the capabilities say.
    ///
    /// # Errors
    /// Why not.
    fn set_mtu(&mut self, _: usize) -> Result<(), Error> {
        Err(self.cannot("change its MTU"))
    }

    /// Sets its own address.
    ///
    /// # Errors
    /// Why not.
    fn set_mac(&mut self, _: MacAddr) -> Result<(), Error> {
        Err(self.cannot("change its address"))
    }

    /// Accepts another address.
    ///
    /// # Errors
    /// Why not.
    fn add_mac(&mut self, _: MacAddr) -> Result<(), Error> {
        Err(self.cannot("accept further addresses"))
    }

    /// Accepts an address no longer.
    ///
    /// # Errors
    /// Why not.
    fn remove_mac(&mut self, _: MacAddr) -> Result<(), Error> {
        Err(self.cannot("accept further addresses"))
    }

    /// Receives frames for others too, or not.
    ///
    /// # Errors
    /// Why not.
    fn set_promiscuous(&mut self, _: Promiscuous) -> Result<(), Error> {
        Err(self.cannot("change what addresses it receives"))
    }

    /// Receives all multicast frames, or not.
    ///
    /// # Errors
    /// Why not.
    fn set_all_multicast(&mut self, _: AllMulticast) -> Result<(), Error> {
        Err(self.cannot("change what multicast it receives"))
    }

    /// Lets frames of a VLAN through, or not.
    ///
    /// # Errors
    /// Why not.
    fn set_vlan_filter(&mut self, _vlan: u16, _: VlanFilter) -> Result<(), Error> {
        Err(self.cannot("filter VLANs"))
    }

    /// Takes tags off received frames, or not.
    ///
    /// # Errors
    /// Why not.
    fn set_vlan_strip(&mut self, _: VlanStrip) -> Result<(), Error> {
        Err(self.cannot("strip VLAN tags"))
    }

    /// Spreads packets over queues in another way.
    ///
    /// # Errors
    /// Why not.
    fn set_rss(&mut self, _: &RssConfig) -> Result<(), Error> {
        Err(self.cannot("spread packets over queues"))
    }

    /// How packets are spread over queues.
    fn rss(&self) -> Option<RssConfig> {
        None
    }

    /// A file that is readable when [`next_event`](Driver::next_event) has something to tell.
    fn events(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What has happened since the last call, oldest first. Never waits.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        Ok(None)
    }

    /// Runs a rule.
    ///
    /// # Errors
    /// Which part of it the port cannot do.
    fn create_flow(&mut self, _: &Rule) -> Result<FlowId, Error> {
        Err(self.cannot("run flow rules"))
    }

    /// Runs a rule no longer.
    ///
    /// # Errors
    /// Why not.
    fn destroy_flow(&mut self, _: FlowId) -> Result<(), Error> {
        Err(self.cannot("run flow rules"))
    }

    /// What a rule has matched.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn query_flow(&self, _: FlowId) -> Result<FlowCount, Error> {
        Err(self.cannot("run flow rules"))
    }

    /// How the link is paused.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn flow_control(&mut self) -> Result<FlowControl, Error> {
        Err(self.cannot("tell how its link is paused"))
    }

    /// Sets how the link is paused.
    ///
    /// # Errors
    /// What cannot be had, with its limit.
    fn set_flow_control(&mut self, _: &FlowControl) -> Result<(), Error> {
        Err(self.cannot("pause its link"))
    }

    /// Limits how fast a transmit queue sends. The queue is one that there is.
    ///
    /// # Errors
    /// What cannot be had, with its limit.
    fn set_tx_rate(&mut self, _queue: u16, _: TxRate) -> Result<(), Error> {
        Err(self.cannot("limit the rate of a queue"))
    }

    /// Stops a queue of a port that runs: it receives or takes nothing more. The queue is one that there is.
    ///
    /// # Errors
    /// Why it did not stop in time.
    fn stop_queue(&mut self, _: Direction, _queue: u16) -> Result<(), Error> {
        Err(self.cannot("stop one of its queues"))
    }

    /// Starts a receive queue anew that was stopped and dropped.
    ///
    /// # Errors
    /// Why it did not start; if it runs or still lives, that.
    fn start_rx_queue(&mut self, _queue: u16) -> Result<Box<dyn RxQueue>, Error> {
        Err(self.cannot("start one of its queues"))
    }

    /// Starts a transmit queue anew that was stopped and dropped.
    ///
    /// # Errors
    /// Why it did not start; if it runs or still lives, that.
    fn start_tx_queue(&mut self, _queue: u16) -> Result<Box<dyn TxQueue>, Error> {
        Err(self.cannot("start one of its queues"))
    }

    /// Bytes of the EEPROM, from `range.start` on.
    ///
    /// # Errors
    /// Its size, if the range is beyond it; or why it cannot be read.
    fn read_eeprom(&mut self, _range: Range<usize>) -> Result<Vec<u8>, Error> {
        Err(self.cannot("show an EEPROM"))
    }

    /// Writes bytes of the EEPROM, from byte `at` on.
    ///
    /// # Errors
    /// Its size, if they go beyond it; or why it cannot be written.
    fn write_eeprom(&mut self, _at: usize, _bytes: &[u8]) -> Result<(), Error> {
        Err(self.cannot("write an EEPROM"))
    }

    /// The memory of the transceiver module.
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    fn module(&mut self) -> Result<Module, Error> {
        Err(self.cannot("show a module"))
    }

    /// Every register that can be read without changing anything.
    ///
    /// # Errors
    /// If the device is gone.
    fn registers(&mut self) -> Result<Vec<RegisterValue>, Error> {
        Err(self.cannot("show registers"))
    }

    /// The version of its firmware, as its vendor writes it.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn firmware(&mut self) -> Result<String, Error> {
        Err(self.cannot("tell a firmware's version"))
    }

    /// Lights the lamp, or not.
    ///
    /// # Errors
    /// Why not.
    fn set_led(&mut self, _: Led) -> Result<(), Error> {
        Err(self.cannot("switch a lamp"))
    }

    /// Stamps frames of PTP, or not.
    ///
    /// # Errors
    /// Why not.
    fn set_time_sync(&mut self, _: TimeSync) -> Result<(), Error> {
        Err(self.cannot("stamp frames"))
    }

    /// Its clock: the time since the beginning that [`set_clock`](Driver::set_clock) gave it.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn clock(&mut self) -> Result<Duration, Error> {
        Err(self.cannot("tell the time"))
    }

    /// Sets its clock.
    ///
    /// # Errors
    /// Why not.
    fn set_clock(&mut self, _: Duration) -> Result<(), Error> {
        Err(self.cannot("tell the time"))
    }

    /// Sets its clock right.
    ///
    /// # Errors
    /// Why not.
    fn adjust_clock(&mut self, _: Adjust) -> Result<(), Error> {
        Err(self.cannot("tell the time"))
    }

    /// When a frame of PTP was received, by its clock; each is told once.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn rx_stamp(&mut self) -> Result<Option<Duration>, Error> {
        Err(self.cannot("stamp frames"))
    }

    /// When a packet that asked for it was sent, by its clock; each is told once.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn tx_stamp(&mut self) -> Result<Option<Duration>, Error> {
        Err(self.cannot("stamp frames"))
    }

    /// The refusal of something that this kind of port cannot do.
    fn cannot(&self, what: &'static str) -> Error {
        let info = self.info();
        Error::Unsupported { port: info.name.clone(), kind: info.kind, what }
    }
}

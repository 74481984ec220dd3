//! What a driver implements; users see it through [`Port`](crate::Port).

use crate::capability::Capabilities;
use crate::config::{PortConfig, RssConfig};
use crate::control::{AllMulticast, Event, Link, LinkState, Promiscuous, VlanFilter, VlanStrip};
use crate::error::Error;
use crate::flow::{FlowCount, FlowId};
use crate::queue::Queues;
use crate::stats::QueueStats;
use linecard_net::MacAddr;
use linecard_net::rule::Rule;
use std::os::fd::BorrowedFd;

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

    /// The refusal of something that this kind of port cannot do.
    fn cannot(&self, what: &'static str) -> Error {
        let info = self.info();
        Error::Unsupported { port: info.name.clone(), kind: info.kind, what }
    }
}

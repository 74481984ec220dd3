//! The port on a virtual function.

use super::interrupts::Interrupts;
use super::open::{COUNTED, MORE_UNICAST};
use super::request::{Agent, MOST_HASHES, Mode};
use super::start::WAY;
use super::stats::{Ours, Sums};
use crate::engine::Engine;
use crate::function::Function;
use crate::ids::Family;
use crate::inspect;
use crate::link;
use crate::trouble::Trouble;
use linecard_ixgbe_regs::all_of_virtual_function;
use linecard_ixgbe_regs::registers::virtual_function::{VFLINKS, VTIVAR_MISC, vtivar_misc};
use linecard_net::MacAddr;
use linecard_pmd_core::{
    AllMulticast, Direction, Driver, Error, Event, Link, PortConfig, PortInfo, Promiscuous,
    QueueStats, Queues, RegisterValue, RxOffloads, RxQueue, TxQueue, VlanFilter, VlanStrip,
};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// A port on a virtual function of an 82599, X520, X540 or X550.
///
/// It has queues of its own, and asks the driver of the physical function, which may be the kernel's or
/// DPDK's, for the rest: what that refuses is an [`Error::Refused`]. When that driver resets the card, the
/// port tells of it ([`Event::Reset`]), and has to be stopped and started.
#[derive(Debug)]
pub struct IxgbeVfPort {
    pub(super) engine: Engine,
    pub(super) function: Arc<Function>,
    pub(super) family: Family,
    pub(super) agent: Agent,
    pub(super) interrupts: Option<Interrupts>,
    pub(super) asked: Asked,
    pub(super) interval: Duration,
    pub(super) sums: Sums,
    pub(super) link: Link,
    pub(super) gone: bool,
    /// The physical function has been reset since the last start, and that was told.
    pub(super) forgotten: bool,
}

/// What the user has said, to be said again after a reset.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    own: MacAddr,
    /// Whether that is the user's choice.
    is_chosen: bool,
    unicast: Vec<MacAddr>,
    multicast: Vec<MacAddr>,
    /// Which bits of a multicast address the physical function looks at.
    pub(super) hash: u32,
    promiscuous: Promiscuous,
    all_multicast: AllMulticast,
    vlans: BTreeSet<u16>,
}

impl Asked {
    pub(super) fn new(own: MacAddr) -> Self {
        Asked {
            own,
            is_chosen: false,
            unicast: Vec::new(),
            multicast: Vec::new(),
            hash: 0,
            promiscuous: Promiscuous::Off,
            all_multicast: AllMulticast::Off,
            vlans: BTreeSet::new(),
        }
    }

    /// Its own address, given that of the physical function's driver: the user's, if there is one.
    pub(super) fn follow(&mut self, given: Option<MacAddr>) -> MacAddr {
        if let Some(given) = given.filter(|_| !self.is_chosen) {
            self.own = given;
        }
        self.own
    }

    fn mode(&self) -> Mode {
        match (self.promiscuous, self.all_multicast) {
            (Promiscuous::On, _) => Mode::Promiscuous,
            (_, AllMulticast::On) => Mode::AllMulticast,
            _ => Mode::Multicast,
        }
    }

    /// Says all of it to a physical function that has given us `given` as an address.
    pub(super) fn say_all(
        &self,
        agent: &mut Agent,
        given: Option<MacAddr>,
        mtu: usize,
    ) -> Result<(), Trouble> {
        if given != Some(self.own) {
            agent.set_mac(self.own)?;
        }
        if !self.unicast.is_empty() {
            agent.set_more_macs(&self.unicast)?;
        }
        if !self.multicast.is_empty() {
            agent.set_multicast(&self.multicast, self.hash)?;
        }
        agent.set_mode(self.mode())?;
        for vlan in &self.vlans {
            agent.set_vlan(*vlan, VlanFilter::Pass)?;
        }
        agent.set_frame(mtu + COUNTED)
    }
}

impl IxgbeVfPort {
    fn at<T>(&self, doing: &str, done: Result<T, Trouble>) -> Result<T, Error> {
        self.engine.at(doing, done)
    }

    /// Asks for other unicast or multicast addresses than before, whichever they are.
    fn ask_for(&mut self, doing: &str, macs: Vec<MacAddr>, kind: Cast) -> Result<(), Error> {
        let done = match kind {
            Cast::Unicast => self.agent.set_more_macs(&macs),
            Cast::Multicast => self.agent.set_multicast(&macs, self.asked.hash),
        };
        self.at(doing, done)?;
        *self.asked.list(kind) = macs;
        Ok(())
    }

    /// Asks for another mode, and leaves things as they were if it is refused.
    fn ask_for_mode(&mut self, doing: &str, asked: Asked) -> Result<(), Error> {
        let done = self.agent.set_mode(asked.mode());
        self.at(doing, done)?;
        self.asked = asked;
        Ok(())
    }
}

/// Which of the two lists of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cast {
    Unicast,
    Multicast,
}

impl Cast {
    fn of(mac: MacAddr) -> Self {
        if mac.is_multicast() { Cast::Multicast } else { Cast::Unicast }
    }

    fn most(self) -> usize {
        match self {
            Cast::Unicast => MORE_UNICAST,
            Cast::Multicast => MOST_HASHES,
        }
    }
}

impl Asked {
    fn list(&mut self, kind: Cast) -> &mut Vec<MacAddr> {
        match kind {
            Cast::Unicast => &mut self.unicast,
            Cast::Multicast => &mut self.multicast,
        }
    }
}

impl Driver for IxgbeVfPort {
    fn info(&self) -> &PortInfo {
        &self.engine.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.engine.check(&config)?;
        if !config.rx_offloads_asked().contains(RxOffloads::VLAN_FILTER) {
            self.asked.vlans.clear();
        }
        self.engine.configure(config)
    }

    fn start(&mut self) -> Result<Queues, Error> {
        self.engine.check_idle()?;
        let started = self.try_start();
        if started.is_err() {
            // The first error is the one to tell.
            let _ = self.halt();
            self.function.quiet();
        }
        self.at("start", started)
    }

    fn stop(&mut self) -> Result<(), Error> {
        let halted = self.halt();
        self.at("stop", halted)
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.engine.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        // The mailbox's vector is there as long as nobody has reset the function.
        let word = self.function.registers.read(&VTIVAR_MISC);
        let ours = match self.interrupts.is_some() && !vtivar_misc::MAILBOX_VALID.is_set(word) {
            true => Ours::Reset,
            false => Ours::Still,
        };
        let mut all = self.sums.named(&self.function.registers, ours);
        all.push(("queues_that_did_not_stop".into(), self.function.kept() as u64));
        all
    }

    fn link(&mut self) -> Result<Link, Error> {
        let state = link::read(&self.function.registers, &VFLINKS, self.family);
        self.at("ask for the link", state)
    }

    fn mtu(&self) -> usize {
        self.engine.mtu()
    }

    /// The driver of the physical function may refuse more than 1,500, above all as long as its own MTU is
    /// no larger.
    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        if let Some(config) = &self.engine.config {
            self.engine.check_rooms(config, mtu)?;
        }
        let done = self.agent.set_frame(mtu + COUNTED);
        self.at("change the MTU", done)?;
        self.engine.set_mtu(mtu);
        Ok(())
    }

    fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let done = self.agent.set_mac(mac);
        self.at("change its address", done)?;
        (self.asked.own, self.asked.is_chosen) = (mac, true);
        self.engine.info.mac = mac;
        Ok(())
    }

    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let kind = Cast::of(mac);
        let mut macs = self.asked.list(kind).clone();
        if mac == self.asked.own || macs.contains(&mac) {
            return Err(self.engine.refused(format!("{mac} is accepted already")));
        }
        if macs.len() >= kind.most() {
            let most = kind.most();
            let what =
                format!("{most} unicast and as many multicast addresses are the most: remove one");
            return Err(self.engine.refused(what));
        }
        macs.push(mac);
        self.ask_for("accept another address", macs, kind)
    }

    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let kind = Cast::of(mac);
        let mut macs = self.asked.list(kind).clone();
        let Some(at) = macs.iter().position(|known| *known == mac) else {
            return Err(self.engine.refused(format!("{mac} was not added")));
        };
        macs.remove(at);
        self.ask_for("accept an address no longer", macs, kind)
    }

    fn set_promiscuous(&mut self, promiscuous: Promiscuous) -> Result<(), Error> {
        let asked = Asked { promiscuous, ..self.asked.clone() };
        self.ask_for_mode("change what addresses it receives", asked)
    }

    fn set_all_multicast(&mut self, all_multicast: AllMulticast) -> Result<(), Error> {
        let asked = Asked { all_multicast, ..self.asked.clone() };
        self.ask_for_mode("change what multicast it receives", asked)
    }

    /// A virtual function receives frames of a VLAN only once it has been named, whatever was configured.
    fn set_vlan_filter(&mut self, vlan: u16, filter: VlanFilter) -> Result<(), Error> {
        if !self.engine.offloads().contains(RxOffloads::VLAN_FILTER) {
            let what = "no VLAN filter was configured: ask for RxOffloads::VLAN_FILTER";
            return Err(self.engine.refused(what.into()));
        }
        let done = self.agent.set_vlan(vlan, filter);
        self.at("change its VLANs", done)?;
        match filter {
            VlanFilter::Pass => self.asked.vlans.insert(vlan),
            VlanFilter::Drop => self.asked.vlans.remove(&vlan),
        };
        Ok(())
    }

    fn set_vlan_strip(&mut self, strip: VlanStrip) -> Result<(), Error> {
        if !self.engine.offloads().contains(RxOffloads::VLAN_STRIP) {
            let what = "no VLAN stripping was configured: ask for RxOffloads::VLAN_STRIP";
            return Err(self.engine.refused(what.into()));
        }
        self.engine.strip = strip;
        self.engine.apply_strip();
        Ok(())
    }

    fn registers(&mut self) -> Result<Vec<RegisterValue>, Error> {
        inspect::values(&self.function, all_of_virtual_function())
            .ok_or_else(|| Error::Gone { port: self.engine.info.name.clone() })
    }

    fn stop_queue(&mut self, direction: Direction, queue: u16) -> Result<(), Error> {
        let stopped = self.engine.stop_one(direction, queue);
        self.at("stop a queue", stopped)
    }

    fn start_rx_queue(&mut self, queue: u16) -> Result<Box<dyn RxQueue>, Error> {
        let seat = self.engine.free_seat(Direction::Receive, queue)?;
        let started = self.engine.start_rx(seat, &WAY);
        Ok(Box::new(self.at("start a queue", started)?))
    }

    fn start_tx_queue(&mut self, queue: u16) -> Result<Box<dyn TxQueue>, Error> {
        let seat = self.engine.free_seat(Direction::Transmit, queue)?;
        let started = self.engine.start_tx(seat);
        Ok(Box::new(self.at("start a queue", started)?))
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.interrupts.as_ref().map(Interrupts::file)
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if self.gone {
            return Ok(None);
        }
        if self.function.is_gone() {
            self.gone = true;
            return Ok(Some(Event::Gone));
        }
        let asked = self.interrupts.as_ref().map_or(Ok(true), |i| i.take(&self.function));
        self.at("look at interrupts", asked)?;
        // Whoever asked: a look at a register or two is cheaper than to miss something.
        let news = self.agent.look();
        let news = self.at("look into the mailbox", news)?;
        if news.forgotten && !std::mem::replace(&mut self.forgotten, true) {
            return Ok(Some(Event::Reset));
        }
        let now = self.link()?;
        Ok((std::mem::replace(&mut self.link, now) != now).then_some(Event::Link(now)))
    }
}

impl Drop for IxgbeVfPort {
    /// Stops the device: it reaches no memory after that, whether its queues live on or not.
    fn drop(&mut self) {
        // Whatever does not stop is without bus mastering, and its memory is kept.
        let _ = self.halt();
        let _ = self.function.device.config().disable_bus_master();
    }
}

//! The port: a card's life from its opening to its end.

use crate::classes::{Classes, WITHOUT};
use crate::clock::{Clock, Stamp};
use crate::eeprom::EepromAccess;
use crate::engine::{Engine, frame};
use crate::filters::Filters;
use crate::flows::{Flows, No};
use crate::hardware::Hardware;
use crate::ids::Family;
use crate::interrupts::Interrupts;
use crate::stats::Sums;
use crate::trouble::Trouble;
use crate::{ids, init, interrupts, link, pause, rss};
use linecard_ixgbe_regs::registers::{CTRL_EXT, ctrl_ext};
use linecard_net::MacAddr;
use linecard_net::rule::Rule;
use linecard_pmd_core::{
    Adjust, AllMulticast, Direction, Driver, Error, Event, FlowControl, FlowCount, FlowId, Led,
    Link, LinkState, Module, Pause, PortConfig, PortInfo, Promiscuous, QueueStats, Queues,
    RegisterValue, RssConfig, RxOffloads, RxQueue, TimeSync, TxQueue, TxRate, VlanFilter,
    VlanStrip,
};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// What a frame has besides its MTU: a header, two tags and the check sequence.
pub(crate) const OVERHEAD: usize = 14 + 8 + 4;

/// §8.2.3.22.13: the largest frame, check sequence included.
pub(crate) const LARGEST: usize = 15_872;

/// SRRCTL counts a buffer's room in KiB, up to 16.
pub(crate) const KIB: usize = 1024;

/// Of an X552.
const NO_CLOCK: &str = "keep time by a clock whose speed only fuses tell";

/// A port on an 82599, X520, X540 or X550.
#[derive(Debug)]
pub struct IxgbePort {
    pub(crate) engine: Engine,
    pub(crate) hardware: Arc<Hardware>,
    pub(crate) interrupts: Option<Interrupts>,
    pub(crate) filters: Filters,
    pub(crate) flows: Flows,
    pub(crate) rss: Option<RssConfig>,
    pub(crate) pause: FlowControl,
    /// By transmit queue.
    pub(crate) rates: Vec<TxRate>,
    pub(crate) clock: Clock,
    /// LEDCTL as it was before a lamp was switched.
    pub(crate) lamps: Option<u32>,
    pub(crate) interval: Duration,
    /// EtherType of the outer tag that every frame has, if it has one.
    pub(crate) outer_tag: Option<u16>,
    pub(crate) eeprom: EepromAccess,
    pub(crate) sums: Sums,
    pub(crate) link: Link,
    pub(crate) gone: bool,
}

impl IxgbePort {
    pub(crate) fn at<T>(&self, doing: &str, done: Result<T, Trouble>) -> Result<T, Error> {
        self.engine.at(doing, done)
    }
}

impl Driver for IxgbePort {
    fn info(&self) -> &PortInfo {
        &self.engine.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.engine.check(&config)?;
        self.check_rss(config.rss_asked())?;
        self.check_lro(&config)?;
        self.check_pause(self.pause.pause, Classes::of(config.tx_queue_count()))?;
        let (rss, queues) = (config.rss_asked().cloned(), config.rx_queue_count());
        let filters = config.rx_offloads_asked().contains(RxOffloads::VLAN_FILTER);
        let marks = config.rx_offloads_asked().contains(RxOffloads::MARK);
        self.engine.configure(config)?;
        if !filters {
            self.filters.vlans = None;
        }
        self.rss = rss;
        self.flows.configure(queues, marks);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        self.engine.check_idle()?;
        let started = self.try_start();
        if started.is_err() {
            // The first error is the one to tell. It may have come before there was anything to halt.
            let _ = self.halt();
            self.hardware.function.quiet();
        }
        self.at("start", started)
    }

    fn stop(&mut self) -> Result<(), Error> {
        let halted = self.halt();
        self.at("stop", halted)
    }

    fn queue_stats(&self) -> &QueueStats {
        if self.engine.is_running() {
            let (missed, dropped) = self.sums.missed(&self.hardware.registers);
            self.engine.stats.rx.iter().zip(&dropped).for_each(|(rx, n)| rx.missed.add(*n));
            self.engine.stats.rx.first().into_iter().for_each(|rx| rx.missed.add(missed));
        }
        &self.engine.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        let mut all = self.sums.named(&self.hardware.registers);
        all.push(("queues_that_did_not_stop".into(), self.hardware.function.kept() as u64));
        all
    }

    fn link(&mut self) -> Result<Link, Error> {
        let state = link::state(&self.hardware);
        self.at("ask for the link", state)
    }

    fn set_link(&mut self, state: LinkState) -> Result<(), Error> {
        match (state, self.hardware.media) {
            (LinkState::Up, _) => {
                let up = link::up(&self.hardware);
                self.at("set the link up", up)
            }
            (LinkState::Down, ids::Media::Sfp) => {
                link::down(&self.hardware);
                Ok(())
            }
            (LinkState::Down, ids::Media::Copper) if self.hardware.family == Family::X540 => {
                let asleep = link::sleep(&self.hardware);
                self.at("set the link down", asleep)
            }
            (LinkState::Down, _) => {
                Err(self.cannot("set its link down without an SFP+ cage or a PHY"))
            }
        }
    }

    fn mtu(&self) -> usize {
        self.engine.mtu()
    }

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        if let Some(config) = &self.engine.config {
            self.engine.check_rooms(config, mtu)?;
        }
        self.engine.set_mtu(mtu);
        init::frames(&self.hardware.registers, frame(mtu) as u32);
        // The marks of pauses leave room for frames of that length.
        self.apply_pause();
        Ok(())
    }

    fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        self.filters.own = mac;
        self.engine.info.mac = mac;
        self.filters.apply_addresses(&self.hardware.registers);
        Ok(())
    }

    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        self.filters.add(mac).map_err(|what| self.refused(what))?;
        self.filters.apply_addresses(&self.hardware.registers);
        Ok(())
    }

    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        if !self.filters.remove(mac) {
            return Err(self.refused(format!("{mac} was not added")));
        }
        self.filters.apply_addresses(&self.hardware.registers);
        Ok(())
    }

    fn set_promiscuous(&mut self, promiscuous: Promiscuous) -> Result<(), Error> {
        self.filters.promiscuous = promiscuous;
        self.filters.apply_modes(&self.hardware.registers);
        Ok(())
    }

    fn set_all_multicast(&mut self, all: AllMulticast) -> Result<(), Error> {
        self.filters.all_multicast = all;
        self.filters.apply_modes(&self.hardware.registers);
        Ok(())
    }

    fn set_vlan_filter(&mut self, vlan: u16, filter: VlanFilter) -> Result<(), Error> {
        if !self.engine.offloads().contains(RxOffloads::VLAN_FILTER) {
            let what = "no VLAN filter was configured: ask for RxOffloads::VLAN_FILTER";
            return Err(self.refused(what.into()));
        }
        self.filters.vlan(vlan, filter);
        self.filters.apply_vlans(&self.hardware.registers);
        Ok(())
    }

    fn set_vlan_strip(&mut self, strip: VlanStrip) -> Result<(), Error> {
        if !self.engine.offloads().contains(RxOffloads::VLAN_STRIP) {
            let what = "no VLAN stripping was configured: ask for RxOffloads::VLAN_STRIP";
            return Err(self.refused(what.into()));
        }
        self.engine.strip = strip;
        self.engine.apply_strip();
        Ok(())
    }

    fn set_rss(&mut self, rss: &RssConfig) -> Result<(), Error> {
        self.check_rss(Some(rss))?;
        self.rss = Some(rss.clone());
        self.apply_rss();
        Ok(())
    }

    fn rss(&self) -> Option<RssConfig> {
        self.rss.clone()
    }

    fn create_flow(&mut self, rule: &Rule) -> Result<FlowId, Error> {
        match self.flows.create(&self.hardware.registers, rule) {
            Ok(id) => Ok(id),
            Err(No::Rule(what)) => Err(self.refused(what)),
            Err(No::Card(trouble)) => Err(trouble.at(&self.engine.info.name, "run a rule")),
        }
    }

    fn destroy_flow(&mut self, id: FlowId) -> Result<(), Error> {
        let destroyed = self.flows.destroy(&self.hardware.registers, id);
        match self.at("end a rule", destroyed)? {
            true => Ok(()),
            false => Err(self.no_flow(id)),
        }
    }

    /// The filters do not count.
    fn query_flow(&self, id: FlowId) -> Result<FlowCount, Error> {
        if self.flows.has(id) { Ok(FlowCount::default()) } else { Err(self.no_flow(id)) }
    }

    fn read_eeprom(&mut self, range: Range<usize>) -> Result<Vec<u8>, Error> {
        self.eeprom_bytes(range)
    }

    fn write_eeprom(&mut self, at: usize, bytes: &[u8]) -> Result<(), Error> {
        self.put_eeprom_bytes(at, bytes)
    }

    fn registers(&mut self) -> Result<Vec<RegisterValue>, Error> {
        self.every_register()
    }

    fn module(&mut self) -> Result<Module, Error> {
        self.module_memory()
    }

    fn firmware(&mut self) -> Result<String, Error> {
        self.firmware_version()
    }

    fn set_led(&mut self, led: Led) -> Result<(), Error> {
        self.switch_lamp(led);
        Ok(())
    }

    fn flow_control(&mut self) -> Result<FlowControl, Error> {
        Ok(self.pause)
    }

    fn set_flow_control(&mut self, control: &FlowControl) -> Result<(), Error> {
        self.check_pause(control.pause, self.classes())?;
        let marks = pause::marks(
            &self.engine.info.name,
            control,
            self.buffer(),
            frame(self.engine.mtu()) as u32,
        )?;
        self.pause = *control;
        pause::apply(&self.hardware.registers, control, marks);
        self.apply_full();
        Ok(())
    }

    fn set_tx_rate(&mut self, queue: u16, rate: TxRate) -> Result<(), Error> {
        self.limit_rate(queue, rate)
    }

    fn stop_queue(&mut self, direction: Direction, queue: u16) -> Result<(), Error> {
        let stopped = self.engine.stop_one(direction, queue);
        self.at("stop a queue", stopped)
    }

    fn start_rx_queue(&mut self, queue: u16) -> Result<Box<dyn RxQueue>, Error> {
        let seat = self.engine.free_seat(Direction::Receive, queue)?;
        let started = self.engine.start_rx(seat, &self.way());
        Ok(Box::new(self.at("start a queue", started)?))
    }

    fn start_tx_queue(&mut self, queue: u16) -> Result<Box<dyn TxQueue>, Error> {
        let seat = self.engine.free_seat(Direction::Transmit, queue)?;
        let started = self.engine.start_tx(seat);
        Ok(Box::new(self.at("start a queue", started)?))
    }

    fn set_time_sync(&mut self, sync: TimeSync) -> Result<(), Error> {
        if !ids::has_clock(self.hardware.function.device.identity()) {
            return Err(self.cannot(NO_CLOCK));
        }
        self.clock.set(&self.hardware, sync, self.link.speed);
        Ok(())
    }

    fn clock(&mut self) -> Result<Duration, Error> {
        self.check_clock()?;
        Ok(self.clock.now(&self.hardware))
    }

    fn set_clock(&mut self, time: Duration) -> Result<(), Error> {
        self.check_clock()?;
        self.clock.put(&self.hardware, time);
        Ok(())
    }

    fn adjust_clock(&mut self, by: Adjust) -> Result<(), Error> {
        self.check_clock()?;
        self.clock.adjust(by);
        Ok(())
    }

    fn rx_stamp(&mut self) -> Result<Option<Duration>, Error> {
        self.check_clock()?;
        Ok(self.clock.stamp(&self.hardware, Stamp::Received))
    }

    fn tx_stamp(&mut self) -> Result<Option<Duration>, Error> {
        self.check_clock()?;
        Ok(self.clock.stamp(&self.hardware, Stamp::Sent))
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.interrupts.as_ref().map(Interrupts::file)
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if self.gone {
            return Ok(None);
        }
        if self.hardware.function.is_gone() {
            self.gone = true;
            return Ok(Some(Event::Gone));
        }
        let asked =
            self.interrupts.as_ref().map_or(Ok(true), |interrupts| interrupts.take(&self.hardware));
        self.at("look at interrupts", asked)?;
        // Whoever asked: a look at one register is cheaper than to miss a change.
        let now = self.link()?;
        if now != self.link {
            self.clock.follow(&self.hardware, now.speed);
            self.follow_link(now.speed);
        }
        Ok((std::mem::replace(&mut self.link, now) != now).then_some(Event::Link(now)))
    }
}

impl IxgbePort {
    pub(crate) fn refused(&self, what: String) -> Error {
        self.engine.refused(what)
    }

    fn no_flow(&self, id: FlowId) -> Error {
        self.refused(format!("no rule {} runs here", id.0))
    }

    /// The table names 16 queues at most.
    fn check_rss(&self, rss: Option<&RssConfig>) -> Result<(), Error> {
        match rss.and_then(|rss| rss.table.iter().find(|q| usize::from(**q) >= rss::MOST_QUEUES)) {
            Some(queue) => {
                let what = format!("RSS queue {queue}: the 82599's table names queues 0 to 15");
                Err(self.refused(what))
            }
            None => Ok(()),
        }
    }

    /// Merged segments wait for the moderation of their queue's own vector.
    fn check_lro(&self, config: &PortConfig) -> Result<(), Error> {
        let (asked, max) = (config.rx_queue_count(), interrupts::MOST_QUEUES);
        if !config.rx_offloads_asked().contains(RxOffloads::LRO) || asked <= max {
            return Ok(());
        }
        let (port, hint) = (self.engine.info.name.clone(), "; more have no vector for LRO".into());
        Err(Error::Range { port, what: "receive queues", asked, min: 1, max, hint })
    }

    /// There is a clock as long as frames are stamped.
    fn check_clock(&self) -> Result<(), Error> {
        match (ids::has_clock(self.hardware.function.device.identity()), self.clock.sync) {
            (false, _) => Err(self.cannot(NO_CLOCK)),
            (true, TimeSync::On) if self.hardware.registers.is_silent() => {
                Err(Error::Gone { port: self.engine.info.name.clone() })
            }
            (true, TimeSync::On) => Ok(()),
            (true, TimeSync::Off) => {
                Err(self.refused("no clock runs: set_time_sync(TimeSync::On) starts it".into()))
            }
        }
    }

    /// Pauses of the whole link are for cards without traffic classes (§3.7.7.3, §8.2.3.3.7).
    fn check_pause(&self, pause: Pause, classes: Classes) -> Result<(), Error> {
        if classes == Classes::None || !(pause.is_heeded() || pause.is_sent()) {
            return Ok(());
        }
        let can = format!("ask for {WITHOUT} transmit queues at most, or for no flow control");
        let what = format!("flow control and more queues, which are of traffic classes: {can}");
        Err(Error::Refused { port: self.engine.info.name.clone(), what })
    }

    /// Bytes of the receive packet buffer.
    pub(crate) fn buffer(&self) -> u32 {
        (self.hardware.family.rx_buffer() - self.flows.director.buffer()) << 10
    }

    pub(crate) fn apply_pause(&self) {
        let marks = pause::marks(
            &self.engine.info.name,
            &self.pause,
            self.buffer(),
            frame(self.engine.mtu()) as u32,
        );
        // They were checked when they were set; a larger MTU since then leaves them without effect.
        if let Ok(marks) = marks {
            pause::apply(&self.hardware.registers, &self.pause, marks);
        }
    }

    pub(crate) fn apply_rss(&self) {
        let queues = self.engine.config.as_ref().map_or(0, PortConfig::rx_queue_count);
        if let Some(rss) = &self.rss {
            let table = self.hardware.family.table();
            rss::apply(&self.hardware.registers, rss, table, queues, self.classes());
        }
    }
}

impl Drop for IxgbePort {
    /// Stops the device: it reaches no memory after that, whether its queues live on or not.
    fn drop(&mut self) {
        // Whatever does not stop is without bus mastering, and its memory is kept.
        let _ = self.halt();
        let _ = self.hardware.function.device.config().disable_bus_master();
        // The firmware has the card to itself again (§8.2.3.1.3).
        self.hardware.registers.clear(&CTRL_EXT, ctrl_ext::DRV_LOAD);
    }
}

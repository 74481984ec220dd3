//! Starting and stopping a port.

use crate::classes::Classes;
use crate::engine::{Coalesce, Full, Way, frame};
use crate::interrupts::{self, Interrupts};
use crate::port::IxgbePort;
use crate::trouble::Trouble;
use crate::{init, link, rate, stats};
use linecard_pmd_core::{Driver, Error, PortConfig, Queues, RxOffloads, TxRate};
use std::sync::Arc;

impl IxgbePort {
    pub(crate) fn try_start(&mut self) -> Result<Queues, Trouble> {
        let hardware = Arc::clone(&self.hardware);
        hardware.reset()?;
        hardware.function.device.config().enable_bus_master()?;
        let (frame, director) = (frame(self.engine.mtu()) as u32, self.flows.director.buffer());
        init::bring_up(&hardware, self.classes(), frame, director);
        init::coalesce(&hardware.registers, self.coalesce());
        init::outer_tag(&hardware.registers, self.outer_tag);
        stats::map_queues(&hardware.registers);
        self.filters.apply(&hardware.registers);
        self.flows.apply(&hardware.registers)?;
        self.apply_rss();
        self.apply_pause();
        self.clock.apply(&hardware, self.link.speed);
        self.sums.clear(&hardware.registers);
        let config = self.engine.config.as_ref();
        let (rx, tx) = config.map_or((0, 0), |c| (c.rx_queue_count(), c.tx_queue_count()));
        self.rates = vec![TxRate::Unlimited; tx];
        let wakes = rx.min(interrupts::MOST_QUEUES);
        let (interrupts, bells) = Interrupts::start(&hardware, wakes, self.interval)?;
        self.interrupts = interrupts;
        let queues = self.engine.start(bells, &self.way())?;
        init::open_receive(&hardware.registers)?;
        link::up(&hardware)?;
        Ok(queues)
    }

    /// How receive queues are set up.
    pub(crate) fn way(&self) -> Way {
        Way { full: self.full(), coalesce: self.coalesce(), marks: self.flows.marks() }
    }

    /// Whether there are traffic classes, for the queues that there are with them alone.
    pub(crate) fn classes(&self) -> Classes {
        Classes::of(self.engine.config.as_ref().map_or(0, PortConfig::tx_queue_count))
    }

    /// Whether TCP segments are merged.
    fn coalesce(&self) -> Coalesce {
        match self.engine.offloads().contains(RxOffloads::LRO) {
            true => Coalesce::Yes,
            false => Coalesce::No,
        }
    }

    /// Limits a transmit queue.
    pub(crate) fn limit_rate(&mut self, queue: u16, rate: TxRate) -> Result<(), Error> {
        let link = self.link()?.speed.unwrap_or(FASTEST);
        if let TxRate::Megabits(asked) = rate
            && !rate::range(link).contains(&asked)
        {
            let [min, max] =
                [rate::range(link).start(), rate::range(link).end()].map(|n| *n as usize);
            let (port, hint) =
                (self.engine.info.name.clone(), "; a part of the link's speed".into());
            let asked = asked as usize;
            return Err(Error::Range { port, what: "rate in Mb/s", asked, min, max, hint });
        }
        let frame = frame(self.engine.mtu()) as u32;
        rate::apply(&self.hardware.registers, u32::from(queue), rate, link, frame);
        self.rates.iter_mut().skip(queue.into()).take(1).for_each(|known| *known = rate);
        Ok(())
    }

    /// The link has another speed, of which rates are parts.
    pub(crate) fn follow_link(&self, speed: Option<u32>) {
        let Some(link) = speed.filter(|_| self.engine.is_running()) else { return };
        let limited = (0..).zip(&self.rates).filter(|(_, rate)| **rate != TxRate::Unlimited);
        for (queue, rate) in limited {
            let rate = match *rate {
                TxRate::Megabits(n) if n < link => {
                    TxRate::Megabits(n.max(*rate::range(link).start()))
                }
                _ => TxRate::Unlimited,
            };
            rate::apply(
                &self.hardware.registers,
                queue,
                rate,
                link,
                frame(self.engine.mtu()) as u32,
            );
        }
    }

    /// Of several queues, a full one must not hold up the others (§7.1.9), unless pauses are sent: those
    /// come of frames that wait.
    fn full(&self) -> Full {
        let queues = self.engine.config.as_ref().map_or(0, PortConfig::rx_queue_count);
        if queues > 1 && !self.pause.pause.is_sent() { Full::Drop } else { Full::Wait }
    }

    /// Says again what full queues do.
    pub(crate) fn apply_full(&self) {
        self.engine.apply_full(self.full());
    }

    /// Stops everything; says the first thing that did not stop.
    pub(crate) fn halt(&mut self) -> Result<(), Trouble> {
        if !self.engine.is_running() && self.interrupts.is_none() {
            return Ok(());
        }
        // What came since the last look would be lost with the next reset.
        self.queue_stats();
        let interrupts = self.interrupts.take();
        if self.hardware.function.is_gone() {
            self.engine.abandon();
            return Ok(());
        }
        self.engine.close();
        init::close_receive(&self.hardware.registers);
        let stopped = self.engine.halt();
        let silenced = interrupts.map_or(Ok(()), |i| i.stop(&self.hardware));
        let off = self.hardware.function.device.config().disable_bus_master();
        stopped?;
        silenced?;
        Ok(off?)
    }
}

/// Mb/s of a link that is down: the one that it will have, most likely.
const FASTEST: u32 = 10_000;

//! Starting and stopping a virtual function.

use super::interrupts::Interrupts;
use super::open::reset;
use super::port::IxgbeVfPort;
use crate::engine::{Coalesce, Full, Way};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::virtual_function::{VFPSRTYPE, vfpsrtype};
use linecard_pmd_core::Queues;
use std::sync::Arc;

/// How receive queues are set up: a queue that is full must not hold up the card's other functions.
pub(super) const WAY: Way = Way { full: Full::Drop, coalesce: Coalesce::No, marks: None };

impl IxgbeVfPort {
    pub(super) fn try_start(&mut self) -> Result<Queues, Trouble> {
        let function = Arc::clone(&self.function);
        reset(&function)?;
        let introduced = self.agent.introduce()?;
        (self.forgotten, self.asked.hash) = (false, introduced.hash);
        self.engine.info.mac = self.asked.follow(introduced.mac);
        let config = self.engine.config.as_ref();
        let (rx, tx) = config.map_or((0, 0), |c| (c.rx_queue_count(), c.tx_queue_count()));
        let pool = self.agent.queues()?;
        if rx > pool.rx || tx > pool.tx {
            return Err(Trouble::Fewer { rx: pool.rx, tx: pool.tx });
        }
        self.asked.say_all(&mut self.agent, introduced.mac, self.engine.mtu())?;
        function.device.config().enable_bus_master()?;
        // As many bits of the hash as queues: RSS spreads no further.
        let bits = rx.max(1).ilog2();
        function.registers.write(&VFPSRTYPE, vfpsrtype::RQPL.put(0, bits));
        let (interrupts, bells) = Interrupts::start(&function, rx, self.interval)?;
        self.interrupts = interrupts;
        self.sums.clear(&function.registers);
        self.engine.start(bells, &WAY)
    }

    /// Stops everything; says the first thing that did not stop.
    pub(super) fn halt(&mut self) -> Result<(), Trouble> {
        if !self.engine.is_running() && self.interrupts.is_none() {
            return Ok(());
        }
        let interrupts = self.interrupts.take();
        if self.function.is_gone() {
            self.engine.abandon();
            return Ok(());
        }
        let stopped = self.engine.halt();
        let silenced = interrupts.map_or(Ok(()), |i| i.stop(&self.function));
        let off = self.function.device.config().disable_bus_master();
        stopped?;
        silenced?;
        Ok(off?)
    }
}

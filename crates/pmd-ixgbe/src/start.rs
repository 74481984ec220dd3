//! Starting and stopping: queues, their memory, and who keeps it.

use crate::hardware::Arena;
use crate::interrupts::{self, Bell, Interrupts};
use crate::known::Known;
use crate::port::{IxgbePort, KIB, frame, room};
use crate::queue::{self, Descriptors, QueueControl, Side};
use crate::rx::{Meaning, Receive, Scatter};
use crate::trouble::Trouble;
use crate::tx::Transmit;
use crate::{init, link, rx, stats, tx};
use linecard_eal::device::DmaMemory;
use linecard_eal::mem::{IovaMode, Node, PagePolicy, Request};
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Gate, PortConfig, QueueStats, Queues, RxOffloads, VlanStrip};
use std::sync::Arc;

/// What a queue keeps alive: its ring, the pools, and the knowledge that it lives.
#[derive(Clone, Debug)]
pub(crate) struct Keeps {
    memory: Reached,
    _alive: Arc<()>,
}

/// What the device can reach through a queue: its ring, and the pools.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    _arena: Arena,
    _pools: Known,
}

impl Keeps {
    /// What has to stay if the queue does not stop, though the queue itself is gone.
    pub(crate) fn memory(&self) -> Reached {
        self.memory.clone()
    }
}

/// What there is between start and stop.
#[derive(Debug)]
pub(crate) struct Running {
    gate: Gate,
    controls: Vec<Arc<QueueControl>>,
    pub(crate) interrupts: Option<Interrupts>,
}

impl IxgbePort {
    pub(crate) fn try_start(&mut self) -> Result<Queues, Trouble> {
        let none = Queues { rx: Vec::new(), tx: Vec::new() };
        let (Some(config), Some(known)) = (self.config.clone(), self.known.clone()) else {
            return Ok(none);
        };
        let hardware = Arc::clone(&self.hardware);
        hardware.reset()?;
        hardware.device.config().enable_bus_master()?;
        init::bring_up(&hardware, frame(self.mtu) as u32, self.flows.director.buffer())?;
        stats::map_queues(&hardware.registers);
        self.filters.apply(&hardware.registers);
        self.flows.apply(&hardware.registers)?;
        self.apply_rss();
        self.sums.clear(&hardware.registers);
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        let queues = self.start_queues(&config, known)?;
        init::open_receive(&hardware.registers)?;
        link::up(&hardware)?;
        Ok(queues)
    }

    fn start_queues(&mut self, config: &PortConfig, known: Known) -> Result<Queues, Trouble> {
        let wakes = config.rx_queue_count().min(interrupts::MOST_QUEUES);
        let (interrupts, bells) = Interrupts::start(&self.hardware, wakes, self.interval)?;
        let gate = Gate::new();
        self.running = Some(Running { gate: gate.clone(), controls: Vec::new(), interrupts });
        let alive = Arc::new(());
        self.alive = Arc::downgrade(&alive);
        let arena = self.arena(config)?;
        let memory = Reached { _arena: Arc::clone(&arena), _pools: known.clone() };
        let keeps = Keeps { memory, _alive: alive };
        let mut plan = Plan { config, known, gate, keeps, arena, offset: 0 };
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        let mut bells = bells.into_iter();
        for index in 0..config.rx_queue_count() {
            queues.rx.push(Box::new(self.start_rx(&mut plan, index as u32, bells.next())?));
        }
        for index in 0..config.tx_queue_count() {
            queues.tx.push(Box::new(self.start_tx(&mut plan, index as u32)?));
        }
        Ok(queues)
    }

    /// Memory for all rings.
    fn arena(&self, config: &PortConfig) -> Result<Arena, Trouble> {
        let can = &self.info.capabilities;
        let rx = config.rx_queue_count() * queue::bytes(config.rx_descriptor_count(can));
        let tx = config.tx_queue_count() * queue::bytes(config.tx_descriptor_count(can));
        let dma = self.hardware.device.dma();
        let request = Request::new((rx + tx).max(4096)).name(format!("{}-rings", self.info.name));
        let request = match self.info.node {
            Some(node) => request.node(Node::Prefer(node)),
            None => request,
        };
        let request = match dma.limits().mode {
            IovaMode::Physical => request.pages(PagePolicy::Huge),
            _ => request,
        };
        // SAFETY: queues keep it, and let go of it once the device has been stopped from using it,
        // or into the quarantine.
        Ok(Arc::new(unsafe { DmaMemory::new(&*dma, request) }?))
    }

    fn start_rx(
        &mut self,
        plan: &mut Plan<'_>,
        index: u32,
        bell: Option<Bell>,
    ) -> Result<Receive, Trouble> {
        let registers = &self.hardware.registers;
        let ring = plan.ring(plan.config.rx_descriptor_count(&self.info.capabilities))?;
        let pool = plan.config.pool(index as usize).clone();
        let room = room(&pool);
        let word = srrctl::BSIZEPACKET.put(0, (room / KIB) as u32);
        // Advanced descriptors, one buffer each; BSIZEHEADER must hold something (§8.2.3.8.7).
        let word = srrctl::BSIZEHEADER.put(srrctl::DESCTYPE.put(word, 1), 4);
        // With several queues a full one must not hold up the others (§7.1.9).
        let drop = u32::from(plan.config.rx_queue_count() > 1);
        registers.write_at(&SRRCTL, index, srrctl::DROP_EN.put(word, drop));
        // §4.6.7: bit 12 is to be cleared.
        let word = registers.read_at(&DCA_RXCTRL, index) & !(1 << 12);
        registers.write_at(&DCA_RXCTRL, index, word);
        self.apply_strip(index);
        let control = QueueControl::new(&self.hardware, Side::Receive, index);
        self.start_control(&control, &ring, &plan.keeps)?;
        let offloads = plan.config.rx_offloads_asked();
        let scatter = offloads.contains(RxOffloads::SCATTER);
        Ok(Receive::new(rx::Parts {
            ring,
            tail: self.hardware.registers.bind(&RDT, index)?,
            control,
            pool,
            port: plan.config.number(),
            room: room as u16,
            scatter: if scatter { Scatter::Yes } else { Scatter::No },
            meaning: Meaning::new(offloads),
            marks: self.flows.marks(),
            gate: plan.gate.clone(),
            counters: Arc::clone(&self.stats.rx[index as usize]),
            bell,
            keeps: plan.keeps.clone(),
        }))
    }

    fn start_tx(&mut self, plan: &mut Plan<'_>, index: u32) -> Result<Transmit, Trouble> {
        let ring = plan.ring(plan.config.tx_descriptor_count(&self.info.capabilities))?;
        // §7.2.3.4.1: fetch 36 ahead, while 8 are there; write back each that asks for a report.
        let word = txdctl::HTHRESH.put(txdctl::PTHRESH.put(0, 36), 8);
        self.hardware.registers.write_at(&TXDCTL, index, word);
        let control = QueueControl::new(&self.hardware, Side::Transmit, index);
        self.start_control(&control, &ring, &plan.keeps)?;
        Ok(Transmit::new(tx::Parts {
            ring,
            tail: self.hardware.registers.bind(&TDT, index)?,
            control,
            offloads: plan.config.tx_offloads_asked(),
            longest: frame(self.mtu) as u64 - 4,
            known: plan.known.clone(),
            gate: plan.gate.clone(),
            counters: Arc::clone(&self.stats.tx[index as usize]),
            keeps: plan.keeps.clone(),
        }))
    }

    /// Enables a queue. One that is late may yet come up: what it could reach is kept.
    fn start_control(
        &mut self,
        control: &Arc<QueueControl>,
        ring: &Descriptors,
        keeps: &Keeps,
    ) -> Result<(), Trouble> {
        self.running.iter_mut().for_each(|running| running.controls.push(Arc::clone(control)));
        control.start(ring).inspect_err(|_| control.retire(keeps.memory()))
    }

    /// Strips tags on all receive queues that run, or not.
    pub(crate) fn apply_strip_everywhere(&self) {
        let strip = u32::from(self.strip == VlanStrip::On);
        let controls = self.running.iter().flat_map(|running| &running.controls);
        controls.for_each(|control| control.put(Side::Receive, rxdctl::VME, strip));
    }

    /// Stops everything; says the first thing that did not stop.
    pub(crate) fn halt(&mut self) -> Result<(), Trouble> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.gate.close();
        if self.hardware.is_gone() {
            return Ok(());
        }
        init::close_receive(&self.hardware.registers);
        let stopped: Vec<_> = running.controls.iter().map(|control| control.stop()).collect();
        let silenced = running.interrupts.map_or(Ok(()), |i| i.stop(&self.hardware));
        let off = self.hardware.device.config().disable_bus_master();
        stopped.into_iter().collect::<Result<Vec<_>, _>>()?;
        silenced?;
        Ok(off?)
    }
}

/// What queues are started with.
struct Plan<'a> {
    config: &'a PortConfig,
    known: Known,
    gate: Gate,
    keeps: Keeps,
    arena: Arena,
    offset: usize,
}

impl Plan<'_> {
    /// The next ring of the arena.
    fn ring(&mut self, count: usize) -> Result<Descriptors, Trouble> {
        let offset = self.offset;
        self.offset += queue::bytes(count);
        Descriptors::new(&self.arena, offset, count)
    }
}

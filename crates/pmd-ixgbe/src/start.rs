//! Starting and stopping: queues, their memory, and who keeps it.

use crate::hardware::Arena;
use crate::init::Coalesce;
use crate::interrupts::{self, Bell, Interrupts};
use crate::known::Known;
use crate::port::{IxgbePort, KIB, frame, room};
use crate::queue::{self, Descriptors, QueueControl, Side};
use crate::rx::{Meaning, Receive, Scatter};
use crate::trouble::Trouble;
use crate::tx::Transmit;
use crate::{init, link, rate, rx, stats, tx};
use linecard_eal::device::DmaMemory;
use linecard_eal::mem::{IovaMode, Node, PagePolicy, Request};
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{
    Direction, Driver, Error, Gate, PortConfig, QueueStats, Queues, RxOffloads, TxRate, VlanStrip,
};
use std::sync::{Arc, Weak};

/// What a queue keeps alive: its ring, the pools, and the knowledge that it lives.
#[derive(Clone, Debug)]
pub(crate) struct Keeps {
    memory: Reached,
    /// That a queue of this start lives, and which.
    _alive: Arc<()>,
    _own: Arc<()>,
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
    seats: Vec<Seat>,
    pub(crate) interrupts: Option<Interrupts>,
    config: PortConfig,
    known: Known,
    arena: Arena,
    /// By transmit queue.
    rates: Vec<TxRate>,
}

/// A queue of the device, and whoever drives it now.
#[derive(Debug)]
struct Seat {
    direction: Direction,
    index: u16,
    /// Where in the arena its ring lies.
    offset: usize,
    bell: Option<Arc<Bell>>,
    control: Arc<QueueControl>,
    gate: Gate,
    /// Lives as long as the queue's value does.
    own: Weak<()>,
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
        init::coalesce(&hardware.registers, self.coalesce());
        init::outer_tag(&hardware.registers, self.outer_tag);
        stats::map_queues(&hardware.registers);
        self.filters.apply(&hardware.registers);
        self.flows.apply(&hardware.registers)?;
        self.apply_rss();
        self.apply_pause();
        self.clock.apply(&hardware, self.link.speed);
        self.sums.clear(&hardware.registers);
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        let queues = self.start_queues(config, known)?;
        init::open_receive(&hardware.registers)?;
        link::up(&hardware)?;
        Ok(queues)
    }

    /// Whether TCP segments are merged.
    fn coalesce(&self) -> Coalesce {
        if self.offloads().contains(RxOffloads::LRO) { Coalesce::Yes } else { Coalesce::No }
    }

    fn start_queues(&mut self, config: PortConfig, known: Known) -> Result<Queues, Trouble> {
        let (rx, tx) = (config.rx_queue_count(), config.tx_queue_count());
        let arena = self.arena(&config)?;
        let wakes = rx.min(interrupts::MOST_QUEUES);
        let (interrupts, bells) = Interrupts::start(&self.hardware, wakes, self.interval)?;
        let mut bells = bells.into_iter().map(Arc::new);
        let rates = vec![TxRate::Unlimited; tx];
        let mut offset = 0;
        let mut place = |descriptors: usize| {
            let at = offset;
            offset += queue::bytes(descriptors);
            at
        };
        let can = &self.info.capabilities;
        let (of_rx, of_tx) = (config.rx_descriptor_count(can), config.tx_descriptor_count(can));
        let rx_seats = (0..rx as u16).map(|i| (Direction::Receive, i, place(of_rx), bells.next()));
        let rx_seats: Vec<_> = rx_seats.collect();
        let tx_seats = (0..tx as u16).map(|i| (Direction::Transmit, i, place(of_tx), None));
        let seats = rx_seats.into_iter().chain(tx_seats);
        let seats =
            seats.map(|(direction, index, offset, bell)| self.seat(direction, index, offset, bell));
        let seats = seats.collect();
        self.running = Some(Running { seats, interrupts, config, known, arena, rates });
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        for seat in 0..rx {
            queues.rx.push(Box::new(self.start_rx(seat)?));
        }
        for seat in rx..rx + tx {
            queues.tx.push(Box::new(self.start_tx(seat)?));
        }
        Ok(queues)
    }

    /// A queue that nobody drives.
    fn seat(
        &self,
        direction: Direction,
        index: u16,
        offset: usize,
        bell: Option<Arc<Bell>>,
    ) -> Seat {
        let side = match direction {
            Direction::Receive => Side::Receive,
            Direction::Transmit => Side::Transmit,
        };
        let control = QueueControl::new(&self.hardware, side, u32::from(index));
        Seat { direction, index, offset, bell, control, gate: Gate::new(), own: Weak::new() }
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

    /// Sits somebody down: what the queue's value will keep alive.
    fn sit(&mut self, seat: usize) -> Result<Sitting, Trouble> {
        let alive = self.alive.upgrade().unwrap_or_default();
        self.alive = Arc::downgrade(&alive);
        let Some(running) = &mut self.running else { return Err(Trouble::Stopped) };
        let own = Arc::new(());
        let place = &mut running.seats[seat];
        place.own = Arc::downgrade(&own);
        let (config, known) = (running.config.clone(), running.known.clone());
        let can = &self.info.capabilities;
        let count = match place.direction {
            Direction::Receive => config.rx_descriptor_count(can),
            Direction::Transmit => config.tx_descriptor_count(can),
        };
        let ring = Descriptors::new(&running.arena, place.offset, count)?;
        let memory = Reached { _arena: Arc::clone(&running.arena), _pools: known.clone() };
        let keeps = Keeps { memory, _alive: alive, _own: own };
        let (control, gate) = (Arc::clone(&place.control), place.gate.clone());
        let (index, bell) = (u32::from(place.index), place.bell.clone());
        Ok(Sitting { config, known, ring, keeps, control, gate, index, bell })
    }

    pub(crate) fn start_rx(&mut self, seat: usize) -> Result<Receive, Trouble> {
        let Sitting { config, ring, keeps, control, gate, index, bell, .. } = self.sit(seat)?;
        let registers = &self.hardware.registers;
        let pool = config.pool(index as usize).clone();
        let room = room(&pool);
        let word = srrctl::BSIZEPACKET.put(0, (room / KIB) as u32);
        // Advanced descriptors, one buffer each; BSIZEHEADER must hold something (§8.2.3.8.7).
        let word = srrctl::BSIZEHEADER.put(srrctl::DESCTYPE.put(word, 1), 4);
        let drop = self.drops(config.rx_queue_count());
        registers.write_at(&SRRCTL, index, srrctl::DROP_EN.put(word, drop));
        // §4.6.7: bit 12 is to be cleared. What the card writes arrives in order, through whatever bridge.
        let relaxed = dca_rxctrl::DATA_WRITE_RO_EN.mask() | dca_rxctrl::HEAD_WRITE_RO_EN.mask();
        let word = registers.read_at(&DCA_RXCTRL, index) & !(1 << 12 | relaxed);
        registers.write_at(&DCA_RXCTRL, index, word);
        if self.coalesce() == Coalesce::Yes {
            let word = rscctl::MAXDESC.put(rscctl::RSCEN.mask(), most_merged(room));
            registers.write_at(&RSCCTL, index, word);
        }
        self.apply_strip(index);
        start_control(&control, &ring, &keeps)?;
        let offloads = config.rx_offloads_asked();
        let scatter = match self.coalesce() {
            Coalesce::Yes => Scatter::Apart,
            Coalesce::No if offloads.contains(RxOffloads::SCATTER) => Scatter::Yes,
            Coalesce::No => Scatter::No,
        };
        Ok(Receive::new(rx::Parts {
            ring,
            tail: registers.bind(&RDT, index)?,
            control,
            pool,
            port: config.number(),
            room: room as u16,
            scatter,
            meaning: Meaning::new(offloads),
            marks: self.flows.marks(),
            path: self.receive_path,
            gate,
            counters: Arc::clone(&self.stats.rx[index as usize]),
            bell,
            keeps,
        }))
    }

    pub(crate) fn start_tx(&mut self, seat: usize) -> Result<Transmit, Trouble> {
        let Sitting { config, known, ring, keeps, control, gate, index, .. } = self.sit(seat)?;
        let registers = &self.hardware.registers;
        registers.write_at(&TXDCTL, index, self.fetch.word());
        // Descriptors are written back in order.
        registers.put_at(&DCA_TXCTRL, index, dca_txctrl::DESC_WRITE_RO_EN, 0);
        start_control(&control, &ring, &keeps)?;
        Ok(Transmit::new(tx::Parts {
            ring,
            tail: registers.bind(&TDT, index)?,
            control,
            offloads: config.tx_offloads_asked(),
            longest: frame(self.mtu) as u64 - 4,
            known,
            gate,
            counters: Arc::clone(&self.stats.tx[index as usize]),
            keeps,
        }))
    }

    fn seat_of(&self, direction: Direction, queue: u16) -> Option<usize> {
        let running = self.running.as_ref()?;
        running.seats.iter().position(|seat| (seat.direction, seat.index) == (direction, queue))
    }

    /// Stops one queue. Whoever drives it sees its gate closed.
    pub(crate) fn stop_one(&self, direction: Direction, queue: u16) -> Result<(), Trouble> {
        let at = self.seat_of(direction, queue).ok_or(Trouble::Stopped)?;
        let seat = self.running.as_ref().map(|running| &running.seats[at]);
        seat.ok_or(Trouble::Stopped).and_then(|seat| {
            seat.gate.close();
            seat.control.stop()
        })
    }

    /// A seat that somebody has left, made ready for another.
    pub(crate) fn free_seat(&mut self, direction: Direction, queue: u16) -> Result<usize, Error> {
        let at = self.seat_of(direction, queue);
        let at = at.ok_or_else(|| self.refused("the port does not run: start it".into()))?;
        let left = self.running.as_ref().map(|running| &running.seats[at]);
        let refusal = match left {
            Some(seat) if seat.own.upgrade().is_some() => {
                Some("still lives: stop it, and drop the value of its last start")
            }
            Some(seat) if !seat.control.is_stopped() => Some("did not stop: start the port anew"),
            _ => None,
        };
        if let Some(why) = refusal {
            return Err(self.refused(format!("{direction} queue {queue} {why}")));
        }
        let (offset, bell) = left.map_or((0, None), |seat| (seat.offset, seat.bell.clone()));
        let fresh = self.seat(direction, queue, offset, bell);
        if let Some(running) = &mut self.running {
            running.seats[at] = fresh;
        }
        Ok(at)
    }

    /// Limits a transmit queue.
    pub(crate) fn limit_rate(&mut self, queue: u16, rate: TxRate) -> Result<(), Error> {
        let link = self.link()?.speed.unwrap_or(FASTEST);
        if let TxRate::Megabits(asked) = rate
            && !rate::range(link).contains(&asked)
        {
            let [min, max] =
                [rate::range(link).start(), rate::range(link).end()].map(|n| *n as usize);
            let (port, hint) = (self.info.name.clone(), "; a part of the link's speed".into());
            let asked = asked as usize;
            return Err(Error::Range { port, what: "rate in Mb/s", asked, min, max, hint });
        }
        let frame = frame(self.mtu) as u32;
        rate::apply(&self.hardware.registers, u32::from(queue), rate, link, frame);
        let rates = self.running.iter_mut().flat_map(|running| &mut running.rates);
        rates.skip(queue.into()).take(1).for_each(|known| *known = rate);
        Ok(())
    }

    /// The link has another speed, of which rates are parts.
    pub(crate) fn follow_link(&self, speed: Option<u32>) {
        let (Some(link), Some(running)) = (speed, &self.running) else { return };
        let limited = (0..).zip(&running.rates).filter(|(_, rate)| **rate != TxRate::Unlimited);
        for (queue, rate) in limited {
            let rate = match *rate {
                TxRate::Megabits(n) if n < link => {
                    TxRate::Megabits(n.max(*rate::range(link).start()))
                }
                _ => TxRate::Unlimited,
            };
            rate::apply(&self.hardware.registers, queue, rate, link, frame(self.mtu) as u32);
        }
    }

    /// SRRCTL.DROP_EN: of several queues, a full one must not hold up the others (§7.1.9), unless pauses
    /// are sent: those come of frames that wait.
    fn drops(&self, queues: usize) -> u32 {
        u32::from(queues > 1 && !self.pause.pause.is_sent())
    }

    /// Says again what full queues do.
    pub(crate) fn apply_drops(&self) {
        let Some(running) = &self.running else { return };
        let drop = self.drops(running.config.rx_queue_count());
        for queue in 0..running.config.rx_queue_count() as u32 {
            self.hardware.registers.put_at(&SRRCTL, queue, srrctl::DROP_EN, drop);
        }
    }

    /// Strips tags on all receive queues that run, or not.
    pub(crate) fn apply_strip_everywhere(&self) {
        let strip = u32::from(self.strip == VlanStrip::On);
        let seats = self.running.iter().flat_map(|running| &running.seats);
        seats.for_each(|seat| seat.control.put(Side::Receive, rxdctl::VME, strip));
    }

    /// Stops everything; says the first thing that did not stop.
    pub(crate) fn halt(&mut self) -> Result<(), Trouble> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.seats.iter().for_each(|seat| seat.gate.close());
        if self.hardware.is_gone() {
            return Ok(());
        }
        init::close_receive(&self.hardware.registers);
        let stopped: Vec<_> = running.seats.iter().map(|seat| seat.control.stop()).collect();
        let silenced = running.interrupts.map_or(Ok(()), |i| i.stop(&self.hardware));
        let off = self.hardware.device.config().disable_bus_master();
        stopped.into_iter().collect::<Result<Vec<_>, _>>()?;
        silenced?;
        Ok(off?)
    }
}

/// What a queue's value is made of.
struct Sitting {
    config: PortConfig,
    known: Known,
    ring: Descriptors,
    keeps: Keeps,
    control: Arc<QueueControl>,
    gate: Gate,
    index: u32,
    bell: Option<Arc<Bell>>,
}

/// Mb/s of a link that is down: the one that it will have, most likely.
const FASTEST: u32 = 10_000;

/// Enables a queue. One that is late may yet come up: what it could reach is kept.
fn start_control(control: &QueueControl, ring: &Descriptors, keeps: &Keeps) -> Result<(), Trouble> {
    control.start(ring).inspect_err(|_| control.retire(keeps.memory()))
}

/// RSCCTL.MAXDESC: 1, 4, 8 or 16 descriptors, so that a merged packet has less than 64 KiB (§8.2.3.8.13).
fn most_merged(room: usize) -> u32 {
    [16, 8, 4].iter().position(|n| n * room < 65_536).map_or(0, |at| 3 - at as u32)
}

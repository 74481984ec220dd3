//! The part of a port that moves packets, whichever function it is on: the pools that the device knows, and
//! the queues, with who drives them and who keeps their memory.

use crate::fetch::Fetch;
use crate::flows::Marks;
use crate::function::Function;
use crate::hardware::Arena;
use crate::interrupts::Bell;
use crate::known::{Known, KnownPool, introduce};
use crate::port::{KIB, OVERHEAD};
use crate::queue::{self, Descriptors, QueueControl, Side};
use crate::rx::{self, Frames, Meaning, Receive, ReceivePath, Scatter};
use crate::trouble::Trouble;
use crate::tx::{self, Transmit};
use linecard_eal::device::DmaMemory;
use linecard_eal::mem::{IovaMode, Node, PagePolicy, Request};
use linecard_ixgbe_regs::registers::*;
use linecard_mbuf::MbufPool;
use linecard_pmd_core::{
    Direction, Error, Gate, PortConfig, PortInfo, QueueStats, Queues, RxOffloads, VlanStrip,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// The part of a port that moves packets.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) info: PortInfo,
    function: Arc<Function>,
    pub(crate) config: Option<PortConfig>,
    known: Option<Known>,
    /// All pools that the device still knows.
    introduced: Vec<Weak<KnownPool>>,
    mtu: usize,
    /// The frame that this MTU allows, its check sequence not counted: transmit queues look here.
    longest: Arc<AtomicU32>,
    pub(crate) strip: VlanStrip,
    receive_path: ReceivePath,
    fetch: Fetch,
    running: Option<Running>,
    /// Lives as long as a queue of the last start does.
    alive: Weak<()>,
    pub(crate) stats: QueueStats,
}

/// How receive queues are set up, besides what the configuration says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// What a frame does that finds no descriptor.
    pub(crate) full: Full,
    pub(crate) coalesce: Coalesce,
    /// If packets are to carry the marks of rules.
    pub(crate) marks: Option<Arc<Marks>>,
}

/// What a frame does that finds no descriptor (SRRCTL.DROP_EN, §7.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Full {
    /// It waits, and all behind it.
    #[default]
    Wait,
    Drop,
}

/// Whether TCP segments are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coalesce {
    #[default]
    No,
    Yes,
}

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
struct Running {
    seats: Vec<Seat>,
    config: PortConfig,
    known: Known,
    arena: Arena,
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

impl Engine {
    pub(crate) fn new(
        info: PortInfo,
        function: &Arc<Function>,
        receive_path: ReceivePath,
        fetch: Fetch,
    ) -> Self {
        Engine {
            info,
            function: Arc::clone(function),
            config: None,
            known: None,
            introduced: Vec::new(),
            mtu: 1500,
            longest: Arc::default(),
            strip: VlanStrip::Off,
            receive_path,
            fetch,
            running: None,
            alive: Weak::new(),
            stats: QueueStats::default(),
        }
    }

    pub(crate) fn at<T>(&self, doing: &str, done: Result<T, Trouble>) -> Result<T, Error> {
        done.map_err(|trouble| trouble.at(&self.info.name, doing))
    }

    pub(crate) fn refused(&self, what: String) -> Error {
        Error::Refused { port: self.info.name.clone(), what }
    }

    pub(crate) fn offloads(&self) -> RxOffloads {
        self.config.as_ref().map_or(RxOffloads::empty(), PortConfig::rx_offloads_asked)
    }

    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// Takes another MTU, also while queues run.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu;
        // Relaxed: pairs with what transmit queues load, which want the number alone.
        self.longest.store(frame(mtu) as u32 - 4, Ordering::Relaxed);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// What both kinds of ports check of a configuration.
    pub(crate) fn check(&self, config: &PortConfig) -> Result<(), Error> {
        config.check(&self.info.name, &self.info.capabilities)?;
        self.check_rooms(config, config.mtu_asked().unwrap_or(1500))?;
        let ring = config.tx_descriptor_count(&self.info.capabilities);
        match self.fetch.complaint(ring) {
            Some(complaint) => Err(self.refused(complaint)),
            None => Ok(()),
        }
    }

    /// Takes a configuration that has been checked: makes its pools known to the device.
    pub(crate) fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.introduced.retain(|pool| pool.strong_count() > 0);
        let mut known: Vec<Arc<KnownPool>> = Vec::new();
        for pool in config.all_pools() {
            let home = pool.raw().home();
            let same = |known: &&Arc<KnownPool>| known.home == home;
            if known.iter().any(|known| same(&known)) {
                continue;
            }
            // A queue of an earlier start may still hold it: memory is made known once.
            let kept = self.introduced.iter().filter_map(Weak::upgrade);
            known.push(match kept.into_iter().find(|known| same(&known)) {
                Some(kept) => kept,
                None => {
                    let new = introduce(&self.function, pool);
                    let new = Arc::new(self.at("make a pool known to the device", new)?);
                    self.introduced.push(Arc::downgrade(&new));
                    new
                }
            });
        }
        self.known = Some(Known(Arc::new(known)));
        self.set_mtu(config.mtu_asked().unwrap_or(1500));
        let strips = config.rx_offloads_asked().contains(RxOffloads::VLAN_STRIP);
        self.strip = if strips { VlanStrip::On } else { VlanStrip::Off };
        self.config = Some(config);
        Ok(())
    }

    /// Without scatter a frame must fit into a buffer, in the KiB that the device counts in.
    pub(crate) fn check_rooms(&self, config: &PortConfig, mtu: usize) -> Result<(), Error> {
        if config.rx_offloads_asked().contains(RxOffloads::SCATTER) {
            return Ok(());
        }
        let frame = frame(mtu) - 4;
        let rooms = (0..config.rx_queue_count()).map(|queue| room(config.pool(queue)));
        match rooms.min().filter(|room| *room < frame) {
            Some(room) => {
                let needed = frame.next_multiple_of(KIB);
                Err(Error::Buffers { port: self.info.name.clone(), room, frame, needed })
            }
            None => Ok(()),
        }
    }

    /// Queues of an earlier start hold rings and buffers that a new one would give away again.
    pub(crate) fn check_idle(&self) -> Result<(), Error> {
        match self.alive.upgrade() {
            Some(_) => {
                Err(self
                    .refused("drop the queues of a stopped port before it is started again".into()))
            }
            None => Ok(()),
        }
    }

    /// Starts all queues, in a device that has been set up for them. `bells` are those of the first
    /// receive queues.
    pub(crate) fn start(&mut self, bells: Vec<Bell>, way: &Way) -> Result<Queues, Trouble> {
        let none = Queues { rx: Vec::new(), tx: Vec::new() };
        let (Some(config), Some(known)) = (self.config.clone(), self.known.clone()) else {
            return Ok(none);
        };
        let (rx, tx) = (config.rx_queue_count(), config.tx_queue_count());
        self.stats = QueueStats::new(rx, tx);
        let arena = self.arena(&config)?;
        let mut bells = bells.into_iter().map(Arc::new);
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
        self.running = Some(Running { seats, config, known, arena });
        let mut queues = none;
        for seat in 0..rx {
            queues.rx.push(Box::new(self.start_rx(seat, way)?));
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
        let control = QueueControl::new(&self.function, side, u32::from(index));
        Seat { direction, index, offset, bell, control, gate: Gate::new(), own: Weak::new() }
    }

    /// Memory for all rings.
    fn arena(&self, config: &PortConfig) -> Result<Arena, Trouble> {
        let can = &self.info.capabilities;
        let rx = config.rx_queue_count() * queue::bytes(config.rx_descriptor_count(can));
        let tx = config.tx_queue_count() * queue::bytes(config.tx_descriptor_count(can));
        let dma = self.function.device.dma();
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

    pub(crate) fn start_rx(&mut self, seat: usize, way: &Way) -> Result<Receive, Trouble> {
        let Sitting { config, ring, keeps, control, gate, index, bell, .. } = self.sit(seat)?;
        let (registers, rings) = (&self.function.registers, self.function.rings());
        let pool = config.pool(index as usize).clone();
        let room = room(&pool);
        let word = srrctl::BSIZEPACKET.put(0, (room / KIB) as u32);
        // Advanced descriptors, one buffer each; BSIZEHEADER must hold something (§8.2.3.8.7).
        let word = srrctl::BSIZEHEADER.put(srrctl::DESCTYPE.put(word, 1), 4);
        let drop = u32::from(way.full == Full::Drop);
        registers.write_at(rings.split, index, srrctl::DROP_EN.put(word, drop));
        // §4.6.7: bit 12 is to be cleared. What the card writes arrives in order, through whatever bridge.
        let relaxed = dca_rxctrl::DATA_WRITE_RO_EN.mask() | dca_rxctrl::HEAD_WRITE_RO_EN.mask();
        let word = registers.read_at(rings.receive.access, index) & !(1 << 12 | relaxed);
        registers.write_at(rings.receive.access, index, word);
        if way.coalesce == Coalesce::Yes {
            let word = rscctl::MAXDESC.put(rscctl::RSCEN.mask(), most_merged(room));
            registers.write_at(&RSCCTL, index, word);
        }
        let strip = u32::from(self.strip == VlanStrip::On);
        registers.put_at(rings.receive.control, index, rxdctl::VME, strip);
        start_control(&control, &ring, &keeps)?;
        let offloads = config.rx_offloads_asked();
        let scatter = match way.coalesce {
            Coalesce::Yes => Scatter::Apart,
            Coalesce::No if offloads.contains(RxOffloads::SCATTER) => Scatter::Yes,
            Coalesce::No => Scatter::No,
        };
        let (number, meaning) = (config.number(), Meaning::new(offloads));
        let frames = Frames::new(&ring, &pool, number, room as u16, meaning, self.receive_path);
        Ok(Receive::new(rx::Parts {
            ring,
            tail: registers.bind(rings.receive.tail, index)?,
            control,
            pool,
            frames,
            scatter,
            marks: way.marks.clone(),
            gate,
            counters: Arc::clone(&self.stats.rx[index as usize]),
            bell,
            keeps,
        }))
    }

    pub(crate) fn start_tx(&mut self, seat: usize) -> Result<Transmit, Trouble> {
        let Sitting { config, known, ring, keeps, control, gate, index, .. } = self.sit(seat)?;
        let (registers, transmit) = (&self.function.registers, &self.function.rings().transmit);
        registers.write_at(transmit.control, index, self.fetch.word());
        // Descriptors are written back in order.
        registers.put_at(transmit.access, index, dca_txctrl::DESC_WRITE_RO_EN, 0);
        start_control(&control, &ring, &keeps)?;
        Ok(Transmit::new(tx::Parts {
            ring,
            tail: registers.bind(transmit.tail, index)?,
            control,
            offloads: config.tx_offloads_asked(),
            longest: Arc::clone(&self.longest),
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

    /// Says again what full queues do.
    pub(crate) fn apply_full(&self, full: Full) {
        let Some(running) = &self.running else { return };
        let (registers, split) = (&self.function.registers, self.function.rings().split);
        for queue in 0..running.config.rx_queue_count() as u32 {
            registers.put_at(split, queue, srrctl::DROP_EN, u32::from(full == Full::Drop));
        }
    }

    /// Strips tags on all receive queues that run, or not.
    pub(crate) fn apply_strip(&self) {
        let strip = u32::from(self.strip == VlanStrip::On);
        let seats = self.running.iter().flat_map(|running| &running.seats);
        seats.for_each(|seat| seat.control.put(Side::Receive, rxdctl::VME, strip));
    }

    /// Closes the gates of all queues: whoever drives them sees that they are stopped.
    pub(crate) fn close(&self) {
        let seats = self.running.iter().flat_map(|running| &running.seats);
        seats.for_each(|seat| seat.gate.close());
    }

    /// Stops all queues; says the first thing that did not stop.
    pub(crate) fn halt(&mut self) -> Result<(), Trouble> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.seats.iter().for_each(|seat| seat.gate.close());
        let stopped: Vec<_> = running.seats.iter().map(|seat| seat.control.stop()).collect();
        stopped.into_iter().collect()
    }

    /// They are of no use any more, and cannot be stopped: the device has gone.
    pub(crate) fn abandon(&mut self) {
        self.close();
        self.running = None;
    }
}

/// The largest frame of an MTU, check sequence included.
pub(crate) fn frame(mtu: usize) -> usize {
    mtu + OVERHEAD
}

/// Bytes that the device may write into a buffer: whole KiB of the pool's room.
pub(crate) fn room(pool: &MbufPool) -> usize {
    (pool.data_room() / KIB).min(16) * KIB
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

/// Enables a queue. One that is late may yet come up: what it could reach is kept.
fn start_control(control: &QueueControl, ring: &Descriptors, keeps: &Keeps) -> Result<(), Trouble> {
    control.start(ring).inspect_err(|_| control.retire(keeps.memory()))
}

/// RSCCTL.MAXDESC: 1, 4, 8 or 16 descriptors, so that a merged packet has less than 64 KiB (§8.2.3.8.13).
fn most_merged(room: usize) -> u32 {
    [16, 8, 4].iter().position(|n| n * room < 65_536).map_or(0, |at| 3 - at as u32)
}

//! The way to a device on the bus.

use super::capability::Structures;
use super::interface::{Interface, NO_VECTOR, net_config};
use super::legacy::Legacy;
use super::modern::Modern;
use super::trouble::Trouble;
use super::{Interface as Choice, PciOptions, TRANSITIONAL, Translation, is_net};
use crate::bell::Bell;
use crate::ring::MOST_PARTS;
use crate::transport::{Plan, QueueControl, Quit, Sizes, Transport};
use linecard_eal::device::{Command, Device, Dma, InterruptKind, Vector};
use linecard_eal::event::EventFd;
use linecard_eal::mem::IovaMode;
use linecard_net::MacAddr;
use linecard_pmd_core::{Duplex, Error, Event, Link, LinkState};
use linecard_virtqueue::net::{self, NetConfig, Speed, StatusBits, control_queue};
use linecard_virtqueue::{Features, Status, split};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Descriptors of a queue at most: its headers and tables are in one piece of 2 MiB.
const MOST: u16 = 4096;

/// Descriptors of the control queue: one command at a time.
const CONTROL_SIZE: u16 = 64;

/// What is agreed on beside rings and offloads.
const EXTRA: Features = Features::MAC
    .union(Features::STATUS)
    .union(Features::MTU)
    .union(Features::SPEED_DUPLEX)
    .union(Features::RING_RESET)
    .union(Features::NOTIFICATION_DATA)
    .union(Features::CTRL_VQ)
    .union(Features::CTRL_RX)
    .union(Features::CTRL_MAC_ADDR)
    .union(Features::GUEST_ANNOUNCE);

/// The statuses of a device that is being started (§3.1.1).
const FOUND: Status = Status::ACKNOWLEDGE.union(Status::DRIVER);
const SETTLED: Status = FOUND.union(Status::FEATURES_OK);

/// A device on the bus.
pub(super) struct PciLink {
    hardware: Arc<Hardware>,
    name: String,
    offered: Features,
    pairs: usize,
    sizes: [Sizes; 2],
    /// Of the control queue; 0 if there is none.
    control_size: u16,
    /// Interrupts, while it runs.
    config_vector: Option<(InterruptKind, Vector)>,
    rx_vectors: Vec<Arc<Vector>>,
    last: Seen,
    loose: bool,
}

/// What was told of the device last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    link: Link,
    announces: bool,
    gone: bool,
}

/// What the port and handles of its queues share.
struct Hardware {
    interface: Box<dyn Interface>,
    device: Arc<dyn Device>,
    patience: Duration,
    /// Held while queues are selected and described.
    state: Mutex<State>,
}

/// What was agreed on with a device that runs.
#[derive(Default)]
struct State {
    running: bool,
    features: Features,
}

impl Hardware {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error if the device is gone, for when its registers read as all ones.
    fn present(&self) -> Result<(), Trouble> {
        Ok(self.device.present()?)
    }

    /// Polls until something is so, within the device's patience.
    fn poll(&self, is_so: impl Fn() -> bool) -> bool {
        let begin = Instant::now();
        while !is_so() {
            if begin.elapsed() > self.patience {
                return false;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        true
    }

    /// Resets the device: it uses no queue any more (§2.4).
    fn reset(&self) -> Result<(), Trouble> {
        self.interface.set_status(Status::empty());
        if self.poll(|| matches!(self.interface.status(), 0 | 0xFF)) {
            return match self.interface.status() {
                0 => Ok(()),
                status => {
                    self.present()?;
                    Err(Trouble::NeverResets(self.patience, status))
                }
            };
        }
        Err(Trouble::NeverResets(self.patience, self.interface.status()))
    }

    /// Settles the features (§3.1.1, steps 4 to 6).
    fn settle(&self, features: Features) -> Result<(), Trouble> {
        self.interface.accept(features);
        if !features.contains(Features::VERSION_1) {
            // Legacy devices know no such step.
            return Ok(());
        }
        self.interface.set_status(SETTLED);
        let status = Status::from_bits_retain(self.interface.status());
        match status.contains(Status::FEATURES_OK) {
            true => Ok(()),
            false => Err(Trouble::Features(features)),
        }
    }

    /// The device accesses memory no more: it was reset, or bus mastering is off, or it is cut off.
    fn silence(&self) -> (Result<(), Trouble>, bool) {
        let done = self.reset();
        let config = self.device.config();
        // What it says counts for less than what is read back.
        let _ = config.disable_bus_master();
        let off = config.command().is_ok_and(|word| !word.contains(Command::BUS_MASTER));
        let loose = done.is_err() && !off && !self.device.is_cut_off();
        (done, loose)
    }
}

impl Quit for Hardware {
    fn quit(&self, index: u16) -> bool {
        let state = self.lock();
        if !state.running || !state.features.contains(Features::RING_RESET) {
            return false;
        }
        self.interface.reset_queue(index) && self.poll(|| self.interface.is_queue_reset(index))
    }
}

impl PciLink {
    /// Takes a device over.
    pub(super) fn open(
        device: Box<dyn Device>,
        name: &str,
        options: &PciOptions,
    ) -> Result<Self, Error> {
        take_over(device.into(), name, options).map_err(|trouble| trouble.at(name, "open"))
    }

    fn config(&self) -> Result<NetConfig, Trouble> {
        net_config(&*self.hardware.interface)
    }

    /// The link, as the configuration tells it.
    fn read_link(&self) -> Link {
        let status = self.hardware.interface.status();
        if status & Status::NEEDS_RESET.bits() != 0 {
            // All ones too: nothing passes either way.
            return Link::DOWN;
        }
        match self.config() {
            Ok(config) => link(self.offered, &config),
            Err(_) => Link::DOWN,
        }
    }

    fn read_announce(&self) -> bool {
        let agreed = self.hardware.lock().features;
        agreed.contains(Features::GUEST_ANNOUNCE)
            && self.config().is_ok_and(|config| config.status & StatusBits::ANNOUNCE.bits() != 0)
    }

    fn get_ready(&mut self, features: Features, rx: usize) -> Result<(), Trouble> {
        let hardware = Arc::clone(&self.hardware);
        hardware.reset()?;
        hardware.interface.set_status(Status::ACKNOWLEDGE);
        hardware.interface.set_status(FOUND);
        hardware.settle(features)?;
        hardware.lock().features = features;
        self.enable_interrupts(rx)
    }

    /// With MSI-X, vector 0 for the configuration and one for each receive queue, as far as there are
    /// vectors; else the line.
    fn enable_interrupts(&mut self, rx: usize) -> Result<(), Trouble> {
        let interrupts = self.hardware.device.interrupts();
        let messages = interrupts.vectors(InterruptKind::MsiX);
        let interface = &self.hardware.interface;
        if messages == 0 {
            interface.set_msix(false);
            let lines = interrupts.vectors(InterruptKind::Intx);
            if lines > 0 {
                let line = interrupts.enable(InterruptKind::Intx, 1)?.pop();
                self.config_vector = line.map(|line| (InterruptKind::Intx, line));
            }
            return Ok(());
        }
        let count = if messages as usize > rx { rx as u32 + 1 } else { 1 };
        let mut vectors = interrupts.enable(InterruptKind::MsiX, count)?.into_iter();
        interface.set_msix(true);
        interface.set_config_vector(0)?;
        self.config_vector = vectors.next().map(|first| (InterruptKind::MsiX, first));
        self.rx_vectors = vectors.map(Arc::new).collect();
        Ok(())
    }

    fn vector_of(&self, index: u16) -> u16 {
        let queue = usize::from(index / 2);
        match index.is_multiple_of(2) && queue < self.rx_vectors.len() {
            true => queue as u16 + 1,
            false => NO_VECTOR,
        }
    }

    fn go(&mut self, plan: &Plan) -> Result<(), Trouble> {
        let hardware = &self.hardware;
        let mut state = hardware.lock();
        for ring in &plan.rings {
            hardware.interface.start_queue(ring, self.vector_of(ring.index))?;
        }
        if let Some(control) = &plan.control {
            hardware.interface.start_queue(control, NO_VECTOR)?;
        }
        hardware.device.config().enable_bus_master()?;
        let settled = plan.features.contains(Features::VERSION_1);
        let before = if settled { SETTLED } else { FOUND };
        hardware.interface.set_status(before | Status::DRIVER_OK);
        state.running = true;
        Ok(())
    }

    fn halt(&mut self) -> Result<(), Trouble> {
        let mut state = self.hardware.lock();
        let (done, loose) = self.hardware.silence();
        *state = State::default();
        drop(state);
        self.loose = loose;
        self.rx_vectors.clear();
        let had = self.config_vector.take().is_some();
        self.hardware.interface.set_msix(false);
        if had && !self.hardware.device.is_gone() {
            self.hardware.device.interrupts().disable()?;
        }
        match done {
            // It was pulled: it is as stopped as can be.
            Err(Trouble::Device(_)) => Ok(()),
            // Without bus mastering it reaches nothing: the next start resets it, or says that it
            // cannot.
            Err(_) if !loose => Ok(()),
            done => done,
        }
    }
}

/// What a configuration says of the link.
fn link(offered: Features, config: &NetConfig) -> Link {
    let up = StatusBits::from_bits_retain(config.status).contains(StatusBits::LINK_UP);
    if offered.contains(Features::STATUS) && !up {
        return Link::DOWN;
    }
    if !offered.contains(Features::SPEED_DUPLEX) {
        return Link::UP;
    }
    let duplex = match config.duplex {
        d if d == net::Duplex::Full as u8 => Duplex::Full,
        d if d == net::Duplex::Half as u8 => Duplex::Half,
        _ => Duplex::Unknown,
    };
    let speed = Speed(config.speed).megabits().filter(|speed| *speed > 0);
    Link { state: LinkState::Up, speed, duplex }
}

fn interface(device: &Arc<dyn Device>, choice: Choice) -> Result<Box<dyn Interface>, Trouble> {
    let modern = match choice {
        Choice::Auto => {
            let transitional = device.identity().device == TRANSITIONAL;
            !transitional || Structures::are_there(device.config())?
        }
        Choice::Modern => true,
        Choice::Legacy => false,
    };
    if modern {
        return Ok(Box::new(Modern::new(Structures::find(device)?)));
    }
    if device.identity().device != TRANSITIONAL {
        let (what, section) = ("legacy register", "4.1.4.10");
        return Err(Trouble::Absent { what, section, kind: "legacy virtio" });
    }
    Ok(Box::new(Legacy::new(device.bar(0)?)?))
}

fn take_over(
    device: Arc<dyn Device>,
    name: &str,
    options: &PciOptions,
) -> Result<PciLink, Trouble> {
    let identity = device.identity();
    if !is_net(identity) {
        return Err(Trouble::Stranger(identity.to_string()));
    }
    let (interface, patience) = (interface(&device, options.interface)?, options.patience);
    let hardware = Arc::new(Hardware { interface, device, patience, state: Mutex::default() });
    hardware.reset()?;
    let registers = &hardware.interface;
    registers.set_status(Status::ACKNOWLEDGE);
    registers.set_status(FOUND);
    let offered = registers.offered();
    if !registers.sizes_are_fixed() && !offered.contains(Features::VERSION_1) {
        hardware.present()?;
        return Err(Trouble::Old);
    }
    let heeds = offered.contains(Features::ACCESS_PLATFORM)
        || options.translation == Translation::Always
        || hardware.device.dma().limits().mode == IovaMode::Physical;
    if !heeds {
        return Err(Trouble::Heedless);
    }
    let config = net_config(&**registers)?;
    let pairs = pairs(&**registers, offered, &config)?;
    let packed = offered.contains(Features::RING_PACKED);
    let sizes = [size(&**registers, 0, packed)?, size(&**registers, 1, packed)?];
    let mut link = PciLink {
        name: name.to_owned(),
        offered,
        pairs,
        sizes,
        control_size: 0,
        config_vector: None,
        rx_vectors: Vec::new(),
        last: Seen { link: link(offered, &config), announces: false, gone: false },
        loose: false,
        hardware,
    };
    link.find_control()?;
    Ok(link)
}

/// Queue pairs that the device has (§5.1.2). `num_queues` says nothing yet: QEMU has more than one pair once
/// that is agreed on. One that is not there after all is refused when it is started.
fn pairs(
    registers: &dyn Interface,
    offered: Features,
    config: &NetConfig,
) -> Result<usize, Trouble> {
    let many = offered.contains(Features::CTRL_VQ)
        && offered.intersects(Features::MQ.union(Features::RSS));
    let says = if many { config.max_virtqueue_pairs.clamp(1, net::MAX_PAIRS) } else { 1 };
    let queues = registers.queues();
    if queues < 2 {
        let why = "a network device has two at least, to receive and to send";
        return Err(Trouble::Queue { index: queues, size: 0, why });
    }
    Ok(usize::from(says))
}

/// What size a queue may have.
fn size(registers: &dyn Interface, index: u16, packed: bool) -> Result<Sizes, Trouble> {
    let size = registers.size(index);
    let trouble = |why| Err(Trouble::Queue { index, size, why });
    match (size, registers.sizes_are_fixed()) {
        (0, _) => trouble("it is not there"),
        // Rings of any kind want a power of two, but for packed ones (§2.7, §2.8).
        (n, _) if !packed && (!n.is_power_of_two() || n > split::MAX_SIZE) => {
            trouble("a power of two up to 32768 is wanted")
        }
        (n, true) if n > MOST => trouble("more than 4096 are not supported"),
        (n, true) => Ok(Sizes::Fixed(n)),
        (n, false) => Ok(Sizes::UpTo(n.min(MOST))),
    }
}

impl PciLink {
    /// How large the control queue may be, wherever it will be.
    fn find_control(&mut self) -> Result<(), Trouble> {
        if !self.offered.contains(Features::CTRL_VQ) {
            return Ok(());
        }
        let registers = &self.hardware.interface;
        // Features decide where it is; before that, QEMU has it behind the first pair.
        let index = control_queue(self.most_pairs());
        let size = match registers.size(index) {
            0 => registers.size(control_queue(1)),
            size => size,
        };
        let why = "a control queue takes three descriptors for a command";
        if size < MOST_PARTS {
            return Err(Trouble::Queue { index, size, why });
        }
        let fixed = registers.sizes_are_fixed();
        if fixed && !size.is_power_of_two() {
            // Legacy devices have split rings only.
            let why = "a power of two up to 32768 is wanted";
            return Err(Trouble::Queue { index, size, why });
        }
        let split = 1 << size.ilog2();
        self.control_size = if fixed { size } else { CONTROL_SIZE.min(split).max(MOST_PARTS + 1) };
        Ok(())
    }

    /// Queue pairs as the configuration counts them, whether we use as many or not.
    fn most_pairs(&self) -> u16 {
        let many = self.offered.intersects(Features::MQ.union(Features::RSS));
        match self.config() {
            Ok(config) if many => config.max_virtqueue_pairs.clamp(1, net::MAX_PAIRS),
            _ => 1,
        }
    }
}

impl Transport for PciLink {
    fn offered(&self) -> Features {
        self.offered
    }

    fn extra(&self) -> Features {
        EXTRA
    }

    fn max_pairs(&self) -> usize {
        self.pairs
    }

    fn sizes(&self) -> [Sizes; 2] {
        self.sizes
    }

    fn node(&self) -> Option<u32> {
        self.hardware.device.node()
    }

    fn dma(&self) -> Option<Arc<dyn Dma>> {
        Some(self.hardware.device.dma())
    }

    fn control(&self, features: Features) -> Option<(u16, u16)> {
        // §5.1.2: behind all pairs that the device has, if it may use more than one.
        let many = features.intersects(Features::MQ.union(Features::RSS));
        let index = control_queue(if many { self.most_pairs() } else { 1 });
        let there = features.contains(Features::CTRL_VQ) && self.control_size > 0;
        there.then_some((index, self.control_size))
    }

    fn patience(&self) -> Duration {
        self.hardware.patience
    }

    fn wakes(&self) -> usize {
        let vectors = self.hardware.device.interrupts().vectors(InterruptKind::MsiX);
        (vectors as usize).saturating_sub(1)
    }

    fn config(&mut self) -> Option<NetConfig> {
        PciLink::config(self).ok()
    }

    fn prepare(&mut self, features: Features, rx: usize) -> Result<(), Error> {
        if self.loose {
            let what = "the device did not stop, and may still write to memory: reset it".into();
            return Err(Error::Refused { port: self.name.clone(), what });
        }
        let ready = self.get_ready(features, rx);
        ready.map_err(|trouble| trouble.at(&self.name, "start"))
    }

    fn bell(&mut self, index: u16, _: &Arc<EventFd>) -> Result<Bell, Error> {
        let state = self.hardware.lock();
        let bell = self.hardware.interface.bell(index, state.features);
        bell.map_err(|trouble| trouble.at(&self.name, "find a notification register"))
    }

    fn wake(&mut self, index: u16, _: &Arc<EventFd>) -> Result<Option<Arc<Vector>>, Error> {
        Ok(self.rx_vectors.get(usize::from(index / 2)).cloned())
    }

    fn quit(&self) -> Option<Arc<dyn Quit>> {
        let can = self.hardware.lock().features.contains(Features::RING_RESET);
        can.then(|| Arc::clone(&self.hardware) as Arc<dyn Quit>)
    }

    fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        match self.hardware.interface.set_mac(mac) {
            true => Ok(()),
            false => {
                let what = "the device does not let its address be set (no CTRL_MAC_ADDR)".into();
                Err(Error::Refused { port: self.name.clone(), what })
            }
        }
    }

    fn start(&mut self, plan: Plan, queues: Vec<Arc<dyn QueueControl>>) -> Result<(), Error> {
        self.go(&plan).map_err(|trouble| trouble.at(&self.name, "start"))?;
        self.last.link = self.read_link();
        queues.iter().for_each(|queue| queue.resume());
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let halted = self.halt();
        halted.map_err(|trouble| trouble.at(&self.name, "stop"))
    }

    fn is_loose(&self) -> bool {
        self.loose
    }

    fn link(&mut self) -> Link {
        self.read_link()
    }

    fn set_mtu(&mut self, _: u16) -> Result<(), Error> {
        Ok(())
    }

    fn tells(&self) -> bool {
        self.hardware.device.interrupts().best(1).is_some()
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.config_vector.as_ref().map(|(_, vector)| vector.as_fd())
    }

    fn next_event(&mut self) -> Option<Event> {
        if self.last.gone {
            return None;
        }
        if self.hardware.device.is_gone() {
            self.last.gone = true;
            return Some(Event::Gone);
        }
        let (kind, vector) = self.config_vector.as_ref()?;
        // It fails on a device that is going: then nothing has changed.
        let fired = vector.take().unwrap_or(false);
        if fired && *kind == InterruptKind::Intx {
            // Reading the cause has the device lower its line; what it was is looked for below.
            let _cause = self.hardware.interface.take_cause();
            // As above.
            let _ = self.hardware.device.interrupts().unmask();
        }
        // Whoever asked: a look at the configuration is cheaper than to miss a change.
        let now = Seen { link: self.read_link(), announces: self.read_announce(), gone: false };
        let before = self.last;
        self.last.link = now.link;
        if now.link != before.link {
            return Some(Event::Link(now.link));
        }
        self.last.announces = now.announces;
        (now.announces && !before.announces).then_some(Event::Announce)
    }
}

impl Drop for PciLink {
    fn drop(&mut self) {
        // The port has stopped the device; one that was never started stands still as well.
        let _ = self.hardware.silence();
    }
}

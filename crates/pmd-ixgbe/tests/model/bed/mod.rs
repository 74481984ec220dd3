//! The 82599 model as a device of this process, and wires between models.

pub(crate) mod function;
pub(crate) mod host;
mod memory;

use host::Host;
use linecard_eal::device::{
    Bar, ConfigSpace, Device, DeviceError, Dma, Identity, InterruptKind, Interrupts, Presence,
    Registers, State, Vector, Width,
};
use linecard_eal::event::EventFd;
use linecard_ixgbe_model as model;
use memory::Memory;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of BAR 0.
const WINDOW: usize = 0x80000;

/// With when their first bits come.
type Frames = Arc<Mutex<VecDeque<(Vec<u8>, u64)>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where frames wait that a model has sent, and what its laser does.
struct Out(Frames, Arc<Mutex<model::Light>>);

impl model::Wire for Out {
    fn transmit(&mut self, frame: &[u8]) {
        self.transmit_at(frame, 0);
    }

    fn transmit_at(&mut self, frame: &[u8], time: u64) {
        lock(&self.0).push_back((frame.to_vec(), time + model::wire::CABLE_DELAY));
    }

    fn light(&mut self, light: model::Light) {
        *lock(&self.1) = light;
    }
}

/// Vectors as descriptors.
#[derive(Clone, Debug)]
struct Vectors {
    most: u32,
    events: Arc<Mutex<Vec<EventFd>>>,
}

impl Vectors {
    /// Of a device that has so many.
    fn new(most: u32) -> Self {
        Vectors { most, events: Arc::default() }
    }
}

impl model::Interrupts for Vectors {
    fn message(&mut self, message: model::Message) {
        if let Some(event) = lock(&self.events).get(usize::from(message.vector)) {
            event.signal().expect("an eventfd");
        }
    }

    fn pin(&mut self, _: model::Level) {}
}

impl Interrupts for Vectors {
    fn vectors(&self, kind: InterruptKind) -> u32 {
        if kind == InterruptKind::MsiX { self.most } else { 0 }
    }

    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError> {
        let interrupts: &dyn Interrupts = self;
        interrupts.check(kind, count)?;
        let ours: Vec<_> = (0..count).map(|_| EventFd::new().expect("an eventfd")).collect();
        let theirs = ours.iter().map(|event| event.try_clone().expect("a copy").into()).collect();
        *lock(&self.events) = ours;
        Ok(theirs)
    }

    fn unmask(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn mask(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn disable(&self) -> Result<(), DeviceError> {
        lock(&self.events).clear();
        Ok(())
    }
}

struct Card {
    model: Mutex<model::Device>,
    memory: Memory,
    vectors: Vectors,
    sent: Frames,
    light: Arc<Mutex<model::Light>>,
    /// Where what was sent goes: the other end of the cable, or back.
    to: Mutex<Option<Arc<Card>>>,
    /// The light that the other end was last told of.
    shown: Mutex<model::Light>,
    /// The driver of the physical function, if it has virtual ones.
    host: Mutex<Option<Host>>,
}

impl Card {
    fn carry(&self) {
        let light = *lock(&self.light);
        if let Some(other) = &*lock(&self.to)
            && std::mem::replace(&mut *lock(&self.shown), light) != light
        {
            lock(&other.model).set_light(light);
        }
        loop {
            let Some((frame, time)) = lock(&self.sent).pop_front() else { return };
            let to = lock(&self.to);
            let model = to.as_ref().map_or(&self.model, |other| &other.model);
            lock(model).receive_at(&frame, time);
        }
    }

    /// Lets the driver of the physical function do what it is asked.
    fn serve(&self) {
        if let Some(host) = &mut *lock(&self.host) {
            host.serve(&mut lock(&self.model));
        }
    }

    /// Lets time pass for the device: what it delayed happens.
    fn tick(&self) {
        static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let now = BEGIN.get_or_init(std::time::Instant::now).elapsed().as_nanos();
        lock(&self.model).tick(now as u64);
        self.carry();
    }
}

impl Registers for Card {
    fn read(&self, offset: usize, width: Width) -> u64 {
        self.tick();
        lock(&self.model).read(model::Bar::Registers, offset as u64, width.bytes() as u8)
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        let bytes = width.bytes() as u8;
        self.tick();
        lock(&self.model).write(model::Bar::Registers, offset as u64, value, bytes);
        self.carry();
    }
}

/// The device as the driver gets it, and as the test keeps it.
#[derive(Clone)]
pub(crate) struct Modelled {
    card: Arc<Card>,
    presence: Arc<Presence>,
}

impl std::fmt::Debug for Modelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("82599 model")
    }
}

impl Modelled {
    /// One whose frames come back to it.
    pub(crate) fn looped() -> Self {
        Self::with(model::Identity::default())
    }

    pub(crate) fn with(identity: model::Identity) -> Self {
        let (memory, vectors, sent) =
            (Memory::default(), Vectors::new(linecard_ixgbe_regs::MSIX_VECTORS), Frames::default());
        let light = Arc::new(Mutex::new(model::Light::On));
        let host = model::Host {
            dma: Box::new(memory.clone()),
            interrupts: Box::new(vectors.clone()),
            wire: Box::new(Out(sent.clone(), light.clone())),
        };
        let mut device = model::Device::new(identity, host);
        device.place_table(model::Table::AtHost);
        let (model, to) = (Mutex::new(device), Mutex::default());
        let shown = Mutex::new(model::Light::On);
        let host = Mutex::default();
        let card = Card { model, memory, vectors, sent, light, to, shown, host };
        Modelled { card: Arc::new(card), presence: Arc::new(Presence::new()) }
    }

    /// Two, joined by a cable.
    pub(crate) fn pair() -> [Self; 2] {
        let mac = |last| model::Identity { mac: [2, 0x1C, 0, 0, 0, last], ..Default::default() };
        Self::pair_of([mac(1), mac(2)])
    }

    /// Two of these, joined by a cable.
    pub(crate) fn pair_of(identities: [model::Identity; 2]) -> [Self; 2] {
        let [left, right] = identities.map(Self::with);
        *lock(&left.card.to) = Some(right.card.clone());
        *lock(&right.card.to) = Some(left.card.clone());
        [left, right]
    }

    /// The model, to change or ask.
    pub(crate) fn model(&self) -> MutexGuard<'_, model::Device> {
        lock(&self.card.model)
    }

    /// Whether no more memory can be mapped for it.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.card.memory.set_full(is_full);
    }

    /// A frame comes in.
    pub(crate) fn receive(&self, frame: &[u8]) {
        self.model().receive(frame);
    }

    /// Time passes.
    pub(crate) fn tick(&self) {
        self.card.tick();
    }

    /// No access to memory that was not the device's, and no rule of the datasheet broken.
    pub(crate) fn assert_clean(&self) {
        let model = self.model();
        let journal = model.journal();
        assert!(journal.dma_faults.is_empty(), "DMA faults: {:?}", journal.dma_faults);
        assert!(journal.breaches.is_empty(), "breaches: {:?}", journal.breaches);
        assert!(journal.unknown.is_empty(), "unknown registers: {:x?}", journal.unknown);
    }
}

impl ConfigSpace for Modelled {
    fn size(&self) -> usize {
        256
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(256, offset, bytes.len())?;
        let word = self.model().read_config(offset as u8, bytes.len() as u8);
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        Ok(())
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(256, offset, bytes.len())?;
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u32::from_le_bytes(word);
        self.model().write_config(offset as u8, word, bytes.len() as u8);
        Ok(())
    }
}

impl Device for Modelled {
    fn name(&self) -> &str {
        "model"
    }

    fn identity(&self) -> Identity {
        Identity::read(self).unwrap_or_default()
    }

    fn config(&self) -> &dyn ConfigSpace {
        self
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        match index {
            0 => Ok(Bar::called(WINDOW, self.card.clone())),
            _ => Err(DeviceError::NoBar { name: "model".into(), index }),
        }
    }

    fn dma(&self) -> Arc<dyn Dma> {
        Arc::new(self.card.memory.clone())
    }

    fn interrupts(&self) -> &dyn Interrupts {
        &self.card.vectors
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.model().reset_function();
        Ok(())
    }

    fn state(&self) -> State {
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.presence.is_gone(self)
    }
}

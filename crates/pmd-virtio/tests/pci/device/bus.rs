//! The device as it is on the bus: configuration space, BARs, memory, interrupts.

use super::model::{Inside, Model};
use super::registers::{BAR_LEN, COMMON, ISR, Legacy, MULTIPLIER, Modern, NOTIFY, OWN, PORTS_LEN};
use super::{Fault, Offer};
use linecard_eal::device::{
    Bar, Class, ConfigSpace, Device, DeviceError, Dma, DmaLimits, Identity, InterruptKind,
    Interrupts, Mapping, Place, Presence, Registers, State, Vector, Width,
};
use linecard_eal::event::EventFd;
use linecard_eal::mem::{Iova, IovaMap, IovaMode, Segment};
use linecard_virtqueue::net::NetConfig;
use std::sync::{Arc, Mutex, MutexGuard};

/// The device, of which there may be several copies: one for the driver, one for the test.
#[derive(Clone)]
pub(crate) struct Fake {
    model: Arc<Model>,
    config: Arc<Mutex<[u8; 256]>>,
    presence: Arc<Presence>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a virtio device in this process")
    }
}

/// Structures: number, place in BAR 4, length.
const STRUCTURES: [(u8, usize, usize); 4] =
    [(1, COMMON, 0x3C), (2, NOTIFY, 0x100), (3, ISR, 1), (4, OWN, size_of::<NetConfig>())];

/// Where in configuration space the capabilities are, and the one that is a window.
const FIRST: usize = 0x40;
const STEP: usize = 0x18;
const WINDOW: usize = FIRST + 4 * STEP;

/// Configuration space of such a device.
fn space(offer: &Offer) -> [u8; 256] {
    let mut space = [0; 256];
    let device: u16 = if offer.legacy { 0x1000 } else { 0x1041 };
    space[..2].copy_from_slice(&0x1AF4u16.to_le_bytes());
    space[2..4].copy_from_slice(&device.to_le_bytes());
    space[8..12].copy_from_slice(&[1, 0, 0, 2]);
    if !offer.modern {
        return space;
    }
    // There is a list of capabilities.
    space[6] = 0x10;
    space[0x34] = FIRST as u8;
    for (at, (number, offset, len)) in STRUCTURES.into_iter().enumerate() {
        let cap = &mut space[FIRST + at * STEP..][..STEP];
        let has = |fault| offer.faults.contains(&fault);
        let number_said = if has(Fault::Lacks(number)) { 9 } else { number };
        let offset = offset + usize::from(has(Fault::Crooked(number)));
        let offset = if has(Fault::Beyond(number)) { BAR_LEN - 4 } else { offset };
        let len = if has(Fault::Short(number)) { 1 } else { len };
        cap[..5].copy_from_slice(&[9, (FIRST + (at + 1) * STEP) as u8, 20, number_said, 4]);
        cap[8..12].copy_from_slice(&(offset as u32).to_le_bytes());
        cap[12..16].copy_from_slice(&(len as u32).to_le_bytes());
        cap[16..20].copy_from_slice(&(MULTIPLIER as u32).to_le_bytes());
    }
    let next = if offer.faults.contains(&Fault::Circle) { FIRST as u8 } else { 0 };
    space[WINDOW..WINDOW + 5].copy_from_slice(&[9, next, 20, 5, 0]);
    space
}

impl Fake {
    pub(crate) fn new(offer: Offer) -> Self {
        let config = Arc::new(Mutex::new(space(&offer)));
        Fake { model: Model::new(offer), config, presence: Arc::default() }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.model.lock()
    }

    /// What the driver did that it should not have.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.inside().complaints, [""; 0]);
    }

    /// Commands since the last time this was asked: class, number, data.
    pub(crate) fn commands(&self) -> Vec<(u8, u8, Vec<u8>)> {
        std::mem::take(&mut self.inside().commands)
    }

    /// Changes its configuration, and interrupts.
    pub(crate) fn change(&self, how: impl FnOnce(&mut NetConfig)) {
        self.inside().change(|offer| how(&mut offer.config));
    }

    /// Has another thing wrong from now on.
    pub(crate) fn spoil(&self, fault: Fault) {
        self.inside().offer.faults.push(fault);
    }

    /// Is well again.
    pub(crate) fn mend(&self) {
        self.inside().offer.faults.clear();
    }

    /// Fails in a way that only a reset mends.
    pub(crate) fn fail(&self) {
        self.inside().needs_reset();
        self.change(|_| {});
    }

    /// Is taken off the bus.
    pub(crate) fn pull(&self) {
        self.model.pull();
    }

    /// Its address, as a driver of a legacy device may have set it.
    pub(crate) fn mac(&self) -> [u8; 6] {
        self.inside().offer.config.mac
    }

    /// Queue pairs that it was told to use.
    pub(crate) fn pairs(&self) -> u16 {
        self.inside().pairs
    }

    /// Its status.
    pub(crate) fn status(&self) -> u8 {
        self.inside().status()
    }

    pub(crate) fn is_bus_master(&self) -> bool {
        self.inside().bus_master
    }

    fn space(&self) -> MutexGuard<'_, [u8; 256]> {
        self.config.lock().expect("it does not panic")
    }

    /// The access that the window is turned to: its offset and width.
    fn window(&self) -> (usize, Width) {
        let space = self.space();
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| space[WINDOW + at + i]));
        let width = match word(12) {
            1 => Width::Byte,
            2 => Width::Half,
            _ => Width::Word,
        };
        assert_eq!(space[WINDOW + 4], 4, "the BAR of all structures");
        (word(8) as usize, width)
    }
}

impl ConfigSpace for Fake {
    fn size(&self) -> usize {
        256
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size(), offset, bytes.len())?;
        if self.model.is_pulled() {
            bytes.fill(0xFF);
            return Ok(());
        }
        if usize::from(offset) == WINDOW + 16 {
            let (at, width) = self.window();
            let value = Modern(Arc::clone(&self.model)).read(at, width).to_le_bytes();
            let len = bytes.len();
            bytes.copy_from_slice(&value[..len]);
            return Ok(());
        }
        bytes.copy_from_slice(&self.space()[offset.into()..][..bytes.len()]);
        Ok(())
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size(), offset, bytes.len())?;
        if usize::from(offset) == WINDOW + 16 {
            let (at, width) = self.window();
            let mut value = [0; 8];
            value[..bytes.len()].copy_from_slice(bytes);
            Modern(Arc::clone(&self.model)).write(at, width, u64::from_le_bytes(value));
            return Ok(());
        }
        self.space()[offset.into()..][..bytes.len()].copy_from_slice(bytes);
        if offset == 4 {
            let mut inside = self.inside();
            inside.bus_master = bytes[0] & 4 != 0;
            if inside.has(Fault::Unstoppable) {
                self.space()[4] |= 4;
            }
        }
        Ok(())
    }
}

struct Unmap(Arc<Model>, u64);

impl Drop for Unmap {
    fn drop(&mut self) {
        self.0.lock().memory.forget(self.1);
    }
}

impl Dma for Fake {
    fn limits(&self) -> DmaLimits {
        let mode = IovaMode::Virtual;
        DmaLimits { mode, address_bits: 48, page_sizes: 4096, mappings: None }
    }

    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError> {
        assert_eq!(place, Place::Native, "where packets have their addresses");
        let iova = segment.address().raw() as u64;
        let (base, len) = (segment.base().as_ptr(), segment.len());
        self.inside().memory.know(iova, base, len);
        let addresses = IovaMap::contiguous_from(Iova::new(iova), len, 4096);
        Ok(Mapping::new(addresses, Unmap(Arc::clone(&self.model), iova)))
    }
}

impl Interrupts for Fake {
    fn vectors(&self, kind: InterruptKind) -> u32 {
        match (kind, self.inside().offer.vectors) {
            (InterruptKind::MsiX, vectors) => vectors,
            (InterruptKind::Intx, 0) => 1,
            _ => 0,
        }
    }

    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError> {
        let this: &dyn Interrupts = self;
        this.check(kind, count)?;
        let ours: Vec<_> = (0..count).map(|_| EventFd::new().expect("an eventfd")).collect();
        let theirs = ours.iter().map(|event| event.try_clone().expect("a copy"));
        let theirs = theirs.map(Vector::from).collect();
        let mut inside = self.inside();
        inside.interrupts = ours;
        inside.legacy_msix = kind == InterruptKind::MsiX;
        Ok(theirs)
    }

    fn unmask(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn mask(&self) -> Result<(), DeviceError> {
        Err(DeviceError::Unsupported { name: "fake".into(), what: "line to mask".into() })
    }

    fn disable(&self) -> Result<(), DeviceError> {
        let mut inside = self.inside();
        inside.interrupts.clear();
        inside.legacy_msix = false;
        Ok(())
    }
}

impl Device for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn identity(&self) -> Identity {
        let device = if self.inside().offer.legacy { 0x1000 } else { 0x1041 };
        let class = Class::new(0x02_0000);
        Identity { vendor: 0x1AF4, device, class, ..Identity::default() }
    }

    fn config(&self) -> &dyn ConfigSpace {
        self
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        let offer = self.inside().offer.clone();
        let model = Arc::clone(&self.model);
        match index {
            0 if offer.legacy => Ok(Bar::called(PORTS_LEN, Arc::new(Legacy(model)))),
            4 if offer.modern && !offer.faults.contains(&Fault::NoBar) => {
                Ok(Bar::called(BAR_LEN, Arc::new(Modern(model))))
            }
            _ => Err(DeviceError::NoBar { name: "fake".into(), index }),
        }
    }

    fn dma(&self) -> Arc<dyn Dma> {
        Arc::new(self.clone())
    }

    fn interrupts(&self) -> &dyn Interrupts {
        self
    }

    fn reset(&self) -> Result<(), DeviceError> {
        Err(DeviceError::Unsupported { name: "fake".into(), what: "reset of its own".into() })
    }

    fn state(&self) -> State {
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.presence.is_gone(self)
    }
}

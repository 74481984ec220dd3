//! The device in software.

pub(super) mod server;

use linecard_eal::device::{
    Bar, Class, ConfigSpace, Device, DeviceError, Dma, DmaLimits, Identity, InterruptKind,
    Interrupts, Mapping, Place, Presence, Registers, State, Vector, Width,
};
use linecard_eal::event::EventFd;
use linecard_eal::mem::{Iova, IovaMap, IovaMode, PagePolicy, Request, Segment};
use linecard_eal::mmio::Mmio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How its registers are reached.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// By calls.
    Called,
    /// The first page by calls, the second mapped.
    Mixed,
}

const PAGE: usize = 4096;

struct Range {
    iova: u64,
    base: *mut u8,
    len: usize,
}

// SAFETY: a number and an address; who accesses what is behind it is the mapping's promise.
unsafe impl Send for Range {}

#[derive(Default)]
struct Inside {
    errors: u32,
    ranges: Vec<Range>,
    vectors: Vec<EventFd>,
    private: u64,
}

struct Model {
    page: Mmio,
    config: Mutex<[u8; 256]>,
    inside: Mutex<Inside>,
    pulled: AtomicBool,
}

/// What stays in the test's hand.
pub(super) struct Plug(Arc<Model>);

impl Plug {
    pub(super) fn pull(&self) {
        self.0.pulled.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_bus_master(&self) -> bool {
        self.0.is_bus_master()
    }
}

impl Model {
    fn new(page: Mmio) -> Arc<Self> {
        let (config, pulled) = (Mutex::new(config()), AtomicBool::new(false));
        Arc::new(Self { page, config, inside: Mutex::default(), pulled })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    fn is_pulled(&self) -> bool {
        self.pulled.load(Ordering::SeqCst)
    }

    fn is_bus_master(&self) -> bool {
        self.config.lock().unwrap()[4] & 4 != 0
    }

    fn run(&self) {
        let len = self.page.read32(0) as usize;
        let [from, to] = [8, 16].map(|offset| self.page.read64(offset));
        let mut inside = self.inside();
        let ends = [from, to].map(|iova| inside.find(iova, len));
        match ends {
            [Some(from), Some(to)] if self.is_bus_master() => {
                // SAFETY: both are within mapped segments, given to the device for this.
                unsafe { to.copy_from(from, len) };
            }
            _ => inside.errors += 1,
        }
        inside.vectors.iter().take(1).for_each(|vector| vector.signal().unwrap());
    }
}

impl Inside {
    fn find(&self, iova: u64, len: usize) -> Option<*mut u8> {
        self.ranges.iter().find_map(|range| {
            let offset = usize::try_from(iova.checked_sub(range.iova)?).ok()?;
            (offset + len <= range.len).then(|| range.base.wrapping_add(offset))
        })
    }
}

impl Registers for Model {
    fn read(&self, offset: usize, width: Width) -> u64 {
        match (offset, width) {
            _ if self.is_pulled() => u64::MAX,
            (0, _) => 1,
            (4, _) => std::mem::take(&mut self.inside().errors).into(),
            (PAGE.., Width::Word) => self.page.read32(offset - PAGE).into(),
            (PAGE.., Width::Double) => self.page.read64(offset - PAGE),
            _ => 0,
        }
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        match (offset, width) {
            _ if self.is_pulled() => {}
            (8, _) => self.run(),
            (PAGE.., Width::Word) => self.page.write32(offset - PAGE, value as u32),
            (PAGE.., Width::Double) => self.page.write64(offset - PAGE, value),
            _ => {}
        }
    }
}

#[derive(Clone)]
struct Part(Arc<Model>);

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fake")
    }
}

impl ConfigSpace for Part {
    fn size(&self) -> usize {
        256
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size(), offset, bytes.len())?;
        bytes.copy_from_slice(&self.0.config.lock().unwrap()[offset.into()..][..bytes.len()]);
        if self.0.is_pulled() {
            bytes.fill(0xff);
        }
        Ok(())
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(self.size(), offset, bytes.len())?;
        self.0.config.lock().unwrap()[offset.into()..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

struct Unmap(Arc<Model>, u64);

impl Drop for Unmap {
    fn drop(&mut self) {
        self.0.inside().ranges.retain(|range| range.iova != self.1);
    }
}

impl Dma for Part {
    fn limits(&self) -> DmaLimits {
        let mode = IovaMode::Virtual;
        DmaLimits { mode, address_bits: 48, page_sizes: PAGE as u64, mappings: None }
    }

    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError> {
        let mut inside = self.0.inside();
        let iova = match place {
            Place::Native => Iova::new(segment.address().raw() as u64),
            Place::At(iova) => iova,
            Place::Private => {
                inside.private += 1 << 30;
                Iova::new(inside.private)
            }
        };
        self.limits().check(iova, segment.len())?;
        let (base, len) = (segment.base().as_ptr(), segment.len());
        inside.ranges.push(Range { iova: iova.raw(), base, len });
        let addresses = IovaMap::contiguous_from(iova, segment.len(), PAGE);
        Ok(Mapping::new(addresses, Unmap(self.0.clone(), iova.raw())))
    }
}

impl Interrupts for Part {
    fn vectors(&self, kind: InterruptKind) -> u32 {
        if kind == InterruptKind::MsiX { 2 } else { 0 }
    }

    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError> {
        let interrupts: &dyn Interrupts = self;
        interrupts.check(kind, count)?;
        let ours: Vec<_> = (0..count).map(|_| EventFd::new().unwrap()).collect();
        let theirs = ours.iter().map(|event| event.try_clone().unwrap()).map(Vector::from);
        let theirs = theirs.collect();
        self.0.inside().vectors = ours;
        Ok(theirs)
    }

    fn unmask(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn mask(&self) -> Result<(), DeviceError> {
        Err(DeviceError::Unsupported { name: "fake".into(), what: "line to mask".into() })
    }

    fn disable(&self) -> Result<(), DeviceError> {
        self.0.inside().vectors.clear();
        Ok(())
    }
}

/// The device as a driver gets it.
#[derive(Debug)]
pub(super) struct Fake {
    part: Part,
    bar: Bar,
    presence: Presence,
}

fn config() -> [u8; 256] {
    let mut config = [0; 256];
    config[..12].copy_from_slice(&[0x0d, 0xca, 0xfa, 0x4e, 0, 0, 0x10, 0, 3, 0, 0, 2]);
    config[0x2c..0x30].copy_from_slice(&[1, 0, 2, 0]);
    config[0x34] = 0x40;
    config[0x40..0x42].copy_from_slice(&[1, 0x50]);
    config[0x50..0x52].copy_from_slice(&[0x11, 0]);
    config
}

impl Fake {
    pub(super) fn new(layout: Layout) -> Self {
        let memory = Request::new(PAGE).pages(PagePolicy::Small).map().unwrap();
        let base = memory.base();
        // SAFETY: the segment has a page, which the window keeps, and which nobody else knows.
        let page = unsafe { Mmio::keeping(base, PAGE, memory) };
        let model = Model::new(page.clone());
        let bar = Bar::builder(2 * PAGE).rest(model.clone());
        let bar = match layout {
            Layout::Called => bar.build(),
            Layout::Mixed => bar.window(PAGE, page).build(),
        };
        Self { part: Part(model), bar, presence: Presence::new() }
    }

    pub(super) fn plug(&self) -> Plug {
        Plug(self.part.0.clone())
    }
}

impl Device for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn identity(&self) -> Identity {
        Identity {
            vendor: 0xca0d,
            device: 0x4efa,
            subsystem_vendor: 1,
            subsystem: 2,
            revision: 3,
            class: Class::new(0x02_0000),
        }
    }

    fn config(&self) -> &dyn ConfigSpace {
        &self.part
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        match index {
            0 => Ok(self.bar.clone()),
            index => Err(DeviceError::NoBar { name: self.name().into(), index }),
        }
    }

    fn dma(&self) -> Arc<dyn Dma> {
        Arc::new(self.part.clone())
    }

    fn interrupts(&self) -> &dyn Interrupts {
        &self.part
    }

    fn reset(&self) -> Result<(), DeviceError> {
        *self.part.0.config.lock().unwrap() = config();
        self.part.disable()
    }

    fn state(&self) -> State {
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.presence.is_gone(self.config())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.config().disable_bus_master().unwrap();
        self.part.disable().unwrap();
    }
}

//! Base address registers: windows of a device's registers.

use std::fmt;
use std::sync::Arc;

use super::access::{Access, ReadClear, ReadWrite, Readable, Reg, Writable};
use super::error::DeviceError;
use crate::barrier;
use crate::mmio::{Mmio, MmioError, Register, Word};

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte = 1,
    /// 16 bits.
    Half = 2,
    /// 32 bits.
    Word = 4,
    /// 64 bits.
    Double = 8,
}

impl Width {
    const fn of<W: Word>() -> Self {
        match size_of::<W>() {
            1 => Self::Byte,
            2 => Self::Half,
            4 => Self::Word,
            _ => Self::Double,
        }
    }

    /// In bytes.
    pub const fn bytes(self) -> usize {
        self as usize
    }
}

/// Registers that are called and not mapped: of a model, of another process, in I/O space.
///
/// Offsets are those of the BAR, aligned and within its length. There is no error: like hardware, a
/// peer that is gone reads as all ones and takes no writes.
pub trait Registers: Send + Sync {
    /// Reads; the result is in the low bits.
    fn read(&self, offset: usize, width: Width) -> u64;

    /// Writes the low bits of `value`.
    fn write(&self, offset: usize, width: Width, value: u64);
}

/// A window of registers: mapped, called, or here mapped and there called. Cloning shares it; it
/// stays usable after the device has been dropped, when writes go nowhere.
#[derive(Clone)]
pub struct Bar {
    start: usize,
    len: usize,
    parts: Arc<Parts>,
}

static_assertions::assert_impl_all!(Bar: Send, Sync);

struct Parts {
    /// Mapped windows with where in the BAR they begin; they do not overlap.
    windows: Vec<(usize, Mmio)>,
    rest: Arc<dyn Registers>,
}

/// What a BAR without calls has outside of its mapped windows: nothing.
struct Nothing;

impl Registers for Nothing {
    fn read(&self, _: usize, _: Width) -> u64 {
        u64::MAX
    }

    fn write(&self, _: usize, _: Width, _: u64) {}
}

/// Puts a BAR together from windows and calls.
pub struct BarBuilder {
    len: usize,
    windows: Vec<(usize, Mmio)>,
    rest: Arc<dyn Registers>,
}

impl BarBuilder {
    /// Maps the part at `offset`. What is outside of the BAR is cut by whoever reads it.
    pub fn window(mut self, offset: usize, window: Mmio) -> Self {
        self.windows.push((offset, window));
        self
    }

    /// What is not mapped is called.
    pub fn rest(self, registers: Arc<dyn Registers>) -> Self {
        Self { rest: registers, ..self }
    }

    /// The BAR. What is neither mapped nor called reads as all ones.
    pub fn build(self) -> Bar {
        let parts = Parts { windows: self.windows, rest: self.rest };
        Bar { start: 0, len: self.len, parts: Arc::new(parts) }
    }
}

impl fmt::Debug for BarBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BarBuilder({:#x} bytes, {:?})", self.len, self.windows)
    }
}

/// Where an access goes.
enum Way<'a> {
    Mapped(&'a Mmio, usize),
    Called(usize),
}

impl Bar {
    /// One of `len` bytes, to be put together.
    pub fn builder(len: usize) -> BarBuilder {
        BarBuilder { len, windows: Vec::new(), rest: Arc::new(Nothing) }
    }

    /// One that is all mapped.
    pub fn mapped(window: Mmio) -> Self {
        Self::builder(window.len()).window(0, window).build()
    }

    /// One that is all called.
    pub fn called(len: usize, registers: Arc<dyn Registers>) -> Self {
        Self::builder(len).rest(registers).build()
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty window has no use")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// An error unless it is at least that long: to be asked before fixed offsets are used.
    ///
    /// # Errors
    ///
    /// [`DeviceError::SmallBar`].
    pub fn at_least(&self, needed: usize) -> Result<(), DeviceError> {
        match self.len >= needed {
            true => Ok(()),
            false => Err(DeviceError::SmallBar { len: self.len, needed }),
        }
    }

    /// A part of it, as when a capability says where a structure is.
    ///
    /// # Errors
    ///
    /// [`MmioError`] if it is not within.
    pub fn part(&self, offset: usize, len: usize) -> Result<Self, MmioError> {
        match offset.checked_add(len).is_some_and(|end| end <= self.len) {
            true => Ok(Self { start: self.start + offset, len, parts: self.parts.clone() }),
            false => Err(MmioError::OutOfBounds { offset, size: len, len: self.len }),
        }
    }

    /// The window itself, if all of it is one mapped window that starts at a multiple of 8.
    pub fn mmio(&self) -> Option<Mmio> {
        match self.parts.way(self.start, self.len) {
            Way::Mapped(window, offset) => window.part(offset, self.len).ok(),
            Way::Called(_) => None,
        }
    }

    /// One register, checked here and never again: for the hot path, and for offsets that the
    /// device itself gave.
    ///
    /// # Errors
    ///
    /// [`MmioError`] if it is not within, or not aligned to its size.
    pub fn register<W: Word>(&self, offset: usize) -> Result<BarRegister<W>, MmioError> {
        self.check::<W>(offset)?;
        let place = match self.parts.way(self.start + offset, size_of::<W>()) {
            Way::Mapped(window, offset) => Site::Mapped(window.register(offset)?),
            Way::Called(offset) => Site::Called(self.parts.clone(), offset),
        };
        Ok(BarRegister(place))
    }

    /// Reads a register that has no side effects; memory is read after it.
    ///
    /// # Panics
    ///
    /// If it is beyond the BAR: see [`at_least`](Self::at_least).
    #[track_caller]
    pub fn read<W: Word, A: Readable>(&self, register: Reg<W, A>) -> W {
        self.load(register.offset())
    }

    /// Reads a register that is cleared by it.
    ///
    /// # Panics
    ///
    /// If it is beyond the BAR: see [`at_least`](Self::at_least).
    #[must_use = "the device has forgotten what was read"]
    #[track_caller]
    pub fn take<W: Word>(&self, register: Reg<W, ReadClear>) -> W {
        self.load(register.offset())
    }

    /// Writes a register, after what was written to memory.
    ///
    /// # Panics
    ///
    /// If it is beyond the BAR: see [`at_least`](Self::at_least).
    #[track_caller]
    pub fn write<W: Word, A: Writable>(&self, register: Reg<W, A>, value: W) {
        self.store(register.offset(), value);
    }

    /// Reads, changes and writes back a register.
    ///
    /// # Panics
    ///
    /// If it is beyond the BAR: see [`at_least`](Self::at_least).
    #[track_caller]
    pub fn update<W: Word>(&self, register: Reg<W, ReadWrite>, change: impl FnOnce(W) -> W) {
        self.write(register, change(self.read(register)));
    }

    /// Binds a named register, for the hot path.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn bind<W: Word, A: Access>(
        &self,
        register: Reg<W, A>,
    ) -> Result<BarRegister<W>, MmioError> {
        self.register(register.offset())
    }

    fn check<W: Word>(&self, offset: usize) -> Result<(), MmioError> {
        let size = size_of::<W>();
        if self.len < size || offset > self.len - size {
            return Err(MmioError::OutOfBounds { offset, size, len: self.len });
        }
        match (self.start + offset).is_multiple_of(size) {
            true => Ok(()),
            false => Err(MmioError::Misaligned { offset, size }),
        }
    }

    #[track_caller]
    fn fixed<W: Word>(&self, offset: usize) -> Way<'_> {
        match self.check::<W>(offset) {
            Ok(()) => self.parts.way(self.start + offset, size_of::<W>()),
            Err(error) => misplaced(error),
        }
    }

    #[track_caller]
    fn load<W: Word>(&self, offset: usize) -> W {
        match self.fixed::<W>(offset) {
            Way::Mapped(window, offset) => window.load(offset),
            Way::Called(offset) => self.parts.load(offset),
        }
    }

    #[track_caller]
    fn store<W: Word>(&self, offset: usize, value: W) {
        match self.fixed::<W>(offset) {
            Way::Mapped(window, offset) => window.store(offset, value),
            Way::Called(offset) => self.parts.store(offset, value),
        }
    }
}

#[cold]
#[track_caller]
fn misplaced(error: MmioError) -> ! {
    panic!("{error}")
}

macro_rules! accessors {
    ($($word:ident: $read:ident $write:ident;)*) => {
        impl Bar {$(
            #[doc = concat!("Reads a `", stringify!($word), "`; memory is read after it.")]
            ///
            /// # Panics
            ///
            /// If `offset` is outside of the BAR or misaligned, like an index of a slice: it is a
            /// constant of the driver. Use [`register`](Self::register) for any other.
            #[track_caller]
            pub fn $read(&self, offset: usize) -> $word {
                self.load(offset)
            }

            #[doc = concat!("Writes a `", stringify!($word), "`, after what was written to memory.")]
            ///
            /// # Panics
            ///
            /// If `offset` is outside of the BAR or misaligned.
            #[track_caller]
            pub fn $write(&self, offset: usize, value: $word) {
                self.store(offset, value);
            }
        )*}
    };
}

accessors! {
    u8: read8 write8;
    u16: read16 write16;
    u32: read32 write32;
    u64: read64 write64;
}

impl fmt::Debug for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bar({:#x} bytes at {:#x} of {:?})", self.len, self.start, self.parts.windows)
    }
}

impl Parts {
    /// Who answers for `len` bytes at `offset`: a window that has all of them, or the rest.
    fn way(&self, offset: usize, len: usize) -> Way<'_> {
        let within = |(start, window): &&(usize, Mmio)| {
            offset >= *start && offset + len <= *start + window.len()
        };
        match self.windows.iter().find(within) {
            Some((start, window)) => Way::Mapped(window, offset - start),
            None => Way::Called(offset),
        }
    }

    #[cold]
    fn load<W: Word>(&self, offset: usize) -> W {
        let value = W::narrow(self.rest.read(offset, Width::of::<W>()));
        barrier::dma_observe();
        value
    }

    #[cold]
    fn store<W: Word>(&self, offset: usize, value: W) {
        barrier::doorbell();
        self.rest.write(offset, Width::of::<W>(), value.widen());
    }
}

/// One register of a BAR, known to be in bounds and aligned: a volatile access behind a branch
/// that always goes the same way.
#[derive(Clone)]
pub struct BarRegister<W>(Site<W>);

static_assertions::assert_impl_all!(BarRegister<u32>: Send, Sync);

#[derive(Clone)]
enum Site<W> {
    Mapped(Register<W>),
    Called(Arc<Parts>, usize),
}

impl<W: Word> BarRegister<W> {
    /// Reads it; memory is read after it.
    #[inline]
    pub fn read(&self) -> W {
        match &self.0 {
            Site::Mapped(register) => register.read(),
            Site::Called(parts, offset) => parts.load(*offset),
        }
    }

    /// Writes it, after what was written to memory: a doorbell.
    #[inline]
    pub fn write(&self, value: W) {
        match &self.0 {
            Site::Mapped(register) => register.write(value),
            Site::Called(parts, offset) => parts.store(*offset, value),
        }
    }
}

impl<W> fmt::Debug for BarRegister<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Site::Mapped(register) => register.fmt(f),
            Site::Called(_, offset) => write!(f, "Called({offset:#x})"),
        }
    }
}

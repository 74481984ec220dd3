//! Device registers: volatile, aligned, in bounds, and never behind a reference.
//!
//! ```
//! use linecard_eal::mem::{PagePolicy, Request};
//! use linecard_eal::mmio::Mmio;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Plain memory stands in for a device's BAR.
//! let memory = Request::new(4096).pages(PagePolicy::Small).map()?;
//! let (base, len) = (memory.base(), memory.len());
//! // SAFETY: the segment is mapped for `len` bytes, and is kept alive by the window.
//! let window = unsafe { Mmio::keeping(base, len, memory) };
//!
//! window.write32(0x10, 7);
//! assert_eq!(window.read32(0x10), 7);
//!
//! // What comes from the device is checked once, and not on every use.
//! let doorbell = window.register::<u32>(0x18)?;
//! doorbell.write(1);
//! assert!(window.register::<u32>(1 << 20).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! A read is complete before later reads of memory, and a write comes after earlier writes to
//! memory, as a doorbell needs it. The `_relaxed` forms have no barrier: they are ordered among
//! themselves only, which is enough for configuration.

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::barrier;

/// What a register can hold.
pub trait Word: Copy + PartialEq + fmt::Debug + sealed::Sealed {
    /// What a read gives when no device answers any more.
    const ALL_ONES: Self;

    /// Whether this is what a read gives when the device is gone. A register that may hold all
    /// ones itself tells nothing; ask one that cannot.
    fn is_all_ones(self) -> bool {
        self == Self::ALL_ONES
    }
}

pub(crate) mod sealed {
    /// What only this crate does with words: pass them to code that knows one width.
    pub trait Sealed {
        fn widen(self) -> u64;
        /// The low bits.
        fn narrow(value: u64) -> Self;
    }
}

macro_rules! word {
    ($($word:ident)*) => {$(
        impl sealed::Sealed for $word {
            #[inline(always)]
            fn widen(self) -> u64 {
                u64::from(self)
            }

            #[inline(always)]
            fn narrow(value: u64) -> Self {
                value as Self
            }
        }
        impl Word for $word {
            const ALL_ONES: Self = Self::MAX;
        }
    )*};
}

word!(u8 u16 u32 u64);

/// A register that is not where it was said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MmioError {
    /// Beyond the window.
    #[error("{size} bytes at offset {offset:#x} are beyond the register window of {len:#x} bytes")]
    OutOfBounds {
        /// Where.
        offset: usize,
        /// How many bytes.
        size: usize,
        /// The window's length.
        len: usize,
    },
    /// Not a multiple of its size.
    #[error(
        "a register of {size} bytes cannot be at offset {offset:#x}: it must be a multiple of {size}"
    )]
    Misaligned {
        /// Where.
        offset: usize,
        /// How many bytes.
        size: usize,
    },
}

type Owner = Arc<dyn Any + Send + Sync>;

/// A window of device registers, a BAR or a part of one. Cloning it shares the mapping.
#[derive(Clone)]
pub struct Mmio {
    base: NonNull<u8>,
    len: usize,
    owner: Owner,
}

// SAFETY: the mapping stays until the last owner drops, on whichever thread; every access is one
// volatile access of an aligned word, which the bus makes atomic, to memory that is not Rust's.
unsafe impl Send for Mmio {}
// SAFETY: as for Send; there is no state of ours behind `&self`.
unsafe impl Sync for Mmio {}

impl Mmio {
    /// A window over `len` bytes at `base`, which `owner` keeps mapped.
    ///
    /// # Safety
    ///
    /// `[base, base + len)` is mapped for reading and writing until `owner` is dropped, is never
    /// behind a Rust reference, and `base` is a multiple of 8.
    pub unsafe fn keeping<T: Send + Sync + 'static>(
        base: NonNull<u8>,
        len: usize,
        owner: T,
    ) -> Self {
        Self { base, len, owner: Arc::new(owner) }
    }

    /// A window over a whole mapping of a file: what UIO and VFIO give for a BAR. `None` if it does
    /// not begin on a multiple of 8.
    ///
    /// # Safety
    ///
    /// The mapping is for reading and writing, and of device memory: no Rust program holds it as
    /// memory of its own.
    pub unsafe fn over(map: memmap2::MmapRaw) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::over_with(map, ()) }
    }

    /// As [`over`](Self::over), keeping something else as well: the open file of a device, without
    /// which its registers would not answer, or somebody else could open it.
    ///
    /// # Safety
    ///
    /// As [`over`](Self::over).
    pub unsafe fn over_with<T: Send + Sync + 'static>(
        map: memmap2::MmapRaw,
        owner: T,
    ) -> Option<Self> {
        let (base, len) = (NonNull::new(map.as_mut_ptr())?, map.len());
        // SAFETY: the mapping is `len` bytes long and stays until `map` is dropped; the rest is the
        // caller's promise, but for the alignment, which is looked at.
        base.cast::<u64>().is_aligned().then(|| unsafe { Self::keeping(base, len, (map, owner)) })
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty window has no use")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A part of the window, as when a capability says where in a BAR a structure is.
    ///
    /// # Errors
    ///
    /// [`MmioError`] if it is not within the window, or does not start at a multiple of 8.
    pub fn part(&self, offset: usize, len: usize) -> Result<Self, MmioError> {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        match (fits, offset.is_multiple_of(8)) {
            (false, _) => Err(MmioError::OutOfBounds { offset, size: len, len: self.len }),
            (_, false) => Err(MmioError::Misaligned { offset, size: 8 }),
            _ => {
                // SAFETY: `offset + len` is within the window, hence within its mapping.
                let base = unsafe { self.base.add(offset) };
                Ok(Self { base, len, owner: self.owner.clone() })
            }
        }
    }

    /// One register, checked here and never again: for the hot path, and for offsets that the
    /// device itself gave.
    ///
    /// # Errors
    ///
    /// [`MmioError`] if it is not within the window, or not aligned to its size.
    pub fn register<W: Word>(&self, offset: usize) -> Result<Register<W>, MmioError> {
        let place = self.place(offset)?;
        Ok(Register { place, _owner: self.owner.clone() })
    }

    /// Whether the device is gone: the register at `offset`, of which it is known that it is
    /// never all ones, reads as all ones.
    ///
    /// # Panics
    ///
    /// As [`read32`](Self::read32).
    pub fn is_gone(&self, offset: usize) -> bool {
        self.read32_relaxed(offset).is_all_ones()
    }

    fn place<W: Word>(&self, offset: usize) -> Result<NonNull<W>, MmioError> {
        let size = size_of::<W>();
        if self.len < size || offset > self.len - size {
            return Err(MmioError::OutOfBounds { offset, size, len: self.len });
        }
        if !offset.is_multiple_of(size) {
            return Err(MmioError::Misaligned { offset, size });
        }
        // SAFETY: `offset + size` is within the window, as was just checked.
        Ok(unsafe { self.base.add(offset) }.cast())
    }

    /// Reads a word that is known to be within the window; memory is read after it.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn load<W: Word>(&self, offset: usize) -> W {
        // SAFETY: `fixed` only gives aligned places within the mapping that we keep.
        let value = unsafe { self.fixed::<W>(offset).read_volatile() };
        barrier::dma_observe();
        value
    }

    /// Writes a word that is known to be within the window, after what was written to memory.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn store<W: Word>(&self, offset: usize, value: W) {
        barrier::doorbell();
        // SAFETY: `fixed` only gives aligned places within the mapping that we keep.
        unsafe { self.fixed::<W>(offset).write_volatile(value) }
    }

    /// The place of a register whose offset is a constant of a driver.
    #[inline(always)]
    #[track_caller]
    fn fixed<W: Word>(&self, offset: usize) -> NonNull<W> {
        match self.place(offset) {
            Ok(place) => place,
            Err(error) => misplaced(error),
        }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn misplaced(error: MmioError) -> ! {
    panic!("{error}")
}

macro_rules! accessors {
    ($($word:ident: $read:ident $read_relaxed:ident $write:ident $write_relaxed:ident;)*) => {
        impl Mmio {$(
            #[doc = concat!("Reads a `", stringify!($word), "`; memory is read after it.")]
            ///
            /// # Panics
            ///
            /// If `offset` is outside of the window or misaligned, like an index of a slice: it is
            /// a constant of the driver. Use [`register`](Self::register) for any other.
            #[inline(always)]
            #[track_caller]
            pub fn $read(&self, offset: usize) -> $word {
                let value = self.$read_relaxed(offset);
                barrier::dma_observe();
                value
            }

            #[doc = concat!("Reads a `", stringify!($word), "`, without a barrier.")]
            ///
            /// # Panics
            ///
            /// If `offset` is outside of the window or misaligned.
            #[inline(always)]
            #[track_caller]
            pub fn $read_relaxed(&self, offset: usize) -> $word {
                // SAFETY: `fixed` only gives aligned places within the mapping that we keep.
                unsafe { self.fixed::<$word>(offset).read_volatile() }
            }

            #[doc = concat!("Writes a `", stringify!($word), "`, after what was written to memory.")]
            ///
            /// # Panics
            ///
            /// If `offset` is outside of the window or misaligned.
            #[inline(always)]
            #[track_caller]
            pub fn $write(&self, offset: usize, value: $word) {
                barrier::doorbell();
                self.$write_relaxed(offset, value);
            }

            #[doc = concat!("Writes a `", stringify!($word), "`, without a barrier.")]
            ///
            /// # Panics
            ///
            /// If `offset` is outside of the window or misaligned.
            #[inline(always)]
            #[track_caller]
            pub fn $write_relaxed(&self, offset: usize, value: $word) {
                // SAFETY: `fixed` only gives aligned places within the mapping that we keep.
                unsafe { self.fixed::<$word>(offset).write_volatile(value) }
            }
        )*}
    };
}

accessors! {
    u8: read8 read8_relaxed write8 write8_relaxed;
    u16: read16 read16_relaxed write16 write16_relaxed;
    u32: read32 read32_relaxed write32 write32_relaxed;
    u64: read64 read64_relaxed write64 write64_relaxed;
}

impl fmt::Debug for Mmio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mmio({:p}, {:#x} bytes)", self.base, self.len)
    }
}

/// One register of a window, known to be in bounds and aligned.
#[derive(Clone)]
pub struct Register<W> {
    place: NonNull<W>,
    _owner: Owner,
}

// SAFETY: as for Mmio, of which this is one word.
unsafe impl<W: Word> Send for Register<W> {}
// SAFETY: as for Mmio, of which this is one word.
unsafe impl<W: Word> Sync for Register<W> {}

static_assertions::assert_impl_all!(Register<u32>: Send, Sync);

impl<W: Word> Register<W> {
    /// Reads it; memory is read after it.
    #[inline(always)]
    pub fn read(&self) -> W {
        let value = self.read_relaxed();
        barrier::dma_observe();
        value
    }

    /// Reads it, without a barrier.
    #[inline(always)]
    pub fn read_relaxed(&self) -> W {
        // SAFETY: aligned and in bounds since construction, mapped while we have an owner.
        unsafe { self.place.read_volatile() }
    }

    /// Writes it, after what was written to memory: a doorbell.
    #[inline(always)]
    pub fn write(&self, value: W) {
        barrier::doorbell();
        self.write_relaxed(value);
    }

    /// Writes it, without a barrier.
    #[inline(always)]
    pub fn write_relaxed(&self, value: W) {
        // SAFETY: aligned and in bounds since construction, mapped while we have an owner.
        unsafe { self.place.write_volatile(value) }
    }
}

impl<W> fmt::Debug for Register<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({:p})", self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::{MmapOptions, MmapRaw};
    use proptest::prelude::*;

    fn window() -> Mmio {
        // SAFETY: anonymous memory that only this window knows.
        unsafe { Mmio::over(MmapRaw::from(MmapOptions::new().len(4096).map_anon().unwrap())) }
            .unwrap()
    }

    #[test]
    fn every_width_reads_back_what_was_written() {
        let window = window();
        window.write64(8, 0x1122_3344_5566_7788);
        assert_eq!(window.read64(8), 0x1122_3344_5566_7788);
        window.write32(16, 0xaabb_ccdd);
        assert_eq!(window.read32_relaxed(16), 0xaabb_ccdd);
        window.write16(20, 0xeeff);
        window.write8(22, 9);
        assert_eq!((window.read16(20), window.read8(22)), (0xeeff, 9));
    }

    #[test]
    fn a_register_outlives_the_window_that_it_came_from() {
        let register = window().register::<u32>(4092).unwrap();
        register.write(3);
        assert_eq!(register.read(), 3);
    }

    #[test]
    fn registers_beyond_the_window_or_across_a_boundary_are_errors() {
        let window = window();
        let beyond = MmioError::OutOfBounds { offset: 4093, size: 4, len: 4096 };
        assert_eq!(window.register::<u32>(4093).unwrap_err(), beyond);
        let crooked = MmioError::Misaligned { offset: 2, size: 4 };
        assert_eq!(window.register::<u32>(2).unwrap_err(), crooked);
        assert!(window.register::<u64>(usize::MAX).is_err());
    }

    #[test]
    #[should_panic(expected = "beyond the register window")]
    fn a_constant_offset_beyond_the_window_is_a_bug_of_the_driver() {
        window().read32(4096);
    }

    #[test]
    fn a_part_is_bounded_by_itself() {
        let window = window();
        window.write32(0x104, 5);
        let part = window.part(0x100, 8).unwrap();
        assert_eq!(part.read32(4), 5);
        assert!(part.register::<u32>(8).is_err());
        assert!(part.part(0, 9).is_err() && window.part(4, 8).is_err());
        assert!(window.part(8, usize::MAX).is_err());
    }

    #[test]
    fn a_device_that_answers_all_ones_is_gone() {
        let window = window();
        assert!(!window.is_gone(0));
        window.write32(0, u32::MAX);
        assert!(window.is_gone(0));
        assert!(0xffu8.is_all_ones() && !0xffu16.is_all_ones());
    }

    proptest! {
        #[test]
        fn a_register_is_given_exactly_when_it_fits(offset in 0usize..5000) {
            let fits = offset.is_multiple_of(2) && offset + 2 <= 4096;
            prop_assert_eq!(window().register::<u16>(offset).is_ok(), fits);
        }
    }
}

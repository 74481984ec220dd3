//! Making memory known to a device.

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;

use super::error::DeviceError;
use crate::mem::{Iova, IovaMap, IovaMode, Request, Segment};

/// What a device, with the IOMMU before it, can address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaLimits {
    /// Whether addresses are this process's or physical: what the pools of packets that the device
    /// shall reach must have been made with.
    pub mode: IovaMode,
    /// How many bits an address has.
    pub address_bits: u8,
    /// The page sizes that the IOMMU knows, a bit each (bit 12 is 4 KiB).
    pub page_sizes: u64,
    /// How many mappings there may be; `None` where nobody counts.
    pub mappings: Option<u32>,
}

impl DmaLimits {
    /// An error unless `len` bytes at `iova` can be addressed.
    ///
    /// # Errors
    ///
    /// [`DeviceError::AddressTooWide`].
    pub fn check(&self, iova: Iova, len: usize) -> Result<(), DeviceError> {
        let last = (len as u64).checked_sub(1).and_then(|more| iova.checked_add(more));
        let fits = |last: Iova| self.address_bits >= 64 || last.raw() >> self.address_bits == 0;
        match last.is_some_and(fits) {
            true => Ok(()),
            false => Err(DeviceError::AddressTooWide { iova, len, bits: self.address_bits }),
        }
    }
}

/// Where in the device's address space memory is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Where the way to the device puts it by itself: at this process's own address behind an
    /// IOMMU, at its physical addresses without one. Pools of packets must be here, as packets
    /// carry their address.
    #[default]
    Native,
    /// Somewhere free in the device's own space. Needs an IOMMU.
    Private,
    /// There. Needs an IOMMU.
    At(Iova),
}

/// The way by which one or several devices reach memory.
pub trait Dma: fmt::Debug + Send + Sync {
    /// What can be addressed, and how.
    fn limits(&self) -> DmaLimits;

    /// Makes a segment known to the device, for reading and writing, until the mapping is dropped.
    ///
    /// # Safety
    ///
    /// From here on the device can write to the memory, whatever Rust thinks of it. The device is
    /// told only of bytes that nothing else reads or writes meanwhile, and the segment is not
    /// dropped before the device has been stopped from using it, or this mapping has been dropped
    /// and there is an IOMMU ([`IovaMode::Virtual`]).
    ///
    /// # Errors
    ///
    /// [`DeviceError::AddressTooWide`], [`DeviceError::AddressTaken`],
    /// [`DeviceError::LockedMemory`], [`DeviceError::Memory`] if physical addresses are needed and
    /// hidden, [`DeviceError::Unsupported`] for a place that this way does not have.
    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError>;
}

/// A segment that a device knows. Dropping it takes the memory away from the device.
#[must_use = "dropping a mapping takes the memory away from the device"]
pub struct Mapping {
    addresses: IovaMap,
    /// What undoes the mapping when it is dropped, and keeps open what it needs for that.
    _undo: Box<dyn Any + Send + Sync>,
}

static_assertions::assert_impl_all!(Mapping: Send, Sync);

impl Mapping {
    /// For whoever implements [`Dma`]: the addresses, and what undoes the mapping when dropped.
    pub fn new<U: Send + Sync + 'static>(addresses: IovaMap, undo: U) -> Self {
        Self { addresses, _undo: Box::new(undo) }
    }

    /// What the device calls each byte of the segment, by its offset.
    pub fn addresses(&self) -> &IovaMap {
        &self.addresses
    }

    /// The device's address of `offset`, if the `len` bytes from there are contiguous for it.
    pub fn contiguous(&self, offset: usize, len: usize) -> Option<Iova> {
        self.addresses.contiguous(offset, len)
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mapping").field(&self.addresses.runs()).finish()
    }
}

/// Memory of a driver's own, for rings and the like, that its device knows. Dropping it takes it
/// from the device first and unmaps it then.
#[derive(Debug)]
pub struct DmaMemory {
    mapping: Mapping,
    segment: Segment,
}

impl DmaMemory {
    /// Memory as `request` says, made known to the device behind `dma`.
    ///
    /// # Safety
    ///
    /// As [`Dma::map`]: without an IOMMU the device must have been stopped from using it before
    /// this is dropped.
    ///
    /// # Errors
    ///
    /// As [`Request::map`] and [`Dma::map`].
    pub unsafe fn new(dma: &dyn Dma, request: Request) -> Result<Self, DeviceError> {
        // SAFETY: the caller's promise.
        unsafe { Self::at(dma, request, Place::Native) }
    }

    /// As [`new`](Self::new), at a place of the device's address space.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub unsafe fn at(dma: &dyn Dma, request: Request, place: Place) -> Result<Self, DeviceError> {
        let segment = request.map()?;
        // SAFETY: the caller's promise; the segment goes after the mapping.
        let mapping = unsafe { dma.map(&segment, place) }?;
        Ok(Self { mapping, segment })
    }

    /// The first byte. Valid for reads and writes of [`len`](Self::len) bytes until the drop.
    pub fn base(&self) -> NonNull<u8> {
        self.segment.base()
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a segment is never empty")]
    pub fn len(&self) -> usize {
        self.segment.len()
    }

    /// The device's address of `offset`, if the `len` bytes from there are contiguous for it.
    pub fn contiguous(&self, offset: usize, len: usize) -> Option<Iova> {
        self.mapping.contiguous(offset, len)
    }

    /// The memory.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }
}

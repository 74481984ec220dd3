//! Memory as the model sees it: what the driver has mapped, and nothing else.

use super::lock;
use linecard_eal::device::{DeviceError, Dma, DmaLimits, Mapping, Place};
use linecard_eal::mem::{Iova, IovaMap, IovaMode, Segment};
use linecard_ixgbe_model as model;
use model::{Direction, DmaFault};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const PAGE: usize = 4096;

/// What is mapped at its own address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<(usize, usize)>>>, Arc<AtomicBool>);

struct Unmap(Memory, (usize, usize));

impl Drop for Unmap {
    fn drop(&mut self) {
        let mut ranges = lock(&self.0.0);
        let at = ranges.iter().position(|range| *range == self.1).expect("it was mapped");
        ranges.remove(at);
    }
}

impl Dma for Memory {
    fn limits(&self) -> DmaLimits {
        let mode = IovaMode::Virtual;
        DmaLimits { mode, address_bits: 48, page_sizes: PAGE as u64, mappings: None }
    }

    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError> {
        // Relaxed: set and asked by the same thread.
        if self.1.load(Ordering::Relaxed) {
            return Err(DeviceError::LockedMemory { needed: segment.len(), limit: 0 });
        }
        assert_eq!(place, Place::Native, "pools and rings are where they are");
        let range = (segment.address().raw(), segment.len());
        lock(&self.0).push(range);
        let start = Iova::new(range.0 as u64);
        let addresses = IovaMap::contiguous_from(start, segment.len(), PAGE);
        Ok(Mapping::new(addresses, Unmap(self.clone(), range)))
    }
}

impl Memory {
    /// Whether nothing more can be mapped.
    pub(super) fn set_full(&self, is_full: bool) {
        // Relaxed: as above.
        self.1.store(is_full, Ordering::Relaxed);
    }

    fn find(&self, address: u64, len: usize, what: Direction) -> Result<*mut u8, DmaFault> {
        let (start, end) = (address as usize, address as usize + len);
        let within = |(from, len): &(usize, usize)| start >= *from && end <= from + len;
        match lock(&self.0).iter().any(within) {
            true => Ok(std::ptr::with_exposed_provenance_mut(start)),
            false => Err(DmaFault { address, len, what }),
        }
    }
}

impl model::Dma for Memory {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let from = self.find(address, into.len(), Direction::Read)?;
        // SAFETY: mapped for the device, so that the segment is alive, and not the test's own.
        unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        let to = self.find(address, bytes.len(), Direction::Write)?;
        // SAFETY: as above.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }
}

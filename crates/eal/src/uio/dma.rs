//! DMA by physical address.

use crate::device::{DeviceError, Dma, DmaLimits, Mapping, Place};
use crate::mem::{IovaMode, Segment};

/// All of memory, as it is.
#[derive(Debug)]
pub(super) struct Physical {
    device: String,
}

impl Physical {
    pub(super) fn new(device: String) -> Self {
        Self { device }
    }

    fn unsupported(&self, what: &str) -> DeviceError {
        DeviceError::Unsupported { name: self.device.clone(), what: what.to_owned() }
    }
}

impl Dma for Physical {
    fn limits(&self) -> DmaLimits {
        let mode = IovaMode::Physical;
        DmaLimits { mode, address_bits: 64, page_sizes: u64::MAX << 12, mappings: None }
    }

    unsafe fn map(&self, segment: &Segment, place: Place) -> Result<Mapping, DeviceError> {
        if place != Place::Native {
            return Err(self.unsupported("addresses of its own: that takes an IOMMU (vfio-pci)"));
        }
        // Other pages may be moved while the device goes on using the old address.
        if !segment.is_huge() {
            return Err(self.unsupported(
                "IOMMU, so that its memory must be in huge pages, which stay where they are: \
                 reserve some (`cargo xtask setup-hugepages`), and map with PagePolicy::Huge",
            ));
        }
        Ok(Mapping::new(segment.iova(IovaMode::Physical)?, ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{Iova, PagePolicy, Request};

    #[test]
    fn pages_that_may_move_and_places_of_ones_own_are_refused() {
        let physical = Physical::new("0000:03:00.0".into());
        let segment = Request::new(4096).pages(PagePolicy::Small).map().unwrap();
        for (place, reason) in [
            (Place::Native, "huge pages"),
            (Place::Private, "vfio-pci"),
            (Place::At(Iova::new(4096)), "vfio-pci"),
        ] {
            // SAFETY: no device is there.
            let error = unsafe { physical.map(&segment, place) }.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}

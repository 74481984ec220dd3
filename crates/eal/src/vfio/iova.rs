//! A device's address space: what it may use, what is used.

use std::collections::BTreeMap;

use crate::device::DeviceError;
use crate::mem::Iova;

/// Ranges that may be used, and those that are.
#[derive(Debug)]
pub(crate) struct IovaSpace {
    /// First and last address, ascending, without overlaps.
    allowed: Vec<(u64, u64)>,
    /// Length by first address.
    used: BTreeMap<u64, u64>,
}

impl IovaSpace {
    /// As the IOMMU says. One that says nothing is taken to allow everything.
    pub(crate) fn new(mut allowed: Vec<(u64, u64)>) -> Self {
        allowed.retain(|(first, last)| first <= last);
        allowed.sort_unstable();
        if allowed.is_empty() {
            allowed.push((0, u64::MAX));
        }
        Self { allowed, used: BTreeMap::new() }
    }

    /// How many bits an address may have.
    pub(crate) fn address_bits(&self) -> u8 {
        let last = self.allowed.iter().map(|(_, last)| *last).max().unwrap_or(0);
        (u64::BITS - last.leading_zeros()) as u8
    }

    /// Takes a range.
    pub(crate) fn take(&mut self, iova: Iova, len: usize) -> Result<(), DeviceError> {
        let (first, bits) = (iova.raw(), self.address_bits());
        let wide = DeviceError::AddressTooWide { iova, len, bits };
        let Some(last) = (len as u64).checked_sub(1).and_then(|rest| first.checked_add(rest))
        else {
            return Err(wide);
        };
        let taken =
            |reason: &str| Err(DeviceError::AddressTaken { iova, len, reason: reason.to_owned() });
        if bits < 64 && last >> bits != 0 {
            return Err(wide);
        }
        if !self.allowed.iter().any(|&(from, to)| from <= first && last <= to) {
            return taken("the platform reserves part of it (for interrupts, mostly)");
        }
        if self.overlaps(first, last) {
            return taken("another segment is mapped there");
        }
        self.used.insert(first, len as u64);
        Ok(())
    }

    /// Takes a free range, as high as possible, so as to stay clear of this process's addresses.
    pub(crate) fn allocate(&mut self, len: usize, align: usize) -> Option<Iova> {
        let (len, mask) = (len as u64, (align as u64).wrapping_neg());
        let tops = self.allowed.iter().rev().flat_map(|&(from, to)| {
            let below = self.used.range(..=to).rev().map(|(&start, _)| start);
            let ends = std::iter::once(to).chain(below.filter_map(|start| start.checked_sub(1)));
            ends.map(move |end| (from, end))
        });
        let places = tops.filter_map(|(from, end)| {
            let first = end.checked_sub(len - 1)? & mask;
            // Address 0 is what a driver that forgot to set one uses.
            (first >= from.max(1)).then_some((first, first.checked_add(len - 1)?))
        });
        let mut free = places.filter(|&(first, last)| !self.overlaps(first, last));
        let (first, _) = free.next()?;
        self.used.insert(first, len);
        Some(Iova::new(first))
    }

    /// Gives a range back.
    pub(crate) fn release(&mut self, iova: Iova) {
        self.used.remove(&iova.raw());
    }

    fn overlaps(&self, first: u64, last: u64) -> bool {
        let before = self.used.range(..=last).next_back();
        before.is_some_and(|(&start, &len)| start.saturating_add(len - 1) >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: usize = 4096;

    /// As an IOMMU of 39 bits with the interrupt window of x86.
    fn narrow() -> IovaSpace {
        IovaSpace::new(vec![(0, 0xfedf_ffff), (0xfef0_0000, 0x7f_ffff_ffff)])
    }

    #[test]
    fn an_address_of_47_bits_is_too_wide_for_39_and_the_error_says_what_to_do() {
        let mut space = narrow();
        assert_eq!(space.address_bits(), 39);
        let error = space.take(Iova::new(0x7f12_3456_7000), PAGE).unwrap_err();
        assert!(matches!(error, DeviceError::AddressTooWide { bits: 39, .. }));
        assert!(error.to_string().contains("Private"), "{error}");
        assert!(space.take(Iova::new(u64::MAX - 10), PAGE).is_err());
    }

    #[test]
    fn reserved_and_used_ranges_are_told_apart() {
        let mut space = narrow();
        let error = space.take(Iova::new(0xfedf_f000), 2 * PAGE).unwrap_err().to_string();
        assert!(error.contains("reserves"), "{error}");
        space.take(Iova::new(0x10_0000), 2 * PAGE).unwrap();
        let error = space.take(Iova::new(0x10_1000), PAGE).unwrap_err().to_string();
        assert!(error.contains("another segment"), "{error}");
        space.release(Iova::new(0x10_0000));
        space.take(Iova::new(0x10_1000), PAGE).unwrap();
    }

    #[test]
    fn private_addresses_come_from_the_top_and_are_aligned() {
        let mut space = narrow();
        let first = space.allocate(PAGE, 1 << 21).unwrap();
        assert_eq!(first.raw(), 0x7f_ffe0_0000);
        let second = space.allocate(PAGE, PAGE).unwrap();
        assert_eq!(second.raw(), 0x7f_ffff_f000);
        assert_eq!(space.allocate(PAGE, 1 << 21).unwrap().raw(), 0x7f_ffc0_0000);
        assert_eq!(narrow().allocate(1 << 40, PAGE), None);
    }

    #[test]
    fn an_iommu_that_tells_nothing_allows_everything() {
        let mut space = IovaSpace::new(Vec::new());
        assert_eq!(space.address_bits(), 64);
        space.take(Iova::new(0x7f12_3456_7000), PAGE).unwrap();
        assert!(space.allocate(PAGE, PAGE).is_some());
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_and_stay_within_what_is_allowed(
            steps in proptest::collection::vec((any::<bool>(), 0u64..64, 1usize..9), 1..60),
        ) {
            let page = PAGE as u64;
            let mut space = IovaSpace::new(vec![(page, 20 * page - 1), (30 * page, 60 * page - 1)]);
            let mut held: Vec<(u64, u64)> = Vec::new();
            for (private, at, pages) in steps {
                let len = pages * PAGE;
                let got = match private {
                    true => space.allocate(len, PAGE).map(Iova::raw),
                    false => space.take(Iova::new(at * page), len).ok().map(|()| at * page),
                };
                let Some(first) = got else { continue };
                let last = first + len as u64 - 1;
                prop_assert!(held.iter().all(|&(from, to)| last < from || to < first));
                prop_assert!(
                    (page <= first && last < 20 * page) || (30 * page <= first && last < 60 * page)
                );
                held.push((first, last));
                if held.len() > 4 {
                    space.release(Iova::new(held.remove(0).0));
                }
            }
        }
    }
}

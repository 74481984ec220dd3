//! Three kinds of address that must never be mixed up, and maps from a segment's offsets to them.

use std::fmt;

/// An address as a device sees it, behind its IOMMU or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Iova(u64);

/// An address on the memory bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PhysAddr(u64);

/// An address as this process sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct VirtAddr(usize);

/// A bus-wide address: something that a segment's offsets can be mapped to.
pub trait BusAddress: Copy + fmt::Debug + sealed::Sealed {
    /// The address as a number.
    fn raw(self) -> u64;
    /// The address of a number.
    fn of(raw: u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Iova {}
    impl Sealed for super::PhysAddr {}
}

macro_rules! bus_address {
    ($name:ident) => {
        impl $name {
            /// The address of a number.
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The address as a number, as it is written into a descriptor.
            pub const fn raw(self) -> u64 {
                self.0
            }

            /// The address `bytes` further on, unless it leaves the address space.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }
        }

        impl BusAddress for $name {
            fn raw(self) -> u64 {
                self.0
            }

            fn of(raw: u64) -> Self {
                Self(raw)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

bus_address!(Iova);
bus_address!(PhysAddr);

impl VirtAddr {
    /// The address of a number.
    pub const fn new(raw: usize) -> Self {
        Self(raw)
    }

    /// The address that a pointer holds.
    pub fn of<T>(pointer: *const T) -> Self {
        Self(pointer.addr())
    }

    /// The address as a number.
    pub const fn raw(self) -> usize {
        self.0
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A stretch of a segment whose addresses are consecutive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<A> {
    /// Where in the segment the stretch starts.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// The address of its first byte.
    pub start: A,
}

/// From a segment's offsets to addresses: a sorted list of contiguous runs, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMap<A> {
    page: usize,
    runs: Vec<Run<A>>,
}

impl<A: BusAddress> AddressMap<A> {
    /// One run: `len` bytes from `start` on, of pages of `page` bytes. What a device behind an IOMMU
    /// sees.
    pub fn contiguous_from(start: A, len: usize, page: usize) -> Self {
        Self { page, runs: vec![Run { offset: 0, len, start }] }
    }

    /// Merges the addresses of consecutive pages into runs.
    pub(crate) fn from_pages(pages: impl Iterator<Item = A>, page: usize) -> Self {
        let mut runs: Vec<Run<A>> = Vec::new();
        for (index, start) in pages.enumerate() {
            match runs.last_mut() {
                Some(run) if run.start.raw() + run.len as u64 == start.raw() => run.len += page,
                _ => runs.push(Run { offset: index * page, len: page, start }),
            }
        }
        Self { page, runs }
    }

    /// The address of the byte at `offset`; `None` beyond the segment.
    pub fn at(&self, offset: usize) -> Option<A> {
        self.run_at(offset).map(|run| A::of(run.start.raw() + (offset - run.offset) as u64))
    }

    /// The address of `offset`, if the `len` bytes from there are contiguous: what a device needs
    /// of a descriptor ring or a packet buffer.
    pub fn contiguous(&self, offset: usize, len: usize) -> Option<A> {
        let run = self.run_at(offset)?;
        let rest = run.len - (offset - run.offset);
        if len <= rest { self.at(offset) } else { None }
    }

    /// The contiguous runs, by offset.
    pub fn runs(&self) -> &[Run<A>] {
        &self.runs
    }

    /// The page size in bytes that the map was made of; every run is a multiple of it.
    pub fn page(&self) -> usize {
        self.page
    }

    fn run_at(&self, offset: usize) -> Option<&Run<A>> {
        let after = self.runs.partition_point(|run| run.offset <= offset);
        self.runs[..after].last().filter(|run| offset - run.offset < run.len)
    }
}

/// From a segment's offsets to physical addresses.
pub type PhysMap = AddressMap<PhysAddr>;

/// From a segment's offsets to device addresses.
pub type IovaMap = AddressMap<Iova>;

impl From<PhysMap> for IovaMap {
    /// Without an IOMMU, what a device sees is the physical address.
    fn from(map: PhysMap) -> Self {
        let device = |run: Run<PhysAddr>| Run {
            offset: run.offset,
            len: run.len,
            start: Iova::new(run.start.raw()),
        };
        Self { page: map.page, runs: map.runs.into_iter().map(device).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(pages: &[u64]) -> PhysMap {
        PhysMap::from_pages(pages.iter().map(|&page| PhysAddr::new(page * 4096)), 4096)
    }

    #[test]
    fn neighbouring_pages_are_merged_into_runs() {
        let map = map(&[7, 8, 3, 4]);
        let lens: Vec<_> = map.runs().iter().map(|run| (run.offset, run.len)).collect();
        assert_eq!(lens, [(0, 8192), (8192, 8192)]);
    }

    #[test]
    fn a_range_that_crosses_into_another_run_is_not_contiguous() {
        let map = map(&[7, 8, 3]);
        assert_eq!(map.contiguous(4000, 200), Some(PhysAddr::new(7 * 4096 + 4000)));
        assert_eq!(map.contiguous(8191, 2), None);
        assert_eq!(map.contiguous(0, usize::MAX), None);
        assert_eq!(map.at(3 * 4096), None);
    }

    proptest! {
        #[test]
        fn every_offset_maps_to_its_own_page(
            pages in proptest::collection::vec(0u64..12, 1..40), at in 0usize..40 * 4096,
        ) {
            let expected = pages.get(at / 4096).map(|page| page * 4096 + (at % 4096) as u64);
            prop_assert_eq!(map(&pages).at(at).map(PhysAddr::raw), expected);
        }
    }
}

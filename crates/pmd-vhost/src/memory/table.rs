//! The regions that a front-end has shared.

use super::mapping::{Mapping, Shrinking};
use crate::request::Wrong;
use linecard_virtqueue::vhost_user::message::Region as Place;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// The most regions: what `GET_MAX_MEM_SLOTS` answers.
pub(crate) const MOST_REGIONS: usize = 64;

/// A region of guest memory, mapped here.
#[derive(Debug)]
pub(crate) struct Region {
    place: Place,
    /// Which file it is in: device and inode.
    file: (u64, u64),
    mapping: Mapping,
}

impl Region {
    /// Maps what a front-end says.
    pub(crate) fn map(
        place: Place,
        fd: BorrowedFd<'_>,
        shrinking: Shrinking,
    ) -> Result<Self, Wrong> {
        let ends =
            [place.guest_addr.checked_add(place.size), place.user_addr.checked_add(place.size)];
        if ends.contains(&None) {
            return Err(Wrong::refused(format!("a region beyond all addresses: {place:x?}")));
        }
        let mapping = Mapping::of(fd, place.mmap_offset, place.size, shrinking)
            .map_err(|why| Wrong::refused(format!("memory at {:#x}: {why}", place.guest_addr)))?;
        Ok(Region { place, file: identity(fd)?, mapping })
    }

    fn is(&self, other: &Region) -> bool {
        (self.place, self.file) == (other.place, other.file)
    }

    /// Where `at` bytes into the region is here, and how many bytes follow it.
    #[inline(always)]
    fn here(&self, at: u64) -> (*mut u8, u64) {
        // SAFETY: callers have found `at` to be less than the region's size, all of which is mapped.
        (unsafe { self.mapping.start().as_ptr().add(at as usize) }, self.place.size - at)
    }
}

/// The device and the inode of a file.
fn identity(fd: BorrowedFd<'_>) -> std::io::Result<(u64, u64)> {
    // SAFETY: the structure is plain integers.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: it has room for what the kernel writes; the descriptor is open while borrowed.
    match unsafe { libc::fstat(fd.as_raw_fd(), &raw mut stat) } {
        0 => Ok((stat.st_dev, stat.st_ino)),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// All regions of a guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryTable {
    regions: Vec<Arc<Region>>,
    /// How often each was added.
    times: Vec<u32>,
}

impl MemoryTable {
    /// The regions, none of which lie over each other in the guest.
    pub(crate) fn new(regions: Vec<Region>) -> Result<Self, Wrong> {
        let mut table = MemoryTable::default();
        regions.into_iter().try_for_each(|region| table.add(region))?;
        Ok(table)
    }

    /// One more region; or the same once more, as QEMU 7.2 says it for every queue pair. It goes
    /// when it has been removed as often.
    pub(crate) fn add(&mut self, region: Region) -> Result<(), Wrong> {
        if let Some(at) = self.regions.iter().position(|known| known.is(&region)) {
            self.times[at] = self.times[at].saturating_add(1);
            return Ok(());
        }
        let new = region.place;
        if self.regions.len() == MOST_REGIONS {
            return Err(Wrong::refused(format!("more than {MOST_REGIONS} regions of memory")));
        }
        let overlaps = |r: &&Arc<Region>| {
            let old = r.place;
            let guest = new.guest_addr < old.guest_addr + old.size
                && old.guest_addr < new.guest_addr + new.size;
            guest
                || new.user_addr < old.user_addr + old.size
                    && old.user_addr < new.user_addr + new.size
        };
        if let Some(old) = self.regions.iter().find(overlaps) {
            let (new, old) = (new.guest_addr, old.place.guest_addr);
            return Err(Wrong::refused(format!("memory at {new:#x} overlaps that at {old:#x}")));
        }
        self.regions.push(Arc::new(region));
        self.times.push(1);
        Ok(())
    }

    /// Without the region of this place and size, whatever its offset in the file.
    pub(crate) fn remove(&mut self, place: &Place) -> Result<(), Wrong> {
        let same = |r: &Arc<Region>| {
            let known = r.place;
            (known.guest_addr, known.user_addr, known.size)
                == (place.guest_addr, place.user_addr, place.size)
        };
        let at = self.regions.iter().position(same);
        let at =
            at.ok_or_else(|| Wrong::refused(format!("no memory at {:#x}", place.guest_addr)))?;
        self.times[at] -= 1;
        if self.times[at] == 0 {
            self.times.remove(at);
            self.regions.remove(at);
        }
        Ok(())
    }

    /// Where a guest address is here, and how many bytes follow it. `hint` is the region that was
    /// found last.
    #[inline(always)]
    pub(crate) fn guest(&self, address: u64, hint: &mut usize) -> Option<(*mut u8, u64)> {
        let within = |region: &Region| {
            let at = address.wrapping_sub(region.place.guest_addr);
            (at < region.place.size).then_some(at)
        };
        if let Some(region) = self.regions.get(*hint)
            && let Some(at) = within(region)
        {
            return Some(region.here(at));
        }
        *hint = self.regions.iter().position(|region| within(region).is_some())?;
        let region = &self.regions[*hint];
        within(region).map(|at| region.here(at))
    }

    /// Where a region begins in the guest, how long it is, and where it begins here.
    pub(crate) fn place_of(&self, region: usize) -> (u64, u64, *mut u8) {
        let Region { place, mapping, .. } = &*self.regions[region];
        (place.guest_addr, place.size, mapping.start().as_ptr())
    }

    /// Where an address of the front-end's is here, and how many bytes follow it.
    pub(crate) fn user(&self, address: u64) -> Option<(*mut u8, u64)> {
        self.regions.iter().find_map(|region| {
            let at = address.wrapping_sub(region.place.user_addr);
            (at < region.place.size).then(|| region.here(at))
        })
    }

    /// Where the guest has what is at `address` here.
    pub(crate) fn guest_of(&self, address: *const u8) -> Option<u64> {
        self.regions.iter().find_map(|region| {
            let at =
                (address.addr() as u64).wrapping_sub(region.mapping.start().addr().get() as u64);
            (at < region.place.size).then(|| region.place.guest_addr + at)
        })
    }

    /// The highest guest address, and one.
    pub(crate) fn end(&self) -> u64 {
        self.regions.iter().map(|r| r.place.guest_addr + r.place.size).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::memfd;
    use std::os::fd::AsFd;

    fn region(guest: u64, size: u64, user: u64) -> Region {
        let fd = memfd(c"region", size).expect("memory");
        let place = Place { guest_addr: guest, size, user_addr: user, mmap_offset: 0 };
        Region::map(place, fd.as_fd(), Shrinking::Refuse).expect("it is mapped")
    }

    #[test]
    fn an_address_is_found_in_its_region_up_to_its_end() {
        let table = MemoryTable::new(vec![region(0, 4096, 1 << 40), region(8192, 4096, 1 << 41)]);
        let (table, mut hint) = (table.expect("apart"), 0);
        let left = |address, hint: &mut usize| table.guest(address, hint).map(|(_, left)| left);
        assert_eq!(left(0, &mut hint), Some(4096));
        assert_eq!(left(4095, &mut hint), Some(1));
        assert_eq!(left(4096, &mut hint), None);
        assert_eq!(left(8200, &mut hint), Some(4088));
        assert_eq!((hint, left(u64::MAX, &mut hint)), (1, None));
        let (here, _) = table.user((1 << 41) + 9).expect("in the second");
        assert_eq!(table.guest_of(here), Some(8201));
        assert_eq!(table.end(), 12288);
    }

    #[test]
    fn regions_over_each_other_or_beyond_all_addresses_are_refused() {
        let over = vec![region(0, 8192, 1 << 40), region(4096, 4096, 1 << 41)];
        assert!(MemoryTable::new(over).is_err());
        let fd = memfd(c"beyond", 4096).expect("memory");
        let place = Place { guest_addr: u64::MAX - 4094, size: 4096, user_addr: 0, mmap_offset: 0 };
        assert!(Region::map(place, fd.as_fd(), Shrinking::Accept).is_err());
    }

    #[test]
    fn a_region_that_is_added_twice_is_one_and_goes_with_its_second_removal() {
        let (fd, other) =
            (memfd(c"one", 4096).expect("memory"), memfd(c"two", 4096).expect("memory"));
        let place = Place { guest_addr: 4096, size: 4096, user_addr: 1 << 40, mmap_offset: 0 };
        let map = |fd: &std::os::fd::OwnedFd| {
            Region::map(place, fd.as_fd(), Shrinking::Refuse).expect("it is mapped")
        };
        let mut table = MemoryTable::new(vec![map(&fd), map(&fd)]).expect("the same");
        assert_eq!(table.regions.len(), 1);
        assert!(table.add(map(&other)).is_err(), "other memory in its place");
        assert!(table.remove(&place).is_ok() && table.guest(4096, &mut 0).is_some());
        assert!(table.remove(&place).is_ok() && table.guest(4096, &mut 0).is_none());
        assert!(table.remove(&place).is_err());
    }

    #[test]
    fn a_region_that_goes_is_found_by_its_place() {
        let mut table = MemoryTable::new(vec![region(4096, 4096, 1 << 40)]).expect("one");
        let place = Place { guest_addr: 4096, size: 4096, user_addr: 1 << 40, mmap_offset: 77 };
        assert!(table.remove(&Place { size: 1, ..place }).is_err());
        assert!(table.remove(&place).is_ok() && table.remove(&place).is_err());
        assert_eq!(table.guest(4096, &mut 0), None);
    }
}

//! The driver's memory, as the device maps it.

use super::ring::{Chain, Part};
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::split::Desc;
use linecard_virtqueue::vhost_user::message::Region;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Stretches of it, by the driver's addresses.
#[derive(Default)]
pub(crate) struct GuestMemory {
    known: Vec<Known>,
    maps: Vec<MmapRaw>,
}

struct Known {
    start: u64,
    len: u64,
    base: *mut u8,
}

// SAFETY: a number and an address; who accesses what is behind it is the driver's promise.
unsafe impl Send for Known {}

impl GuestMemory {
    /// Maps a region.
    pub(crate) fn map(&mut self, region: Region, file: OwnedFd) {
        let file = File::from(file);
        let mut options = MmapOptions::new();
        options.len(region.size as usize).offset(region.mmap_offset);
        let map = options.map_raw(&file).expect("it can be mapped");
        self.know(region.guest_addr, map.as_mut_ptr(), region.size as usize);
        self.maps.push(map);
    }

    /// Takes note of memory that is here already.
    pub(crate) fn know(&mut self, start: u64, base: *mut u8, len: usize) {
        self.known.push(Known { start, len: len as u64, base });
    }

    /// Forgets it.
    pub(crate) fn forget(&mut self, start: u64) {
        self.known.retain(|known| known.start != start);
    }

    /// Where `len` bytes at an address of the driver's are here.
    pub(crate) fn at(&self, addr: u64, len: usize) -> *mut u8 {
        for known in &self.known {
            let offset = addr.wrapping_sub(known.start);
            if offset < known.len && len as u64 <= known.len - offset {
                return known.base.wrapping_add(offset as usize);
            }
        }
        panic!("the driver gave an address that it has not shared: {addr:#x}, {len} bytes");
    }

    /// Bytes at an address.
    pub(crate) fn read(&self, addr: u64, len: usize) -> Vec<u8> {
        let at = self.at(addr, len);
        // SAFETY: within a region; the driver does not touch what it has given away.
        unsafe { std::slice::from_raw_parts(at, len).to_vec() }
    }

    /// Writes bytes at an address.
    pub(crate) fn write(&self, addr: u64, bytes: &[u8]) {
        let at = self.at(addr, bytes.len());
        // SAFETY: as in `read`.
        unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// The parts of a chain, out of its indirect table if it has one.
    pub(crate) fn whole(&self, chain: &Chain) -> Vec<Part> {
        let [one] = chain.parts.as_slice() else { return chain.parts.clone() };
        if one.flags & DescFlags::INDIRECT.bits() == 0 {
            return vec![*one];
        }
        let n = one.len as usize / size_of::<Desc>();
        let table = self.at(one.addr, one.len as usize).cast::<Desc>();
        // SAFETY: within a region; the driver does not touch what it has given away.
        let table: Vec<Desc> = (0..n).map(|i| unsafe { table.add(i).read() }).collect();
        let part = |d: &Desc| Part { addr: d.addr, len: d.len, flags: d.flags };
        if !chain.split {
            return table.iter().map(part).collect();
        }
        let (mut parts, mut at) = (Vec::new(), 0);
        loop {
            parts.push(part(&table[at]));
            if table[at].flags & DescFlags::NEXT.bits() == 0 {
                return parts;
            }
            at = usize::from(table[at].next);
        }
    }
}

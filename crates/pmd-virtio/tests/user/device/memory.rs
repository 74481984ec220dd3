//! The driver's memory, as the device maps it.

use super::ring::{Chain, Part};
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::split::Desc;
use linecard_virtqueue::vhost_user::message::Region;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Regions, mapped.
#[derive(Default)]
pub(crate) struct GuestMemory {
    regions: Vec<(Region, MmapRaw)>,
}

impl GuestMemory {
    /// Maps a region.
    pub(crate) fn map(&mut self, region: Region, file: OwnedFd) {
        let file = File::from(file);
        let mut options = MmapOptions::new();
        options.len(region.size as usize).offset(region.mmap_offset);
        self.regions.push((region, options.map_raw(&file).expect("it can be mapped")));
    }

    /// Where `len` bytes at an address of the driver's are here.
    pub(crate) fn at(&self, addr: u64, len: usize) -> *mut u8 {
        for (region, map) in &self.regions {
            let offset = addr.wrapping_sub(region.guest_addr);
            if offset < region.size && len as u64 <= region.size - offset {
                return map.as_mut_ptr().wrapping_add(offset as usize);
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

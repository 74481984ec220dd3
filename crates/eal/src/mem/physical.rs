//! Physical addresses, from `/proc/self/pagemap`.
//!
//! One 64-bit entry per base page: bits 0 to 54 are the frame number, which is 0 for a process
//! without CAP_SYS_ADMIN, bit 63 says that the page is in memory (`admin-guide/mm/pagemap`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::addr::{PhysAddr, PhysMap, VirtAddr};
use super::error::MemError;
use super::page::base_page;
use crate::Root;

const ENTRY: usize = size_of::<u64>();
const FRAME: u64 = (1 << 55) - 1;
const PRESENT: u64 = 1 << 63;
const PAGEMAP: &str = "proc/self/pagemap";

/// The addresses of `len` bytes from `base` on, both multiples of `page`, whose pages are each
/// contiguous within.
pub(super) fn map(
    root: &Root,
    base: VirtAddr,
    len: usize,
    page: usize,
) -> Result<PhysMap, MemError> {
    let path = root.path(PAGEMAP);
    let read = |source: io::Error| MemError::Read { path: path.clone(), source };
    let pagemap = File::open(&path).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => MemError::PhysicalHidden,
        _ => read(e),
    })?;
    let frame = base_page();
    let mut pages = Vec::with_capacity(len / page);
    for offset in (0..len).step_by(page) {
        let index = (base.raw() + offset) / frame;
        let mut entry = [0; ENTRY];
        pagemap.read_exact_at(&mut entry, (index * ENTRY) as u64).map_err(read)?;
        pages.push(address(u64::from_ne_bytes(entry), frame, offset)?);
    }
    Ok(PhysMap::from_pages(pages.into_iter(), page))
}

fn address(entry: u64, frame: usize, offset: usize) -> Result<PhysAddr, MemError> {
    match entry & FRAME {
        _ if entry & PRESENT == 0 => Err(MemError::PageAbsent { offset }),
        0 => Err(MemError::PhysicalHidden),
        number => Ok(PhysAddr::new(number * frame as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn pagemap(entries: &[u64]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_ne_bytes()).collect();
        fs::write(dir.path().join(PAGEMAP), bytes).unwrap();
        let root = Root::at(dir.path());
        (dir, root)
    }

    fn map_of(entries: &[u64]) -> Result<PhysMap, MemError> {
        let (_dir, root) = pagemap(entries);
        map(&root, VirtAddr::new(0), entries.len() * base_page(), base_page())
    }

    #[test]
    fn frames_become_addresses() {
        let map = map_of(&[PRESENT | 5, PRESENT | 6, PRESENT | (1 << 56) | 9]).unwrap();
        let page = base_page();
        assert_eq!(map.at(page + 3), Some(PhysAddr::new((6 * page + 3) as u64)));
        assert_eq!(map.runs().len(), 2);
        assert_eq!(map.at(2 * page), Some(PhysAddr::new((9 * page) as u64)));
    }

    #[test]
    fn a_frame_number_of_0_means_that_the_kernel_hides_it() {
        assert!(matches!(map_of(&[PRESENT]), Err(MemError::PhysicalHidden)));
    }

    #[test]
    fn a_page_that_is_swapped_out_is_an_error_with_its_offset() {
        let page = base_page();
        let absent = map_of(&[PRESENT | 1, 1 << 62]);
        assert!(matches!(absent, Err(MemError::PageAbsent { offset }) if offset == page));
    }

    #[test]
    fn a_machine_without_pagemap_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = map(&Root::at(dir.path()), VirtAddr::new(0), base_page(), base_page());
        assert!(error.unwrap_err().to_string().contains("pagemap"));
    }
}

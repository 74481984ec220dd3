//! A guest's memory as QEMU tells of it: a table of regions, each a piece of a file.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::mapping::Mapping;

#[derive(Clone, Debug)]
struct Region {
    address: u64,
    len: u64,
    offset: u64,
    mapping: Arc<Mapping>,
}

/// What the guest has at which physical address.
#[derive(Debug, Default)]
pub(crate) struct SystemMemory {
    regions: Vec<Region>,
    /// Files that are mapped, by device and inode: the table comes a hundred times a boot.
    mapped: HashMap<(u64, u64), Arc<Mapping>>,
}

/// A region as it is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) address: u64,
    pub(crate) len: u64,
    pub(crate) offset: u64,
    pub(crate) file: File,
}

impl SystemMemory {
    /// A new table replaces the old one.
    pub(crate) fn replace(&mut self, told: Vec<Told>) -> io::Result<()> {
        let regions: io::Result<Vec<_>> =
            told.into_iter().map(|region| self.region(region)).collect();
        self.regions = regions?;
        Ok(())
    }

    fn region(&mut self, told: Told) -> io::Result<Region> {
        let meta = told.file.metadata()?;
        let key = (meta.dev(), meta.ino());
        let mapping = match self.mapped.get(&key) {
            Some(mapping) => mapping.clone(),
            None => {
                let mapping = Arc::new(Mapping::of(&told.file, 0, meta.len() as usize)?);
                self.mapped.insert(key, mapping.clone());
                mapping
            }
        };
        Ok(Region { address: told.address, len: told.len, offset: told.offset, mapping })
    }

    /// The region that holds an address, and how many bytes from there on.
    fn find(&self, address: u64) -> Option<(&Region, u64, usize)> {
        let region = self
            .regions
            .iter()
            .find(|region| address >= region.address && address - region.address < region.len)?;
        let within = address - region.address;
        Some((region, region.offset + within, (region.len - within) as usize))
    }

    pub(crate) fn read(&self, mut address: u64, mut into: &mut [u8]) -> Option<()> {
        while !into.is_empty() {
            let (region, at, room) = self.find(address)?;
            let (part, rest) = into.split_at_mut(into.len().min(room));
            region.mapping.read(at, part)?;
            address += part.len() as u64;
            into = rest;
        }
        Some(())
    }

    pub(crate) fn write(&self, mut address: u64, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (region, at, room) = self.find(address)?;
            let (part, rest) = bytes.split_at(bytes.len().min(room));
            region.mapping.write(at, part)?;
            address += part.len() as u64;
            bytes = rest;
        }
        Some(())
    }

    pub(crate) fn write_descriptor(&self, address: u64, words: [u64; 2]) -> Option<()> {
        match self.find(address) {
            Some((region, at, room)) if room >= 16 => region.mapping.write_descriptor(at, words),
            _ => self.write(address, words.map(u64::to_le_bytes).as_flattened()),
        }
    }

    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    }
}

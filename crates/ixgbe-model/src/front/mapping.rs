//! Memory of another process, or of a guest, mapped by its file.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::{MmapOptions, MmapRaw};

/// A mapping, read and written in bounds only.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
}

impl Mapping {
    /// Maps `len` bytes of a file from `offset` on.
    pub(crate) fn of(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().offset(offset).len(len).map_raw(file)?;
        Ok(Self { map })
    }

    fn holds(&self, at: u64, len: usize) -> Option<usize> {
        let at = usize::try_from(at).ok()?;
        (at.checked_add(len)? <= self.map.len()).then_some(at)
    }

    /// `None` beyond the end.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        let at = self.holds(at, into.len())?;
        // SAFETY: `at..at + into.len()` lies in the mapping, which lives as long as `self`; `into`
        // is ours and does not overlap it, as no reference to the mapping is ever made. What the
        // other side writes meanwhile is seen or not, as with any bus master.
        unsafe {
            std::ptr::copy_nonoverlapping(self.map.as_ptr().add(at), into.as_mut_ptr(), into.len())
        };
        Some(())
    }

    /// `None` beyond the end.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> Option<()> {
        let at = self.holds(at, bytes.len())?;
        // SAFETY: as for `read`, the other way.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.map.as_mut_ptr().add(at),
                bytes.len(),
            )
        };
        Some(())
    }

    /// Two quadwords, the second of which is seen after the first and all that was written before.
    pub(crate) fn write_descriptor(&self, at: u64, words: [u64; 2]) -> Option<()> {
        let place = self.holds(at, 16)?;
        if !at.is_multiple_of(8) {
            return self.write(at, words.map(u64::to_le_bytes).as_flattened());
        }
        self.write(at, &words[0].to_le_bytes())?;
        // Release: pairs with the driver's acquire of the descriptor's status.
        fence(Ordering::Release);
        // SAFETY: in bounds as checked, and a multiple of 8 in a page-aligned mapping; the mapping
        // lives as long as `self`, and nobody has a Rust reference to it.
        let second = unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(place + 8).cast()) };
        // Relaxed: the fence above orders it; pairs with the driver's read of DD.
        second.store(words[1].to_le(), Ordering::Relaxed);
        Some(())
    }
}

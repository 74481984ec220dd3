//! Memory that the kernel and this process both write: the rings of AF_PACKET and AF_XDP.
//!
//! Who may touch a slot is said by a status word in it. What the kernel writes there (offsets,
//! lengths) is looked at as values and checked against the area's bounds here: whatever it writes,
//! nothing outside is read or written.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An area of memory, ours until it is dropped.
#[derive(Debug)]
pub(crate) struct SharedArea {
    base: NonNull<u8>,
    len: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Mapped,
    /// Made by a test, as words, so that it is aligned.
    #[cfg(test)]
    Owned(#[expect(dead_code, reason = "keeps the memory")] Box<[u64]>),
}

// SAFETY: the area belongs to the value; nothing of it belongs to a thread.
unsafe impl Send for SharedArea {}

impl SharedArea {
    /// Maps the ring of a socket: `len` bytes.
    pub(crate) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::map_at(fd, len, 0)
    }

    /// Maps `len` bytes from `offset` on: where sockets with several rings have each.
    pub(crate) fn map_at(fd: BorrowedFd<'_>, len: usize, offset: u64) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let fd = fd.as_raw_fd();
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, fd, offset as _) };
        match NonNull::new(at.cast()) {
            Some(base) if at != libc::MAP_FAILED => {
                Ok(SharedArea { base, len, source: Source::Mapped })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// An area without a kernel.
    #[cfg(test)]
    pub(crate) fn fake(len: usize) -> Self {
        let mut words = vec![0u64; len.div_ceil(8)].into_boxed_slice();
        let base = NonNull::new(words.as_mut_ptr().cast()).expect("a box is not null");
        SharedArea { base, len, source: Source::Owned(words) }
    }

    /// Where `len` bytes from `at` on lie, if all of them are in the area.
    #[inline(always)]
    fn place(&self, at: usize, len: usize) -> Option<NonNull<u8>> {
        let end = at.checked_add(len)?;
        // SAFETY: `at` is within the area, which is one allocation.
        (end <= self.len).then(|| unsafe { self.base.add(at) })
    }

    fn status(&self, at: usize) -> Option<&AtomicU32> {
        let place = self.place(at, 4)?.cast::<AtomicU32>();
        // SAFETY: four bytes of the area, aligned as just checked; every access to a status word, by
        // the kernel too, is atomic.
        if place.is_aligned() { Some(unsafe { place.as_ref() }) } else { None }
    }

    /// The status word at `at`: 0 if there is none. What the kernel wrote before it is seen.
    #[inline(always)]
    pub(crate) fn read_status(&self, at: usize) -> u32 {
        // Acquire pairs with the write barrier that the kernel puts before it sets a status.
        self.status(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Sets the status word at `at`. What was written or read before is done before the kernel sees
    /// it.
    #[inline(always)]
    pub(crate) fn write_status(&self, at: usize, value: u32) {
        // Release pairs with the read barrier that the kernel puts behind its look at a status.
        self.status(at).inspect(|word| word.store(value, Ordering::Release));
    }

    /// A header at `at`, whatever its alignment; `None` if it does not lie in the area.
    #[inline(always)]
    pub(crate) fn read<T: FromBytes>(&self, at: usize) -> Option<T> {
        let place = self.place(at, size_of::<T>())?.cast::<T>();
        // SAFETY: in the area, and any bytes make a `T`. Should the kernel write at the same time,
        // against its word, the value is garbage, which whoever asks must expect.
        Some(unsafe { place.as_ptr().read_unaligned() })
    }

    /// Writes a descriptor at `at`; says whether it lies in the area.
    #[inline(always)]
    pub(crate) fn write<T: IntoBytes + Immutable>(&mut self, at: usize, value: &T) -> bool {
        let slot = self.bytes_mut(at, size_of::<T>());
        slot.map(|slot| slot.copy_from_slice(value.as_bytes())).is_some()
    }

    /// The bytes of a slot that is ours; `None` if they do not lie in the area.
    #[inline(always)]
    pub(crate) fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        let place = self.place(at, len)?;
        // SAFETY: in the area; callers have seen the slot's status say that it is ours, so the kernel
        // does not write to it until they give it back, which takes `&mut` of the ring around it.
        Some(unsafe { std::slice::from_raw_parts(place.as_ptr(), len) })
    }

    /// The bytes of a slot that is ours, to change.
    #[inline(always)]
    pub(crate) fn bytes_mut(&mut self, at: usize, len: usize) -> Option<&mut [u8]> {
        let place = self.place(at, len)?;
        // SAFETY: as in `bytes`, and `self` is borrowed mutably.
        Some(unsafe { std::slice::from_raw_parts_mut(place.as_ptr(), len) })
    }
}

impl Drop for SharedArea {
    fn drop(&mut self) {
        match self.source {
            // SAFETY: mapped by `map` with this length; nothing borrowed from it outlives it. It
            // cannot fail for a mapping that is there.
            Source::Mapped => drop(unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) }),
            #[cfg(test)]
            Source::Owned(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_area_is_reached() {
        let mut area = SharedArea::fake(64);
        assert!(area.bytes(0, 64).is_some() && area.bytes_mut(32, 32).is_some());
        assert!(area.bytes(1, 64).is_none() && area.bytes(65, 0).is_none());
        assert!(area.bytes(usize::MAX, 2).is_none() && area.bytes_mut(2, usize::MAX).is_none());
        assert!(area.read::<u64>(56).is_some() && area.read::<u64>(57).is_none());
    }

    #[test]
    fn a_status_word_that_is_not_there_reads_as_the_kernels_and_is_not_written() {
        let area = SharedArea::fake(16);
        area.write_status(12, 7);
        area.write_status(13, 9);
        area.write_status(16, 9);
        assert_eq!((area.read_status(12), area.read_status(13), area.read_status(16)), (7, 0, 0));
    }
}

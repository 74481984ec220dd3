//! Memory that two processes map, and the peer that gets to know of it.

use linecard_ring::Memory;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::{Child, Command};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Where the peer finds the memory.
const PATH: &str = "LINECARD_RING_PEER_MEMORY";
/// Words behind the ring, for what the processes count.
const WORDS: usize = 8;

/// A mapping of anonymous shared memory; nothing is left of it when both processes are gone.
pub(crate) struct Shared {
    file: Arc<File>,
    map: MmapRaw,
}

// SAFETY: mapped until dropped, at one address, readable and writable; a ring and the words behind
// it are all that is used of it, and the ring is told only of what is before the words.
unsafe impl Memory for Shared {
    fn base(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_mut_ptr()).unwrap()
    }

    fn len(&self) -> usize {
        self.map.len() - WORDS * size_of::<u64>()
    }
}

impl Shared {
    /// Room for `bytes` and the words.
    pub(crate) fn new(bytes: usize) -> Self {
        // SAFETY: a plain system call with a C string of ours.
        let fd = unsafe { libc::memfd_create(c"linecard-ring".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
        // SAFETY: just opened, and owned by nobody else.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len((bytes.next_multiple_of(8) + WORDS * size_of::<u64>()) as u64).unwrap();
        Shared::map(Arc::new(file))
    }

    /// What this process, as a peer, was given.
    pub(crate) fn given() -> Option<Self> {
        let path = std::env::var_os(PATH)?;
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        Some(Shared::map(Arc::new(file)))
    }

    /// Another mapping of the same memory, at another address.
    pub(crate) fn again(&self) -> Self {
        Shared::map(Arc::clone(&self.file))
    }

    fn map(file: Arc<File>) -> Self {
        let map = MmapOptions::new().map_raw(&*file).unwrap();
        Shared { file, map }
    }

    /// A word behind the ring, zero at first.
    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < WORDS);
        // SAFETY: the words behind the ring, a multiple of eight bytes from the mapping's start,
        // which only this function hands out, as atomics.
        unsafe { AtomicU64::from_ptr(self.base().add(self.len()).cast().add(index).as_ptr()) }
    }
}

/// The other process.
pub(crate) struct Peer(Child);

impl Peer {
    /// Runs `test`, which is the caller, in another process that is given `memory`.
    pub(crate) fn start(test: &str, memory: &Shared) -> Self {
        let path = format!("/proc/{}/fd/{}", std::process::id(), memory.file.as_raw_fd());
        let program = std::env::current_exe().unwrap();
        let peer = Command::new(program).args(["--exact", test]).env(PATH, path).spawn();
        Peer(peer.unwrap())
    }

    /// Waits until it ends well.
    pub(crate) fn join(mut self) {
        assert!(self.0.wait().unwrap().success(), "the peer failed");
    }
}

//! AF_XDP sockets: four rings over memory that the kernel shares.

use super::{SharedArea, check};
use libc::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A socket. It never waits.
#[derive(Debug)]
pub(crate) struct XdpSocket(OwnedFd);

/// One of its rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Frames that were received.
    Rx,
    /// Frames to be sent.
    Tx,
    /// Buffers to receive into.
    Fill,
    /// Frames that have been sent.
    Completion,
}

/// Where in a ring's area its parts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) producer: usize,
    pub(crate) consumer: usize,
    pub(crate) entries: usize,
}

/// `struct xdp_statistics`, counted since the socket was made.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
pub(crate) struct XdpStatistics {
    pub(crate) rx_dropped: u64,
    pub(crate) rx_invalid: u64,
    pub(crate) tx_invalid: u64,
    pub(crate) rx_ring_full: u64,
    pub(crate) rx_fill_ring_empty: u64,
    pub(crate) tx_ring_empty: u64,
}

/// `struct xdp_umem_reg`.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct Memory {
    address: u64,
    len: u64,
    chunk: u32,
    headroom: u32,
    flags: u32,
    metadata: u32,
}

/// An index in a ring, as the kernel's `struct xdp_ring_offset` has it.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
struct Offsets {
    producer: u64,
    consumer: u64,
    entries: u64,
    flags: u64,
}

impl XdpSocket {
    pub(crate) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: `socket` takes no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_XDP, kind, 0) })?;
        // SAFETY: just made, and ours alone.
        Ok(XdpSocket(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Gives the kernel memory in which buffers of `chunk` bytes may begin anywhere.
    ///
    /// # Safety
    /// The memory stays mapped as long as the socket is open. What is given to the fill ring is
    /// nobody else's until it comes back by the receive ring, or the socket is closed.
    pub(crate) unsafe fn register(&self, base: usize, len: usize, chunk: u32) -> io::Result<()> {
        let memory = Memory {
            address: base as u64,
            len: len as u64,
            chunk,
            headroom: 0,
            flags: libc::XDP_UMEM_UNALIGNED_CHUNK_FLAG,
            metadata: 0,
        };
        self.set(libc::XDP_UMEM_REG, &memory)
    }

    /// Makes a ring of so many entries, a power of two, `entry` bytes each.
    pub(crate) fn ring(
        &self,
        which: Which,
        entries: u32,
        entry: usize,
    ) -> io::Result<(SharedArea, Parts)> {
        self.set(which.option(), &entries)?;
        let all: [Offsets; 4] = self.option(libc::XDP_MMAP_OFFSETS)?;
        let offsets = all[which.position()];
        let parts = Parts {
            producer: offsets.producer as usize,
            consumer: offsets.consumer as usize,
            entries: offsets.entries as usize,
        };
        let len = parts.entries + entries as usize * entry;
        Ok((SharedArea::map_at(self.as_fd(), len, which.place())?, parts))
    }

    /// Binds the socket to a queue of an interface; frames are copied.
    pub(crate) fn bind(&self, interface: c_int, queue: u32) -> io::Result<()> {
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_COPY,
            sxdp_ifindex: interface as u32,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let len = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
        // SAFETY: `address` is of this size and borrowed for the call.
        check(unsafe { libc::bind(self.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
    }

    /// Has the kernel send what is in the transmit ring, or a part of it.
    pub(crate) fn kick(&self) -> io::Result<()> {
        // SAFETY: no bytes are read: the kernel takes them from the ring.
        let sent = unsafe { libc::send(self.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(crate) fn statistics(&self) -> io::Result<XdpStatistics> {
        self.option(libc::XDP_STATISTICS)
    }

    fn set<T: IntoBytes + Immutable>(&self, option: c_int, value: &T) -> io::Result<()> {
        let (at, len) = (value.as_bytes().as_ptr().cast(), size_of::<T>() as libc::socklen_t);
        // SAFETY: `value` is readable over its length; what `register` points to is its caller's.
        check(unsafe { libc::setsockopt(self.as_raw_fd(), libc::SOL_XDP, option, at, len) })
            .map(drop)
    }

    /// An option, as far as the kernel fills it in.
    fn option<T: FromBytes>(&self, option: c_int) -> io::Result<T> {
        let mut value = MaybeUninit::<T>::zeroed();
        let mut len = size_of::<T>() as libc::socklen_t;
        let at: *mut c_void = value.as_mut_ptr().cast();
        let fd = self.as_raw_fd();
        // SAFETY: `value` is writable over `len`.
        check(unsafe { libc::getsockopt(fd, libc::SOL_XDP, option, at, &raw mut len) })?;
        // SAFETY: all bytes were set to zero, and any bytes make a `T`.
        Ok(unsafe { value.assume_init() })
    }
}

impl Which {
    fn option(self) -> c_int {
        match self {
            Which::Rx => libc::XDP_RX_RING,
            Which::Tx => libc::XDP_TX_RING,
            Which::Fill => libc::XDP_UMEM_FILL_RING,
            Which::Completion => libc::XDP_UMEM_COMPLETION_RING,
        }
    }

    /// Where in the socket it is mapped.
    fn place(self) -> u64 {
        match self {
            Which::Rx => libc::XDP_PGOFF_RX_RING as u64,
            Which::Tx => libc::XDP_PGOFF_TX_RING as u64,
            Which::Fill => libc::XDP_UMEM_PGOFF_FILL_RING,
            Which::Completion => libc::XDP_UMEM_PGOFF_COMPLETION_RING,
        }
    }

    /// Which one it is in `struct xdp_mmap_offsets`.
    fn position(self) -> usize {
        self as usize
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for XdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

const _: () = assert!(size_of::<Memory>() == size_of::<libc::xdp_umem_reg>());
const _: () = assert!(size_of::<Offsets>() * 4 == size_of::<libc::xdp_mmap_offsets>());
const _: () = assert!(size_of::<XdpStatistics>() == size_of::<libc::xdp_statistics>());

//! Packet sockets and their options.

use super::check;
use libc::{c_int, c_void};
use linecard_net::MacAddr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A packet socket. It never waits.
#[derive(Debug)]
pub(crate) struct PacketSocket(File);

/// What a receiving socket lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Everything.
    Pass,
    /// Nothing.
    Drop,
}

/// Something that an interface is asked for as long as a socket wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Frames to all stations.
    Promiscuous,
    /// All multicast frames.
    AllMulticast,
    /// Frames to this address.
    Unicast(MacAddr),
}

/// `struct tpacket_req3`; the first four numbers are `struct tpacket_req`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
pub(crate) struct RingRequest {
    pub(crate) block_size: u32,
    pub(crate) blocks: u32,
    pub(crate) frame_size: u32,
    pub(crate) frames: u32,
    /// Milliseconds after which a block is handed over that is not full.
    pub(crate) retire: u32,
    pub(crate) private: u32,
    pub(crate) features: u32,
}

impl RingRequest {
    /// Bytes of the ring.
    pub(crate) fn len(&self) -> usize {
        self.block_size as usize * self.blocks as usize
    }
}

/// `struct packet_mreq`.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
struct MembershipRequest {
    index: c_int,
    kind: u16,
    len: u16,
    address: [u8; 8],
}

impl PacketSocket {
    /// A socket that receives nothing until it is bound.
    pub(crate) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: `socket` takes no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: just made, and ours alone.
        Ok(PacketSocket(unsafe { File::from_raw_fd(fd) }))
    }

    /// Binds it to an interface; it receives frames of `protocol` (0: none).
    pub(crate) fn bind(&self, index: c_int, protocol: c_int) -> io::Result<()> {
        // SAFETY: a `sockaddr_ll` is plain data, valid when all zero.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (protocol as u16).to_be();
        address.sll_ifindex = index;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` is of this size and borrowed for the call.
        check(unsafe { libc::bind(self.raw(), (&raw const address).cast(), len) }).map(drop)
    }

    /// Sets an option of `SOL_PACKET`.
    pub(crate) fn set<T: IntoBytes + Immutable>(&self, option: c_int, value: &T) -> io::Result<()> {
        self.set_at(libc::SOL_PACKET, option, value.as_bytes())
    }

    /// Asks for a ring of `PACKET_RX_RING` or `PACKET_TX_RING`; `TPACKET_V3` takes all of it.
    pub(crate) fn set_ring(&self, which: c_int, ring: &RingRequest) -> io::Result<()> {
        self.set(which, ring)
    }

    /// As [`set_ring`](Self::set_ring), for `TPACKET_V2`.
    pub(crate) fn set_ring_v2(&self, which: c_int, ring: &RingRequest) -> io::Result<()> {
        self.set_at(libc::SOL_PACKET, which, &ring.as_bytes()[..16])
    }

    /// Has room for so many bytes each way, as far as the system allows.
    pub(crate) fn set_buffers(&self, bytes: usize) {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        let pairs =
            [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
        for (forced, plain) in pairs {
            let set = |option| self.set_at(libc::SOL_SOCKET, option, bytes.as_bytes());
            // Less room is no reason not to work: the first needs CAP_NET_ADMIN.
            let _ = set(forced).or_else(|_| set(plain));
        }
    }

    fn set_at(&self, level: c_int, option: c_int, value: &[u8]) -> io::Result<()> {
        let (at, len) = (value.as_ptr().cast(), value.len() as libc::socklen_t);
        // SAFETY: `value` is readable over its length and holds no pointers (but for a filter's
        // program, which `filter` keeps alive).
        check(unsafe { libc::setsockopt(self.raw(), level, option, at, len) }).map(drop)
    }

    /// An option, as far as the kernel fills it in.
    pub(crate) fn option<T: FromBytes + IntoBytes>(
        &self,
        level: c_int,
        option: c_int,
    ) -> io::Result<T> {
        let mut value = T::new_zeroed();
        let bytes = value.as_mut_bytes();
        let mut len = bytes.len() as libc::socklen_t;
        let at: *mut c_void = bytes.as_mut_ptr().cast();
        // SAFETY: `bytes` is writable over `len`.
        check(unsafe { libc::getsockopt(self.raw(), level, option, at, &raw mut len) })?;
        Ok(value)
    }

    /// The number of the network namespace that the socket is in; 0 before Linux 5.14.
    pub(crate) fn namespace(&self) -> u64 {
        self.option(libc::SOL_SOCKET, libc::SO_NETNS_COOKIE).unwrap_or(0)
    }

    /// Takes the error that waits on the socket, so that it does not wake anybody.
    pub(crate) fn take_error(&self) {
        let _: io::Result<c_int> = self.option(libc::SOL_SOCKET, libc::SO_ERROR);
    }

    /// Lets everything through, or nothing.
    pub(crate) fn filter(&self, filter: Filter) -> io::Result<()> {
        if filter == Filter::Pass {
            return self.set_at(libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0.as_bytes());
        }
        // "Return 0": keep no byte of any frame.
        let mut code = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
        let program = libc::sock_fprog { len: 1, filter: &raw mut code };
        let (at, len) = ((&raw const program).cast(), size_of::<libc::sock_fprog>() as u32);
        // SAFETY: the program and its one instruction are borrowed for the call, which copies them.
        let done = unsafe {
            libc::setsockopt(self.raw(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, at, len)
        };
        check(done).map(drop)
    }

    /// Asks the interface for something, until [`leave`](Self::leave) or the socket's end.
    pub(crate) fn join(&self, index: c_int, what: Membership) -> io::Result<()> {
        self.set(libc::PACKET_ADD_MEMBERSHIP, &request(index, what))
    }

    /// Asks the interface for it no longer.
    pub(crate) fn leave(&self, index: c_int, what: Membership) -> io::Result<()> {
        self.set(libc::PACKET_DROP_MEMBERSHIP, &request(index, what))
    }

    /// Has the kernel send what is in the transmit ring.
    pub(crate) fn kick(&self) -> io::Result<()> {
        // SAFETY: no bytes are read: with a transmit ring the kernel takes them from there.
        let sent = unsafe { libc::send(self.raw(), std::ptr::null(), 0, libc::MSG_DONTWAIT) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes a frame that waits, with its header; says how long it is, which may be more than there
    /// is room for.
    pub(crate) fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let (at, len) = (into.as_mut_ptr().cast(), into.len());
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: `into` is writable over its length.
        let got = unsafe { libc::recv(self.raw(), at, len, flags) };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// The socket as a file, to write frames to.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    fn raw(&self) -> c_int {
        self.0.as_raw_fd()
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn request(index: c_int, what: Membership) -> MembershipRequest {
    let mut address = [0; 8];
    let (kind, len) = match what {
        Membership::Promiscuous => (libc::PACKET_MR_PROMISC, 0),
        Membership::AllMulticast => (libc::PACKET_MR_ALLMULTI, 0),
        Membership::Unicast(mac) => {
            address[..6].copy_from_slice(&mac.octets());
            (libc::PACKET_MR_UNICAST, 6)
        }
    };
    MembershipRequest { index, kind: kind as u16, len, address }
}

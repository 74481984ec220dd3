//! The TAP behind a port: one file a queue, attached with a virtio-net header.

use super::sys::{self, check};
use linecard_net::MacAddr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Ethernet frames behind a virtio-net header, one queue of several.
const KIND: libc::c_int =
    libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE;
/// `TUNSETVNETLE`: the header is of little endian, whatever the machine is.
const TUNSETVNETLE: u32 = 0x4004_54DC;
/// The type of a link layer that has Ethernet headers.
const ARPHRD_ETHER: u16 = 1;

/// A queue of a TAP.
#[derive(Debug)]
pub(super) struct TapQueue {
    file: File,
    joined: bool,
}

impl TapQueue {
    /// Attaches a queue to the interface `name`, which the first one makes; gives its name. Beyond the
    /// first it is not part of the interface yet.
    pub(super) fn attach(name: &str, more: libc::c_int) -> io::Result<(Self, String)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let queue = TapQueue { file: options.open("/dev/net/tun")?, joined: true };
        let mut request = named(name)?;
        request.ifr_ifru.ifru_flags = (KIND | more) as libc::c_short;
        // SAFETY: it takes an `ifreq`.
        unsafe { sys::ioctl(queue.file.as_fd(), libc::TUNSETIFF as u32, &mut request) }?;
        Ok((queue, name_of(&request)))
    }

    /// Headers of `len` bytes, of little endian.
    pub(super) fn set_header(&self, len: usize) -> io::Result<()> {
        let (mut len, mut little) = (len as libc::c_int, 1);
        // SAFETY: both read an `int`.
        unsafe {
            sys::ioctl(self.file.as_fd(), libc::TUNSETVNETHDRSZ as u32, &mut len)?;
            sys::ioctl::<libc::c_int>(self.file.as_fd(), TUNSETVNETLE, &mut little)
        }
    }

    /// Says what (`TUN_F_…`) the kernel may leave undone.
    pub(super) fn set_offload(&self, offload: libc::c_uint) -> io::Result<()> {
        sys::ioctl_number(self.file.as_fd(), libc::TUNSETOFFLOAD as u32, offload as usize)
    }

    /// Plugs the cable in (1), or out (0).
    pub(super) fn set_carrier(&self, mut on: libc::c_int) -> io::Result<()> {
        // SAFETY: it reads an `int`.
        unsafe { sys::ioctl(self.file.as_fd(), libc::TUNSETCARRIER as u32, &mut on) }
    }

    /// Makes the interface spread frames to this queue too, or no longer.
    pub(super) fn set_joined(&mut self, joined: bool) -> io::Result<()> {
        if joined == self.joined {
            return Ok(());
        }
        let flag = if joined { libc::IFF_ATTACH_QUEUE } else { libc::IFF_DETACH_QUEUE };
        let mut request = empty();
        request.ifr_ifru.ifru_flags = flag as libc::c_short;
        // SAFETY: it takes an `ifreq`.
        unsafe { sys::ioctl(self.file.as_fd(), libc::TUNSETQUEUE as u32, &mut request) }?;
        self.joined = joined;
        Ok(())
    }

    /// Whether there is an interface that it belongs to, in whichever network namespace.
    pub(super) fn has_interface(&self) -> bool {
        let mut request = empty();
        // SAFETY: it takes an `ifreq`.
        unsafe { sys::ioctl(self.file.as_fd(), libc::TUNGETIFF as u32, &mut request) }.is_ok()
    }

    /// Throws away what waits in it: frames of before the port was started.
    pub(super) fn drain(&self) {
        use std::io::Read;
        let mut frame = vec![0; 65_536 + 64];
        // An error is the end of them, or a queue that is not joined.
        while (&self.file).read(&mut frame).is_ok_and(|n| n > 0) {}
    }
}

impl AsFd for TapQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The interface, by its name, in the network namespace that this was made in.
#[derive(Debug)]
pub(super) struct Interface {
    socket: OwnedFd,
    pub(super) name: String,
}

impl Interface {
    pub(super) fn new(name: String) -> io::Result<Self> {
        // SAFETY: `socket` takes no pointers.
        let fd = check(unsafe {
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
        })?;
        // SAFETY: just made, and ours alone.
        Ok(Interface { socket: unsafe { OwnedFd::from_raw_fd(fd) }, name })
    }

    fn request(&self, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        // SAFETY: every request of this module takes an `ifreq`, and follows no pointer in it.
        check(unsafe { libc::ioctl(fd, number as _, core::ptr::from_mut(request)) }).map(drop)
    }

    fn flags(&self) -> io::Result<libc::c_short> {
        let mut request = named(&self.name)?;
        self.request(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        Ok(unsafe { request.ifr_ifru.ifru_flags })
    }

    pub(super) fn is_up(&self) -> io::Result<bool> {
        Ok(libc::c_int::from(self.flags()?) & libc::IFF_UP != 0)
    }

    pub(super) fn bring_up(&self) -> io::Result<()> {
        let flags = self.flags()?;
        let mut request = named(&self.name)?;
        request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
        self.request(libc::SIOCSIFFLAGS, &mut request)
    }

    pub(super) fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        let mut request = named(&self.name)?;
        request.ifr_ifru.ifru_mtu = mtu.into();
        self.request(libc::SIOCSIFMTU, &mut request)
    }

    pub(super) fn mac(&self) -> io::Result<MacAddr> {
        let mut request = named(&self.name)?;
        self.request(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        let data = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
        Ok(MacAddr(std::array::from_fn(|i| data[i] as u8)))
    }

    pub(super) fn set_mac(&self, mac: MacAddr) -> io::Result<()> {
        let mut request = named(&self.name)?;
        let mut sa_data = [0; 14];
        sa_data.iter_mut().zip(mac.octets()).for_each(|(to, byte)| *to = byte as libc::c_char);
        request.ifr_ifru.ifru_hwaddr = libc::sockaddr { sa_family: ARPHRD_ETHER, sa_data };
        self.request(libc::SIOCSIFHWADDR, &mut request)
    }
}

fn empty() -> libc::ifreq {
    // SAFETY: an `ifreq` is plain data, valid when all zero.
    unsafe { std::mem::zeroed() }
}

/// A request about the interface of this name.
fn named(name: &str) -> io::Result<libc::ifreq> {
    let mut request = empty();
    if name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let to = request.ifr_name.iter_mut();
    to.zip(name.bytes()).for_each(|(to, byte)| *to = byte as libc::c_char);
    Ok(request)
}

fn name_of(request: &libc::ifreq) -> String {
    let bytes = request.ifr_name.iter().map(|c| *c as u8).take_while(|b| *b != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

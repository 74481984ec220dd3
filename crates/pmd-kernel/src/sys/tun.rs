//! The file `/dev/net/tun` and its requests.

use super::check;
use super::interface::{empty, name_of, named};
use linecard_virtqueue::net::VnetHdr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Flags of `TUNSETIFF` and `TUNGETIFF`.
pub(crate) type TunFlags = libc::c_int;

/// An open `/dev/net/tun`: one queue of a TAP, once attached.
#[derive(Debug)]
pub(crate) struct TunFile(File);

impl TunFile {
    /// Opens the device, in the network namespace of this thread.
    pub(crate) fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        options.open("/dev/net/tun").map(TunFile)
    }

    /// One that somebody else opened; from now on it does not block, for everybody who has it.
    pub(crate) fn handed_over(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: F_GETFL and F_SETFL take no pointers; the descriptor is open while borrowed.
        unsafe {
            let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
            check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))?;
        }
        Ok(TunFile(File::from(fd)))
    }

    /// Makes the interface, or attaches to it; gives its name.
    pub(crate) fn attach(&self, name: &str, flags: TunFlags) -> io::Result<String> {
        let mut request = named(name)?;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        self.ioctl(libc::TUNSETIFF, (&raw mut request).cast())?;
        Ok(name_of(&request))
    }

    /// The name and flags of what it is attached to.
    pub(crate) fn attached(&self) -> io::Result<(String, TunFlags)> {
        let mut request = empty();
        self.ioctl(libc::TUNGETIFF, (&raw mut request).cast())?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        Ok((name_of(&request), TunFlags::from(flags as u16)))
    }

    /// Takes the queue out of the interface, which stops spreading frames to it, or puts it back:
    /// `IFF_DETACH_QUEUE` or `IFF_ATTACH_QUEUE`.
    pub(crate) fn switch_queue(&self, flag: TunFlags) -> io::Result<()> {
        let mut request = empty();
        request.ifr_ifru.ifru_flags = flag as libc::c_short;
        self.ioctl(libc::TUNSETQUEUE, (&raw mut request).cast())
    }

    /// Says which unfinished frames (`TUN_F_…`) the kernel may hand over.
    pub(crate) fn set_offload(&self, offload: libc::c_uint) -> io::Result<()> {
        self.number(libc::TUNSETOFFLOAD, offload as usize)
    }

    /// Makes the header in front of frames as long as [`VnetHdr`].
    pub(crate) fn set_header(&self) -> io::Result<()> {
        let mut size = size_of::<VnetHdr>() as libc::c_int;
        self.ioctl(libc::TUNSETVNETHDRSZ, (&raw mut size).cast())
    }

    /// Plugs the cable in, or out.
    pub(crate) fn set_carrier(&self, mut on: libc::c_int) -> io::Result<()> {
        self.ioctl(libc::TUNSETCARRIER, (&raw mut on).cast())
    }

    /// The file, to read frames from and write them to.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    fn ioctl(&self, number: libc::Ioctl, argument: *mut libc::c_void) -> io::Result<()> {
        // SAFETY: callers pass a borrowed `ifreq` or `int`, as the request wants it.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), number, argument) }).map(drop)
    }

    fn number(&self, number: libc::Ioctl, argument: usize) -> io::Result<()> {
        // SAFETY: the request takes a number, no pointer.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), number, argument) }).map(drop)
    }
}

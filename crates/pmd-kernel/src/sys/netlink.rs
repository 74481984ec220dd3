//! Netlink sockets.

use super::check;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A socket to `rtnetlink`.
#[derive(Debug)]
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    /// A socket that is told what `groups` (`RTMGRP_…`) tell. It never waits.
    pub(crate) fn open(groups: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: `socket` takes no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
        // SAFETY: just made, and ours alone.
        let socket = Netlink(unsafe { OwnedFd::from_raw_fd(fd) });
        // SAFETY: a `sockaddr_nl` is plain data, valid when all zero.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: `address` is of this size and borrowed for the call.
        check(unsafe { libc::bind(fd, (&raw const address).cast(), len) })?;
        Ok(socket)
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &[u8]) -> io::Result<()> {
        let (at, len) = (message.as_ptr().cast(), message.len());
        // SAFETY: `message` is readable over its length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), at, len, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// What has come; `None` if nothing has.
    pub(crate) fn receive<'a>(&self, into: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        let (at, len) = (into.as_mut_ptr().cast(), into.len());
        // SAFETY: `into` is writable over its length.
        let got = unsafe { libc::recv(self.0.as_raw_fd(), at, len, 0) };
        if got >= 0 {
            return Ok(Some(&into[..got as usize]));
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error),
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

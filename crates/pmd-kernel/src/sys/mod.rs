//! System calls, each behind a safe function.

mod bpf;
mod interface;
mod netlink;
mod packet_socket;
mod shared;
mod tun;
mod xdp_socket;

pub(crate) use bpf::{Hook, Redirection, SocketMap};
pub(crate) use interface::{Interface, link_state};
pub(crate) use netlink::Netlink;
pub(crate) use packet_socket::{Filter, Membership, PacketSocket, RingRequest};
pub(crate) use shared::SharedArea;
pub(crate) use tun::{TunFile, TunFlags};
pub(crate) use xdp_socket::{Parts, Which, XdpSocket, XdpStatistics};

use linecard_pmd_core::Error;
use std::io;

/// Turns the -1 of a system call into the error that it left.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Whether the system says that the interface does not exist (any more).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO | libc::EBADFD))
}

/// The refusal of `port`: that it is gone, if that is what the system says.
pub(crate) fn refusal(port: &str, doing: &str, error: io::Error) -> Error {
    match error.raw_os_error() {
        _ if is_gone(&error) => Error::Gone { port: port.into() },
        Some(libc::EPERM | libc::EACCES) => {
            Error::system_hint(port, doing, error, "take root or CAP_NET_ADMIN")
        }
        _ => Error::system(port, doing, error),
    }
}

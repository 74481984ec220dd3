//! The socket at which both sides meet: connecting to it, without ever waiting.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connects to whoever listens at `path`. The socket never blocks.
///
/// # Errors
/// Nobody listens there. [`WouldBlock`](io::ErrorKind::WouldBlock) if somebody does, and takes nobody now:
/// a connection would wait, as long as that is so, in a call that nothing ends.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let (address, len) = address_of(path)?;
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `socket` takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and ours alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the address is as long as is said, and outlives the call.
    let refused =
        unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) } < 0;
    if refused { Err(io::Error::last_os_error()) } else { Ok(socket.into()) }
}

/// Whether the socket at `path` is left over from somebody who is gone: nobody listens at it, in whatever
/// way.
pub fn is_left_over(path: &Path) -> bool {
    connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn address_of(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: plain numbers, valid when all zero.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    // One zero at the end.
    if bytes.is_empty() || bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        let why = "a socket's path has 1 to 107 bytes, none of which is 0";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    address.sun_path.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte as libc::c_char);
    Ok((address, size_of::<libc::sockaddr_un>() as libc::socklen_t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    #[test]
    fn a_socket_is_left_over_if_nobody_listens_at_it_in_whatever_way() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        drop(connect(&path).expect("somebody listens"));
        assert!(!is_left_over(&path));
        drop(listener);
        assert!(is_left_over(&path));
        std::fs::remove_file(&path).expect("removed");
        assert!(!is_left_over(&path), "there is none");
        let _datagrams = UnixDatagram::bind(&path).expect("a socket");
        assert!(!is_left_over(&path));
    }

    #[test]
    fn somebody_who_takes_nobody_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        // SAFETY: `listen` takes no pointers. One may wait, and nobody else.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let first = connect(&path).expect("one may wait");
        let second = connect(&path).expect_err("and nobody else");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        assert!(!is_left_over(&path));
        drop(first);
    }

    #[test]
    fn a_path_that_no_socket_has_is_refused() {
        for path in ["", "a\0b", &"x".repeat(108)] {
            let error = connect(Path::new(path)).expect_err("it is none");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
    }
}

//! Connecting to a socket, for as long as is said and no longer.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// As `UnixStream::connect`, which waits for ever where nobody accepts and the queue of those who want
/// to be accepted is full.
pub(super) fn connect(path: &Path, within: Duration) -> io::Result<UnixStream> {
    let (address, len) = address(path)?;
    let socket = socket()?;
    let begin = Instant::now();
    loop {
        let left = within.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(late(within));
        }
        // A limit of less than a microsecond would be none.
        socket.set_write_timeout(Some(left.max(Duration::from_micros(1))))?;
        // SAFETY: a descriptor that is ours, and an address of so many bytes, borrowed for the call.
        let done = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) };
        match io::Error::last_os_error() {
            _ if done == 0 => break,
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error if error.kind() == io::ErrorKind::WouldBlock => return Err(late(within)),
            error => return Err(error),
        }
    }
    socket.set_write_timeout(None)?;
    Ok(socket)
}

fn late(within: Duration) -> io::Error {
    let text = format!("nobody has accepted the connection within {within:?}: the server is busy");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn socket() -> io::Result<UnixStream> {
    // SAFETY: numbers only.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else knows it.
    Ok(UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: numbers only, which may all be 0.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    let (limit, refused) = (address.sun_path.len(), io::ErrorKind::InvalidInput);
    if bytes.contains(&0) {
        return Err(io::Error::new(refused, "a path has no zero bytes"));
    }
    // One more ends it.
    if bytes.len() >= limit {
        let text = format!("a socket's path has at most {} bytes", limit - 1);
        return Err(io::Error::new(refused, text));
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as libc::c_char;
    }
    let len = mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
    Ok((address, len as libc::socklen_t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_server_that_accepts_nobody_is_not_waited_for_longer_than_said() {
        let folder = std::env::temp_dir().join(format!("linecard-connect-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: a descriptor that is ours; the queue becomes as short as can be.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let long = Duration::from_secs(60);
        let first = connect(&path, long).unwrap();
        let refused = connect(&path, Duration::from_millis(50)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(refused.to_string().contains("within 50ms"), "{refused}");
        let (accepted, _) = listener.accept().unwrap();
        connect(&path, long).unwrap();
        drop((first, accepted, listener));
        assert_eq!(connect(&path, long).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(connect(&path, long).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_path_that_is_no_socket_s_is_refused() {
        for (path, why) in [("x".repeat(108), "107 bytes"), ("a\0b".into(), "zero")] {
            let refused = connect(Path::new(&path), Duration::from_secs(1)).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }
}

//! One message at a time over a Unix socket, with the descriptors that come with it. A peer that
//! sends nonsense, stops in the middle or says nothing is an error within a bounded time.

use super::message::{Header, MessageFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The longest body that is taken: more than any message has.
pub const MAX_BODY: usize = 4096;
/// The most descriptors that come with a message.
pub const MAX_FDS: usize = 8;

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The peer closed the socket.
    #[error("the other side closed the connection")]
    Closed,
    /// The peer said nothing, or not all, for so long.
    #[error("no answer within {0:?}: is it a vhost-user socket, and its owner alive?")]
    Silent(Duration),
    /// Another version of the protocol, or not the protocol at all.
    #[error("flags {0:#x}: not vhost-user version 1")]
    Version(u32),
    /// A body that no message has.
    #[error("a message of {0} bytes: none is longer than {MAX_BODY}")]
    TooLong(u32),
    /// More descriptors than any message has.
    #[error("more than {MAX_FDS} file descriptors in one message")]
    TooManyFds,
    /// A body too short for its message.
    #[error("request {request}: a body of {got} bytes is too short")]
    Short {
        /// Which request.
        request: u32,
        /// Bytes of it.
        got: usize,
    },
    /// The system refused.
    #[error("vhost-user socket: {0}")]
    System(#[from] io::Error),
}

/// A message that has been received.
#[derive(Debug)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// What follows it.
    pub body: Vec<u8>,
    /// Descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

impl Message {
    /// Its flags.
    pub fn flags(&self) -> MessageFlags {
        MessageFlags::from_bits_retain(self.header.flags)
    }

    /// The body's beginning as a `T`.
    ///
    /// # Errors
    /// It is too short for one.
    pub fn read<T: FromBytes + KnownLayout + Immutable>(&self) -> Result<T, WireError> {
        let short = WireError::Short { request: self.header.request, got: self.body.len() };
        T::read_from_prefix(&self.body).map(|(value, _)| value).map_err(|_| short)
    }
}

/// One end of a vhost-user socket.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
}

impl Connection {
    /// Over a connected socket, which is set to never block.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(socket: UnixStream) -> Result<Self, WireError> {
        socket.set_nonblocking(true)?;
        Ok(Connection { socket })
    }

    /// Sends a message: its body in parts, the descriptors with the first byte.
    ///
    /// # Errors
    /// The peer is gone, or takes nothing for `patience`.
    pub fn send(
        &self,
        (request, flags): (u32, MessageFlags),
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        patience: Duration,
    ) -> Result<(), WireError> {
        let size: usize = body.iter().map(|part| part.len()).sum();
        let flags = (MessageFlags::VERSION | flags).bits();
        let mut bytes = Vec::with_capacity(size_of::<Header>() + size);
        let size = u32::try_from(size).map_err(|_| WireError::TooLong(u32::MAX))?;
        bytes.extend_from_slice(Header { request, flags, size }.as_bytes());
        body.iter().for_each(|part| bytes.extend_from_slice(part));
        let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        if fds.len() > MAX_FDS {
            return Err(WireError::TooManyFds);
        }
        let until = Instant::now() + patience;
        let (mut sent, mut fds) = (0, fds.as_slice());
        while sent < bytes.len() {
            match send_some(self.socket.as_raw_fd(), &bytes[sent..], fds) {
                Ok(n) => (sent, fds) = (sent + n, &[]),
                Err(error) if would_block(&error) => {
                    self.wait(libc::POLLOUT, until, patience)?;
                }
                Err(error) => return Err(told(error)),
            }
        }
        Ok(())
    }

    /// The next message; `None` if none has begun within `patience` (0: is there one now?). Once it has
    /// begun, all of it comes within `patience` or a second, whichever is longer: fragments win no time.
    ///
    /// # Errors
    /// The peer closed, stopped in the middle, or sends what is not vhost-user.
    pub fn receive(&self, patience: Duration) -> Result<Option<Message>, WireError> {
        let mut fds = Vec::new();
        let mut header = Header::default();
        let mut time = Time { until: Instant::now() + patience, patience, begun: false };
        match self.fill(header.as_mut_bytes(), &mut fds, &mut time) {
            Ok(()) => {}
            Err((0, WireError::Silent(_))) => return Ok(None),
            Err((_, error)) => return Err(error),
        }
        let version = header.flags & MessageFlags::VERSION_MASK.bits();
        if version != MessageFlags::VERSION.bits() {
            return Err(WireError::Version(header.flags));
        }
        if header.size as usize > MAX_BODY {
            return Err(WireError::TooLong(header.size));
        }
        let mut body = vec![0; header.size as usize];
        self.fill(&mut body, &mut fds, &mut time).map_err(|(_, error)| error)?;
        Ok(Some(Message { header, body, fds }))
    }

    /// The socket.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Fills `into`; if not, how much of it, and why.
    fn fill(
        &self,
        into: &mut [u8],
        fds: &mut Vec<OwnedFd>,
        time: &mut Time,
    ) -> Result<(), (usize, WireError)> {
        let mut got = 0;
        while got < into.len() {
            match receive_some(self.socket.as_raw_fd(), &mut into[got..], fds) {
                Ok(0) => return Err((got, WireError::Closed)),
                Ok(n) => {
                    got += n;
                    time.begin();
                }
                Err(WireError::System(error)) if would_block(&error) => {
                    time.check()
                        .and_then(|()| self.wait(libc::POLLIN, time.until, time.patience))
                        .map_err(|e| (got, e))?;
                }
                Err(error) => return Err((got, error)),
            }
        }
        Ok(())
    }

    fn wait(&self, events: i16, until: Instant, patience: Duration) -> Result<(), WireError> {
        let left = until.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events, revents: 0 };
        // SAFETY: one pollfd, which outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            0 => Err(WireError::Silent(patience)),
            1.. => Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error.into()),
            },
        }
    }
}

/// The least time that a message has to end once it has begun.
const TO_END: Duration = Duration::from_secs(1);

/// How long a message may take: to begin, and then, fixed at its first byte, to end.
struct Time {
    until: Instant,
    patience: Duration,
    begun: bool,
}

impl Time {
    /// Bytes have come; the first of them decide.
    fn begin(&mut self) {
        if !self.begun {
            (self.begun, self.patience) = (true, self.patience.max(TO_END));
            self.until = Instant::now() + self.patience;
        }
    }

    /// Whether a message that has begun may still go on.
    fn check(&self) -> Result<(), WireError> {
        let late = self.begun && Instant::now() >= self.until;
        if late { Err(WireError::Silent(self.patience)) } else { Ok(()) }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn told(error: io::Error) -> WireError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => WireError::Closed,
        _ => WireError::System(error),
    }
}

/// Room for the descriptors of a message, aligned as a `cmsghdr` wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Bytes of a control message of [`MAX_FDS`] descriptors.
// SAFETY: CMSG_SPACE computes a length and touches no memory.
const CONTROL: usize = unsafe { libc::CMSG_SPACE((MAX_FDS * size_of::<RawFd>()) as u32) } as usize;

/// One `sendmsg`.
fn send_some(socket: RawFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: all zeroes is a valid `msghdr`: no name, no parts, no control.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    if !fds.is_empty() {
        let bytes = size_of_val(fds) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: `control` has room for MAX_FDS descriptors, of which there are no more; the first
        // header lies at its start, and the data of `bytes` behind it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(bytes) as usize;
            let first = libc::CMSG_FIRSTHDR(&raw const message);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(bytes) as usize;
            let data = libc::CMSG_DATA(first).cast::<RawFd>();
            std::ptr::copy_nonoverlapping(fds.as_ptr(), data, fds.len());
        }
    }
    // SAFETY: `message` and what it points to outlive the call.
    let sent = unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// One `recvmsg`; descriptors are added to `fds`.
fn receive_some(
    socket: RawFd,
    into: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> Result<usize, WireError> {
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: as in `send_some`.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL;
    // SAFETY: `message` and what it points to outlive the call.
    let got = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let got = usize::try_from(got).map_err(|_| told(io::Error::last_os_error()))?;
    // SAFETY: the kernel has just filled `message` in.
    unsafe { collect(&message, fds) };
    if message.msg_flags & libc::MSG_CTRUNC != 0 || fds.len() > MAX_FDS {
        return Err(WireError::TooManyFds);
    }
    Ok(got)
}

/// Takes ownership of the descriptors that came.
///
/// # Safety
/// `message` is as `recvmsg` left it, and is collected once.
unsafe fn collect(message: &libc::msghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: headers are walked as the macros do it, within what the kernel wrote; descriptors in
    // an SCM_RIGHTS message are new, open, and nobody else's.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(message);
        while !at.is_null() {
            let header = &*at;
            if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let bytes = header.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(at).cast::<RawFd>();
                for i in 0..bytes / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
                }
            }
            at = libc::CMSG_NXTHDR(message, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vhost_user::Request;
    use crate::vhost_user::message::VringState;
    use std::io::{Read, Write};

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn pair() -> (Connection, Connection) {
        let (a, b) = UnixStream::pair().expect("sockets");
        (Connection::new(a).expect("one"), Connection::new(b).expect("another"))
    }

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (here, there) = pair();
        let (mut read, write) = UnixStream::pair().expect("sockets");
        let state = VringState { index: 3, num: 256 };
        let asked = (Request::SetVringNum as u32, MessageFlags::NEED_REPLY);
        here.send(asked, &[state.as_bytes()], &[write.as_fd()], LONG).expect("sent");
        let message = there.receive(LONG).expect("whole").expect("one");
        assert_eq!(message.read::<VringState>().expect("a state"), state);
        assert_eq!(Request::of(message.header.request), Some(Request::SetVringNum));
        assert!(message.flags().contains(MessageFlags::VERSION | MessageFlags::NEED_REPLY));
        drop(write);
        let fd = message.fds.into_iter().next().expect("a descriptor");
        std::fs::File::from(fd).write_all(b"hello").expect("it is open");
        let mut bytes = [0; 5];
        read.read_exact(&mut bytes).expect("what was written");
        assert_eq!(&bytes, b"hello");
    }

    #[test]
    fn silence_is_none_and_a_closed_or_broken_peer_an_error() {
        let (here, there) = pair();
        assert!(here.receive(Duration::ZERO).expect("open").is_none());
        there.socket().write_all(&[1, 0, 0]).expect("three bytes");
        assert!(matches!(here.receive(SOON), Err(WireError::Silent(_))));
        drop(there);
        assert!(matches!(here.receive(SOON), Err(WireError::Closed)));
        assert!(matches!(
            here.send((1, MessageFlags::empty()), &[], &[], SOON),
            Err(WireError::Closed)
        ));
    }

    #[test]
    fn another_version_and_a_body_without_end_are_errors() {
        for (flags, size, what) in [(2, 0, "version"), (0, 0, "version"), (1, 1 << 30, "none is")] {
            let (here, there) = pair();
            let header = Header { request: 1, flags, size };
            there.socket().write_all(header.as_bytes()).expect("a header");
            let error = here.receive(SOON).expect_err("nonsense").to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_message_in_fragments_wins_no_time() {
        let (here, there) = pair();
        let header = Header { request: 1, flags: 1, size: MAX_BODY as u32 };
        std::thread::scope(|scope| {
            let dripping = scope.spawn(move || {
                let bytes = [header.as_bytes(), &[0; MAX_BODY]].concat();
                let drip = |byte: &u8| {
                    std::thread::sleep(SOON);
                    there.socket().write_all(&[*byte]).is_ok()
                };
                bytes.iter().take_while(|byte| drip(byte)).count()
            });
            assert!(matches!(here.receive(LONG / 20), Err(WireError::Silent(_))));
            drop(here);
            // All of it would take more than a minute.
            assert!(dripping.join().expect("no panic") < MAX_BODY);
        });
    }

    #[test]
    fn a_peer_that_takes_nothing_is_given_up() {
        let (here, _there) = pair();
        let body = [0; MAX_BODY];
        let mut tries = 0..10_000;
        let full = |_| here.send((1, MessageFlags::empty()), &[&body], &[], SOON).is_err();
        assert!(tries.any(full));
    }
}

//! Messages: a header of 16 bytes, a payload, and descriptors beside them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// What is asked of the other side, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Version = 1,
    DmaMap = 2,
    DmaUnmap = 3,
    DeviceInfo = 4,
    RegionInfo = 5,
    IrqInfo = 7,
    SetIrqs = 8,
    RegionRead = 9,
    RegionWrite = 10,
    Reset = 13,
}

pub(super) const HEADER: usize = 16;
const KIND: u32 = 0xf;
const COMMAND: u32 = 0;
const REPLY: u32 = 1;
const ERROR: u32 = 1 << 5;
/// The most that an answer may have behind its header.
const MOST: usize = 1 << 20;
/// The most descriptors of one message.
const MOST_FDS: usize = 8;

/// Bytes of a message behind its header, in the machine's order.
#[derive(Debug, Default)]
pub(super) struct Payload(Vec<u8>);

impl Payload {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn word(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(super) fn double(self, value: u64) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// A message of the other side.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: u16,
    pub(super) flags: u32,
    pub(super) error: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

impl Message {
    /// A number of the payload; 0 beyond its end.
    pub(super) fn word(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_ne_bytes)
    }

    /// As `word`, of 64 bits.
    pub(super) fn double(&self, at: usize) -> u64 {
        let bytes = self.bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    }

    pub(super) fn is_reply(&self) -> bool {
        self.flags & KIND == REPLY
    }

    pub(super) fn is_command(&self) -> bool {
        self.flags & KIND == COMMAND
    }

    /// The error that a reply tells of.
    pub(super) fn refusal(&self) -> Option<io::Error> {
        let code = i32::try_from(self.error).ok().filter(|&code| code > 0).unwrap_or(libc::EIO);
        (self.flags & ERROR != 0).then(|| io::Error::from_raw_os_error(code))
    }
}

/// Sends a request.
pub(super) fn request(
    stream: &UnixStream,
    id: u16,
    request: Request,
    payload: &Payload,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = framed(id, request as u16, COMMAND, 0, &payload.0);
    send(stream, &bytes, fds)
}

/// Says no to a request of the other side.
pub(super) fn refuse(stream: &UnixStream, asked: &Message, command: u16) -> io::Result<()> {
    let error = libc::ENOTSUP.cast_unsigned();
    send(stream, &framed(asked.id, command, REPLY | ERROR, error, &[]), &[])
}

fn framed(id: u16, command: u16, flags: u32, error: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(id.to_ne_bytes());
    bytes.extend(command.to_ne_bytes());
    bytes.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(error.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Receives a message, and the number of its command.
///
/// # Errors
/// What the socket says; that the message makes no sense, or is not whole by `until`.
pub(super) fn receive(stream: &UnixStream, until: Instant) -> io::Result<(u16, Message)> {
    let mut header = [0; HEADER];
    let mut fds = Vec::new();
    fill(stream, &mut header, &mut fds, until)?;
    let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
    let length = (word(4) as usize).checked_sub(HEADER).filter(|&length| length <= MOST);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; length];
    fill(stream, &mut bytes, &mut fds, until)?;
    Ok((half(2), Message { id: half(0), flags: word(8), error: word(12), bytes, fds }))
}

fn fill(
    stream: &UnixStream,
    mut bytes: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    until: Instant,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match take(stream, bytes, fds) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => bytes = &mut bytes[got..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // Each piece of a message may bring as many: those beyond are closed here.
        fds.truncate(MOST_FDS);
        if !bytes.is_empty() && Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// Room for descriptors beside a message, aligned as the kernel wants it.
type Control = [MaybeUninit<u64>; 8];

const fn room(fds: usize) -> usize {
    // SAFETY: these only calculate.
    unsafe { libc::CMSG_SPACE((fds * size_of::<RawFd>()) as u32) as usize }
}

const _: () = assert!(room(MOST_FDS) <= size_of::<Control>());

fn header(part: &mut libc::iovec, control: &mut Control, len: usize) -> libc::msghdr {
    // SAFETY: of a plain C structure all zeroes are a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    if len > 0 {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = len as _;
    }
    header
}

pub(super) fn send(
    stream: &UnixStream,
    mut bytes: &[u8],
    mut fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = put(stream, bytes, fds)?;
        (bytes, fds) = (&bytes[sent..], &[]);
    }
    Ok(())
}

fn put(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MOST_FDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut control: Control = [MaybeUninit::zeroed(); 8];
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let len = if fds.is_empty() { 0 } else { room(fds.len()) };
    let message = header(&mut part, &mut control, len);
    if !fds.is_empty() {
        // SAFETY: `control` has room for one header with that many descriptors, as was checked.
        unsafe {
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(size_of_val(fds) as u32) as _;
            let data = libc::CMSG_DATA(head).cast::<RawFd>();
            for (at, fd) in fds.iter().enumerate() {
                data.add(at).write_unaligned(fd.as_raw_fd());
            }
        }
    }
    // SAFETY: all that the message points to outlives the call, which only reads it.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn take(stream: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut control: Control = [MaybeUninit::zeroed(); 8];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message = header(&mut part, &mut control, room(MOST_FDS));
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: all that the message points to outlives the call, with the lengths that it says.
    let got = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, flags) };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled in `message`, whose control part is still there.
    fds.extend(unsafe { descriptors(&message) });
    Ok(got)
}

/// # Safety
///
/// `message` was filled in by the kernel just now, and its control part is there.
unsafe fn descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut found = Vec::new();
    // SAFETY: walks what the kernel wrote, within the length that it wrote.
    unsafe {
        let mut head = libc::CMSG_FIRSTHDR(message);
        while !head.is_null() {
            if (*head).cmsg_level == libc::SOL_SOCKET && (*head).cmsg_type == libc::SCM_RIGHTS {
                let len = (*head).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(head).cast::<RawFd>();
                let fds = (0..len / size_of::<RawFd>()).map(|at| data.add(at).read_unaligned());
                found.extend(fds.map(|fd| OwnedFd::from_raw_fd(fd)));
            }
            head = libc::CMSG_NXTHDR(message, head);
        }
    }
    found
}

//! A connection: one request at a time, each with its answer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::message::{self, Message, Payload, Request};
use crate::device::DeviceError;

/// How long each piece of an answer may take, and all that is there before the last one; and being accepted.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How many messages that are no answer are put up with, in a row.
const NOISE: u32 = 64;

#[derive(Debug)]
pub(super) struct Connection {
    name: String,
    /// The socket, and the number of the next request.
    line: Mutex<(UnixStream, u16)>,
    closed: AtomicBool,
}

impl Connection {
    /// Agrees on a version: major 0 is the only one so far.
    pub(super) fn open(name: String, stream: UnixStream) -> Result<Self, DeviceError> {
        let timeout = stream.set_read_timeout(Some(PATIENCE));
        let timeout = timeout.and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        timeout.map_err(|source| DeviceError::io(format!("cannot use {name}"), source))?;
        let line = Mutex::new((stream, 0));
        let connection = Self { name, line, closed: AtomicBool::new(false) };
        let ours = Payload::new().word(0).bytes(b"{\"capabilities\":{\"max_msg_fds\":8}}\0");
        let theirs = connection.call("agree on a version", Request::Version, ours, &[])?;
        match theirs.word(0) & 0xffff {
            0 if theirs.bytes.len() >= 4 => Ok(connection),
            _ => Err(connection.unsupported("version of vfio-user that is known (0)")),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn unsupported(&self, what: &str) -> DeviceError {
        DeviceError::Unsupported { name: self.name.clone(), what: what.to_owned() }
    }

    /// Whether the other side is known to be gone.
    pub(super) fn is_closed(&self) -> bool {
        // Relaxed: a flag that says nothing about other memory; pairs with `ask`.
        self.closed.load(Ordering::Relaxed)
    }

    /// As `ask`, with words for an error.
    pub(super) fn call(
        &self,
        what: &str,
        request: Request,
        payload: Payload,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Message, DeviceError> {
        self.ask(request, payload, fds).map_err(|source| match self.is_closed() {
            true => DeviceError::Removed { name: self.name.clone() },
            false => DeviceError::io(format!("{} cannot {what}", self.name), source),
        })
    }

    /// Whether the other side has closed its end, as its death does: by the protocol it has given up
    /// our memory then. One that is only late may still write to it.
    pub(super) fn is_hung_up(&self) -> bool {
        let line = self.line.lock().unwrap_or_else(|poison| poison.into_inner());
        let mut ask = libc::pollfd { fd: line.0.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
        // SAFETY: one structure, borrowed for the call, which does not wait.
        let ready = unsafe { libc::poll(&raw mut ask, 1, 0) };
        ready == 1 && ask.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Asks the other side, and waits for its answer. A failure of the socket is the end.
    pub(super) fn ask(
        &self,
        request: Request,
        payload: Payload,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<Message> {
        let mut line = self.line.lock().unwrap_or_else(|poison| poison.into_inner());
        if self.is_closed() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let id = line.1;
        line.1 = id.wrapping_add(1);
        let answer = exchange(&line.0, id, request, &payload, fds).inspect_err(|_| {
            // Relaxed: pairs with `is_closed`. What is left in the socket is of no use any more.
            self.closed.store(true, Ordering::Relaxed);
        })?;
        match answer.refusal() {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }
}

fn exchange(
    stream: &UnixStream,
    id: u16,
    request: Request,
    payload: &Payload,
    fds: &[BorrowedFd<'_>],
) -> io::Result<Message> {
    message::request(stream, id, request, payload, fds)?;
    let until = Instant::now() + PATIENCE;
    for _ in 0..NOISE {
        let (command, got) = message::receive(stream, until)?;
        match got {
            got if got.is_command() => message::refuse(stream, &got, command)?,
            got if got.is_reply() && got.id == id && command == request as u16 => return Ok(got),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

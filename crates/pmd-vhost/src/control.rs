//! A device's control thread: listens or connects, obeys messages, and sees to queues in trouble.

use crate::device::{Device, Offer};
use crate::options::Mode;
use crate::request::Wrong;
use crate::session::Session;
use linecard_eal::event::{Epoll, EventFd, Wake};
use linecard_virtqueue::vhost_user::Connection;
use linecard_virtqueue::vhost_user::socket::connect;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a client tries to connect.
const RETRY: Duration = Duration::from_millis(100);

const STOP: u64 = 0;
const SOCKET: u64 = 1;
const ATTENTION: u64 = 2;

/// Where a front-end is met.
#[derive(Debug)]
pub(crate) enum Meeting {
    /// It comes to us.
    Listen(Arc<UnixListener>),
    /// We go to it, again and again.
    Connect(PathBuf),
}

/// The thread; ended when dropped.
#[derive(Debug)]
pub(crate) struct Control {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    pub(crate) offer: Offer,
}

impl Control {
    /// Starts the thread.
    pub(crate) fn start(
        name: &str,
        device: Arc<Device>,
        offer: Offer,
        meeting: Meeting,
    ) -> io::Result<Self> {
        let stop = Arc::new(EventFd::new()?);
        let mut host = Host { device, offer, meeting, stop: Arc::clone(&stop) };
        // Names of threads are cut at 15 bytes.
        let thread = std::thread::Builder::new().name(format!("vhost-{name}"));
        let thread = Some(thread.spawn(move || host.run())?);
        Ok(Control { stop, thread, offer })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // An eventfd of ours takes this.
        let _ = self.stop.signal();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, nothing is left of it but the connection that is closed.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Host {
    device: Arc<Device>,
    offer: Offer,
    meeting: Meeting,
    stop: Arc<EventFd>,
}

/// Why waiting ended.
#[derive(PartialEq, Eq)]
enum End {
    Stopped,
    Closed,
}

impl Host {
    fn run(&mut self) {
        // The system refuses to watch a socket, or to give one: tried again, unless told to stop.
        while let Ok(false) | Err(_) = self.meet() {
            if self.pause() == End::Stopped {
                return;
            }
        }
    }

    /// Waits a moment between two tries.
    fn pause(&self) -> End {
        let waited = Epoll::new().and_then(|epoll| {
            epoll.add(&*self.stop, STOP)?;
            let mut wakes = [Wake::default()];
            Ok(!epoll.wait(&mut wakes, Some(RETRY))?.is_empty())
        });
        match waited {
            Ok(true) => End::Stopped,
            Ok(false) => End::Closed,
            Err(_) => {
                std::thread::sleep(RETRY);
                End::Closed
            }
        }
    }

    /// Meets a front-end, and stays with it as long as it does; says whether to stop.
    fn meet(&mut self) -> io::Result<bool> {
        let socket = match &self.meeting {
            Meeting::Connect(path) => connect(path)?,
            Meeting::Listen(listener) => match self.listen(listener)? {
                Some(socket) => socket,
                None => return Ok(true),
            },
        };
        let Ok(connection) = Connection::new(socket) else { return Ok(false) };
        Ok(self.stay(&connection)? == End::Stopped)
    }

    /// Waits for somebody to come; `None` if told to stop.
    fn listen(&self, listener: &UnixListener) -> io::Result<Option<UnixStream>> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new()?;
        epoll.add(&*self.stop, STOP)?;
        epoll.add(listener, SOCKET)?;
        loop {
            let mut wakes = [Wake::default(); 2];
            if epoll.wait(&mut wakes, None)?.iter().any(|wake| wake.token() == STOP) {
                return Ok(None);
            }
            match listener.accept() {
                Ok((socket, _)) => return Ok(Some(socket)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One connection, from its first message to its end.
    fn stay(&self, connection: &Connection) -> io::Result<End> {
        let mut session = Session::new(Arc::clone(&self.device), self.offer);
        let epoll = Epoll::new()?;
        epoll.add(&*self.stop, STOP)?;
        epoll.add(connection, SOCKET)?;
        epoll.add(&*self.device.attention, ATTENTION)?;
        loop {
            let mut wakes = [Wake::default(); 3];
            for wake in epoll.wait(&mut wakes, None)? {
                match wake.token() {
                    STOP => return Ok(End::Stopped),
                    ATTENTION => {
                        self.device.attention.take()?;
                        session.attend();
                    }
                    _ if serve(&mut session, connection).is_err() => return Ok(End::Closed),
                    _ => {}
                }
            }
        }
    }
}

/// Obeys the next message, and one only: whoever never ends talking does not keep us from what else
/// there is, such as being told to stop.
fn serve(session: &mut Session, connection: &Connection) -> Result<(), Wrong> {
    match connection.receive(Duration::ZERO)? {
        Some(message) => session.serve(message, connection),
        None => Ok(()),
    }
}

impl Meeting {
    /// As the options say, once the path is known to be good.
    pub(crate) fn of(
        mode: Mode,
        path: &std::path::Path,
        listener: Option<&Arc<UnixListener>>,
    ) -> Self {
        match (mode, listener) {
            (Mode::Server, Some(listener)) => Meeting::Listen(Arc::clone(listener)),
            _ => Meeting::Connect(path.to_owned()),
        }
    }
}

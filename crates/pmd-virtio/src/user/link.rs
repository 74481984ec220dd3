//! The way to a back-end that may come and go.

use super::role;
use super::session::{Area, Rings, Session, SessionError, first_base};
use super::watch::Watch;
use crate::bell::Bell;
use crate::options::{Choice, Role, UserOptions};
use crate::transport::{Plan, QueueControl, Transport, called};
use linecard_eal::device::Vector;
use linecard_eal::event::EventFd;
use linecard_pmd_core::{Error, Event, Link};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::NetConfig;
use linecard_virtqueue::vhost_user::socket::{connect, is_left_over};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Events that are kept for a user who does not ask.
const EVENTS: usize = 64;

/// The driver's end of a virtio-user port.
pub(super) struct UserLink {
    shared: Arc<Shared>,
    offered: Features,
    pairs: usize,
    watch: Option<Watch>,
}

/// What the port and its watching thread share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) patience: Duration,
    inflight: Choice,
    pub(super) socket: Socket,
    pub(super) state: Mutex<State>,
    /// Readable when there are events.
    told: EventFd,
    /// Readable when a session was closed here: the socket that is watched is gone.
    pub(super) closed: EventFd,
}

/// The socket, for as long as the port lives.
pub(super) enum Socket {
    /// Of the back-end.
    Client(PathBuf),
    /// Ours; its file goes with it.
    Server { listener: UnixListener, _place: Place },
}

/// The file of a socket that we made, removed when this is dropped.
pub(super) struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // Gone already, perhaps: all the same.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What changes when back-ends come and go.
pub(super) struct State {
    pub(super) session: Option<Session>,
    pub(super) run: Option<Run>,
    pub(super) events: VecDeque<Event>,
}

/// A port that has been started.
pub(super) struct Run {
    plan: Plan,
    queues: Vec<Arc<dyn QueueControl>>,
    /// What the back-end keeps of it, if it does.
    area: Option<Area>,
}

impl Run {
    /// Where each ring goes on as it is; `None` if that cannot be.
    fn hand_over(&self) -> Option<Vec<u32>> {
        let mut bases = vec![first_base(self.plan.features); self.plan.rings.len()];
        for (i, queue) in self.queues.iter().enumerate() {
            let receiving = self.plan.receiving;
            let ring = if i < receiving { 2 * i } else { 2 * (i - receiving) + 1 };
            bases[ring] = queue.hand_over()?;
        }
        Some(bases)
    }

    /// Has a back-end go on: in the rings as they are, if it can take them over, or in new ones.
    fn go_on(&mut self, session: &mut Session) -> Result<(), SessionError> {
        if let Some(area) = self.area.as_ref().filter(|_| session.tracks())
            && let Some(bases) = self.hand_over()
        {
            session.start(&self.plan, Rings::Kept(area, &bases))?;
        } else {
            self.queues.iter().for_each(|queue| queue.restart());
            self.area = session.start(&self.plan, Rings::New)?;
        }
        // What stands in the rings was told to the one before.
        self.plan.rings.iter().for_each(|ring| drop(ring.kick.signal()));
        self.queues.iter().for_each(|queue| queue.resume());
        Ok(())
    }
}

impl UserLink {
    pub(super) fn open(options: &UserOptions) -> Result<Self, Error> {
        let UserOptions { name, path, patience, .. } = options;
        let doing = || format!("vhost-user {} of {}", role(options.role), path.display());
        let failed = |error: io::Error, hint: &str| match hint {
            "" => Error::system(name, doing(), error),
            hint => Error::system_hint(name, doing(), error, hint),
        };
        let (socket, first) = match options.role {
            Role::Client => {
                let stream = reach(path, *patience)
                    .map_err(|error| (hint_for(&error, path), error))
                    .map_err(|(hint, error)| failed(error, hint))?;
                (Socket::Client(path.clone()), stream)
            }
            Role::Server => {
                let (listener, place) =
                    listen(path).map_err(|e| failed(e, "is another program using it?"))?;
                let first = wait_for(&listener, *patience)
                    .map_err(|e| failed(e, "start the back-end as a client of this socket"))?;
                (Socket::Server { listener, _place: place }, first)
            }
        };
        let event = || EventFd::new().map_err(|e| failed(e, ""));
        let (told, closed) = (event()?, event()?);
        let state = State { session: None, run: None, events: VecDeque::new() };
        let (name, state) = (name.clone(), Mutex::new(state));
        let (patience, inflight) = (*patience, options.inflight);
        let shared = Arc::new(Shared { name, patience, inflight, socket, state, told, closed });
        let session = Session::open(first, patience, inflight).map_err(|e| shared.refused(&e))?;
        let (offered, pairs) = (session.offered, session.pairs);
        shared.lock().session = Some(session);
        let watch = Watch::start(&shared).map_err(|e| failed(e, ""))?;
        Ok(UserLink { shared, offered, pairs, watch: Some(watch) })
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, error: &SessionError) -> Error {
        Error::Refused { port: self.name.clone(), what: format!("vhost-user: {error}") }
    }

    /// Remembers an event, and wakes who waits for one.
    pub(super) fn tell(&self, state: &mut State, event: Event) {
        if state.events.len() == EVENTS {
            state.events.pop_front();
        }
        state.events.push_back(event);
        // It can only fail on what is no eventfd.
        let _ = self.told.signal();
    }

    /// The back-end is gone: nobody enters the queues until another comes.
    pub(super) fn lost(&self, state: &mut State) {
        if state.session.take().is_none() {
            return;
        }
        if let Some(run) = &state.run {
            run.queues.iter().for_each(|queue| queue.pause());
        }
        // It can only fail on what is no eventfd.
        let _ = self.closed.signal();
        self.tell(state, Event::Link(Link::DOWN));
    }

    /// A back-end has come: what the last one had not done is done again.
    pub(super) fn found(&self, socket: UnixStream) {
        let session = Session::open(socket, self.patience, self.inflight);
        let Ok(mut session) = session else { return };
        let mut state = self.lock();
        if let Some(run) = &mut state.run
            && let Err(error) = run.go_on(&mut session)
        {
            // Another kind of back-end, or one that went at once: the next one, then. Whether it
            // can be stopped or not, it goes.
            session.undo(&run.plan, &error);
            return;
        }
        state.session = Some(session);
        self.tell(&mut state, Event::Link(Link::UP));
    }
}

impl Transport for UserLink {
    fn offered(&self) -> Features {
        self.offered
    }

    fn max_pairs(&self) -> usize {
        self.pairs
    }

    fn config(&mut self) -> Option<NetConfig> {
        None
    }

    fn bell(&mut self, _: u16, kick: &Arc<EventFd>) -> Result<Bell, Error> {
        Ok(Bell::Event(Arc::clone(kick)))
    }

    fn wake(&mut self, _: u16, call: &Arc<EventFd>) -> Result<Option<Arc<Vector>>, Error> {
        called(&self.shared.name, call)
    }

    fn start(&mut self, plan: Plan, queues: Vec<Arc<dyn QueueControl>>) -> Result<(), Error> {
        let mut state = self.shared.lock();
        let Some(session) = &mut state.session else {
            let what = "the back-end is gone: start the port when it is back".into();
            return Err(Error::Refused { port: self.shared.name.clone(), what });
        };
        let area = match session.start(&plan, Rings::New) {
            Ok(area) => area,
            Err(error) => {
                // Some rings may run already, and their buffers go home next.
                if !session.undo(&plan, &error) {
                    self.shared.lost(&mut state);
                }
                return Err(self.shared.refused(&error));
            }
        };
        queues.iter().for_each(|queue| queue.resume());
        state.run = Some(Run { plan, queues, area });
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let mut state = self.shared.lock();
        let Some(run) = state.run.take() else { return Ok(()) };
        // A back-end that came back since the port paused them has had them resumed.
        run.queues.iter().for_each(|queue| queue.pause());
        let Some(session) = &mut state.session else { return Ok(()) };
        if session.stop(&run.plan).is_err() {
            // It does not answer, or is just going: without its socket it stops, by the protocol.
            self.shared.lost(&mut state);
        }
        Ok(())
    }

    fn link(&mut self) -> Link {
        if self.shared.lock().session.is_some() { Link::UP } else { Link::DOWN }
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), Error> {
        match &mut self.shared.lock().session {
            Some(session) => session.set_mtu(mtu).map_err(|error| self.shared.refused(&error)),
            None => Ok(()),
        }
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.shared.told.as_fd())
    }

    fn next_event(&mut self) -> Option<Event> {
        let mut state = self.shared.lock();
        let event = state.events.pop_front();
        if state.events.is_empty() {
            // It can only fail on what is no eventfd.
            let _ = self.shared.told.take();
        }
        event
    }
}

impl Drop for UserLink {
    fn drop(&mut self) {
        drop(self.watch.take());
    }
}

/// What to do about a socket that cannot be connected to.
fn hint_for(error: &io::Error, path: &Path) -> &'static str {
    let is_socket = std::fs::metadata(path).map(|m| m.file_type().is_socket());
    match (error.kind(), is_socket) {
        (ErrorKind::NotFound, _) => "start the back-end first, or be its server (server=1)",
        (_, Ok(false)) => "it is not a socket",
        (ErrorKind::TimedOut, _) => "somebody listens there, and takes nobody: is it alive?",
        (ErrorKind::ConnectionRefused, _) => "the back-end that made it is gone: start it again",
        _ => "",
    }
}

/// The back-end that listens: one that takes nobody now may do so in a while.
fn reach(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let until = Instant::now() + patience;
    loop {
        match connect(path) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() >= until => {
                let text = format!("no connection within {patience:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
            connected => return connected,
        }
    }
}

/// Makes the socket; one that is left over from a program that is gone is replaced.
fn listen(path: &Path) -> io::Result<(UnixListener, Place)> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            if !is_socket || !is_left_over(path) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    let place = Place(path.to_owned());
    listener.set_nonblocking(true)?;
    Ok((listener, place))
}

/// The first back-end that comes.
fn wait_for(listener: &UnixListener, patience: Duration) -> io::Result<UnixStream> {
    let until = Instant::now() + patience;
    loop {
        match listener.accept() {
            Ok((socket, _)) => return Ok(socket),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() >= until => {
                let text = format!("no back-end has come within {patience:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_virtqueue::vhost_user::{Connection, MessageFlags, Request};
    use std::sync::atomic::{AtomicBool, Ordering};
    use zerocopy::IntoBytes;

    /// A queue that only knows whether its thread is let in.
    #[derive(Default)]
    struct Queue(AtomicBool);

    impl QueueControl for Queue {
        fn pause(&self) {
            self.0.store(false, Ordering::SeqCst);
        }

        fn hand_over(&self) -> Option<u32> {
            None
        }

        fn restart(&self) {}

        fn resume(&self) {
            self.0.store(true, Ordering::SeqCst);
        }

        fn reset(&self) {}

        fn fault(&self) -> Option<String> {
            None
        }
    }

    /// A back-end that has features, none of which is of the protocol, and answers nothing else; until its
    /// front-end is gone.
    fn serve(listener: &UnixListener) {
        let (socket, _) = listener.accept().expect("a front-end");
        let connection = Connection::new(socket).expect("a connection");
        while let Ok(Some(message)) = connection.receive(Duration::from_secs(20)) {
            if message.header.request == Request::GetFeatures as u32 {
                let features = Features::VERSION_1.bits();
                let head = (message.header.request, MessageFlags::REPLY);
                let patience = Duration::from_secs(20);
                connection.send(head, &[features.as_bytes()], &[], patience).expect("sent");
            }
        }
    }

    #[test]
    fn a_queue_that_a_back_end_opened_while_its_port_was_being_stopped_is_shut_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("a socket");
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&listener));
            let mut link = UserLink::open(&UserOptions::new("v", &path)).expect("a link");
            let (regions, rings, features) = (Vec::new(), Vec::new(), Features::VERSION_1);
            let plan = Plan { features, regions, rings, receiving: 0, control: None, mtu: None };
            let queue = Arc::new(Queue::default());
            link.start(plan, vec![Arc::clone(&queue) as Arc<dyn QueueControl>]).expect("it runs");
            // The port pauses its queues and then stops its link; between the two, a back-end comes.
            queue.pause();
            queue.resume();
            link.stop().expect("it stops");
            assert!(!queue.0.load(Ordering::SeqCst), "the queue's thread could still enter");
            drop(link);
        });
    }
}

//! The thread that sees back-ends go and come.

use super::link::{Shared, Socket};
use linecard_eal::event::{Epoll, EventFd, Wake};
use linecard_virtqueue::vhost_user::socket::connect;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a client knocks while its back-end is gone.
const KNOCK: Duration = Duration::from_millis(50);

/// A thread that ends when this is dropped.
pub(super) struct Watch {
    end: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let end = Arc::new(EventFd::new()?);
        let (theirs, shared) = (Arc::clone(&end), Arc::clone(shared));
        let thread = std::thread::Builder::new()
            .name("virtio-user".into())
            .spawn(move || watch(&shared, &theirs))?;
        Ok(Watch { end, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It can only fail on what is no eventfd.
        let _ = self.end.signal();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, the port ends all the same.
            let _ = thread.join();
        }
    }
}

/// What has been waited for.
enum Seen {
    End,
    Gone,
    Time,
    /// The session that was watched is another, or none.
    Closed,
}

fn watch(shared: &Shared, end: &EventFd) {
    loop {
        match wait(shared, end) {
            Ok(Seen::Gone) => shared.lost(&mut shared.lock()),
            Ok(Seen::Time) => knock(shared),
            Ok(Seen::Closed) => {}
            Ok(Seen::End) | Err(_) => return,
        }
    }
}

/// Waits for the back-end to go, or, without one, a while.
fn wait(shared: &Shared, end: &EventFd) -> io::Result<Seen> {
    let epoll = Epoll::new()?;
    epoll.add(end, 0)?;
    epoll.add(&shared.closed, 2)?;
    let mut limit = Some(KNOCK);
    if let Some(session) = &shared.lock().session {
        epoll.add(session.connection(), 1)?;
        limit = None;
    }
    let mut wakes = [Wake::default(); 3];
    loop {
        let wakes = epoll.wait(&mut wakes, limit)?;
        if wakes.iter().any(|wake| wake.token() == 0) {
            return Ok(Seen::End);
        }
        if wakes.iter().any(|wake| wake.token() == 2) {
            // It can only fail on what is no eventfd.
            let _ = shared.closed.take();
            return Ok(Seen::Closed);
        }
        if wakes.iter().any(Wake::is_hangup) {
            return Ok(Seen::Gone);
        }
        if limit.is_some() {
            return Ok(Seen::Time);
        }
        // Readable, and no hang-up: an answer that somebody else waits for.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Looks whether a back-end is there.
fn knock(shared: &Shared) {
    if shared.lock().session.is_some() {
        return;
    }
    let socket = match &shared.socket {
        Socket::Client(path) => connect(path).ok(),
        Socket::Server { listener, .. } => listener.accept().ok().map(|(socket, _)| socket),
    };
    if let Some(socket) = socket {
        shared.found(socket);
    }
}

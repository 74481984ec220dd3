//! virtio-user: the driver's side of vhost-user, as client of a back-end's socket or as server that
//! back-ends come to.
//!
//! * **The memory table** follows the port's pools and rings: each segment is a region, by its memfd;
//!   up to eight at once, more one by one where the back-end has memory slots.
//! * **A back-end that goes away** takes nothing along: the queues are paused, the link goes down. When
//!   it is back (a client tries again and again, a server waits), the rings are made anew: buffers for
//!   receive are posted again, and packets that it had not acknowledged are sent again, in order.
//! * **A thread** of the port's own watches the socket. It never touches a queue that is in use.

mod link;
mod session;
mod watch;

use crate::options::{Role, UserOptions};
use crate::port::VirtioPort;
use linecard_pmd_core::Error;
use link::UserLink;

/// The most queue pairs: a queue's number goes into 8 bits.
const MAX_PAIRS: usize = 128;

impl VirtioPort {
    /// Opens a virtio-user port: connects to the back-end, or waits for one.
    ///
    /// # Errors
    /// The socket is not there, is none, is in use, or nobody answers; the back-end lacks what the
    /// options insist on.
    pub fn user(options: UserOptions) -> Result<Self, Error> {
        let UserOptions { name, queues, mac, rings, .. } = options.clone();
        if !(1..=MAX_PAIRS).contains(&queues) {
            let (what, hint) = ("queue pairs", String::new());
            let (asked, min, max) = (queues, 1, MAX_PAIRS);
            return Err(Error::Range { port: name, what, asked, min, max, hint });
        }
        let link = UserLink::open(&options)?;
        Self::over(Box::new(link), (name, "virtio-user"), &rings, (mac, queues))
    }
}

/// Who opens the socket, in words.
fn role(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

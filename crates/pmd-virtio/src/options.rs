//! How a port is to be.

use linecard_net::MacAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Whether a feature is to be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// If the device has it and it pays.
    #[default]
    Auto,
    /// Always: a device without it is refused.
    On,
    /// Never.
    Off,
}

/// Which rings, and what else about them is negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingOptions {
    /// Packed rings instead of split ones. By itself: split.
    pub packed: Choice,
    /// Received frames may go over several buffers. By itself: if the device has it.
    pub mergeable: Choice,
    /// Buffers come back in the order in which they were given. By itself: if the device has it.
    pub in_order: Choice,
    /// Packets of several parts through a table. By itself: if the device has it.
    pub indirect: Choice,
    /// Notifications by index. By itself: no.
    pub event_index: Choice,
}

/// Who opens the socket of a virtio-user port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// We connect to it: the back-end is there.
    #[default]
    Client,
    /// We make it: back-ends come and go.
    Server,
}

/// How a virtio-user port is to be: the driver's side of vhost-user.
#[derive(Clone, Debug)]
pub struct UserOptions {
    /// The port's name.
    pub name: String,
    /// The socket.
    pub path: PathBuf,
    /// Who opens it.
    pub role: Role,
    /// Queue pairs at most.
    pub queues: usize,
    /// The port's own address; made from the name by default.
    pub mac: Option<MacAddr>,
    /// Which rings.
    pub rings: RingOptions,
    /// How long the back-end may take to come when the port is opened, and to answer.
    pub patience: Duration,
}

impl UserOptions {
    /// A client of the socket at `path`, of one queue pair.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        UserOptions {
            name: name.into(),
            path: path.into(),
            role: Role::Client,
            queues: 1,
            mac: None,
            rings: RingOptions::default(),
            patience: Duration::from_secs(10),
        }
    }

    /// Opens the socket itself, and waits for back-ends.
    pub fn server(mut self) -> Self {
        self.role = Role::Server;
        self
    }

    /// Queue pairs at most.
    pub fn queues(mut self, pairs: usize) -> Self {
        self.queues = pairs;
        self
    }

    /// Which rings.
    pub fn rings(mut self, rings: RingOptions) -> Self {
        self.rings = rings;
        self
    }

    /// The port's own address.
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    /// How long the back-end may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

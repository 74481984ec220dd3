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

/// What every way to a device asks, of options with `queues`, `mac` and `rings`.
macro_rules! driver_options {
    () => {
        /// Queue pairs at most.
        pub fn queues(mut self, pairs: usize) -> Self {
            self.queues = pairs;
            self
        }

        /// The port's own address.
        pub fn mac(mut self, mac: MacAddr) -> Self {
            self.mac = Some(mac);
            self
        }

        /// Which rings.
        pub fn rings(mut self, rings: RingOptions) -> Self {
            self.rings = rings;
            self
        }
    };
}

pub(crate) use driver_options;

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
    /// Whether the back-end keeps track of what it has under way, in memory that outlives it, and goes on
    /// in the rings as they are. By itself: no, since the port remembers all that was not acknowledged,
    /// makes the rings anew, and needs no back-end's word for it.
    pub inflight: Choice,
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
            inflight: Choice::Auto,
            patience: Duration::from_secs(10),
        }
    }

    /// Opens the socket itself, and waits for back-ends.
    pub fn server(mut self) -> Self {
        self.role = Role::Server;
        self
    }

    driver_options!();

    /// Whether the back-end keeps track of what it has under way.
    pub fn inflight(mut self, inflight: Choice) -> Self {
        self.inflight = inflight;
        self
    }

    /// How long the back-end may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// What to do with a TAP's interface when its port starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TapInterface {
    /// Bring it up.
    #[default]
    BringUp,
    /// Leave it as it is; somebody else brings it up.
    Leave,
}

/// How a vhost-kernel port is to be: the driver's side of `/dev/vhost-net`, with a TAP behind it.
#[derive(Clone, Debug)]
pub struct KernelOptions {
    /// The port's name.
    pub name: String,
    /// The kernel's device: `/dev/vhost-net`.
    pub device: PathBuf,
    /// The interface's name, up to 15 bytes; `%d` in it stands for the first free number.
    pub iface: String,
    /// Whether to attach to an interface that is there already, made with `vnet_hdr multi_queue`.
    pub attach: bool,
    /// Queue pairs at most: a thread of the kernel and a queue of the TAP each.
    pub queues: usize,
    /// The interface's address; the kernel's random one by default.
    pub mac: Option<MacAddr>,
    /// Which rings. The kernel has split ones only.
    pub rings: RingOptions,
    /// What to do with the interface on start.
    pub interface: TapInterface,
}

impl KernelOptions {
    /// A new TAP of this name, behind one queue pair.
    pub fn new(name: impl Into<String>, iface: impl Into<String>) -> Self {
        KernelOptions {
            name: name.into(),
            device: "/dev/vhost-net".into(),
            iface: iface.into(),
            attach: false,
            queues: 1,
            mac: None,
            rings: RingOptions::default(),
            interface: TapInterface::default(),
        }
    }

    /// Another device than `/dev/vhost-net`.
    pub fn device(mut self, path: impl Into<PathBuf>) -> Self {
        self.device = path.into();
        self
    }

    /// Attaches to an interface that is there already.
    pub fn attach(mut self) -> Self {
        self.attach = true;
        self
    }

    driver_options!();

    /// What to do with the interface on start.
    pub fn interface(mut self, interface: TapInterface) -> Self {
        self.interface = interface;
        self
    }
}

//! What a TAP port is made of.

use linecard_net::MacAddr;
use std::os::fd::OwnedFd;

/// What to do when there is an interface of that name already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse: the port makes its own.
    #[default]
    Refuse,
    /// Attach to it: one that was made persistent for this user, say, so that root is not needed.
    Attach,
}

/// What to do with the interface when the port starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// Bring it up.
    #[default]
    BringUp,
    /// Leave it as it is; somebody else brings it up.
    Leave,
}

/// What a TAP port is made of. Start with [`TapOptions::new`] and change what is to be otherwise.
#[derive(Debug)]
#[non_exhaustive]
pub struct TapOptions {
    /// The interface's name, up to 15 bytes; `%d` in it stands for the first free number, and an
    /// empty one for `tap%d`.
    pub name: String,
    /// The most queues that the port may be configured with, each way. Default 1.
    pub queues: usize,
    /// The interface's MTU; `None` leaves the kernel's 1500.
    pub mtu: Option<usize>,
    /// The interface's own address; `None` leaves the kernel's random one.
    pub mac: Option<MacAddr>,
    /// Whether to attach to an interface that is there already.
    pub existing: Existing,
    /// What to do with the interface on start.
    pub interface: Interface,
    /// A TAP that somebody else opened and attached (with `IFF_VNET_HDR`), handed over; `name` is
    /// then asked of the kernel, and there is one queue.
    pub fd: Option<OwnedFd>,
}

impl TapOptions {
    /// A TAP of this name, with one queue and the kernel's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        TapOptions {
            name: name.into(),
            queues: 1,
            mtu: None,
            mac: None,
            existing: Existing::default(),
            interface: Interface::default(),
            fd: None,
        }
    }

    /// The most queues, each way.
    pub fn queues(mut self, n: usize) -> Self {
        self.queues = n;
        self
    }

    /// The MTU.
    pub fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// The interface's own address.
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Whether to attach to an interface that is there already.
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// What to do with the interface on start.
    pub fn interface(mut self, interface: Interface) -> Self {
        self.interface = interface;
        self
    }

    /// A TAP that is open already.
    pub fn fd(mut self, fd: OwnedFd) -> Self {
        self.fd = Some(fd);
        self
    }
}

//! What an AF_XDP port is made of.

use linecard_pmd_core::Promiscuous;

/// Where the kernel takes frames from an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpHook {
    /// In its driver if that has a place for it, else behind it; `path` says which, and why.
    #[default]
    Best,
    /// In its driver, or not at all.
    Native,
    /// Behind its driver, which works with all of them.
    Generic,
}

/// What an AF_XDP port is made of. Start with [`AfXdpOptions::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AfXdpOptions {
    /// The interface, which must be there.
    pub interface: String,
    /// The most queues that the port may be configured with, each way. Queue *n* takes the frames of
    /// the interface's queue *n*; those of its further queues go to the kernel's stack. Default 1.
    pub queues: usize,
    /// Where frames are taken.
    pub hook: XdpHook,
    /// Whether the interface is asked for frames to other stations, from the start on.
    pub promiscuous: Promiscuous,
}

impl AfXdpOptions {
    /// A port on this interface, with one queue.
    pub fn new(interface: impl Into<String>) -> Self {
        AfXdpOptions {
            interface: interface.into(),
            queues: 1,
            hook: XdpHook::default(),
            promiscuous: Promiscuous::Off,
        }
    }

    /// The most queues, each way.
    pub fn queues(mut self, n: usize) -> Self {
        self.queues = n;
        self
    }

    /// Where frames are taken.
    pub fn hook(mut self, hook: XdpHook) -> Self {
        self.hook = hook;
        self
    }

    /// Whether to ask for frames to other stations, from the start on.
    pub fn promiscuous(mut self, promiscuous: Promiscuous) -> Self {
        self.promiscuous = promiscuous;
        self
    }
}

//! How a vhost port is to be.

use crate::memory::Shrinking;
use linecard_net::MacAddr;
use std::path::PathBuf;

/// Which end of the socket we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// We listen; the front-end connects, and may go and come again.
    #[default]
    Server,
    /// We connect to a front-end that listens, and try again when it is gone.
    Client,
}

/// Whether guests with an IOMMU are served: each of their addresses is translated, which costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Iommu {
    /// They are not offered it.
    #[default]
    No,
    /// They may use one (`ACCESS_PLATFORM`).
    Offered,
}

/// Options of a port.
#[derive(Clone, Debug)]
pub struct VhostOptions {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) queues: usize,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) iommu: Iommu,
    pub(crate) shrinking: Shrinking,
}

impl VhostOptions {
    /// A port of this name that listens at `path`, with one queue pair at most.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        VhostOptions {
            name: name.into(),
            path: path.into(),
            mode: Mode::Server,
            queues: 1,
            mac: None,
            iommu: Iommu::No,
            shrinking: Shrinking::Accept,
        }
    }

    /// Which end of the socket it is.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The most queue pairs that it may have: 1 to 64.
    pub fn queues(mut self, n: usize) -> Self {
        self.queues = n;
        self
    }

    /// Its own address; a random local one otherwise. The guest's is the guest's.
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Whether guests with an IOMMU are served.
    pub fn iommu(mut self, iommu: Iommu) -> Self {
        self.iommu = iommu;
        self
    }

    /// What to do about guest memory that could be cut while it is used.
    pub fn shrinking(mut self, shrinking: Shrinking) -> Self {
        self.shrinking = shrinking;
        self
    }
}

//! What stands between a port and its device.

use crate::bell::Bell;
use linecard_eal::event::EventFd;
use linecard_pmd_core::{Error, Event, Link};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::NetConfig;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Memory that the device is to know: where it is here, and the file behind it.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) file: OwnedFd,
    pub(crate) offset: u64,
}

/// One ring, as the device is told of it.
#[derive(Clone, Debug)]
pub(crate) struct RingPlan {
    /// The queue's number.
    pub(crate) index: u16,
    /// Descriptors.
    pub(crate) size: u16,
    /// Where the descriptors are, the driver's part and the device's part.
    pub(crate) descriptors: u64,
    pub(crate) driver: u64,
    pub(crate) device: u64,
    /// We tell the device.
    pub(crate) kick: Arc<EventFd>,
    /// The device tells us.
    pub(crate) call: Arc<EventFd>,
}

/// All that a device is told when it is started.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) features: Features,
    pub(crate) regions: Vec<Region>,
    pub(crate) rings: Vec<RingPlan>,
    /// Queues that are received from: the first so many pairs.
    pub(crate) receiving: usize,
    pub(crate) mtu: Option<u16>,
}

/// The queues of a port, for whoever loses the device and finds it again.
pub(crate) trait QueueControl: Send + Sync {
    /// Keeps the queue's thread out.
    fn pause(&self);
    /// Leaves the ring to another device as it is, and says where that goes on; `None` if it is broken.
    fn hand_over(&self) -> Option<u32>;
    /// Makes the ring as new; what the device had not done is done again.
    fn restart(&self);
    /// Lets the queue's thread in.
    fn resume(&self);
    /// Gives all buffers back, and makes the ring as new.
    fn reset(&self);
    /// What the device said that cannot be, in words.
    fn fault(&self) -> Option<String>;
}

/// A way to a device.
pub(crate) trait Transport: Send {
    /// What the device offers.
    fn offered(&self) -> Features;
    /// Queue pairs that it has at most.
    fn max_pairs(&self) -> usize;
    /// Its configuration, if it has one.
    fn config(&mut self) -> Option<NetConfig>;
    /// How a queue's device is told.
    fn bell(&mut self, index: u16, kick: &Arc<EventFd>) -> Result<Bell, Error>;
    /// Starts the device. The queues are paused, and are resumed when it runs.
    fn start(&mut self, plan: Plan, queues: Vec<Arc<dyn QueueControl>>) -> Result<(), Error>;
    /// Stops the device: it reaches no memory any more. The queues are paused.
    fn stop(&mut self) -> Result<(), Error>;
    /// The link now.
    fn link(&mut self) -> Link;
    /// Tells the device of another MTU.
    fn set_mtu(&mut self, mtu: u16) -> Result<(), Error>;
    /// A file that is readable when there are events; `None` if it tells of none.
    fn events(&self) -> Option<BorrowedFd<'_>>;
    /// What has happened.
    fn next_event(&mut self) -> Option<Event>;
}

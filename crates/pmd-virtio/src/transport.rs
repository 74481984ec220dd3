//! What stands between a port and its device.

use crate::bell::Bell;
use linecard_eal::device::{Dma, Vector};
use linecard_eal::event::EventFd;
use linecard_net::MacAddr;
use linecard_pmd_core::{Error, Event, Link};
use linecard_virtqueue::net::NetConfig;
use linecard_virtqueue::{Features, split};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

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
    /// Memory to share by its files; empty for a device that has a `Dma`.
    pub(crate) regions: Vec<Region>,
    pub(crate) rings: Vec<RingPlan>,
    /// Queues that are received from: the first so many pairs.
    pub(crate) receiving: usize,
    /// The control queue, if there is one.
    pub(crate) control: Option<RingPlan>,
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
    /// Sends frames of up to so many bytes from now on; nothing to a queue that receives.
    fn set_longest(&self, _: usize) {}
    /// What the device said that cannot be, in words.
    fn fault(&self) -> Option<String>;
}

/// Descriptors that a queue may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Up to so many.
    UpTo(u16),
    /// So many (legacy devices, virtio 1.2 §4.1.5.1.3).
    Fixed(u16),
}

/// Stops queues one by one while the device runs (`RING_RESET`).
pub(crate) trait Quit: Send + Sync {
    /// Stops a queue; says whether the device certainly uses it no more.
    fn quit(&self, index: u16) -> bool;
}

/// What to sleep on for a queue whose device calls by an eventfd.
pub(crate) fn called(name: &str, call: &EventFd) -> Result<Option<Arc<Vector>>, Error> {
    let call = call.try_clone().map_err(|e| Error::system(name, "an eventfd", e))?;
    Ok(Some(Arc::new(Vector::from(call))))
}

/// A way to a device.
pub(crate) trait Transport: Send {
    /// What the device offers.
    fn offered(&self) -> Features;
    /// What is to be agreed on beside rings and offloads, if it is offered.
    fn extra(&self) -> Features {
        Features::empty()
    }
    /// Queue pairs that it has at most.
    fn max_pairs(&self) -> usize;
    /// Descriptors of its receive queues and its transmit queues.
    fn sizes(&self) -> [Sizes; 2] {
        [Sizes::UpTo(split::MAX_SIZE); 2]
    }
    /// The NUMA node that it sits on.
    fn node(&self) -> Option<u32> {
        None
    }
    /// How memory is made known to it; `None` for a device in software, which takes our addresses.
    fn dma(&self) -> Option<Arc<dyn Dma>> {
        None
    }
    /// The control queue's number and descriptors, if these features give it one.
    fn control(&self, _: Features) -> Option<(u16, u16)> {
        None
    }
    /// How long it may take to do what it is told.
    fn patience(&self) -> Duration {
        Duration::from_secs(3)
    }
    /// How many receive queues can be slept on.
    fn wakes(&self) -> usize {
        usize::MAX
    }
    /// Gets ready to be started with these features, of which so many queues receive.
    fn prepare(&mut self, _: Features, _rx: usize) -> Result<(), Error> {
        Ok(())
    }
    /// What to sleep on for a receive queue, if there is something.
    fn wake(&mut self, index: u16, call: &Arc<EventFd>) -> Result<Option<Arc<Vector>>, Error>;
    /// Who stops one queue, if the device can; once features are settled.
    fn quit(&self) -> Option<Arc<dyn Quit>> {
        None
    }
    /// Tells a device without a control queue of another address of its own.
    fn set_mac(&mut self, _: MacAddr) -> Result<(), Error> {
        Ok(())
    }
    /// Its configuration, if it has one.
    fn config(&mut self) -> Option<NetConfig>;
    /// How a queue's device is told.
    fn bell(&mut self, index: u16, kick: &Arc<EventFd>) -> Result<Bell, Error>;
    /// Starts the device. The queues are paused, and are resumed when it runs.
    fn start(&mut self, plan: Plan, queues: Vec<Arc<dyn QueueControl>>) -> Result<(), Error>;
    /// Stops the device: it reaches no memory any more. The queues are paused.
    fn stop(&mut self) -> Result<(), Error>;
    /// Whether the device may still write to memory, though it was told to stop: then nothing that
    /// it knows is given to anybody else.
    fn is_loose(&self) -> bool {
        false
    }
    /// The link now.
    fn link(&mut self) -> Link;
    /// Tells the device of another MTU.
    fn set_mtu(&mut self, mtu: u16) -> Result<(), Error>;
    /// Whether it will tell of events, once it runs.
    fn tells(&self) -> bool {
        self.events().is_some()
    }
    /// A file that is readable when there are events; `None` if it tells of none.
    fn events(&self) -> Option<BorrowedFd<'_>>;
    /// What has happened.
    fn next_event(&mut self) -> Option<Event>;
}

//! Messages about rings.

use super::{Session, queue_event};
use crate::fault::Trouble;
use crate::inflight::Kept;
use crate::request::{Reply, Request, Ring, Wrong};
use crate::ring::{Base, Setup};
use linecard_eal::event::EventFd;
use linecard_pmd_core::QueueState;
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::message::{IOTLB_MISS, Iotlb, VringAddr, VringState};
use linecard_virtqueue::vhost_user::{BackendRequest, MessageFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use zerocopy::IntoBytes;

/// What has been said of a ring, as far as only control needs it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    size: u16,
    address: Option<VringAddr>,
    error: Option<EventFd>,
    /// A kick has been set, and the base not been asked for since.
    pub(super) started: bool,
    /// Whether it was last told to be on.
    pub(super) told: bool,
    /// Whether its fault has been told. It may have come before anybody was told that the ring was on.
    broken: bool,
    /// The translation that was asked for, and for what, until it comes. Asked for twice, the second time
    /// may be looked at once the guest has taken it back, which is a fault to its IOMMU.
    pub(super) asked: Option<(u64, u8)>,
}

impl Session {
    /// Obeys a message about one ring.
    pub(super) fn obey_about_ring(&mut self, request: Request) -> Result<Reply, Wrong> {
        match request {
            Request::SetSize(state) => self.set_size(state)?,
            Request::SetAddress(address) => self.set_address(address)?,
            Request::SetBase(state) => self.set_base(state)?,
            Request::Base(index) => return self.stop_ring(index),
            Request::SetKick(ring) => self.set_kick(ring)?,
            Request::SetCall(ring) => self.set_call(ring)?,
            Request::SetError(ring) => {
                let i = self.index(ring.index)?;
                self.plans[i].error = event_fd(ring.fd)?;
            }
            Request::SetEnabled(state) => self.set_enabled(state)?,
            other => return Err(Wrong::refused(format!("{other:?} here"))),
        }
        Ok(Reply::Done)
    }

    fn index(&self, index: u32) -> Result<usize, Wrong> {
        let (i, n) = (index as usize, self.plans.len());
        if i < n { Ok(i) } else { Err(Wrong::refused(format!("ring {i}: there are {n}"))) }
    }

    /// A ring that is not under way.
    fn idle(&self, index: u32) -> Result<usize, Wrong> {
        let i = self.index(index)?;
        if self.plans[i].started {
            return Err(Wrong::refused(format!("ring {i} runs: ask for its base first")));
        }
        Ok(i)
    }

    fn set_size(&mut self, state: VringState) -> Result<(), Wrong> {
        let i = self.idle(state.index)?;
        let size = u16::try_from(state.num).ok().filter(|size| (1..=32_768).contains(size));
        let size = size.ok_or_else(|| {
            Wrong::refused(format!("{} descriptors: a ring has 1 to 32768", state.num))
        })?;
        self.plans[i].size = size;
        Ok(())
    }

    fn set_address(&mut self, address: VringAddr) -> Result<(), Wrong> {
        let i = self.index(address.index)?;
        self.plans[i].address = Some(address);
        // Of a ring that runs, the log may change.
        if self.plans[i].started { self.start(i) } else { Ok(()) }
    }

    fn set_base(&mut self, state: VringState) -> Result<(), Wrong> {
        let i = self.idle(state.index)?;
        let base = Base::from_number(state.num, self.features);
        self.device.vrings[i].alone().set_base(base);
        Ok(())
    }

    fn stop_ring(&mut self, index: u32) -> Result<Reply, Wrong> {
        let i = self.index(index)?;
        let base = self.device.vrings[i].alone().stop();
        self.plans[i].started = false;
        self.forget_translations();
        self.tell();
        Ok(Reply::State(VringState { index, num: base.number() }))
    }

    fn set_kick(&mut self, ring: Ring) -> Result<(), Wrong> {
        let i = self.index(ring.index)?;
        let kick = event_fd(ring.fd)?;
        if i % 2 == 1 {
            self.device.bells[i / 2].set_kick(kick)?;
        }
        if self.plans[i].started { Ok(()) } else { self.start(i) }
    }

    /// Sets a ring to work.
    fn start(&mut self, i: usize) -> Result<(), Wrong> {
        let plan = &mut self.plans[i];
        let (Some(address), size) = (plan.address, plan.size) else {
            return Err(Wrong::refused(format!("ring {i} has no address")));
        };
        let packed = self.features.contains(Features::RING_PACKED);
        if size == 0 || !packed && !size.is_power_of_two() {
            let why = format!("ring {i} of {size} descriptors: a split ring has a power of two");
            return Err(Wrong::refused(why));
        }
        (plan.started, plan.broken, plan.asked) = (true, false, None);
        let kept = self.inflight.as_ref().and_then(|area| Kept::of(area, i, size));
        let mut work = self.device.vrings[i].alone();
        work.start(Setup { size, address }, kept);
        if !self.features.contains(Features::PROTOCOL_FEATURES) {
            work.enable(true);
        }
        drop(work);
        self.settle();
        Ok(())
    }

    fn set_call(&mut self, ring: Ring) -> Result<(), Wrong> {
        let i = self.index(ring.index)?;
        let call = event_fd(ring.fd)?;
        if let Some(call) = &call {
            // What was told to the last one may not have been heard.
            let _ = call.signal();
        }
        self.device.vrings[i].alone().call = call;
        Ok(())
    }

    fn set_enabled(&mut self, state: VringState) -> Result<(), Wrong> {
        let i = self.index(state.index)?;
        if state.num > 1 {
            return Err(Wrong::refused(format!("ring {i} enabled: {}", state.num)));
        }
        self.device.vrings[i].alone().enable(state.num == 1);
        self.settle();
        Ok(())
    }

    /// Finds the rings that can be found, asks for translations that are missing for others, and tells
    /// what has changed.
    pub(super) fn settle(&mut self) {
        for i in 0..self.plans.len() {
            let mut work = self.device.vrings[i].alone();
            let found = work.find();
            match found {
                Ok(found) => {
                    self.plans[i].broken &= work.broken().is_some();
                    if found && i % 2 == 1 {
                        self.device.bells[i / 2].ring();
                    }
                }
                Err(trouble) => {
                    let new = work.note(trouble);
                    drop(work);
                    if new {
                        self.attend_to(i, trouble);
                    }
                }
            }
        }
        self.tell();
    }

    /// Sees to what the queues have found wrong, or missing.
    pub(crate) fn attend(&mut self) {
        for i in 0..self.plans.len() {
            let work = self.device.vrings[i].alone();
            let (broken, missing) = (work.broken(), work.missing());
            drop(work);
            if let Some(fault) = broken {
                self.attend_to(i, fault.into());
            }
            if let Some((iova, access)) = missing {
                self.attend_to(i, Trouble::Miss(iova, access));
            }
        }
        self.tell();
    }

    fn attend_to(&mut self, i: usize, trouble: Trouble) {
        match trouble {
            Trouble::Fault(_) if self.plans[i].broken => {}
            Trouble::Fault(fault) => {
                (self.plans[i].told, self.plans[i].broken) = (false, true);
                let state = QueueState::Broken(fault.text());
                self.device.events.push(queue_event(i, state));
                if let Some(error) = &self.plans[i].error {
                    // A full one has been heard long ago.
                    let _ = error.signal();
                }
            }
            Trouble::Miss(iova, permission) => {
                if self.plans[i].asked.replace((iova, permission)) != Some((iova, permission)) {
                    self.ask_for(iova, permission);
                }
            }
        }
    }

    /// Asks the front-end for a translation. Without a channel, or if it does not read, none comes:
    /// the queue waits.
    fn ask_for(&self, iova: u64, permission: u8) {
        let Some(backend) = &self.backend else { return };
        let miss = Iotlb { iova, permission, kind: IOTLB_MISS, ..Iotlb::default() };
        let code = BackendRequest::IotlbMsg as u32;
        let said =
            backend.send((code, MessageFlags::empty()), &[miss.as_bytes()], &[], super::PATIENCE);
        drop(said);
    }
}

/// A descriptor to tell somebody with, or to be told with: an eventfd and nothing else. On anything
/// else, a pipe that nobody empties or a terminal, a write may take any time, or do anything.
fn event_fd(fd: Option<OwnedFd>) -> Result<Option<EventFd>, Wrong> {
    let Some(fd) = fd else { return Ok(None) };
    let kind = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    if kind.as_os_str() != "anon_inode:[eventfd]" {
        return Err(Wrong::refused(format!("a descriptor that is no eventfd: {}", kind.display())));
    }
    Ok(Some(EventFd::from_fd(fd)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn only_an_eventfd_rings() {
        let good = EventFd::new().expect("one").as_fd().try_clone_to_owned().expect("another");
        assert!(matches!(event_fd(Some(good)), Ok(Some(_))));
        assert!(matches!(event_fd(None), Ok(None)));
        let (read, write) = std::io::pipe().expect("a pipe");
        let file = tempfile::tempfile().expect("a file");
        for other in [read.into(), write.into(), file.into()] {
            let refused = event_fd(Some(other)).expect_err("no eventfd").to_string();
            assert!(refused.contains("no eventfd"), "{refused}");
        }
    }
}

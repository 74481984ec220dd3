//! One connection to a front-end: what it has said, and what that means for the rings.
//!
//! All of it runs on the device's control thread. What changes for a queue is changed behind its door,
//! between two of its bursts; a mapping is dropped only after every queue has left it.

mod memory;
mod rings;

use crate::device::{Device, Offer, count};
use crate::memory::{DirtyLog, MemoryTable, Translations};
use crate::request::{Reply, Request, Wrong};
use crate::ring::Alone;
use crate::ring::Work;
use linecard_pmd_core::{Direction, Event, Link, QueueState};
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::{Connection, Message, MessageFlags, ProtocolFeatures};
use rings::Plan;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// How long a front-end may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What of the protocol we have.
const PROTOCOL: ProtocolFeatures = ProtocolFeatures::MQ
    .union(ProtocolFeatures::LOG_SHMFD)
    .union(ProtocolFeatures::RARP)
    .union(ProtocolFeatures::REPLY_ACK)
    .union(ProtocolFeatures::MTU)
    .union(ProtocolFeatures::BACKEND_REQ)
    .union(ProtocolFeatures::INFLIGHT_SHMFD)
    .union(ProtocolFeatures::RESET_DEVICE)
    .union(ProtocolFeatures::CONFIGURE_MEM_SLOTS)
    .union(ProtocolFeatures::STATUS);

/// A connection's state.
pub(crate) struct Session {
    device: Arc<Device>,
    offer: Offer,
    features: Features,
    protocol: ProtocolFeatures,
    table: Arc<MemoryTable>,
    log: Option<Arc<DirtyLog>>,
    inflight: Option<Arc<crate::inflight::Area>>,
    plans: Vec<Plan>,
    backend: Option<Connection>,
    status: u64,
}

impl Session {
    pub(crate) fn new(device: Arc<Device>, offer: Offer) -> Self {
        count(&device.tallies.connections);
        let plans = (0..2 * offer.pairs).map(|_| Plan::default()).collect();
        Session {
            device,
            offer,
            features: Features::empty(),
            protocol: ProtocolFeatures::empty(),
            table: Arc::default(),
            log: None,
            inflight: None,
            plans,
            backend: None,
            status: 0,
        }
    }

    /// Obeys a message, and answers it.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(crate) fn serve(&mut self, message: Message, to: &Connection) -> Result<(), Wrong> {
        count(&self.device.tallies.messages);
        let code = message.header.request;
        let acknowledged = message.flags().contains(MessageFlags::NEED_REPLY)
            && self.protocol.contains(ProtocolFeatures::REPLY_ACK);
        let outcome = Request::parse(message).and_then(|request| self.obey(request));
        let reply = match outcome {
            Ok(Reply::Done) if acknowledged => Reply::Number(0),
            Ok(reply) => reply,
            Err(wrong) => {
                count(&self.device.tallies.refused);
                if !acknowledged {
                    return Err(wrong);
                }
                Reply::Number(1)
            }
        };
        let Some((payload, fd)) = reply.into_parts() else { return Ok(()) };
        let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
        to.send((code, MessageFlags::REPLY), &[&payload], &fds, PATIENCE)?;
        Ok(())
    }

    /// Obeys a message.
    pub(crate) fn obey(&mut self, request: Request) -> Result<Reply, Wrong> {
        match request {
            Request::Features => return Ok(Reply::Number(self.offer.features.bits())),
            Request::SetFeatures(bits) => self.set_features(bits)?,
            Request::SetOwner | Request::SetLogFd => {}
            Request::ResetOwner | Request::ResetDevice => self.stop_all(),
            Request::ProtocolFeatures => return Ok(Reply::Number(PROTOCOL.bits())),
            Request::SetProtocolFeatures(bits) => self.set_protocol(bits)?,
            Request::QueuePairs => return Ok(Reply::Number(self.offer.pairs as u64)),
            Request::SendRarp(mac) => self.announce(mac),
            Request::SetMtu(mtu) => self.told_mtu(mtu)?,
            Request::SetBackendChannel(fd) => {
                self.backend = Some(Connection::new(UnixStream::from(fd))?);
            }
            Request::SetStatus(status) => self.set_status(status),
            Request::Status => return Ok(Reply::Number(self.status)),
            Request::SetMemory(_)
            | Request::AddMemory(..)
            | Request::RemoveMemory(_)
            | Request::MemorySlots
            | Request::SetLog(..)
            | Request::Translate(_)
            | Request::Inflight(_)
            | Request::SetInflight(..) => return self.obey_about_memory(request),
            other => return self.obey_about_ring(other),
        }
        Ok(Reply::Done)
    }

    fn set_features(&mut self, bits: u64) -> Result<(), Wrong> {
        let features = Features::from_bits_retain(bits);
        let beyond = features.difference(self.offer.features);
        if !beyond.is_empty() {
            return Err(Wrong::refused(format!("features that were not offered: {beyond:?}")));
        }
        self.features = features;
        let has_iommu = features.contains(Features::ACCESS_PLATFORM);
        let log = self.log.clone().filter(|_| features.contains(Features::LOG_ALL));
        self.each(|work| {
            work.set_features(features);
            work.set_view(|view| {
                view.log.clone_from(&log);
                if has_iommu != view.translations.is_some() {
                    view.translations = has_iommu.then(Translations::default);
                }
            });
        });
        self.settle();
        Ok(())
    }

    fn set_protocol(&mut self, bits: u64) -> Result<(), Wrong> {
        let protocol = ProtocolFeatures::from_bits_retain(bits);
        let beyond = protocol.difference(PROTOCOL);
        if !beyond.is_empty() {
            return Err(Wrong::refused(format!("protocol features not offered: {beyond:?}")));
        }
        self.protocol = protocol;
        Ok(())
    }

    /// The guest's first transmit ring says where it is now.
    fn announce(&self, mac: [u8; 6]) {
        self.device.vrings[1].alone().rarp = Some(mac);
        self.device.bells[0].ring();
    }

    fn told_mtu(&self, mtu: u64) -> Result<(), Wrong> {
        let mtu = usize::try_from(mtu).ok().filter(|mtu| (68..=65_535).contains(mtu));
        let mtu = mtu.ok_or_else(|| Wrong::refused("an MTU that is none"))?;
        self.device.events.push(Event::Mtu(mtu));
        Ok(())
    }

    /// 0 is a reset (virtio 1.2 §2.1).
    fn set_status(&mut self, status: u64) {
        self.status = status;
        if status == 0 {
            self.stop_all();
        }
    }

    fn stop_all(&mut self) {
        self.each(|work| {
            work.stop();
        });
        self.plans.iter_mut().for_each(|plan| plan.started = false);
        self.forget_translations();
        self.tell();
    }

    /// Once no ring runs, nobody tells any more what the guest takes back: QEMU 7.2 stops to listen to
    /// the IOMMU then.
    fn forget_translations(&mut self) {
        if self.plans.iter().any(|plan| plan.started) {
            return;
        }
        self.plans.iter_mut().for_each(|plan| plan.asked = None);
        let has_iommu = self.features.contains(Features::ACCESS_PLATFORM);
        self.each(|work| {
            work.set_view(|view| view.translations = has_iommu.then(Translations::default));
        });
    }

    /// Changes each virtqueue, one after the other.
    fn each(&self, mut change: impl FnMut(&mut Alone<'_, Work>)) {
        self.device.vrings.iter().for_each(|vring| change(&mut vring.alone()));
    }

    /// Tells whoever listens which queues have changed, and the link with them.
    fn tell(&mut self) {
        let mut any = false;
        for (i, plan) in self.plans.iter_mut().enumerate() {
            let work = self.device.vrings[i].alone();
            let on = work.is_on();
            self.device.vrings[i].set_layout(work.layout());
            drop(work);
            any |= on;
            if std::mem::replace(&mut plan.told, on) != on {
                let state = if on { QueueState::Enabled } else { QueueState::Disabled };
                self.device.events.push(queue_event(i, state));
            }
        }
        if self.device.set_up(any) {
            let link = if any { Link::UP } else { Link::DOWN };
            self.device.events.push(Event::Link(link));
        }
    }
}

/// Something about the queue that virtqueue `i` is: the guest's transmit ring is our receive queue.
fn queue_event(i: usize, state: QueueState) -> Event {
    let direction = if i.is_multiple_of(2) { Direction::Transmit } else { Direction::Receive };
    Event::Queue { direction, queue: (i / 2) as u16, state }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.each(|work| work.reset());
        for bell in &self.device.bells {
            // A descriptor that is closed is in no set.
            let _ = bell.set_kick(None);
        }
        self.tell();
    }
}

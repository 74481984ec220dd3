//! What the device does, whichever registers tell it to.

use super::memory::GuestMemory;
use super::net;
use super::ring::{Packed, Split, Virtqueue};
use super::{Fault, Offer};
use linecard_eal::device::Width;
use linecard_eal::event::EventFd;
use linecard_virtqueue::packed::Position;
use linecard_virtqueue::split::Layout;
use linecard_virtqueue::vhost_user::message::VringAddr;
use linecard_virtqueue::{DescFlags, Features, Status};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use zerocopy::IntoBytes;

/// The hash that it reports for every frame: it computes none.
pub(crate) const HASH: u32 = 0xC0FF_EE11;

/// The device.
pub(super) struct Model {
    inside: Mutex<Inside>,
    pulled: AtomicBool,
}

/// A queue.
pub(super) struct Queue {
    pub(super) size: u16,
    pub(super) addresses: [u64; 3],
    pub(super) vector: u16,
    pub(super) enabled: bool,
    ring: Option<Box<dyn Virtqueue>>,
    waiting: VecDeque<Vec<u8>>,
}

pub(super) struct Inside {
    pub(super) offer: Offer,
    pub(super) memory: GuestMemory,
    pub(super) interrupts: Vec<EventFd>,
    pub(super) bus_master: bool,
    pub(super) accepted: Features,
    pub(super) queue_select: u16,
    pub(super) config_vector: u16,
    pub(super) isr: u8,
    pub(super) complaints: Vec<String>,
    pub(super) commands: Vec<(u8, u8, Vec<u8>)>,
    pub(super) legacy_msix: bool,
    status: Status,
    feature_select: [u32; 2],
    generation: u8,
    queues: Vec<Queue>,
    /// Queue pairs in use.
    pub(super) pairs: u16,
}

impl Model {
    pub(super) fn new(offer: Offer) -> Arc<Self> {
        let mut inside = Inside {
            offer,
            memory: GuestMemory::default(),
            interrupts: Vec::new(),
            bus_master: false,
            accepted: Features::empty(),
            queue_select: 0,
            config_vector: 0xFFFF,
            isr: 0,
            complaints: Vec::new(),
            commands: Vec::new(),
            legacy_msix: false,
            status: Status::empty(),
            feature_select: [0; 2],
            generation: 0,
            queues: Vec::new(),
            pairs: 1,
        };
        inside.reset();
        Arc::new(Model { inside: Mutex::new(inside), pulled: AtomicBool::new(false) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("the device does not panic")
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.pulled.load(Ordering::SeqCst)
    }

    pub(super) fn pull(&self) {
        self.pulled.store(true, Ordering::SeqCst);
    }
}

impl Inside {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.offer.faults.contains(&fault)
    }

    pub(super) fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    fn reset(&mut self) {
        (self.accepted, self.status) = (Features::empty(), Status::empty());
        (self.config_vector, self.isr, self.pairs) = (0xFFFF, 0, 1);
        self.make_queues();
    }

    /// The control queue stands behind all pairs (§5.1.2). As in QEMU, there is one as long as more are not
    /// agreed on.
    fn make_queues(&mut self) {
        let many =
            self.accepted.intersects(Features::MQ | Features::RSS) && !self.has(Fault::FewerQueues);
        let pairs = if many { usize::from(self.offer.config.max_virtqueue_pairs) } else { 1 };
        let control = usize::from(self.offer.features.contains(Features::CTRL_VQ));
        let [rx, tx, last] = self.offer.sizes;
        let enabled = self.has(Fault::EnabledAfterReset);
        let queue = |size| Queue {
            size,
            addresses: [0; 3],
            vector: 0xFFFF,
            enabled,
            ring: None,
            waiting: VecDeque::new(),
        };
        let data = (0..pairs).flat_map(|_| [rx, tx]);
        self.queues = data.chain((0..control).map(|_| last)).map(queue).collect();
    }

    pub(super) fn status(&self) -> u8 {
        let stuck =
            if self.has(Fault::NeverResets) { Status::ACKNOWLEDGE } else { Status::empty() };
        (self.status | stuck).bits()
    }

    pub(super) fn set_status(&mut self, value: u8) {
        let new = Status::from_bits_retain(value);
        if value == 0 {
            return self.reset();
        }
        if !new.contains(self.status) {
            self.complain(format!("a status bit was cleared: {:?} to {new:?}", self.status));
        }
        self.status = new;
        if self.has(Fault::RefusesFeatures) {
            self.status -= Status::FEATURES_OK;
        }
        if new.contains(Status::DRIVER_OK) {
            let modern = self.accepted.contains(Features::VERSION_1);
            if modern && !new.contains(Status::FEATURES_OK) {
                self.complain("it was started without settled features");
            }
            if !self.bus_master {
                self.complain("it was started without bus mastering");
            }
            self.start();
        }
    }

    pub(super) fn needs_reset(&mut self) {
        self.status |= Status::NEEDS_RESET;
    }

    fn start(&mut self) {
        let (memory, features) = (&self.memory, self.accepted);
        for (index, queue) in self.queues.iter_mut().enumerate().filter(|(_, q)| q.enabled) {
            let [descriptors, available, used] = queue.addresses;
            let index = index as u32;
            let at = VringAddr { index, flags: 0, descriptors, used, available, log: 0 };
            queue.ring = Some(match features.contains(Features::RING_PACKED) {
                true => Box::new(Packed::new(memory, &at, queue.size, Position::START)),
                false => Box::new(Split::new(memory, &at, queue.size, 0)),
            });
        }
    }

    /// The driver's features, a half at a time.
    pub(super) fn accept(&mut self, value: u64, half: u32) {
        let kept = self.accepted.bits() & !(0xFFFF_FFFF << (32 * half));
        let all = kept | (value & 0xFFFF_FFFF) << (32 * half);
        let accepted = Features::from_bits_retain(all);
        if !self.offer.features.contains(accepted) {
            self.complain(format!("{:?} was not offered", accepted - self.offer.features));
        }
        self.accepted = accepted;
        self.make_queues();
    }

    pub(super) fn selected(&mut self) -> Option<&mut Queue> {
        self.queues.get_mut(usize::from(self.queue_select))
    }

    fn vector(&self, asked: u16) -> u16 {
        let there = u32::from(asked) < self.offer.vectors && !self.has(Fault::NoVectors);
        if there { asked } else { 0xFFFF }
    }

    pub(super) fn set_config_vector(&mut self, asked: u16) {
        self.config_vector = self.vector(asked);
    }

    pub(super) fn set_queue_vector(&mut self, asked: u16) {
        let vector = self.vector(asked);
        self.selected().into_iter().for_each(|queue| queue.vector = vector);
    }

    /// Legacy: a queue's page says where all of it is.
    pub(super) fn set_page(&mut self, page: u64) {
        let Some(queue) = self.selected() else { return };
        let layout = Layout::new(queue.size, 4096).expect("a power of two");
        let parts = [layout.table().start, layout.avail().start, layout.used().start];
        queue.addresses = parts.map(|part| page * 4096 + part as u64);
        queue.enabled = page != 0;
    }

    /// Where a legacy device's own configuration begins.
    pub(super) fn legacy_own(&self) -> usize {
        if self.legacy_msix { 0x18 } else { 0x14 }
    }

    /// The network device's own configuration.
    pub(super) fn own(&mut self, offset: usize, bytes: usize) -> u64 {
        if self.has(Fault::Restless) {
            self.change(|offer| offer.config.speed += 1);
        }
        let whole = self.offer.config.as_bytes();
        (0..bytes).rev().fold(0, |value, at| {
            value << 8 | u64::from(whole.get(offset + at).copied().unwrap_or(0xFF))
        })
    }

    /// Changes the configuration, and interrupts.
    pub(super) fn change(&mut self, how: impl FnOnce(&mut Offer)) {
        how(&mut self.offer);
        self.generation = self.generation.wrapping_add(1);
        self.isr |= 2;
        self.interrupt(self.config_vector);
    }

    fn interrupt(&self, vector: u16) {
        let vector = if self.offer.vectors == 0 { 0 } else { vector };
        if let Some(event) = self.interrupts.get(usize::from(vector)) {
            event.signal().expect("an eventfd");
        }
    }

    pub(super) fn common(&mut self, offset: usize, width: Width) -> u64 {
        let select = self.feature_select;
        let half = |features: Features, at: usize| match select[at] {
            select @ 0..2 => features.bits() >> (32 * select) & 0xFFFF_FFFF,
            _ => 0,
        };
        match (offset, width) {
            (0x04, Width::Word) => half(self.offer.features, 0),
            (0x0C, Width::Word) => half(self.accepted, 1),
            (0x10, Width::Half) => self.config_vector.into(),
            (0x12, Width::Half) => self.queues.len() as u64,
            (0x14, Width::Byte) => self.status().into(),
            (0x15, Width::Byte) => self.generation.into(),
            (0x16, Width::Half) => self.queue_select.into(),
            (0x18, Width::Half) => self.selected().map_or(0, |queue| queue.size.into()),
            (0x1A, Width::Half) => self.selected().map_or(0xFFFF, |queue| queue.vector.into()),
            (0x1C, Width::Half) => self.selected().map_or(0, |queue| queue.enabled.into()),
            (0x1E, Width::Half) if self.has(Fault::FarBell) && self.queue_select == 2 => 0xFFFF,
            (0x1E, Width::Half) => self.queue_select.into(),
            (0x3A, Width::Half) => self.has(Fault::QueuesStay).into(),
            _ => {
                self.complain(format!("{offset:#x} was read as {width:?}"));
                u64::MAX
            }
        }
    }

    pub(super) fn set_common(&mut self, offset: usize, width: Width, value: u64) {
        let keeps = self.has(Fault::KeepsSizes);
        match (offset, width) {
            (0x00, Width::Word) => self.feature_select[0] = value as u32,
            (0x08, Width::Word) => self.feature_select[1] = value as u32,
            (0x0C, Width::Word) => self.accept(value, self.feature_select[1]),
            (0x10, Width::Half) => self.set_config_vector(value as u16),
            (0x14, Width::Byte) => self.set_status(value as u8),
            (0x16, Width::Half) => self.queue_select = value as u16,
            (0x18, Width::Half) if !keeps => {
                self.selected().into_iter().for_each(|queue| queue.size = value as u16);
            }
            (0x18, Width::Half) => {}
            (0x1A, Width::Half) => self.set_queue_vector(value as u16),
            (0x1C, Width::Half) => self.enable(value),
            (0x20..0x38, Width::Word) => {
                let (part, shift) = ((offset - 0x20) / 8, (offset % 8) * 8);
                let Some(queue) = self.selected() else { return };
                let kept = queue.addresses[part] & !(0xFFFF_FFFF << shift);
                queue.addresses[part] = kept | value << shift;
            }
            (0x3A, Width::Half) => self.reset_queue(),
            _ => self.complain(format!("{offset:#x} was written as {width:?}")),
        }
    }

    fn enable(&mut self, value: u64) {
        if value != 1 || !self.status.contains(Status::FEATURES_OK) {
            self.complain(format!("a queue was enabled with {value} at {:?}", self.status));
        }
        self.selected().into_iter().for_each(|queue| queue.enabled = true);
    }

    fn reset_queue(&mut self) {
        if !self.accepted.contains(Features::RING_RESET) {
            self.complain("a queue was reset, which was not agreed on");
        }
        if self.has(Fault::QueuesStay) {
            return;
        }
        let Some(queue) = self.selected() else { return };
        (queue.enabled, queue.ring) = (false, None);
    }

    /// Runs because of a notification.
    pub(super) fn notified(&mut self, index: u16, width: Width, value: u64) {
        if !self.status.contains(Status::DRIVER_OK) {
            self.complain(format!("queue {index} was notified before DRIVER_OK"));
            return;
        }
        let data = self.accepted.contains(Features::NOTIFICATION_DATA);
        let wanted = if data { Width::Word } else { Width::Half };
        if width != wanted || value as u16 != index {
            self.complain(format!("queue {index} was notified with {value:#x} as {width:?}"));
        }
        if !self.bus_master {
            return;
        }
        let many =
            self.accepted.intersects(Features::MQ | Features::RSS) && !self.has(Fault::FewerQueues);
        let pairs = if many { self.offer.config.max_virtqueue_pairs } else { 1 };
        if index == 2 * pairs {
            return self.control();
        }
        let pair = index / 2;
        if pair >= self.pairs && index % 2 == 1 {
            self.complain(format!("pair {pair} is used, and {} are in use", self.pairs));
        }
        self.echo(usize::from(pair));
    }

    /// Takes what was sent, and gives it back as far as there are buffers.
    fn echo(&mut self, pair: usize) {
        let header = self.accepted.header_len();
        let Self { memory, accepted, queues, .. } = self;
        let Some([receive, send]) = queues.get_mut(2 * pair..2 * pair + 2) else { return };
        while let Some(mut frame) =
            send.ring.as_mut().and_then(|ring| net::sent(memory, &mut **ring))
        {
            receive.waiting.push_back(frame.split_off(header));
        }
        let Some(ring) = receive.ring.as_mut() else { return };
        let (mut delivered, vector) = (false, receive.vector);
        while let Some(frame) = receive.waiting.pop_front() {
            let head = head(*accepted);
            if !net::deliver(memory, &mut **ring, *accepted, (head, &frame), || false) {
                receive.waiting.push_front(frame);
                break;
            }
            delivered = true;
        }
        let called = delivered && ring.wants_call();
        if delivered && self.has(Fault::LyingReceive) {
            self.spoil(pair);
        }
        if called {
            self.isr |= 1;
            self.interrupt(vector);
        }
    }

    /// Says that more receive buffers are used than it had: the used index, or a whole round of
    /// descriptors with a number that there is not.
    fn spoil(&mut self, pair: usize) {
        let queue = &self.queues[2 * pair];
        let packed = self.accepted.contains(Features::RING_PACKED);
        if packed {
            for at in 0..queue.size {
                let place = queue.addresses[0] + 16 * u64::from(at) + 12;
                let flags = self.memory.read(place + 2, 2);
                let flags = u16::from_le_bytes([flags[0], flags[1]]);
                let used = DescFlags::AVAIL.bits() | DescFlags::USED.bits();
                let word = [0x7FFFu16.to_le_bytes(), (flags | used).to_le_bytes()].concat();
                self.memory.write(place, &word);
            }
        } else {
            self.memory.write(queue.addresses[2] + 2, &40_000u16.to_le_bytes());
        }
    }

    /// Does commands.
    fn control(&mut self) {
        if self.has(Fault::SilentControl) {
            return;
        }
        let refuses = self.has(Fault::RefusesCommands);
        let lies = self.has(Fault::LyingControl);
        let Self { memory, queues, commands, accepted, .. } = self;
        let Some(queue) = queues.last_mut() else { return };
        let Some(ring) = queue.ring.as_mut() else { return };
        let before = commands.len();
        while let Some(chain) = ring.next() {
            let parts = memory.whole(&chain);
            let Some((answer, asked)) = parts.split_last() else { continue };
            assert_eq!((answer.flags & DescFlags::WRITE.bits(), answer.len), (2, 1), "an answer");
            let bytes: Vec<u8> =
                asked.iter().flat_map(|part| memory.read(part.addr, part.len as usize)).collect();
            commands.push((bytes[0], bytes[1], bytes[2..].to_vec()));
            memory.write(answer.addr, &[u8::from(refuses)]);
            ring.used(&chain, 1);
            if lies && !accepted.contains(Features::RING_PACKED) {
                memory.write(queue.addresses[2] + 2, &7u16.to_le_bytes());
            }
        }
        for at in before..self.commands.len() {
            match self.commands[at].clone() {
                (3, 0, _) => self.change(|offer| offer.config.status &= !2),
                (4, 0, data) => self.pairs = u16::from_le_bytes([data[0], data[1]]),
                (4, 1, data) => {
                    let entries = usize::from(u16::from_le_bytes([data[4], data[5]])) + 1;
                    let last = 8 + 2 * entries;
                    self.pairs = u16::from_le_bytes([data[last], data[last + 1]]);
                }
                _ => {}
            }
        }
    }
}

/// The header of a frame for the driver.
fn head(accepted: Features) -> Vec<u8> {
    let mut head = vec![0; accepted.header_len()];
    if accepted.contains(Features::HASH_REPORT) {
        head[12..16].copy_from_slice(&HASH.to_le_bytes());
        // Of IPv4 addresses (§5.1.6.4.3).
        head[16] = 1;
    }
    head
}

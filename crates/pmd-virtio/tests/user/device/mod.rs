//! A small, honest device: a vhost-user back-end in this process that sends every frame back on the
//! queue that it came from. Written from the specification, and apart from what it tests.

#[expect(dead_code, reason = "each device uses a part of it")]
mod memory;
mod net;
mod ring;

use linecard_virtqueue::Features;
use linecard_virtqueue::packed::Position;
use linecard_virtqueue::vhost_user::message::{
    Inflight, Memory, Region, SingleRegion, VringAddr, VringState,
};
use linecard_virtqueue::vhost_user::{
    Connection, Message, MessageFlags, ProtocolFeatures, Request,
};
use memory::GuestMemory;
use ring::{Packed, Split, Virtqueue};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// What the device offers unless told otherwise.
pub(crate) fn everything() -> Features {
    Features::VERSION_1
        | Features::RING_PACKED
        | Features::MRG_RXBUF
        | Features::IN_ORDER
        | Features::INDIRECT_DESC
        | Features::EVENT_IDX
        | Features::MQ
        | Features::CSUM
        | Features::HOST_TSO4
        | Features::HOST_TSO6
        | Features::GUEST_CSUM
        | Features::GUEST_TSO4
        | Features::GUEST_TSO6
        | Features::PROTOCOL_FEATURES
}

/// A device that listens on a socket, or connects to one, until it is dropped.
pub(crate) struct Device {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

/// What the device is told by its test, and tells it.
#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    hang_up: AtomicBool,
    whim: Mutex<Option<Whim>>,
    /// Rings that run.
    running: AtomicUsize,
    /// Whether it is to give a frame over several buffers without its last ones, and has done so.
    cut: AtomicBool,
    has_cut: AtomicBool,
    /// Whether it keeps track of what it has under way.
    tracks: AtomicBool,
    /// Memory regions that it takes one by one, if it does.
    slots: AtomicUsize,
    /// What it was told of the area for that, and the base of the first transmit ring, at each start.
    starts: Mutex<Vec<(Option<u64>, u32)>>,
}

/// What the device does, once, when it is asked to enable the second ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whim {
    /// It says no.
    Refuse,
    /// It does so, and does not answer.
    Silence,
}

impl Device {
    /// Makes the socket, and takes one driver after the other.
    pub(crate) fn listen(path: &Path, offered: Features) -> Device {
        let listener = UnixListener::bind(path).expect("a socket");
        listener.set_nonblocking(true).expect("it never blocks");
        Device::run(move || listener.accept().ok().map(|(socket, _)| socket), offered)
    }

    /// Connects to a driver's socket whenever it has none.
    pub(crate) fn connect(path: &Path, offered: Features) -> Device {
        let path: PathBuf = path.into();
        Device::run(move || UnixStream::connect(&path).ok(), offered)
    }

    fn run(
        mut next: impl FnMut() -> Option<UnixStream> + Send + 'static,
        offered: Features,
    ) -> Device {
        let orders = Arc::new(Orders::default());
        orders.slots.store(32, Ordering::SeqCst);
        let theirs = Arc::clone(&orders);
        let thread = std::thread::spawn(move || {
            while !theirs.stop.load(Ordering::SeqCst) {
                match next() {
                    Some(socket) => serve(socket, offered, &theirs),
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Device { orders, thread: Some(thread) }
    }

    /// Has a whim, once.
    pub(crate) fn have(&self, whim: Whim) {
        *self.orders.whim.lock().expect("no panic") = Some(whim);
    }

    /// Gives the next frame that goes over several buffers without its last ones.
    pub(crate) fn cut_a_frame(&self) {
        self.orders.cut.store(true, Ordering::SeqCst);
    }

    /// Whether it has given such a frame.
    pub(crate) fn has_cut(&self) -> bool {
        self.orders.has_cut.load(Ordering::SeqCst)
    }

    /// Offers to keep track of what it has under way.
    pub(crate) fn track(&self) {
        self.orders.tracks.store(true, Ordering::SeqCst);
    }

    /// Takes as many memory regions one by one; none: all in one table, or not at all.
    pub(crate) fn take_regions(&self, slots: usize) {
        self.orders.slots.store(slots, Ordering::SeqCst);
    }

    /// At each start: the inode of the area it was given back, and where the first transmit ring begins.
    pub(crate) fn starts(&self) -> Vec<(Option<u64>, u32)> {
        self.orders.starts.lock().expect("no panic").clone()
    }

    /// How many rings it runs.
    pub(crate) fn running(&self) -> usize {
        self.orders.running.load(Ordering::SeqCst)
    }

    /// Closes the connection, as if it had died, and goes on with the next.
    pub(crate) fn hang_up(&self) {
        self.orders.hang_up.store(true, Ordering::SeqCst);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the device does not panic");
        }
    }
}

/// A queue, as far as it has been told of.
#[derive(Default)]
struct Queue {
    size: u16,
    base: u32,
    addresses: Option<VringAddr>,
    kick: Option<OwnedFd>,
    call: Option<OwnedFd>,
    enabled: bool,
    ring: Option<Box<dyn Virtqueue>>,
}

struct Session {
    connection: Connection,
    offered: Features,
    features: Features,
    memory: GuestMemory,
    queues: Vec<Queue>,
    waiting: Vec<VecDeque<Vec<u8>>>,
    /// The inode of the area of what is under way.
    area: Option<u64>,
}

fn serve(socket: UnixStream, offered: Features, orders: &Orders) {
    let connection = Connection::new(socket).expect("a socket");
    let queues = (0..16).map(|_| Queue::default()).collect();
    let waiting = (0..8).map(|_| VecDeque::new()).collect();
    let (features, memory) = (Features::empty(), GuestMemory::default());
    let area = None;
    let mut session = Session { connection, offered, features, memory, queues, waiting, area };
    while !orders.stop.load(Ordering::SeqCst) && !orders.hang_up.swap(false, Ordering::SeqCst) {
        match session.connection.receive(Duration::ZERO) {
            Ok(Some(message)) => session.answer(message, orders),
            Ok(None) => {
                if session.echo(orders) == 0 {
                    std::thread::yield_now();
                }
            }
            Err(_) => break,
        }
    }
    orders.running.store(0, Ordering::SeqCst);
}

impl Session {
    fn answer(&mut self, message: Message, orders: &Orders) {
        let request = Request::of(message.header.request).expect("a request that there is");
        let state = || message.read::<VringState>().expect("a state");
        let reply = match request {
            Request::GetFeatures => Some(self.offered.bits()),
            Request::GetProtocolFeatures => Some(protocol(orders).bits()),
            Request::GetQueueNum => Some(8),
            Request::GetMaxMemSlots => Some(orders.slots.load(Ordering::SeqCst) as u64),
            Request::GetVringBase => {
                let index = state().index;
                let queue = &mut self.queues[index as usize];
                (queue.ring, queue.enabled) = (None, false);
                Some(u64::from(index))
            }
            _ => None,
        };
        let on_second =
            request == Request::SetVringEnable && state() == VringState { index: 1, num: 1 };
        let whim = orders.whim.lock().expect("no panic").take_if(|_| on_second);
        let mut fds = message.fds;
        let index = (message.body.first().copied().unwrap_or(0) & 15) as usize;
        match request {
            Request::SetFeatures => {
                self.features =
                    Features::from_bits_retain(u64::read_from_bytes(&message.body).expect("u64"));
            }
            Request::SetMemTable => {
                self.memory = GuestMemory::default();
                let (memory, rest) = Memory::read_from_prefix(&message.body).expect("a table");
                for i in 0..memory.count as usize {
                    let region = Region::read_from_prefix(&rest[i * 32..]).expect("a region").0;
                    self.memory.map(region, fds.remove(0));
                }
            }
            Request::AddMemReg => {
                let single = SingleRegion::read_from_bytes(&message.body).expect("a region");
                self.memory.map(single.region, fds.remove(0));
            }
            Request::SetVringNum => {
                let state = VringState::read_from_bytes(&message.body).expect("a state");
                self.queues[state.index as usize].size = state.num as u16;
            }
            Request::GetInflightFd => {
                let area = Inflight::read_from_bytes(&message.body).expect("an area");
                self.give_area(area);
                return;
            }
            Request::SetInflightFd => {
                let file = std::fs::File::from(fds.remove(0));
                self.area = Some(file.metadata().expect("it is there").ino());
            }
            Request::SetVringBase => {
                let state = VringState::read_from_bytes(&message.body).expect("a state");
                if state.index == 1 {
                    orders.starts.lock().expect("no panic").push((self.area, state.num));
                }
                self.queues[state.index as usize].base = state.num;
            }
            Request::SetVringAddr => {
                let addresses = VringAddr::read_from_bytes(&message.body).expect("addresses");
                self.queues[addresses.index as usize].addresses = Some(addresses);
            }
            Request::SetVringCall => self.queues[index].call = fds.pop(),
            Request::SetVringKick => self.queues[index].kick = fds.pop(),
            Request::SetVringEnable => {
                let state = VringState::read_from_bytes(&message.body).expect("a state");
                let refused = whim == Some(Whim::Refuse);
                self.enable(state.index as usize, state.num == 1 && !refused);
            }
            _ => {}
        }
        let running = self.queues.iter().filter(|queue| queue.ring.is_some() && queue.enabled);
        orders.running.store(running.count(), Ordering::SeqCst);
        if whim == Some(Whim::Silence) {
            return;
        }
        let code = u64::from(whim == Some(Whim::Refuse));
        let wants_ack = message.header.flags & MessageFlags::NEED_REPLY.bits() != 0;
        let head = (request as u32, MessageFlags::REPLY);
        let long = Duration::from_secs(10);
        if request == Request::GetVringBase {
            let state = VringState { index: reply.unwrap_or(0) as u32, num: 0 };
            let _ = self.connection.send(head, &[state.as_bytes()], &[], long);
        } else if let Some(value) = reply.or(wants_ack.then_some(code)) {
            let _ = self.connection.send(head, &[value.as_bytes()], &[], long);
        }
    }

    /// Gives memory for what is under way, of which this device needs none: it goes in order.
    fn give_area(&self, asked: Inflight) {
        let file = tempfile::tempfile().expect("a file");
        let area = Inflight { mmap_size: 4096, ..asked };
        file.set_len(area.mmap_size).expect("room");
        let head = (Request::GetInflightFd as u32, MessageFlags::REPLY);
        let long = Duration::from_secs(10);
        let _ = self.connection.send(head, &[area.as_bytes()], &[file.as_fd()], long);
    }

    fn enable(&mut self, index: usize, on: bool) {
        let (memory, features) = (&self.memory, self.features);
        let queue = &mut self.queues[index];
        queue.enabled = on;
        if queue.ring.is_some() || !on {
            return;
        }
        let addresses = queue.addresses.expect("told before");
        let ring: Box<dyn Virtqueue> = if features.contains(Features::RING_PACKED) {
            let at = Position::from_word(queue.base as u16);
            Box::new(Packed::new(memory, &addresses, queue.size, at))
        } else {
            Box::new(Split::new(memory, &addresses, queue.size, queue.base as u16))
        };
        queue.ring = Some(ring);
    }

    /// Echoes what there is; says how many frames.
    fn echo(&mut self, orders: &Orders) -> u64 {
        let mut echoed = 0;
        for pair in 0..self.queues.len() / 2 {
            for _ in 0..64 {
                let Some(frame) = self.sent(pair) else { break };
                self.waiting[pair].push_back(frame);
            }
            while let Some(frame) = self.waiting[pair].pop_front() {
                if !self.deliver(pair, &frame, orders) {
                    self.waiting[pair].push_front(frame);
                    break;
                }
                echoed += 1;
            }
        }
        echoed
    }

    /// A frame that the driver has sent.
    fn sent(&mut self, pair: usize) -> Option<Vec<u8>> {
        let queue = &mut self.queues[2 * pair + 1];
        let ring = queue.ring.as_mut().filter(|_| queue.enabled)?;
        let mut frame = net::sent(&self.memory, &mut **ring)?;
        signal(queue.call.as_ref(), ring.wants_call());
        Some(frame.split_off(self.features.header_len()))
    }

    /// Gives a frame to the driver, over as many buffers as it takes; all or nothing, unless it was told
    /// to cut one.
    fn deliver(&mut self, pair: usize, frame: &[u8], orders: &Orders) -> bool {
        let queue = &mut self.queues[2 * pair];
        let Some(ring) = queue.ring.as_mut().filter(|_| queue.enabled) else { return false };
        let header = vec![0; self.features.header_len()];
        let is_cut = || {
            let cut = orders.cut.swap(false, Ordering::SeqCst);
            orders.has_cut.fetch_or(cut, Ordering::SeqCst);
            cut
        };
        let whole = (header, frame);
        let delivered = net::deliver(&self.memory, &mut **ring, self.features, whole, is_cut);
        if delivered {
            signal(queue.call.as_ref(), ring.wants_call());
        }
        delivered
    }
}

fn protocol(orders: &Orders) -> ProtocolFeatures {
    let mut protocol =
        ProtocolFeatures::MQ | ProtocolFeatures::REPLY_ACK | ProtocolFeatures::STATUS;
    let slots = orders.slots.load(Ordering::SeqCst) > 0;
    protocol.set(ProtocolFeatures::CONFIGURE_MEM_SLOTS, slots);
    protocol.set(ProtocolFeatures::INFLIGHT_SHMFD, orders.tracks.load(Ordering::SeqCst));
    protocol
}

fn signal(call: Option<&OwnedFd>, wanted: bool) {
    if let (Some(call), true) = (call, wanted) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes that outlive the call.
        unsafe { libc::write(call.as_fd().as_raw_fd(), one.as_ptr().cast(), 8) };
    }
}

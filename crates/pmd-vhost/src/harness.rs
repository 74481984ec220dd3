//! One harness for property tests and libFuzzer: a guest and a front-end made of any bytes, against
//! a device of two queue pairs. Nothing that they do may end the process, hang it, or keep a buffer.

use crate::device::{Device, Offer};
use crate::memory::{Mapping, Shrinking, memfd};
use crate::request::Request;
use crate::ring::Driven;
use crate::session::Session;
use linecard_eal::event::EventFd;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Gate, PortConfig, QueueStats, RxOffloads, RxQueue, TxOffloads, TxQueue};
use linecard_virtqueue::vhost_user::message::{Memory, Region, VringAddr, VringState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Bytes of the guest's memory: small, so that random addresses hit it.
const MEMORY: u64 = 1 << 16;
/// Where the guest has it.
const GUEST: u64 = 1 << 12;
/// Where the front-end has it.
const USER: u64 = 1 << 40;
const PAIRS: usize = 2;
/// The most steps of a run.
const STEPS: usize = 200;

/// Bytes to be used up, and zeroes behind them.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.byte()).collect()
    }

    /// An address near the guest's memory, or any.
    fn address(&mut self, base: u64) -> u64 {
        let word = u64::from(self.word());
        if self.byte() < 240 { base + word } else { word << 48 | word }
    }
}

/// A device with its front-end and guest.
struct Bench {
    session: Session,
    memory: OwnedFd,
    mapping: Mapping,
    pool: MbufPool,
    stats: QueueStats,
    rx: Vec<Box<dyn RxQueue>>,
    tx: Vec<Box<dyn TxQueue>>,
    eventfd: EventFd,
    area: Option<OwnedFd>,
}

/// Runs what `data` says.
///
/// # Panics
/// If a buffer is kept, or a queue says that it took or gave what it did not.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Ok(mut bench) = Bench::new(bytes.byte()) else { return };
    if bytes.byte() < 200 {
        bench.set_up(&mut bytes);
    }
    for _ in 0..STEPS {
        if bytes.0.is_empty() {
            break;
        }
        match bytes.byte() % 8 {
            0..3 => bench.scribble(&mut bytes),
            3 => bench.receive(),
            4 => bench.send(&mut bytes),
            5 => bench.say(&mut bytes),
            6 => bench.fill(&mut bytes),
            _ => bench.session.attend(),
        }
    }
    bench.receive();
    let pool = bench.pool.clone();
    drop(bench);
    assert_eq!(pool.in_use(), 0, "buffers were kept");
}

impl Bench {
    fn new(kind: u8) -> std::io::Result<Self> {
        let device = Arc::new(Device::new(PAIRS, Shrinking::Accept)?);
        let pool = MbufPool::builder("harness").size(255).cache(0).data_room(2048).build();
        let pool = pool.map_err(std::io::Error::other)?;
        let (mut rx_offloads, mut tx_offloads) = (RxOffloads::SCATTER, TxOffloads::MULTI_SEGMENT);
        if kind & 1 != 0 {
            rx_offloads |= RxOffloads::L4_CHECKSUM | RxOffloads::LRO | RxOffloads::LARGE_UDP;
            tx_offloads |= TxOffloads::TCP_SEGMENTATION | TxOffloads::UDP_SEGMENTATION;
        }
        let config = PortConfig::new(&pool)
            .rx_queues(PAIRS)
            .tx_queues(PAIRS)
            .rx_offloads(rx_offloads)
            .tx_offloads(tx_offloads);
        let offer = crate::port::everything(&config);
        let memory = memfd(c"harness", MEMORY)?;
        let mapping = Mapping::of(memory.as_fd(), 0, MEMORY, Shrinking::Refuse);
        let mapping = mapping.map_err(std::io::Error::other)?;
        let (stats, gate) = (QueueStats::new(PAIRS, PAIRS), Gate::new());
        let (rx, tx) = crate::port::queues(&device, &config, &stats, &gate, drive(&device));
        let session = Session::new(device, Offer { pairs: PAIRS, ..offer });
        let (eventfd, area) = (EventFd::new()?, None);
        Ok(Bench { session, memory, mapping, pool, stats, rx, tx, eventfd, area })
    }

    /// Says something; whether it was obeyed.
    fn tell(&mut self, code: u32, payload: &[u8], fds: Vec<OwnedFd>) -> bool {
        let Ok(request) = Request::of_parts(code, payload, fds) else { return false };
        match self.session.obey(request) {
            Ok(reply) => {
                if let Some((_, Some(fd))) = reply.into_parts() {
                    self.area = Some(fd);
                }
                true
            }
            Err(_) => false,
        }
    }

    /// What a front-end says, with features, sizes and places as the bytes have it.
    fn set_up(&mut self, bytes: &mut Bytes<'_>) {
        let features = match bytes.byte() % 8 {
            0 => 1 << 30,
            1 => 1 << 32 | 1 << 30 | 1 << 15,
            2 => 1 << 32 | 1 << 30 | 1 << 34 | 1 << 28,
            3 => 1 << 32 | 1 << 30 | 1 << 34 | 1 << 35 | 1 << 15,
            4 => 1 << 32 | 1 << 30 | 1 << 15 | 1 << 28 | 1 << 29,
            5 => 1 << 32 | 1 << 30 | 1 << 33 | 1 << 28,
            6 => 1 << 32 | 1 << 30 | 1 << 34 | 1 << 29 | 1 << 33,
            _ => 1 << 32 | 1 << 34 | 1 << 15 | 1 << 28 | 1 << 29,
        };
        self.tell(2, &u64::to_ne_bytes(features), Vec::new());
        self.share(0);
        for index in 0..4u32 {
            let num = 1 << (bytes.byte() % 9);
            self.tell(8, VringState { index, num }.as_bytes(), Vec::new());
            let at = USER + u64::from(index) * 0x2000;
            let (descriptors, available, used) = (at, at + 0x1000, at + 0x1800);
            let place = VringAddr { index, flags: 0, descriptors, used, available, log: 0 };
            self.tell(9, place.as_bytes(), Vec::new());
            self.tell(12, &(u64::from(index) | 0x100).to_ne_bytes(), Vec::new());
            self.tell(18, VringState { index, num: 1 }.as_bytes(), Vec::new());
        }
        // With an IOMMU, addresses mean themselves.
        let all = [USER, MEMORY, USER, 0x0203].map(u64::to_ne_bytes).concat();
        self.tell(22, &all, Vec::new());
    }

    fn share(&mut self, offset: u64) {
        let head = Memory { count: 1, padding: 0 };
        let place =
            Region { guest_addr: GUEST, size: MEMORY, user_addr: USER, mmap_offset: offset };
        let payload = [head.as_bytes(), place.as_bytes()].concat();
        let Ok(fd) = self.memory.try_clone() else { return };
        self.tell(5, &payload, vec![fd]);
    }

    /// Any message, with descriptors that may be what they should.
    fn say(&mut self, bytes: &mut Bytes<'_>) {
        let (code, shape) = (u32::from(bytes.byte() % 44), bytes.byte());
        let payload = self.payload(code, shape, bytes);
        let fds = (0..shape >> 6).filter_map(|_| self.descriptor(bytes.byte())).collect();
        self.tell(code, &payload, fds);
    }

    fn payload(&self, code: u32, shape: u8, bytes: &mut Bytes<'_>) -> Vec<u8> {
        if shape & 0x20 != 0 {
            return bytes.take(usize::from(shape & 0x1F) * 2);
        }
        let index = u32::from(bytes.byte() % 5);
        match code {
            5 => [vec![1, 0, 0, 0, 0, 0, 0, 0], region(bytes)].concat(),
            6 => [u64::from(bytes.byte()), 0].map(u64::to_ne_bytes).concat(),
            8 | 10 | 11 | 18 => {
                VringState { index, num: u32::from(bytes.word()) }.as_bytes().to_vec()
            }
            9 => {
                let [descriptors, used, available, log] = [0; 4].map(|_: u8| bytes.address(USER));
                let flags = u32::from(bytes.byte() & 1);
                VringAddr { index, flags, descriptors, used, available, log }.as_bytes().to_vec()
            }
            12..=14 => (u64::from(index) | u64::from(shape & 1) << 8).to_ne_bytes().to_vec(),
            22 => {
                let (iova, user) = (bytes.address(GUEST), bytes.address(USER));
                let size = u64::from(bytes.word());
                let [access, kind] = [bytes.byte() % 4, bytes.byte() % 5];
                let words = [iova, size, user, u64::from(access) | u64::from(kind) << 8];
                words.map(u64::to_ne_bytes).concat()
            }
            31 | 32 => {
                let words = [u64::from(bytes.word()) << 6, 0, 4 | u64::from(bytes.byte()) << 16];
                words.map(u64::to_ne_bytes).concat()
            }
            37 | 38 => [vec![0; 8], region(bytes)].concat(),
            1 | 3 | 4 | 15 | 17 | 34 | 36 | 40 => Vec::new(),
            _ => bytes.take(8),
        }
    }

    /// A descriptor to go with a message.
    fn descriptor(&self, which: u8) -> Option<OwnedFd> {
        match which % 4 {
            0 | 1 => self.memory.try_clone().ok(),
            2 => self.eventfd.as_fd().try_clone_to_owned().ok(),
            _ => self.area.as_ref()?.try_clone().ok(),
        }
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        let at = (at as usize).min(MEMORY as usize - bytes.len());
        // SAFETY: within the memory, all of which is mapped.
        unsafe {
            let to = self.mapping.start().as_ptr().add(at);
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// The guest writes: anything anywhere, a descriptor, or an index.
    fn scribble(&mut self, bytes: &mut Bytes<'_>) {
        let ring = u64::from(bytes.byte() % 4) * 0x2000;
        match bytes.byte() % 5 {
            0 => {
                let (at, n) = (u64::from(bytes.word()), usize::from(bytes.byte() % 32));
                self.put(at, &bytes.take(n));
            }
            1 | 2 => {
                let slot = u64::from(bytes.byte());
                let (address, len) = (bytes.address(GUEST), u32::from(bytes.word()));
                let words = [bytes.word() & 0x8087, u16::from(bytes.byte())];
                self.put(ring + 16 * slot, &address.to_le_bytes());
                self.put(ring + 16 * slot + 8, &len.to_le_bytes());
                self.put(ring + 16 * slot + 12, words.as_bytes());
            }
            3 => {
                let (slot, head) = (u64::from(bytes.byte()), u16::from(bytes.byte()));
                self.put(ring + 0x1004 + 2 * slot, &head.to_le_bytes());
            }
            _ => self.put(ring + 0x1002, &u16::from(bytes.byte()).to_le_bytes()),
        }
    }

    /// The guest makes a plausible packed descriptor: id before flags.
    fn fill(&mut self, bytes: &mut Bytes<'_>) {
        let ring = u64::from(bytes.byte() % 4) * 0x2000;
        let (slot, flags) = (u64::from(bytes.byte() % 64), bytes.word() & 0x8087 ^ 0x80);
        let (address, len) = (bytes.address(GUEST), u32::from(bytes.word()));
        self.put(ring + 16 * slot, &address.to_le_bytes());
        self.put(ring + 16 * slot + 8, &len.to_le_bytes());
        self.put(ring + 16 * slot + 12, [slot as u16, flags].as_bytes());
    }

    fn receive(&mut self) {
        for (queue, rx) in self.rx.iter_mut().enumerate() {
            let before = self.stats.rx[queue].packets.read();
            let mut burst = Burst::new();
            let n = rx.receive(&mut burst);
            assert_eq!(n, burst.len(), "said and received");
            let counted = self.stats.rx[queue].packets.read() - before;
            // An announcement is ours, and not the guest's.
            assert!(counted == n as u64 || counted + 1 == n as u64, "counted and received");
        }
    }

    fn send(&mut self, bytes: &mut Bytes<'_>) {
        let mut burst = Burst::new();
        for _ in 0..=bytes.byte() % 32 {
            let Some(mut packet) = self.pool.alloc() else { break };
            let len = usize::from(bytes.word() % 5000);
            if packet.extend(&self.pool, &vec![bytes.byte(); len]).is_some() {
                // A burst has room for 32.
                let _ = burst.push(packet);
            }
        }
        let queue = usize::from(bytes.byte()) % PAIRS;
        let before = burst.len();
        let taken = self.tx[queue].send(&mut burst);
        assert_eq!(taken + burst.len(), before, "taken and left");
    }
}

/// A region, as a front-end may have it.
fn region(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let [guest_addr, user_addr] = [bytes.address(GUEST), bytes.address(USER)];
    let [size, mmap_offset] = [0; 2].map(|_: u8| u64::from(bytes.word()) + 1);
    Region { guest_addr, size, user_addr, mmap_offset }.as_bytes().to_vec()
}

/// The right to drive every ring.
fn drive(device: &Arc<Device>) -> (Vec<Driven>, Vec<Driven>) {
    let ring = |i: usize| device.vrings[i].drive().into_iter();
    let rx = (0..PAIRS).flat_map(|i| ring(2 * i + 1)).collect();
    (rx, (0..PAIRS).flat_map(|i| ring(2 * i)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_guest_and_front_end_do_the_device_lives(
            data in proptest::collection::vec(any::<u8>(), 0..1500)
        ) {
            super::run(&data);
        }
    }
}

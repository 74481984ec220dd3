//! A guest's driver, made for tests: a front-end with memory and rings of its own, as simple as can be,
//! and able to misbehave.

mod memory;
mod ring;

pub(crate) use memory::Memory;
pub(crate) use ring::{Buffer, DriverRing};

use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::message::{
    Memory as TableHead, Region, Request, VRING_NO_FD, VringAddr, VringState,
};
use linecard_virtqueue::vhost_user::{Connection, Message, MessageFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Where the guest has its memory.
pub(crate) const GUEST: u64 = 0x10_0000;
/// Where the front-end says that it has it.
pub(crate) const USER: u64 = 0x7000_0000_0000;
/// Bytes of a ring's part of the memory, and of each buffer.
const RING: usize = 1 << 16;
pub(crate) const BUFFER: usize = 2048;

/// How a guest is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) packed: bool,
    pub(crate) mergeable: bool,
    pub(crate) in_order: bool,
    pub(crate) indirect: bool,
    pub(crate) more: Features,
    pub(crate) pairs: usize,
    pub(crate) size: u16,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            packed: false,
            mergeable: true,
            in_order: false,
            indirect: false,
            more: Features::empty(),
            pairs: 1,
            size: 256,
        }
    }
}

impl Manner {
    pub(crate) fn features(&self) -> Features {
        let mut features = Features::VERSION_1 | Features::PROTOCOL_FEATURES | self.more;
        features.set(Features::RING_PACKED, self.packed);
        features.set(Features::MRG_RXBUF, self.mergeable);
        features.set(Features::IN_ORDER, self.in_order);
        features.set(Features::INDIRECT_DESC, self.indirect);
        features.set(Features::MQ | Features::CTRL_VQ, self.pairs > 1);
        features
    }

    /// Every ring variant.
    pub(crate) fn all() -> impl Iterator<Item = Manner> {
        (0..16).map(|i| Manner {
            packed: i & 1 != 0,
            mergeable: i & 2 != 0,
            in_order: i & 4 != 0,
            indirect: i & 8 != 0,
            ..Manner::default()
        })
    }
}

/// A guest with its rings.
pub(crate) struct Guest {
    pub(crate) front: Front,
    pub(crate) memory: Memory,
    pub(crate) rings: Vec<DriverRing>,
    pub(crate) manner: Manner,
    /// Buffers that are not in a ring, each of [`BUFFER`] bytes.
    free: Vec<u64>,
}

/// Connects, as soon as somebody listens, unless told to give up.
pub(crate) fn connect(path: &Path, give_up: impl Fn() -> bool) -> io::Result<UnixStream> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(error) if start.elapsed() > PATIENCE || give_up() => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

impl Guest {
    /// Connects, and sets all rings up and fills the receive rings.
    pub(crate) fn start(path: &Path, manner: Manner) -> io::Result<Guest> {
        let mut guest = Guest::new(connect(path, || false)?, manner)?;
        guest.set_up()?;
        Ok(guest)
    }

    /// A guest that has said nothing yet.
    pub(crate) fn new(socket: UnixStream, manner: Manner) -> io::Result<Guest> {
        let rings = 2 * manner.pairs;
        let buffers = rings * usize::from(manner.size) * 4;
        let memory = Memory::new(rings * RING + buffers * BUFFER);
        let free = (0..buffers).map(|i| GUEST + (rings * RING + i * BUFFER) as u64).collect();
        let rings = (0..rings).map(|i| DriverRing::new(i * RING, manner)).collect();
        let front = Front::new(socket)?;
        Ok(Guest { front, memory, rings, manner, free })
    }

    /// Everything that a front-end says until packets pass.
    pub(crate) fn set_up(&mut self) -> io::Result<()> {
        self.front.agree(self.manner.features())?;
        self.front.share(&self.memory)?;
        for i in 0..self.rings.len() {
            self.set_up_ring(i, 0)?;
        }
        for i in 0..self.rings.len() {
            self.front.number(Request::SetVringEnable, i, 1)?;
        }
        for pair in 0..self.manner.pairs {
            self.refill(pair);
        }
        Ok(())
    }

    /// Tells of one ring, from `base` on.
    pub(crate) fn set_up_ring(&mut self, i: usize, base: u32) -> io::Result<()> {
        let base = if self.manner.packed && base == 0 { 0x8000_8000 } else { base };
        self.front.number(Request::SetVringNum, i, self.manner.size.into())?;
        self.front.number(Request::SetVringBase, i, base)?;
        self.front.tell(Request::SetVringAddr, &self.rings[i].address(i), &[])?;
        self.front.tell(Request::SetVringCall, &(i as u64 | VRING_NO_FD), &[])?;
        self.front.tell(Request::SetVringKick, &(i as u64 | VRING_NO_FD), &[])
    }

    /// Ends a ring; its base.
    pub(crate) fn stop_ring(&mut self, i: usize) -> io::Result<u32> {
        let state = VringState { index: i as u32, num: 0 };
        self.front.ask::<_, VringState>(Request::GetVringBase, &state).map(|state| state.num)
    }

    /// Gives the receive ring of a pair all the buffers that it takes.
    pub(crate) fn refill(&mut self, pair: usize) {
        let ring = &mut self.rings[2 * pair];
        while ring.room() > 0 {
            let Some(address) = self.free.pop() else { return };
            let buffers: Vec<_> = if self.manner.mergeable {
                vec![Buffer { address, len: BUFFER as u32, write: true }]
            } else {
                // A whole frame of up to 10,000 bytes in one chain.
                let mut all = vec![address];
                all.extend((0..4).filter_map(|_| self.free.pop()));
                let whole = |address| Buffer { address, len: BUFFER as u32, write: true };
                all.into_iter().map(whole).collect()
            };
            if !ring.add(&self.memory, &buffers) {
                self.free.extend(buffers.iter().map(|buffer| buffer.address));
                return;
            }
        }
    }

    fn header(&self) -> usize {
        self.manner.features().header_len()
    }

    /// Sends a frame behind `header`; `false` if there is no room.
    pub(crate) fn send_with(&mut self, pair: usize, header: &[u8], frame: &[u8]) -> bool {
        self.reclaim(pair);
        let bytes = [header, frame].concat();
        let n = bytes.len().div_ceil(BUFFER);
        if self.rings[2 * pair + 1].room() < n || self.free.len() < n {
            return false;
        }
        let mut buffers = Vec::new();
        for piece in bytes.chunks(BUFFER) {
            let address = self.free.pop().expect("counted");
            self.memory.write((address - GUEST) as usize, piece);
            buffers.push(Buffer { address, len: piece.len() as u32, write: false });
        }
        assert!(self.rings[2 * pair + 1].add(&self.memory, &buffers), "there is room");
        true
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, pair: usize, frame: &[u8]) -> bool {
        self.send_with(pair, &vec![0; self.header()], frame)
    }

    /// Takes back what has been sent.
    pub(crate) fn reclaim(&mut self, pair: usize) {
        while let Some((buffers, _)) = self.rings[2 * pair + 1].take(&self.memory) {
            self.free.extend(buffers.iter().map(|buffer| buffer.address));
        }
    }

    /// The next frame, with its header.
    pub(crate) fn receive_with(&mut self, pair: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut bytes = self.chain(pair)?;
        let header: Vec<u8> = bytes.drain(..self.header()).collect();
        let merged = u16::from_le_bytes([header[10], header[11]]);
        assert!(merged >= 1 && (merged == 1 || self.manner.mergeable), "{merged} buffers");
        for _ in 1..merged {
            bytes.extend(self.chain(pair).expect("all of a frame comes at once"));
        }
        Some((header, bytes))
    }

    /// The next frame.
    pub(crate) fn receive(&mut self, pair: usize) -> Option<Vec<u8>> {
        let frame = self.receive_with(pair).map(|(_, frame)| frame);
        self.refill(pair);
        frame
    }

    fn chain(&mut self, pair: usize) -> Option<Vec<u8>> {
        let (buffers, len) = self.rings[2 * pair].take(&self.memory)?;
        let mut bytes = Vec::new();
        for buffer in &buffers {
            let n = (len as usize - bytes.len()).min(buffer.len as usize);
            bytes.extend(self.memory.read((buffer.address - GUEST) as usize, n));
        }
        self.free.extend(buffers.iter().map(|buffer| buffer.address));
        Some(bytes)
    }

    /// Has an IOMMU, which has the memory at `iova`.
    pub(crate) fn translate_by(&mut self, iova: u64) {
        self.rings.iter_mut().for_each(|ring| ring.iova = Some(iova));
    }

    /// Whether the device polls.
    pub(crate) fn wants_no_kick(&self, pair: usize) -> bool {
        !self.wants_kick(pair)
    }

    /// Whether the device wants to be told of what is sent.
    pub(crate) fn wants_kick(&self, pair: usize) -> bool {
        let device = self.rings[2 * pair + 1].parts[2];
        let at = if self.manner.packed { device + 2 } else { device };
        self.memory.load(at) == 0
    }

    /// Whether the connection still stands.
    pub(crate) fn is_connected(&mut self) -> bool {
        self.front.ask::<_, u64>(Request::GetFeatures, &[0u8; 0]).is_ok()
    }
}

/// The front-end's end of the socket.
pub(crate) struct Front {
    pub(crate) connection: Connection,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Front {
    pub(crate) fn new(socket: UnixStream) -> io::Result<Front> {
        Ok(Front { connection: Connection::new(socket).map_err(other)? })
    }

    /// Says something.
    pub(crate) fn tell<T: IntoBytes + Immutable + ?Sized>(
        &self,
        request: Request,
        body: &T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let what = (request as u32, MessageFlags::empty());
        self.connection.send(what, &[body.as_bytes()], fds, PATIENCE).map_err(other)
    }

    /// Says something, and waits until it has been obeyed, or not.
    pub(crate) fn tell_and_wait<T: IntoBytes + Immutable + ?Sized>(
        &self,
        request: Request,
        body: &T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<bool> {
        let what = (request as u32, MessageFlags::NEED_REPLY);
        self.connection.send(what, &[body.as_bytes()], fds, PATIENCE).map_err(other)?;
        Ok(self.answer()?.read::<u64>().map_err(other)? == 0)
    }

    /// Asks something.
    pub(crate) fn ask<T, R>(&self, request: Request, body: &T) -> io::Result<R>
    where
        T: IntoBytes + Immutable + ?Sized,
        R: FromBytes + KnownLayout + Immutable,
    {
        self.tell(request, body, &[])?;
        self.answer()?.read().map_err(other)
    }

    /// The next answer.
    pub(crate) fn answer(&self) -> io::Result<Message> {
        let message = self.connection.receive(PATIENCE).map_err(other)?;
        message.ok_or_else(|| other("no answer"))
    }

    /// A number for a ring.
    pub(crate) fn number(&self, request: Request, ring: usize, num: u32) -> io::Result<()> {
        self.tell(request, &VringState { index: ring as u32, num }, &[])
    }

    /// Agrees on features.
    pub(crate) fn agree(&self, features: Features) -> io::Result<()> {
        let offered: u64 = self.ask(Request::GetFeatures, &[0u8; 0])?;
        let missing = features.difference(Features::from_bits_retain(offered));
        assert!(missing.is_empty(), "not offered: {missing:?}");
        let protocol: u64 = self.ask(Request::GetProtocolFeatures, &[0u8; 0])?;
        self.tell(Request::SetProtocolFeatures, &protocol, &[])?;
        self.tell(Request::SetOwner, &[0u8; 0], &[])?;
        self.tell(Request::SetFeatures, &features.bits(), &[])
    }

    /// Shares all of the memory.
    pub(crate) fn share(&self, memory: &Memory) -> io::Result<()> {
        let head = TableHead { count: 1, padding: 0 };
        let body = [head.as_bytes(), region(memory).as_bytes()].concat();
        self.tell(Request::SetMemTable, body.as_slice(), &[memory.fd.as_fd()])
    }
}

/// All of the memory as one region.
pub(crate) fn region(memory: &Memory) -> Region {
    Region { guest_addr: GUEST, size: memory.len as u64, user_addr: USER, mmap_offset: 0 }
}

/// Where the parts of a ring are, for the front-end.
pub(crate) fn address(index: usize, [descriptors, available, used]: [usize; 3]) -> VringAddr {
    let at = |offset: usize| USER + offset as u64;
    VringAddr {
        index: index as u32,
        flags: 0,
        descriptors: at(descriptors),
        used: at(used),
        available: at(available),
        log: 0,
    }
}

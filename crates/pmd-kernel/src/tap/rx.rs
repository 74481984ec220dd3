//! Receive: a `read` a frame, straight into the packet's buffer.

use crate::sys::{TunFile, is_gone};
use crate::unfinished;
use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{Gate, Path, PortConfig, RxCounters, RxOffloads, RxQueue, WakeUp};
use linecard_virtqueue::net::{VNET, VnetHdr};
use linecard_virtqueue::offload::settle;
use std::io::{self, ErrorKind, IoSliceMut, Read};
use std::os::fd::AsFd;
use std::sync::Arc;

/// An Ethernet header and two tags.
const OVERHEAD: usize = 14 + 8;
/// The largest frame that the kernel hands over uncut, with its tags.
const LARGE: usize = 65_536 + OVERHEAD;
/// The most buffers that a frame is read into: 64 KiB in buffers of 512 bytes, and the header.
const MOST: usize = 130;

/// A receive queue.
pub(super) struct TapRx {
    file: Arc<TunFile>,
    pool: MbufPool,
    /// Buffers for one frame, each with all its room in it; the first begins with the header's.
    posted: Vec<Mbuf>,
    buffers: usize,
    port: u16,
    asked: RxOffloads,
    counters: Arc<RxCounters>,
    gate: Gate,
    gone: Gate,
}

impl TapRx {
    pub(super) fn new(
        file: Arc<TunFile>,
        config: &PortConfig,
        queue: usize,
        mtu: usize,
        counters: Arc<RxCounters>,
        gate: Gate,
    ) -> Self {
        let (pool, asked) = (config.pool(queue).clone(), config.rx_offloads_asked());
        let buffers = buffers(pool.data_room(), asked, mtu);
        let posted = Vec::with_capacity(buffers);
        let port = config.number();
        TapRx { file, pool, posted, buffers, port, asked, counters, gate, gone: Gate::new() }
    }

    /// Whether anything may come: the port runs, and its interface is there.
    fn is_on(&self) -> bool {
        self.gate.is_open() && self.gone.is_open()
    }

    /// Has buffers for a frame; fewer than wanted if the pool has no more, none if it has none.
    #[inline]
    fn post(&mut self) -> usize {
        while self.posted.len() < self.buffers {
            let first = self.posted.is_empty();
            let Some(buffer) = self.pool.alloc().and_then(|b| opened(b, first)) else { break };
            self.posted.push(buffer);
        }
        self.posted.len()
    }

    /// The next frame, if there is one; `Some(None)` is one that was of no use.
    fn next(&mut self) -> Option<Option<Mbuf>> {
        if self.post() == 0 {
            self.counters.no_buffer.add(1);
            return None;
        }
        match self.read() {
            Ok(n) => Some(self.frame(n)),
            Err(error) => {
                self.refused(&error);
                None
            }
        }
    }

    #[inline]
    fn read(&mut self) -> io::Result<usize> {
        let mut file = self.file.file();
        match self.posted.as_mut_slice() {
            [one] => file.read(one.data_mut()),
            many => {
                let mut slices: [IoSliceMut<'_>; MOST] =
                    std::array::from_fn(|_| IoSliceMut::new(&mut []));
                let pairs = slices.iter_mut().zip(many.iter_mut());
                let n = pairs.map(|(slice, m)| *slice = IoSliceMut::new(m.data_mut())).count();
                file.read_vectored(&mut slices[..n])
            }
        }
    }

    #[cold]
    fn refused(&mut self, error: &io::Error) {
        // EFAULT is what a queue says whose interface has been removed.
        if is_gone(error) || error.raw_os_error() == Some(libc::EFAULT) {
            self.gone.close();
        } else if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
            self.counters.errors.add(1);
        }
    }

    /// The frame in the first `n` bytes of the buffers posted.
    fn frame(&mut self, n: usize) -> Option<Mbuf> {
        let room: usize = self.posted.iter().map(Mbuf::len).sum();
        let packet = self.gather(n);
        // The kernel cuts off what finds no room, and does not say so: a frame that fills it all is
        // taken for one that was cut, as there is more room than the MTU's frames need.
        let packet = packet.filter(|_| n < room && n >= VNET + 14).and_then(|p| self.finish(p));
        if packet.is_none() {
            self.counters.errors.add(1);
        }
        packet
    }

    /// Takes the buffers that `n` bytes lie in, as one packet.
    #[inline]
    fn gather(&mut self, n: usize) -> Option<Mbuf> {
        if self.posted.len() == 1 {
            let mut packet = self.posted.pop()?;
            return packet.trim(packet.len() - n).ok().map(|()| packet);
        }
        let (mut used, mut covered) = (0, 0);
        while covered < n {
            covered += self.posted.get(used)?.len();
            used += 1;
        }
        let mut buffers = self.posted.drain(..used);
        let mut packet = buffers.next()?;
        let chained = buffers.try_for_each(|more| packet.chain(more).ok());
        drop(buffers);
        // The next frame's header goes before what is now the first.
        if self.posted.first_mut().is_some_and(|first| first.prepend(VNET).is_err()) {
            self.posted.clear();
        }
        chained.and_then(|()| packet.trim(covered - n).ok()).map(|()| packet)
    }

    /// Takes the header off and does what it says.
    #[inline]
    fn finish(&mut self, mut packet: Mbuf) -> Option<Mbuf> {
        let vnet = VnetHdr::read(packet.data());
        packet.adjust(VNET).ok()?;
        packet.set_port(self.port);
        settle(&mut packet, vnet, unfinished(self.asked)).ok().map(|()| packet)
    }
}

impl RxQueue for TapRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        let (mut packets, mut bytes) = (0, 0);
        while self.is_on() && !burst.is_full() {
            match self.next() {
                None => break,
                Some(None) => {}
                Some(Some(packet)) => {
                    bytes += packet.len() as u64;
                    packets += 1;
                    // There is room: the loop's condition.
                    let _ = burst.push(packet);
                }
            }
        }
        if packets > 0 {
            self.counters.received(packets, bytes);
        } else if !self.is_on() {
            self.posted.clear();
        }
        packets
    }

    fn path(&self) -> Path {
        let call = if self.buffers == 1 { "read" } else { "readv" };
        Path { name: call, reason: "one call a frame: a TAP has no ring to share".into() }
    }

    fn is_finished(&self) -> bool {
        !self.gone.is_open()
    }

    fn arm(&mut self) -> Option<WakeUp<'_>> {
        Some(WakeUp(self.file.file().as_fd()))
    }
}

/// How many buffers of a pool a frame may need.
fn buffers(room: usize, asked: RxOffloads, mtu: usize) -> usize {
    let frame = match () {
        () if !asked.contains(RxOffloads::SCATTER) => 1,
        () if asked.intersects(RxOffloads::LRO | RxOffloads::LARGE_UDP) => LARGE,
        () => mtu + OVERHEAD,
    };
    // One byte more, so that no frame of this size fills them.
    (frame + 1).div_ceil(room.max(1)).clamp(1, MOST)
}

/// A buffer with all its room in it, and that of the header before it if it is to be the first.
fn opened(mut buffer: Mbuf, first: bool) -> Option<Mbuf> {
    let room = buffer.tailroom();
    buffer.append(room).ok()?;
    if first {
        buffer.prepend(VNET).ok()?;
    }
    Some(buffer)
}

//! Buffers of a pool that are lent to the kernel, and what it gives back.
//!
//! The pool's own memory is the socket's: the kernel writes frames where packets lie, and reads them
//! from there. It names a buffer by its place in that memory; whether it may is looked up in a list of
//! what was lent, so that nothing that it writes becomes an address.

use super::ring::Desc;
use crate::sys::XdpSocket;
use core::ptr::NonNull;
use linecard_mbuf::driver::{RxFields, buffer, from_plain, into_plain, received};
use linecard_mbuf::{Flags, Mbuf, MbufPool};
use linecard_mempool::Object;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Bytes that the kernel leaves before a received frame, for XDP programs (`XDP_PACKET_HEADROOM`).
pub(super) const BEFORE: usize = 256;
/// The least and the most bytes of a buffer that the kernel takes.
const CHUNK: core::ops::RangeInclusive<usize> = 2048..=4096;

/// From which bit on a descriptor's address says where in its buffer the frame begins.
const SHIFT: u32 = libc::XSK_UNALIGNED_BUF_OFFSET_SHIFT as u32;
const PLACE: u64 = libc::XSK_UNALIGNED_BUF_ADDR_MASK;

/// A socket over the memory of a pool. The last of its queues closes it, and then returns what the
/// kernel still had.
#[derive(Debug)]
pub(super) struct Umem {
    /// Closed before `adrift` goes home: fields are dropped in order.
    pub(super) socket: XdpSocket,
    adrift: Adrift,
    pub(super) pool: MbufPool,
    base: usize,
    /// Bytes of a buffer as the kernel knows it.
    pub(super) chunk: usize,
    /// From an object's address to that of its buffer.
    lead: usize,
}

/// Buffers that the kernel had when their queue went. They come home once the socket is closed: it
/// copies, and has copied then.
#[derive(Debug)]
struct Adrift {
    pool: MbufPool,
    objects: Mutex<Vec<Object>>,
}

impl Drop for Adrift {
    fn drop(&mut self) {
        let objects = self.objects.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: each was lent once, its queue gave it up to this list, and the kernel has it no more.
        unsafe { self.pool.raw().put_bulk(objects) };
    }
}

/// Why a pool cannot be a socket's memory.
#[derive(Debug)]
pub(super) enum Unfit {
    /// In words.
    Pool(String),
    /// The system's refusal.
    System(io::Error),
}

impl Umem {
    /// A new socket over the pool's memory.
    pub(super) fn open(pool: &MbufPool) -> Result<Self, Unfit> {
        let (base, len) = pool
            .raw()
            .with_segments(|segments| match segments {
                // Exposed: the kernel writes there, and `at` makes pointers of places in it.
                [one] => Some((one.base().as_ptr().expose_provenance(), one.len())),
                _ => None,
            })
            .ok_or_else(|| Unfit::Pool("its memory is in several segments: give it one".into()))?;
        let chunk = chunk(pool);
        if !CHUNK.contains(&chunk) {
            let (least, name) = (CHUNK.start(), pool.name());
            let what = format!(
                "buffers of pool {name} have {chunk} bytes, headroom included, and the kernel takes \
                 {least} or more"
            );
            return Err(Unfit::Pool(what));
        }
        let filler = pool.raw().filler();
        // SAFETY: an object of such a pool, of which the header is read.
        let start = unsafe { buffer(filler, 0) }.address;
        let lead = start.as_ptr().addr() - filler.as_ptr().addr();
        let socket = XdpSocket::open().map_err(Unfit::System)?;
        // SAFETY: `Umem` keeps the pool, and so its memory, until after the socket is closed. Buffers
        // go to the kernel by `Lent` only, which has taken them from everybody else.
        unsafe { socket.register(base, len, chunk as u32) }.map_err(Unfit::System)?;
        let adrift = Adrift { pool: pool.clone(), objects: Mutex::default() };
        Ok(Umem { socket, adrift, pool: pool.clone(), base, chunk, lead })
    }

    /// Where the kernel finds an object's buffer.
    fn place(&self, object: Object) -> u64 {
        (object.as_ptr().addr() + self.lead - self.base) as u64
    }

    /// The number and the object of a buffer, if the pool has one there.
    fn at(&self, place: u64) -> Option<(usize, Object)> {
        let address = self.base.checked_add(place as usize)?.checked_sub(self.lead)?;
        let object = Object::new(NonNull::new(core::ptr::with_exposed_provenance_mut(address))?);
        Some((self.pool.raw().index_of(object)?, object))
    }
}

/// Bytes of a buffer as the kernel may know it.
pub(super) fn chunk(pool: &MbufPool) -> usize {
    (pool.headroom() + pool.data_room()).min(*CHUNK.end())
}

/// Bytes of the longest frame that a buffer holds: received, or copied to be sent.
pub(super) fn room(pool: &MbufPool) -> usize {
    chunk(pool).saturating_sub(BEFORE.max(pool.headroom()))
}

/// What one queue has lent.
pub(super) struct Lent {
    umem: std::sync::Arc<Umem>,
    /// By the buffer's number.
    out: Box<[bool]>,
    count: usize,
}

impl Lent {
    /// Nothing yet.
    pub(super) fn new(umem: std::sync::Arc<Umem>) -> Self {
        let out = vec![false; umem.pool.size()].into_boxed_slice();
        Lent { umem, out, count: 0 }
    }

    pub(super) fn umem(&self) -> &Umem {
        &self.umem
    }

    /// Buffers that are out.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Lends an object of the pool that is nobody else's; says what to call it.
    fn lend(&mut self, object: Object) -> Option<u64> {
        let index = self.umem.pool.raw().index_of(object)?;
        self.out[index] = true;
        self.count += 1;
        Some(self.umem.place(object))
    }

    /// Takes back what the kernel calls `addr`, if it was lent.
    fn back(&mut self, addr: u64) -> Option<Object> {
        let (index, object) = self.umem.at(addr & PLACE)?;
        if !core::mem::take(&mut self.out[index]) {
            return None;
        }
        self.count -= 1;
        Some(object)
    }

    /// Lends an empty buffer, to be filled.
    pub(super) fn lend_empty(&mut self, object: Object) -> Option<u64> {
        self.lend(object)
    }

    /// The packet that the kernel made of a buffer. `None` if it was not lent, or if the frame does
    /// not lie in it, and then the buffer has gone home.
    pub(super) fn filled(&mut self, desc: Desc, port: u16) -> Option<Mbuf> {
        let object = self.back(desc.addr)?;
        let (offset, len) = ((desc.addr >> SHIFT) as usize, desc.len as usize);
        if offset + len > self.umem.chunk {
            // SAFETY: it was lent, is back, and nobody else has it.
            unsafe { self.umem.pool.raw().put_bulk(&[object]) };
            return None;
        }
        let mut rearm = self.umem.pool.rearm(port);
        rearm.data_off = offset as u16;
        let fields =
            RxFields { packet_len: desc.len, data_len: desc.len as u16, ..RxFields::default() };
        // SAFETY: an object of this pool that was lent and is back, so that it is ours alone; the
        // frame lies within its buffer, and the kernel wrote it.
        Some(unsafe { received(object, rearm, Flags::empty(), fields) })
    }

    /// Lends a packet, to be sent: one plain buffer of this pool. The packet back, if it is not.
    pub(super) fn lend_packet(&mut self, packet: Mbuf) -> Result<Desc, Mbuf> {
        if packet.home() != self.umem.pool.raw().home() {
            return Err(packet);
        }
        let (start, len) = (packet.place().address, packet.len() as u32);
        let object = into_plain(packet)?;
        let lent = self.lend(object).map(|place| {
            let offset = start.as_ptr().addr() - object.as_ptr().addr() - self.umem.lead;
            Desc { addr: place | (offset as u64) << SHIFT, len, options: 0 }
        });
        // SAFETY: if it was not lent it is the packet that it was a moment ago.
        lent.ok_or_else(|| unsafe { from_plain(object) })
    }

    /// The packet that was sent. `None` if it was not lent.
    pub(super) fn sent(&mut self, addr: u64) -> Option<Mbuf> {
        let object = self.back(addr)?;
        // SAFETY: lent by `lend_packet` (a queue that sends lends nothing else), and back once.
        Some(unsafe { from_plain(object) })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let objects = self.umem.pool.raw().walk();
        let out = objects.zip(&self.out).filter(|(_, out)| **out).map(|(object, _)| object);
        self.umem.adrift.objects.lock().unwrap_or_else(PoisonError::into_inner).extend(out);
    }
}

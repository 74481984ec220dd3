//! Where packet buffers come from.

use crate::error::Error;
use crate::header::{HEADER, Header, Rearm, RxFields};
use crate::mbuf::Mbuf;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use linecard_eal::mem::{IovaMode, Node, PagePolicy, Segment};
use linecard_mempool::{Backend, Builder, Mempool, Needs, Object};
use linecard_ring::Sink;

/// Bytes in front of a packet's data, unless asked otherwise.
pub const HEADROOM: usize = 128;
/// Bytes for a packet's data, unless asked otherwise.
pub const DATA_ROOM: usize = 2048;

/// A pool of packet buffers of one size. A handle; cloning gives another.
///
/// Any thread may allocate from it and free to it. The memory goes when the last handle and the last
/// packet are gone.
#[derive(Clone, Debug)]
pub struct MbufPool {
    raw: Mempool,
    headroom: u16,
    buf_len: u16,
    iova: IovaMode,
}

/// A description of a pool. Defaults: 8191 buffers with [`HEADROOM`] and [`DATA_ROOM`].
#[derive(Debug)]
pub struct MbufPoolBuilder {
    raw: Builder,
    headroom: usize,
    room: usize,
    iova: IovaMode,
}

impl MbufPool {
    /// Starts to describe a pool.
    pub fn builder(name: impl Into<String>) -> MbufPoolBuilder {
        MbufPoolBuilder {
            raw: Mempool::builder(name),
            headroom: HEADROOM,
            room: DATA_ROOM,
            iova: IovaMode::Virtual,
        }
    }

    /// An empty packet of one buffer, if one is free.
    #[inline]
    pub fn alloc(&self) -> Option<Mbuf> {
        let object = self.raw.take()?;
        // SAFETY: the object is a buffer of this pool and ours alone.
        unsafe {
            self.reset(object);
            Some(Mbuf::from_header(object.cast()))
        }
    }

    /// Puts `n` empty packets into `sink` (a burst, a vector with room), or none; says whether it
    /// did.
    #[inline]
    pub fn alloc_bulk(&self, sink: &mut impl Sink<Mbuf>, n: usize) -> bool {
        let (room, most) = sink.room();
        if n > most {
            return false;
        }
        let objects = room.cast::<Object>();
        // SAFETY: the room has `n` elements; `Mbuf` and `Object` are both a pointer to the buffer,
        // so that the room may be filled with the one and, once reset, owned as the other.
        unsafe {
            if !self.raw.take_into(objects, n) {
                return false;
            }
            (0..n).for_each(|i| self.reset(*objects.add(i)));
            sink.gave(n);
        }
        true
    }

    /// Makes a buffer an empty packet: what its last user left is gone.
    ///
    /// # Safety
    /// `object` is a buffer of this pool, direct and alone, that nobody else has.
    #[inline(always)]
    unsafe fn reset(&self, object: Object) {
        let header: *mut Header = object.cast().as_ptr();
        // SAFETY: the caller has the buffer alone.
        unsafe {
            (*header).rearm = Rearm::new(self.buf_len, self.headroom, 0);
            (*header).flags = 0;
            (*header).rx = RxFields::default();
        }
    }

    /// The raw pool beneath: for drivers, which take objects and make packets of them when a device
    /// has filled them.
    #[inline(always)]
    pub fn raw(&self) -> &Mempool {
        &self.raw
    }

    /// Bytes in front of the data of a new packet.
    #[inline(always)]
    pub fn headroom(&self) -> usize {
        usize::from(self.headroom)
    }

    /// Bytes for data behind the headroom.
    #[inline(always)]
    pub fn data_room(&self) -> usize {
        usize::from(self.buf_len - self.headroom)
    }

    /// What a receive writes into a header for a packet from `port`.
    #[inline(always)]
    pub fn rearm(&self, port: u16) -> Rearm {
        Rearm::new(self.buf_len, self.headroom, port)
    }

    /// How devices address its buffers.
    pub fn iova_mode(&self) -> IovaMode {
        self.iova
    }

    /// The name given to it.
    pub fn name(&self) -> &str {
        self.raw.name()
    }

    /// Buffers in all.
    pub fn size(&self) -> usize {
        self.raw.size()
    }

    /// Buffers that nobody uses.
    pub fn available(&self) -> usize {
        self.raw.available()
    }

    /// Buffers in use.
    pub fn in_use(&self) -> usize {
        self.raw.in_use()
    }
}

impl MbufPoolBuilder {
    /// How many buffers.
    pub fn size(mut self, buffers: usize) -> Self {
        self.raw = self.raw.size(buffers);
        self
    }

    /// How many buffers a thread's cache is for; 0 for no caches.
    pub fn cache(mut self, buffers: usize) -> Self {
        self.raw = self.raw.cache(buffers);
        self
    }

    /// Bytes in front of the data of a new packet.
    pub fn headroom(mut self, bytes: usize) -> Self {
        self.headroom = bytes;
        self
    }

    /// Bytes for data behind the headroom.
    pub fn data_room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// In which order buffers come back.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.raw = self.raw.backend(backend);
        self
    }

    /// Which pages to ask for.
    pub fn pages(mut self, pages: PagePolicy) -> Self {
        self.raw = self.raw.pages(pages);
        self
    }

    /// Which NUMA node to lie on.
    pub fn node(mut self, node: Node) -> Self {
        self.raw = self.raw.node(node);
        self
    }

    /// Lies in these segments instead of memory of its own.
    pub fn segments(mut self, segments: Vec<Segment>) -> Self {
        self.raw = self.raw.segments(segments);
        self
    }

    /// What may hold buffers at once: a pool smaller than their sum is refused.
    pub fn needs(mut self, needs: Needs) -> Self {
        self.raw = self.raw.needs(needs);
        self
    }

    /// How devices address the buffers: by virtual address (behind an IOMMU, or a device in
    /// software), or by physical address.
    pub fn iova(mut self, mode: IovaMode) -> Self {
        self.iova = mode;
        self
    }

    /// Makes the pool.
    ///
    /// # Errors
    /// What is out of range and what the range is, or why there is no memory.
    pub fn build(self) -> Result<MbufPool, Error> {
        let (headroom, room) = (self.headroom, self.room);
        let total = headroom.saturating_add(room);
        if !(64..=usize::from(u16::MAX)).contains(&total) {
            return Err(Error::Room { headroom, room });
        }
        // Between header and canary, only what lies behind the header of a free buffer is watched.
        let raw = self.raw.object_size(HEADER + total).watch(HEADER..HEADER + total).build()?;
        let pool =
            MbufPool { raw, headroom: headroom as u16, buf_len: total as u16, iova: self.iova };
        pool.write_headers(self.iova)?;
        Ok(pool)
    }
}

impl MbufPool {
    /// Writes what stays in every header for good.
    fn write_headers(&self, mode: IovaMode) -> Result<(), Error> {
        self.raw.with_segments(|segments| {
            let maps: Result<Vec<_>, _> = segments.iter().map(|s| s.iova(mode)).collect();
            let maps = maps?;
            for object in self.raw.walk() {
                let buf = object.as_ptr() as usize + HEADER;
                let mapped = segments.iter().zip(&maps).find_map(|(segment, map)| {
                    let offset = buf.checked_sub(segment.base().as_ptr() as usize)?;
                    let within = offset < segment.len();
                    within.then(|| map.contiguous(offset, usize::from(self.buf_len)))?
                });
                let iova = mapped.ok_or(Error::Scattered)?.raw();
                // SAFETY: the pool is new, so nobody uses the object; it has room for a header.
                unsafe { object.cast::<Header>().write(self.fresh_header(object.cast(), iova)) };
            }
            Ok(())
        })
    }

    fn fresh_header(&self, at: NonNull<Header>, iova: u64) -> Header {
        Header {
            buf: Header::own_buffer(at.as_ptr()),
            iova,
            rearm: self.rearm(0),
            flags: 0,
            rx: RxFields::default(),
            home: self.raw.home(),
            next: core::ptr::null_mut(),
            tx: 0,
            timestamp: 0,
            refs: AtomicU32::new(0),
            user: [0; 4],
        }
    }
}

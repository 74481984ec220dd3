//! Rings, the device's side.

use super::memory::GuestMemory;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{self, EventFlags, PackedDesc, Position};
use linecard_virtqueue::split::{self, Desc, UsedElem};
use linecard_virtqueue::vhost_user::message::VringAddr;
use std::sync::atomic::{AtomicU16, Ordering, fence};

/// A descriptor, whichever ring it is of.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) addr: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
}

/// What the driver has made available as one.
pub(crate) struct Chain {
    pub(crate) id: u16,
    pub(crate) parts: Vec<Part>,
    pub(crate) split: bool,
}

/// A ring of either kind.
pub(crate) trait Virtqueue: Send {
    /// The next chain that is available.
    fn next(&mut self) -> Option<Chain>;
    /// Gives the last `n` chains back untouched: packed rings count descriptors, of one each.
    fn undo(&mut self, n: usize);
    /// Gives a chain back, with so many bytes written.
    fn used(&mut self, chain: &Chain, written: u32);
    /// Whether the driver wants to be told.
    fn wants_call(&mut self) -> bool;
}

/// A split ring.
pub(crate) struct Split {
    table: *mut Desc,
    avail: *mut u8,
    used: *mut u8,
    size: u16,
    seen: u16,
    done: u16,
}

// SAFETY: addresses in memory that the session keeps mapped.
unsafe impl Send for Split {}

impl Split {
    pub(crate) fn new(memory: &GuestMemory, at: &VringAddr, size: u16, base: u16) -> Self {
        Split {
            table: memory.at(at.descriptors, split::table_bytes(size)).cast(),
            avail: memory.at(at.available, split::avail_bytes(size)),
            used: memory.at(at.used, split::used_bytes(size)),
            size,
            seen: base,
            done: base,
        }
    }
}

/// A 16-bit word that the other side may write.
fn word(at: *mut u8, offset: usize) -> &'static AtomicU16 {
    // SAFETY: within a ring that the session keeps mapped for as long as it looks.
    unsafe { &*at.add(offset).cast::<AtomicU16>() }
}

impl Virtqueue for Split {
    fn next(&mut self) -> Option<Chain> {
        if word(self.avail, split::IDX).load(Ordering::Acquire) == self.seen {
            return None;
        }
        let slot = usize::from(self.seen % self.size);
        let id = word(self.avail, split::RING + 2 * slot).load(Ordering::Relaxed);
        let (mut parts, mut at) = (Vec::new(), id);
        loop {
            assert!(at < self.size, "a descriptor of the table");
            // SAFETY: within the table; the driver does not touch what it has given away.
            let desc = unsafe { self.table.add(usize::from(at)).read_volatile() };
            parts.push(Part { addr: desc.addr, len: desc.len, flags: desc.flags });
            if desc.flags & DescFlags::NEXT.bits() == 0 {
                break;
            }
            at = desc.next;
        }
        self.seen = self.seen.wrapping_add(1);
        Some(Chain { id, parts, split: true })
    }

    fn undo(&mut self, n: usize) {
        self.seen = self.seen.wrapping_sub(n as u16);
    }

    fn used(&mut self, chain: &Chain, written: u32) {
        let slot = usize::from(self.done % self.size);
        let elem = UsedElem { id: u32::from(chain.id), len: written };
        // SAFETY: within the used ring, which only the device writes.
        unsafe { self.used.add(split::RING).cast::<UsedElem>().add(slot).write_volatile(elem) };
        self.done = self.done.wrapping_add(1);
        word(self.used, split::IDX).store(self.done, Ordering::Release);
    }

    fn wants_call(&mut self) -> bool {
        fence(Ordering::SeqCst);
        word(self.avail, split::FLAGS).load(Ordering::Relaxed) & split::AVAIL_NO_INTERRUPT == 0
    }
}

/// A packed ring.
pub(crate) struct Packed {
    ring: *mut PackedDesc,
    driver: *mut u8,
    size: u16,
    seen: Position,
    done: Position,
}

// SAFETY: as for `Split`.
unsafe impl Send for Packed {}

impl Packed {
    pub(crate) fn new(memory: &GuestMemory, at: &VringAddr, size: u16, base: Position) -> Self {
        Packed {
            ring: memory.at(at.descriptors, 16 * usize::from(size)).cast(),
            driver: memory.at(at.available, 4),
            size,
            seen: base,
            done: base,
        }
    }

    fn flags(&self, at: u16) -> &'static AtomicU16 {
        assert!(at < self.size);
        word(self.ring.cast(), 16 * usize::from(at) + 14)
    }
}

impl Virtqueue for Packed {
    fn next(&mut self) -> Option<Chain> {
        let (mut at, mut parts) = (self.seen, Vec::new());
        loop {
            let flags = self.flags(at.at).load(Ordering::Acquire);
            if !packed::is_available(flags, at.wrap) {
                assert!(parts.is_empty(), "a chain is shown whole");
                return None;
            }
            // SAFETY: within the ring; the driver does not touch what it has given away.
            let desc = unsafe { self.ring.add(usize::from(at.at)).read_volatile() };
            parts.push(Part { addr: desc.addr, len: desc.len, flags });
            at = at.ahead(1, self.size);
            if flags & DescFlags::NEXT.bits() == 0 {
                self.seen = at;
                return Some(Chain { id: desc.id, parts, split: false });
            }
        }
    }

    fn undo(&mut self, n: usize) {
        for _ in 0..n {
            let at = self.seen;
            self.seen = match at.at {
                0 => Position { at: self.size - 1, wrap: !at.wrap },
                _ => Position { at: at.at - 1, wrap: at.wrap },
            };
        }
    }

    fn used(&mut self, chain: &Chain, written: u32) {
        let at = self.done;
        // SAFETY: within the ring; the descriptor is the device's until its flags say used.
        unsafe {
            let desc = self.ring.add(usize::from(at.at));
            (&raw mut (*desc).len).write_volatile(written);
            (&raw mut (*desc).id).write_volatile(chain.id);
        }
        self.flags(at.at).store(packed::used(at.wrap), Ordering::Release);
        self.done = at.ahead(chain.parts.len() as u16, self.size);
    }

    fn wants_call(&mut self) -> bool {
        fence(Ordering::SeqCst);
        let flags = word(self.driver, 2).load(Ordering::Relaxed);
        flags & EventFlags::DISABLE.bits() == 0
    }
}

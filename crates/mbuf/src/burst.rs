//! A batch of packets on the stack.

use crate::free::free_headers;
use crate::mbuf::Mbuf;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use linecard_ring::{Sink, Source};

/// The most packets that a burst holds.
pub const BURST: usize = 64;

/// Up to [`BURST`] packets, in order: what receive queues fill and transmit queues empty.
///
/// A burst may be told to hold fewer ([`with_limit`](Burst::with_limit)); 32 is the default, as large
/// as pays for most devices. It is a slice of packets to look at and change; packets in it are
/// dropped, in bulk, when it is. It owns them, so that there is no second one of it:
///
/// ```compile_fail,E0599
/// let twice = linecard_mbuf::Burst::new().clone();
/// ```
pub struct Burst {
    packets: [MaybeUninit<Mbuf>; BURST],
    len: u32,
    limit: u32,
}

impl Burst {
    /// An empty burst for up to 32 packets.
    #[inline]
    pub fn new() -> Self {
        Self::with_limit(32)
    }

    /// An empty burst for up to `limit` packets; at least one, at most [`BURST`].
    #[inline]
    pub fn with_limit(limit: usize) -> Self {
        let limit = limit.clamp(1, BURST) as u32;
        Burst { packets: [const { MaybeUninit::uninit() }; BURST], len: 0, limit }
    }

    /// Packets that it may hold.
    #[inline(always)]
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Packets that it has room for.
    #[inline(always)]
    pub fn spare(&self) -> usize {
        (self.limit - self.len) as usize
    }

    /// Whether it holds as many as it may.
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.len == self.limit
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// The packet back, if the burst is full.
    #[inline(always)]
    pub fn push(&mut self, packet: Mbuf) -> Result<(), Mbuf> {
        if self.is_full() {
            return Err(packet);
        }
        self.packets[self.len as usize].write(packet);
        self.len += 1;
        Ok(())
    }

    /// Takes the last packet.
    #[inline]
    pub fn pop(&mut self) -> Option<Mbuf> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: it was the last of `len` initialised packets, and is no longer counted.
        Some(unsafe { self.packets[self.len as usize].assume_init_read() })
    }

    /// Takes the packet at `index`; the last one takes its place.
    ///
    /// # Panics
    /// If there is none at `index`.
    #[inline]
    pub fn swap_remove(&mut self, index: usize) -> Mbuf {
        let last = self.len() - 1;
        self.swap(index, last);
        self.pop().expect("just looked at")
    }

    /// Takes the first `n` packets (or all, if there are fewer) one after the other; those that are
    /// not taken from the iterator are dropped.
    #[inline]
    pub fn drain(&mut self, n: usize) -> Drain<'_> {
        let n = n.min(self.len());
        // Counted again when the iterator is dropped: should it be leaked instead, its packets leak
        // too, and none is there twice.
        let len = core::mem::take(&mut self.len);
        Drain { burst: self, at: 0, n, len }
    }

    /// Keeps the packets for which `keep` says so, in order, and drops the others in bulk.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut Mbuf) -> bool) {
        let mut gone = Burst::with_limit(BURST);
        let mut kept = Burst::with_limit(BURST);
        for mut packet in self.drain(BURST) {
            let into = if keep(&mut packet) { &mut kept } else { &mut gone };
            // Both have room for all.
            let _ = into.push(packet);
        }
        kept.limit = self.limit;
        *self = kept;
    }

    /// Moves packets from `other`'s front, as many as there is room for; says how many.
    pub fn take_from(&mut self, other: &mut Burst) -> usize {
        let n = self.spare().min(other.len());
        // SAFETY: `n` packets are moved into room for `n`, and counted there and no longer here.
        unsafe {
            let to = self.packets.as_mut_ptr().add(self.len as usize);
            to.copy_from_nonoverlapping(other.packets.as_ptr(), n);
            self.len += n as u32;
            other.took(n);
        }
        n
    }

    /// Drops all packets, in bulk.
    #[inline]
    pub fn clear(&mut self) {
        let n = core::mem::take(&mut self.len) as usize;
        // Most bursts are empty when they are cleared: all of it was sent.
        if n == 0 {
            return;
        }
        let headers = self.packets.as_ptr().cast::<NonNull<crate::Header>>();
        // SAFETY: the first `n` packets were initialised and are no longer counted; each is a
        // pointer to its header.
        unsafe { free_headers(core::slice::from_raw_parts(headers, n)) }
    }

    /// Bytes of all packets.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.iter().map(|packet| packet.len() as u64).sum()
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Burst {
    type Target = [Mbuf];

    #[inline(always)]
    fn deref(&self) -> &[Mbuf] {
        // SAFETY: the first `len` packets are initialised.
        unsafe { core::slice::from_raw_parts(self.packets.as_ptr().cast(), self.len as usize) }
    }
}

impl DerefMut for Burst {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Mbuf] {
        // SAFETY: the first `len` packets are initialised.
        unsafe {
            core::slice::from_raw_parts_mut(self.packets.as_mut_ptr().cast(), self.len as usize)
        }
    }
}

// SAFETY: `took` closes the gap over the packets that were moved out and counts them no longer.
unsafe impl Source<Mbuf> for Burst {
    #[inline(always)]
    fn items(&self) -> &[Mbuf] {
        self
    }

    #[inline(always)]
    unsafe fn took(&mut self, n: usize) {
        let left = self.len as usize - n;
        if left > 0 && n > 0 {
            let base = self.packets.as_mut_ptr();
            // SAFETY: `n + left` packets are there; `copy` allows overlap.
            unsafe { core::ptr::copy(base.add(n), base, left) };
        }
        self.len = left as u32;
    }
}

// SAFETY: `room` lies behind the packets and within the limit; `gave` counts what was put there.
unsafe impl Sink<Mbuf> for Burst {
    #[inline(always)]
    fn room(&mut self) -> (*mut Mbuf, usize) {
        let at = self.packets.as_mut_ptr().wrapping_add(self.len as usize);
        (at.cast(), self.spare())
    }

    #[inline(always)]
    unsafe fn gave(&mut self, n: usize) {
        self.len += n as u32;
    }
}

impl Drop for Burst {
    #[inline]
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Packets on their way out of a burst; see [`Burst::drain`].
#[derive(Debug)]
pub struct Drain<'a> {
    burst: &'a mut Burst,
    at: usize,
    n: usize,
    len: u32,
}

impl Iterator for Drain<'_> {
    type Item = Mbuf;

    #[inline]
    fn next(&mut self) -> Option<Mbuf> {
        if self.at == self.n {
            return None;
        }
        self.at += 1;
        // SAFETY: packets `at..n` are in place, and each is read once.
        Some(unsafe { self.burst.packets[self.at - 1].assume_init_read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n - self.at, Some(self.n - self.at))
    }
}

impl ExactSizeIterator for Drain<'_> {}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
        self.burst.len = self.len;
        // SAFETY: the first `n` have been moved out, and those behind them are in place.
        unsafe { self.burst.took(self.n) }
    }
}

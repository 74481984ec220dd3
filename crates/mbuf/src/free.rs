//! Going back to the pool.

use crate::header::{Header, Kind};
use crate::mbuf::{Mbuf, detach};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use linecard_mempool::{Home, Object};
use linecard_ring::Source;

/// Returns a packet.
///
/// # Safety
/// The caller owned it, and lets go.
#[inline(always)]
pub(crate) unsafe fn free_one(header: NonNull<Header>) {
    // SAFETY: the caller owns the packet.
    unsafe {
        if header.as_ref().is_plain() {
            header.as_ref().home.put_bulk(&[Object::new(header.cast())]);
        } else {
            free_chain(header);
        }
    }
}

/// Returns a packet of several segments, or one with memory from elsewhere; and then the shared
/// packets that it was the last to show, and so on.
///
/// # Safety
/// As [`free_one`].
#[cold]
#[inline(never)]
unsafe fn free_chain(first: NonNull<Header>) {
    let mut dead = Dead(None);
    // SAFETY: the caller owns the packet, and each that is added has just lost its last sharer.
    unsafe {
        dead.add(first);
        while let Some(packet) = dead.next() {
            free_segments(packet, &mut dead);
        }
    }
}

/// Packets that nobody has any more, linked through the time stamps that nobody reads any more.
struct Dead(Option<NonNull<Header>>);

impl Dead {
    /// # Safety
    /// The caller owns the packet, and lets go.
    unsafe fn add(&mut self, mut packet: NonNull<Header>) {
        let next = self.0.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: owned by the caller until now.
        unsafe { packet.as_mut().timestamp = next.expose_provenance() as u64 };
        self.0 = Some(packet);
    }

    fn next(&mut self) -> Option<NonNull<Header>> {
        let packet = self.0?;
        // SAFETY: added, and not taken out before.
        let next = unsafe { packet.as_ref().timestamp } as usize;
        self.0 = NonNull::new(core::ptr::with_exposed_provenance_mut(next));
        Some(packet)
    }
}

/// Returns the segments of a packet.
///
/// # Safety
/// The caller owns the packet, and lets go.
unsafe fn free_segments(first: NonNull<Header>, dead: &mut Dead) {
    let mut at = first;
    // SAFETY: a packet has `segs` headers, each but the last with a valid `next`; all are owned.
    unsafe {
        for left in (0..first.as_ref().rearm.segs).rev() {
            let next = if left > 0 { at.as_ref().next } else { core::ptr::null_mut() };
            let header = at.as_mut();
            if let Some(shared) = detach(header) {
                dead.add(shared);
            }
            header.rearm.segs = 1;
            header.rearm.kind = Kind::Direct as u8;
            header.home.put_bulk(&[Object::new(at.cast())]);
            match NonNull::new(next) {
                Some(next) => at = next,
                None => break,
            }
        }
    }
}

/// Returns all packets of `packets` to their pools, those that stand together in one pool with one
/// call. What a burst or a vector does when it is dropped, but in bulk.
#[inline]
pub fn free_bulk(packets: &mut impl Source<Mbuf>) {
    let packets = Taken(packets);
    let items = packets.0.items();
    // SAFETY: an `Mbuf` is a pointer to its header, and the source loses each, come what may.
    unsafe {
        let headers = items.as_ptr().cast::<NonNull<Header>>();
        free_headers(core::slice::from_raw_parts(headers, items.len()));
    }
}

/// A source whose packets are gone when this is: also if the release of external memory panics.
struct Taken<'a, S: Source<Mbuf>>(&'a mut S);

impl<S: Source<Mbuf>> Drop for Taken<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        let n = self.0.items().len();
        // SAFETY: made by `free_bulk` only, which frees (or, in a panic, leaks) all of them.
        unsafe { self.0.took(n) }
    }
}

/// Objects that go home together. They lie elsewhere: a whole batch made at once is made as zeroes.
struct Batch<'a> {
    objects: &'a mut [MaybeUninit<Object>; Batch::MOST],
    n: usize,
    home: Option<Home>,
}

impl Batch<'_> {
    const MOST: usize = 64;

    /// Adds one, sending the others home first if they live elsewhere or there are many.
    ///
    /// # Safety
    /// `object` is in use, is plain, and nobody uses it any more.
    #[inline(always)]
    unsafe fn add(&mut self, object: Object, home: Home) {
        if self.home != Some(home) || self.n == Batch::MOST {
            // SAFETY: what is in the batch came through `add`.
            unsafe { self.send_home() };
            self.home = Some(home);
        }
        self.objects[self.n].write(object);
        self.n += 1;
    }

    /// # Safety
    /// Called by `add` and at the end.
    #[inline(always)]
    unsafe fn send_home(&mut self) {
        if let (Some(home), true) = (self.home, self.n > 0) {
            let objects = self.objects[..self.n].as_ptr().cast::<Object>();
            // SAFETY: the first `n` were written; each lives at `home`, by `add`.
            unsafe { home.put_bulk(core::slice::from_raw_parts(objects, self.n)) };
            self.n = 0;
        }
    }
}

/// # Safety
/// The caller owns the packets and lets go.
#[inline]
pub(crate) unsafe fn free_headers(headers: &[NonNull<Header>]) {
    if let [one] = headers {
        // SAFETY: the caller owns it.
        return unsafe { free_one(*one) };
    }
    let mut objects = [MaybeUninit::uninit(); Batch::MOST];
    let mut batch = Batch { objects: &mut objects, n: 0, home: None };
    // SAFETY: the caller owns every packet; each is freed one way or the other.
    unsafe {
        for &header in headers {
            if header.as_ref().is_plain() {
                batch.add(Object::new(header.cast()), header.as_ref().home);
            } else {
                free_chain(header);
            }
        }
        batch.send_home();
    }
}

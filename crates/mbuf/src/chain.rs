//! Packets of several buffers.

use crate::error::{NoRoom, Place};
use crate::header::{Header, MAX_SEGMENTS};
use crate::mbuf::{Mbuf, data_at, own, tailroom};
use crate::pool::MbufPool;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::slice;

/// The segments of a packet, in order, as slices of bytes.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    next: Option<NonNull<Header>>,
    left: usize,
    packet: PhantomData<&'a Mbuf>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let at = self.next?;
        self.left -= 1;
        // SAFETY: the header belongs to the packet that is borrowed for `'a`; its `next` is valid
        // while segments are left.
        unsafe {
            let header: &'a Header = at.as_ref();
            self.next = if self.left > 0 { NonNull::new(header.next) } else { None };
            Some(slice::from_raw_parts(data_at(header), usize::from(header.rx.data_len)))
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Segments<'_> {}

/// The segments of the packet that starts at `first`.
///
/// # Safety
/// The packet is borrowed for `'a`.
pub(crate) unsafe fn segments<'a>(first: NonNull<Header>) -> Segments<'a> {
    // SAFETY: the caller's promise.
    let left = usize::from(unsafe { first.as_ref() }.rearm.segs);
    Segments { next: Some(first), left, packet: PhantomData }
}

impl Mbuf {
    /// Its segments, in order.
    #[inline]
    pub fn segments(&self) -> Segments<'_> {
        // SAFETY: borrowed from `self`.
        unsafe { segments(self.header_ptr()) }
    }

    /// Calls `each` with every segment's bytes, to change. Aliases of shared packets are copied.
    pub fn for_each_segment_mut(&mut self, mut each: impl FnMut(&mut [u8])) {
        for i in 0..self.segment_count() {
            let mut at = self.nth_header(i);
            // SAFETY: the header belongs to this packet, which is borrowed mutably; one at a time.
            unsafe {
                let header = at.as_mut();
                own(header);
                each(slice::from_raw_parts_mut(data_at(header), usize::from(header.rx.data_len)));
            }
        }
    }

    /// The `n`-th header; `n < segment_count`.
    pub(crate) fn nth_header(&self, n: usize) -> NonNull<Header> {
        let mut at = self.header_ptr();
        for _ in 0..n {
            // SAFETY: all headers before the last have a valid `next`, and all are of this packet.
            at = NonNull::new(unsafe { at.as_ref() }.next).unwrap_or(at);
        }
        at
    }

    /// Adds `tail` behind the last segment.
    ///
    /// # Errors
    /// [`NoRoom`] and `tail` back if there would be more than [`MAX_SEGMENTS`].
    pub fn chain(&mut self, tail: Mbuf) -> Result<(), (NoRoom, Mbuf)> {
        let (ours, theirs) = (self.segment_count(), tail.segment_count());
        if ours + theirs > MAX_SEGMENTS {
            let room = MAX_SEGMENTS - ours;
            return Err((NoRoom { asked: theirs, room, place: Place::Segments }, tail));
        }
        let more = tail.len() as u32;
        let mut last = self.last();
        // SAFETY: the last header belongs to this packet; `tail`'s headers do from now on.
        unsafe { last.as_mut().next = tail.into_header().as_ptr() };
        let header = self.header_mut();
        header.rearm.segs += theirs as u8;
        header.rx.packet_len += more;
        Ok(())
    }

    /// Takes the first segment off a chain: it comes back alone, and `self` is the rest. `None` if
    /// there is only one.
    pub fn split_first(&mut self) -> Option<Mbuf> {
        let (segs, len) = (self.header().rearm.segs, self.header().rx.packet_len);
        if segs == 1 {
            return None;
        }
        let rest = NonNull::new(self.header().next)?;
        // SAFETY: `rest` is the second header of this packet, and becomes the first of its own.
        let mut rest = unsafe { Mbuf::from_header(rest) };
        core::mem::swap(self, &mut rest);
        let mut first = rest;
        let first_len = first.header().rx.data_len;
        first.header_mut().rearm.segs = 1;
        first.header_mut().rx.packet_len = u32::from(first_len);
        self.header_mut().rearm.segs = segs - 1;
        self.header_mut().rx.packet_len = len - u32::from(first_len);
        Some(first)
    }

    /// Drops the last `n` bytes of a chain; `n <= len`.
    pub(crate) fn trim_chain(&mut self, n: usize) {
        let keep = self.len() - n;
        let (mut before, mut index) = (0, 0);
        loop {
            let mut at = self.nth_header(index);
            // SAFETY: the header belongs to this packet, which is borrowed mutably.
            let header = unsafe { at.as_mut() };
            let here = usize::from(header.rx.data_len);
            if before + here >= keep || index + 1 == self.segment_count() {
                header.rx.data_len = (keep - before) as u16;
                break;
            }
            before += here;
            index += 1;
        }
        self.header_mut().rx.packet_len = keep as u32;
        self.cut_after(index);
    }

    /// Returns all segments behind the one at `index`.
    fn cut_after(&mut self, index: usize) {
        let more = self.segment_count() - 1 - index;
        if more == 0 {
            return;
        }
        // SAFETY: the headers belong to this packet; from now on those behind `index` are another.
        unsafe {
            let rest = self.nth_header(index).as_ref().next;
            self.header_mut().rearm.segs = index as u8 + 1;
            if let Some(mut rest) = NonNull::new(rest) {
                rest.as_mut().rearm.segs = more as u8;
                drop(Mbuf::from_header(rest));
            }
        }
    }

    /// Moves all bytes into the first segment and returns the others.
    ///
    /// # Errors
    /// [`NoRoom`] if the first segment's tailroom is too small; the packet is as it was.
    pub fn linearize(&mut self) -> Result<(), NoRoom> {
        if self.segment_count() == 1 {
            return Ok(());
        }
        own(self.header_mut());
        let first = self.header();
        let (here, room) = (usize::from(first.rx.data_len), tailroom(first));
        let missing = self.len() - here;
        if missing > room {
            return Err(NoRoom { asked: missing, room, place: Place::Tailroom });
        }
        let mut to = data_at(first).wrapping_add(here);
        for segment in self.segments().skip(1) {
            // SAFETY: the tailroom of the first buffer has room for all others, as just checked, and
            // theirs are other buffers.
            unsafe { to.copy_from_nonoverlapping(segment.as_ptr(), segment.len()) };
            to = to.wrapping_add(segment.len());
        }
        self.header_mut().rx.data_len += missing as u16;
        self.cut_after(0);
        Ok(())
    }

    /// Copies bytes from `offset` on into `into`, across segments; says how many there were.
    pub fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let (mut skip, mut done) = (offset, 0);
        for segment in self.segments() {
            let from = skip.min(segment.len());
            skip -= from;
            let n = (segment.len() - from).min(into.len() - done);
            into[done..done + n].copy_from_slice(&segment[from..from + n]);
            done += n;
        }
        done
    }

    /// `len` bytes from `offset` on: in place if they lie in one segment, else copied to `scratch`.
    /// `None` if the packet has fewer or `scratch` is too short.
    pub fn read<'a>(
        &'a self,
        offset: usize,
        len: usize,
        scratch: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len())?;
        if let Some(here) = self.data().get(offset..end) {
            return Some(here);
        }
        if let Some(here) = self.within_one(offset, len) {
            return Some(here);
        }
        let scratch = scratch.get_mut(..len)?;
        (self.copy_to(offset, scratch) == len).then_some(&*scratch)
    }

    /// `len` bytes from `offset` on, if they lie in one segment.
    fn within_one(&self, offset: usize, len: usize) -> Option<&[u8]> {
        let mut skip = offset;
        for segment in self.segments() {
            match skip.checked_sub(segment.len()) {
                Some(rest) if skip > 0 || len > 0 => skip = rest,
                _ => return segment.get(skip..skip.checked_add(len)?),
            }
        }
        None
    }

    /// Copies bytes into the packet from `offset` on, across segments; says how many fit.
    pub fn copy_from(&mut self, offset: usize, from: &[u8]) -> usize {
        let (mut skip, mut done) = (offset, 0);
        self.for_each_segment_mut(|segment| {
            let at = skip.min(segment.len());
            skip -= at;
            let n = (segment.len() - at).min(from.len() - done);
            segment[at..at + n].copy_from_slice(&from[done..done + n]);
            done += n;
        });
        done
    }

    /// Appends `bytes`, adding segments from `pool` where the last one has no room left.
    ///
    /// # Errors
    /// `None` if the pool is empty or the chain too long; the packet is as it was.
    pub fn extend(&mut self, pool: &MbufPool, bytes: &[u8]) -> Option<()> {
        let before = self.len();
        let done = self.extend_some(pool, bytes);
        if done.is_none() {
            let more = self.len() - before;
            // The packet has at least what was added.
            let _ = self.trim(more);
        }
        done
    }

    fn extend_some(&mut self, pool: &MbufPool, mut bytes: &[u8]) -> Option<()> {
        loop {
            let n = self.tailroom().min(bytes.len());
            self.append(n).ok()?.copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if bytes.is_empty() {
                return Some(());
            }
            let mut more = pool.alloc()?;
            more.reset_headroom(0);
            self.chain(more).ok()?;
        }
    }

    /// Where the data of an empty packet will begin.
    pub(crate) fn reset_headroom(&mut self, headroom: u16) {
        debug_assert!(self.is_empty());
        let header = self.header_mut();
        header.rearm.data_off = headroom.min(header.rearm.buf_len);
    }

    /// A copy in buffers of `pool`: bytes, port, flags and what they name. `None` if the pool has too
    /// few buffers.
    pub fn copy(&self, pool: &MbufPool) -> Option<Mbuf> {
        let mut copy = pool.alloc()?;
        for segment in self.segments() {
            copy.extend(pool, segment)?;
        }
        copy.copy_meta(self);
        Some(copy)
    }
}

//! Receiving over a packed ring: a descriptor a buffer.

use super::ids::Ids;
use super::packed::{PackedMemory, base, rest};
use super::{Empty, Filled, Lie, Order, Ring, RxRing};
use core::marker::PhantomData;
use linecard_mempool::Object;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{Position, available};

/// Buffers to be filled, all of one length.
pub(crate) struct PackedRx<O> {
    memory: PackedMemory,
    /// By number: what the device has. In order, the number is the position.
    shadow: Box<[Option<Object>]>,
    free: Ids,
    /// Where the next buffer is posted.
    next: Position,
    /// Where the device will use the next one.
    seen: Position,
    outstanding: u16,
    /// In order: how many more buffers the last descriptor stands for, and the last one's length.
    skipping: (u16, u32),
    len: u32,
    lie: Option<Lie>,
    order: PhantomData<O>,
}

impl<O: Order> PackedRx<O> {
    /// Over this memory; buffers are of `len` bytes.
    pub(crate) fn new(memory: PackedMemory, len: u32) -> Self {
        let size = memory.size();
        PackedRx {
            shadow: vec![None; usize::from(size)].into(),
            free: Ids::all(size),
            next: Position::START,
            seen: Position::START,
            outstanding: 0,
            skipping: (0, 0),
            len,
            lie: None,
            order: PhantomData,
            memory,
        }
    }

    /// The next used buffer, if there is one: its number and length.
    #[inline(always)]
    fn next_used(&mut self) -> Option<Result<(u16, u32), Lie>> {
        if O::IN_ORDER && self.skipping.0 > 0 {
            return Some(Ok((self.seen.at, self.skipped())));
        }
        if self.outstanding == 0 {
            // What stands there is of an earlier round.
            return None;
        }
        let (id, len) = self.memory.used(self.seen)?;
        if !O::IN_ORDER || id == self.seen.at {
            return Some(Ok((id, len)));
        }
        Some(self.batch(id, len))
    }

    /// The first of a batch of which the device named the last only (§2.8.7): the others are full.
    #[cold]
    fn batch(&mut self, id: u16, len: u32) -> Result<(u16, u32), Lie> {
        let size = self.memory.size();
        if id >= size {
            return Err(Lie::Id(u32::from(id)));
        }
        let at = self.seen.at;
        let more = if id >= at { id - at } else { size - at + id };
        if more >= self.outstanding {
            return Err(Lie::Id(u32::from(id)));
        }
        self.skipping = (more, len);
        Ok((at, self.len))
    }

    #[cold]
    fn skipped(&mut self) -> u32 {
        self.skipping.0 -= 1;
        if self.skipping.0 == 0 { self.skipping.1 } else { self.len }
    }

    #[inline(always)]
    fn take_one(&mut self, id: u16, len: u32) -> Result<Filled, Lie> {
        let slot = self.shadow.get_mut(usize::from(id)).and_then(Option::take);
        let object = slot.ok_or(Lie::Id(u32::from(id)))?;
        if !O::IN_ORDER {
            self.free.push(id);
        }
        self.outstanding -= 1;
        self.seen = self.seen.ahead(1, self.memory.size());
        Ok(Filled { object, len: len.min(self.len.wrapping_add(1)) })
    }
}

impl<O: Order> Ring for PackedRx<O> {
    fn wants_doorbell(&mut self) -> bool {
        self.memory.wants_doorbell(self.next)
    }

    fn place(&self) -> u16 {
        self.next.word()
    }

    fn wake(&mut self) {
        self.memory.wake(self.seen);
    }

    fn quiet(&mut self) {
        self.memory.quiet();
    }

    fn lie(&self) -> Option<Lie> {
        self.lie
    }

    fn base(&self) -> u32 {
        base(self.seen)
    }

    fn accuse(&mut self, lie: Lie) {
        self.lie.get_or_insert(lie);
    }

    fn reset(&mut self) {
        self.memory.clear();
        self.free = Ids::all(self.memory.size());
        (self.next, self.seen) = (Position::START, Position::START);
        (self.outstanding, self.skipping) = (0, (0, 0));
        self.lie = None;
    }
}

impl<O: Order> RxRing for PackedRx<O> {
    #[inline(always)]
    fn free(&self) -> usize {
        usize::from(self.memory.size() - self.outstanding)
    }

    #[inline(always)]
    fn post(&mut self, buffers: &[Empty]) {
        let size = self.memory.size();
        // The first is shown last, and with it the others: the device meets them all at once.
        let mut first = None;
        for buffer in buffers {
            let at = self.next;
            let id = if O::IN_ORDER { at.at } else { self.free.pop() };
            let word = rest(self.len, id, DescFlags::WRITE.bits() | available(at.wrap));
            if first.is_none() {
                self.memory.point(at.at, buffer.addr);
                first = Some((at.at, word));
            } else {
                self.memory.show(at.at, buffer.addr, word);
            }
            self.shadow[usize::from(id)] = Some(buffer.object);
            self.next = at.ahead(1, size);
        }
        self.outstanding += buffers.len() as u16;
        if let Some((at, word)) = first {
            self.memory.reveal(at, word);
        }
    }

    #[inline(always)]
    fn take(&mut self, into: &mut [Filled]) -> usize {
        if self.lie.is_some() {
            return 0;
        }
        for (i, place) in into.iter_mut().enumerate() {
            let taken = match self.next_used() {
                None => return i,
                Some(Ok((id, len))) => self.take_one(id, len),
                Some(Err(lie)) => Err(lie),
            };
            match taken {
                Ok(filled) => *place = filled,
                Err(lie) => {
                    self.lie = Some(lie);
                    return i;
                }
            }
        }
        into.len()
    }

    fn waiting(&self, limit: usize) -> usize {
        let (mut at, most) = (self.seen, limit.min(usize::from(self.outstanding)));
        for n in 0..most {
            if self.memory.used(at).is_none() {
                return n;
            }
            at = at.ahead(1, self.memory.size());
        }
        most
    }

    fn recall(&mut self) -> Vec<Object> {
        self.outstanding = 0;
        self.shadow.iter_mut().filter_map(Option::take).collect()
    }
}

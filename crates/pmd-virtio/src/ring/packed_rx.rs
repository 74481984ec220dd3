//! Receiving over a packed ring: a descriptor a buffer.

use super::packed::{PackedMemory, base, rest};
use super::shadow::Shadow;
use super::{Empty, Filled, Lie, Order, Ring, RxRing};
use core::marker::PhantomData;
use linecard_mempool::Object;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{Position, available};

/// Buffers to be filled, all of one length.
pub(crate) struct PackedRx<O> {
    memory: PackedMemory,
    /// What the device has. In order, the number is the position.
    shadow: Shadow<Object>,
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
            shadow: Shadow::new(size),
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

    /// Takes used buffers whose numbers are their positions, up to the ring's end; says how many.
    #[inline(always)]
    fn take_run(&mut self, into: &mut [Filled]) -> usize {
        if O::IN_ORDER && self.skipping.0 > 0 {
            return 0;
        }
        let (from, longest) = (self.seen, self.len.wrapping_add(1));
        let cells = self.memory.from(from.at).iter().take(usize::from(self.outstanding));
        let mut n = 0;
        for ((cell, place), filled) in cells.zip(self.shadow.from(from.at)).zip(into) {
            let Some((id, len)) = cell.used(from.wrap) else { break };
            if id != from.at + n {
                break;
            }
            let Some(object) = place.take() else { break };
            *filled = Filled { object, len: len.min(longest) };
            n += 1;
        }
        self.outstanding -= n;
        self.seen = from.ahead(n, self.memory.size());
        usize::from(n)
    }

    #[inline(always)]
    fn take_one(&mut self, id: u16, len: u32) -> Result<Filled, Lie> {
        let object = self.shadow.take(id, self.seen.at).ok_or(Lie::Id(u32::from(id)))?;
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
        let (size, first) = (self.memory.size(), self.next.at);
        // The first is shown last, and with it the others: the device meets them all at once.
        let (mut left, mut held) = (buffers, None);
        while !left.is_empty() {
            let from = self.next;
            let cells = self.memory.from(from.at);
            let (now, later) = left.split_at(left.len().min(cells.len()));
            let flags = DescFlags::WRITE.bits() | available(from.wrap);
            for ((at, buffer), cell) in (from.at..).zip(now).zip(cells) {
                let id = self.shadow.number(at);
                self.shadow.keep(id, at, buffer.object);
                cell.point(buffer.addr);
                let word = rest(self.len, id, flags);
                if held.is_none() {
                    held = Some(word);
                } else {
                    cell.reveal(word);
                }
            }
            self.next = from.ahead(now.len() as u16, size);
            left = later;
        }
        self.outstanding += buffers.len() as u16;
        if let Some(word) = held {
            self.memory.at(first).reveal(word);
        }
    }

    #[inline(always)]
    fn take(&mut self, into: &mut [Filled]) -> usize {
        let mut n = 0;
        while n < into.len() && self.lie.is_none() {
            let quick = self.take_run(&mut into[n..]);
            n += quick;
            if quick > 0 {
                continue;
            }
            let taken = match self.next_used() {
                None => break,
                Some(Ok((id, len))) => self.take_one(id, len),
                Some(Err(lie)) => Err(lie),
            };
            match taken {
                Ok(filled) => {
                    into[n] = filled;
                    n += 1;
                }
                Err(lie) => self.lie = Some(lie),
            }
        }
        n
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
        self.shadow.recall().collect()
    }
}

//! Receiving over a split ring: a descriptor a buffer.

use super::ids::Ids;
use super::split::{SplitMemory, rest};
use super::{Empty, Filled, Lie, Order, Ring, RxRing};
use core::marker::PhantomData;
use linecard_mempool::Object;
use linecard_virtqueue::DescFlags;

/// Buffers to be filled, all of one length.
pub(crate) struct SplitRx<O> {
    memory: SplitMemory,
    /// By number: what the device has.
    shadow: Box<[Option<Object>]>,
    free: Ids,
    /// Buffers offered, counted freely.
    offered: u16,
    /// Used buffers that were taken, counted freely.
    seen: u16,
    /// The device's used index when it was last looked at.
    known: u16,
    /// In order: how many more buffers the last entry stands for, and the last one's length.
    skipping: (u16, u32),
    len: u32,
    lie: Option<Lie>,
    order: PhantomData<O>,
}

impl<O: Order> SplitRx<O> {
    /// Over this memory; buffers are of `len` bytes.
    pub(crate) fn new(memory: SplitMemory, len: u32) -> Self {
        let size = memory.size();
        let ring = SplitRx {
            memory,
            shadow: vec![None; usize::from(size)].into(),
            free: Ids::all(size),
            offered: 0,
            seen: 0,
            known: 0,
            skipping: (0, 0),
            len,
            lie: None,
            order: PhantomData,
        };
        ring.describe();
        ring
    }

    /// Length and flags of all descriptors stay; addresses come with buffers.
    fn describe(&self) {
        for id in 0..self.memory.size() {
            self.memory.describe(id, 0, rest(self.len, DescFlags::WRITE.bits(), 0));
        }
    }

    fn outstanding(&self) -> u16 {
        self.offered.wrapping_sub(self.seen)
    }

    /// Looks at the device's index, if what is known is less than `wanted`; says how many are ready.
    #[inline(always)]
    fn ready(&mut self, wanted: usize) -> u16 {
        let ready = self.known.wrapping_sub(self.seen);
        if usize::from(ready) >= wanted {
            return ready;
        }
        self.known = self.memory.used_index();
        let (said, outstanding) = (self.known.wrapping_sub(self.seen), self.outstanding());
        if said > outstanding {
            self.lied(Lie::Index { said, outstanding });
            return 0;
        }
        said
    }

    #[cold]
    fn lied(&mut self, lie: Lie) {
        self.known = self.seen;
        self.lie.get_or_insert(lie);
    }

    /// The next used buffer, of which there is one: its number and length.
    #[inline(always)]
    fn next(&mut self) -> Result<(u16, u32), Lie> {
        if O::IN_ORDER {
            let expected = self.memory.slot(self.seen);
            if self.skipping.0 > 0 {
                return Ok((expected, self.skipped()));
            }
            let (id, len) = self.memory.used(self.seen);
            if id == u32::from(expected) {
                return Ok((expected, len));
            }
            return self.batch(expected, id, len);
        }
        let (id, len) = self.memory.used(self.seen);
        u16::try_from(id).map(|id| (id, len)).map_err(|_| Lie::Id(id))
    }

    /// The first of a batch of which the device named the last only (§2.7.9): the others are full.
    #[cold]
    fn batch(&mut self, expected: u16, id: u32, len: u32) -> Result<(u16, u32), Lie> {
        let id = u16::try_from(id).ok().filter(|id| *id < self.memory.size()).ok_or(Lie::Id(id))?;
        let more = self.memory.slot(id.wrapping_sub(expected));
        if more >= self.known.wrapping_sub(self.seen) {
            return Err(Lie::Id(u32::from(id)));
        }
        self.skipping = (more, len);
        Ok((expected, self.len))
    }

    #[cold]
    fn skipped(&mut self) -> u32 {
        self.skipping.0 -= 1;
        if self.skipping.0 == 0 { self.skipping.1 } else { self.len }
    }

    /// Takes one buffer out of the shadow.
    #[inline(always)]
    fn take_one(&mut self) -> Result<Filled, Lie> {
        let (id, len) = self.next()?;
        let slot = self.shadow.get_mut(usize::from(id)).and_then(Option::take);
        let object = slot.ok_or(Lie::Id(u32::from(id)))?;
        if !O::IN_ORDER {
            self.free.push(id);
        }
        self.seen = self.seen.wrapping_add(1);
        Ok(Filled { object, len: len.min(self.len.wrapping_add(1)) })
    }
}

impl<O: Order> Ring for SplitRx<O> {
    fn wants_doorbell(&mut self) -> bool {
        self.memory.wants_doorbell(self.offered)
    }

    fn place(&self) -> u16 {
        self.offered
    }

    fn wake(&mut self) {
        self.memory.wake(self.seen);
    }

    fn quiet(&mut self) {
        self.memory.quiet(self.seen);
    }

    fn lie(&self) -> Option<Lie> {
        self.lie
    }

    fn base(&self) -> u32 {
        self.seen.into()
    }

    fn accuse(&mut self, lie: Lie) {
        self.lied(lie);
    }

    fn reset(&mut self) {
        self.memory.clear();
        self.free = Ids::all(self.memory.size());
        (self.offered, self.seen, self.known, self.skipping) = (0, 0, 0, (0, 0));
        self.lie = None;
        self.describe();
    }
}

impl<O: Order> RxRing for SplitRx<O> {
    #[inline(always)]
    fn free(&self) -> usize {
        usize::from(self.memory.size() - self.outstanding())
    }

    #[inline(always)]
    fn post(&mut self, buffers: &[Empty]) {
        for buffer in buffers {
            let id = if O::IN_ORDER { self.memory.slot(self.offered) } else { self.free.pop() };
            self.memory.point(id, buffer.addr);
            self.shadow[usize::from(id)] = Some(buffer.object);
            self.memory.offer(self.offered, id);
            self.offered = self.offered.wrapping_add(1);
        }
        self.memory.publish(self.offered);
    }

    #[inline(always)]
    fn take(&mut self, into: &mut [Filled]) -> usize {
        if self.lie.is_some() {
            return 0;
        }
        let n = usize::from(self.ready(into.len())).min(into.len());
        for (i, place) in into[..n].iter_mut().enumerate() {
            match self.take_one() {
                Ok(filled) => *place = filled,
                Err(lie) => {
                    self.lied(lie);
                    return i;
                }
            }
        }
        n
    }

    fn waiting(&self, limit: usize) -> usize {
        let ready = self.memory.used_index().wrapping_sub(self.seen);
        usize::from(ready.min(self.outstanding())).min(limit)
    }

    fn recall(&mut self) -> Vec<Object> {
        let mut all = Vec::new();
        for id in 0..self.memory.size() {
            all.extend(self.shadow[usize::from(id)].take());
        }
        all
    }
}

//! Sending over a split ring: chains of descriptors.

use super::ids::Ids;
use super::split::{SplitMemory, rest};
use super::{Lie, Order, Part, Ring, Token, TxRing};
use core::marker::PhantomData;
use linecard_virtqueue::DescFlags;

/// A chain that the device has.
#[derive(Clone, Copy)]
struct Chain {
    token: Option<Token>,
    /// Descriptors of it.
    descs: u16,
    /// Whether it is one of `push`.
    plain: bool,
    /// When it was offered: to give packets back in order.
    turn: u16,
}

/// Packets to be sent.
///
/// In any order, a chain's descriptors have numbers from the queue of free ones, linked in `links`,
/// and the shadow is by the number of the first. In order, they are the next ones of the table, and
/// the shadow is by the slot of the available ring.
pub(crate) struct SplitTx<O> {
    memory: SplitMemory,
    shadow: Box<[Chain]>,
    links: Box<[u16]>,
    free: Ids,
    /// In order: descriptors taken, counted freely; and free ones.
    taken: u16,
    room: u16,
    /// Chains that are not of `push`.
    odd: u16,
    offered: u16,
    seen: u16,
    known: u16,
    lie: Option<Lie>,
    order: PhantomData<O>,
}

// SAFETY: tokens are addresses of packets that the ring owns, and packets may be sent elsewhere.
unsafe impl<O> Send for SplitTx<O> {}

impl<O: Order> SplitTx<O> {
    /// Over this memory.
    pub(crate) fn new(memory: SplitMemory) -> Self {
        let size = memory.size();
        let none = Chain { token: None, descs: 0, plain: true, turn: 0 };
        SplitTx {
            shadow: vec![none; usize::from(size)].into(),
            links: vec![0; usize::from(size)].into(),
            free: Ids::all(size),
            taken: 0,
            room: size,
            odd: 0,
            offered: 0,
            seen: 0,
            known: 0,
            lie: None,
            order: PhantomData,
            memory,
        }
    }

    /// The number of the next descriptor, which is taken.
    #[inline(always)]
    fn number(&mut self) -> u16 {
        self.room -= 1;
        if O::IN_ORDER {
            let id = self.memory.slot(self.taken);
            self.taken = self.taken.wrapping_add(1);
            id
        } else {
            self.free.pop()
        }
    }

    /// Puts the chain whose first descriptor is `id` into the available ring.
    #[inline(always)]
    fn offer(&mut self, id: u16, descs: u16, plain: bool, token: Token) {
        let at = if O::IN_ORDER { self.memory.slot(self.offered) } else { id };
        let (token, turn) = (Some(token), self.offered);
        self.shadow[usize::from(at)] = Chain { token, descs, plain, turn };
        self.odd += u16::from(!plain);
        self.memory.offer(self.offered, id);
        self.offered = self.offered.wrapping_add(1);
    }

    /// The next used chain.
    #[inline(always)]
    fn take_one(&mut self) -> Result<Token, Lie> {
        if O::IN_ORDER {
            // The index alone says it: chains are used one after the other (§2.7.9).
            let slot = self.memory.slot(self.seen);
            let chain = &mut self.shadow[usize::from(slot)];
            let token = chain.token.take().ok_or(Lie::Id(u32::from(slot)))?;
            self.room += chain.descs;
            self.odd -= u16::from(!chain.plain);
            self.seen = self.seen.wrapping_add(1);
            return Ok(token);
        }
        let (id, _) = self.memory.used(self.seen);
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        let chain = self.shadow.get_mut(index).ok_or(Lie::Id(id))?;
        let token = chain.token.take().ok_or(Lie::Id(id))?;
        let descs = chain.descs;
        self.odd -= u16::from(!chain.plain);
        self.release(id as u16, descs);
        self.seen = self.seen.wrapping_add(1);
        Ok(token)
    }

    /// Frees the numbers of a chain.
    #[inline(always)]
    fn release(&mut self, mut id: u16, descs: u16) {
        self.room += descs;
        self.free.push(id);
        for _ in 1..descs {
            id = self.links[usize::from(id)];
            self.free.push(id);
        }
    }

    #[cold]
    fn lied(&mut self, lie: Lie) {
        self.known = self.seen;
        self.lie.get_or_insert(lie);
    }
}

impl<O: Order> Ring for SplitTx<O> {
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
        (self.taken, self.room, self.odd) = (0, self.memory.size(), 0);
        (self.offered, self.seen, self.known) = (0, 0, 0);
        self.lie = None;
    }
}

impl<O: Order> TxRing for SplitTx<O> {
    #[inline(always)]
    fn free(&self) -> usize {
        usize::from(self.room)
    }

    #[inline(always)]
    fn push(&mut self, part: Part, token: Token) {
        let id = self.number();
        self.memory.describe(id, part.addr, rest(part.len, 0, 0));
        self.offer(id, 1, true, token);
    }

    fn push_chain(&mut self, parts: &[Part], token: Token) {
        let Some((last, front)) = parts.split_last() else { return };
        let first = self.number();
        let mut id = first;
        for part in front {
            let next = self.number();
            self.links[usize::from(id)] = next;
            self.memory.describe(id, part.addr, rest(part.len, DescFlags::NEXT.bits(), next));
            id = next;
        }
        self.memory.describe(id, last.addr, rest(last.len, 0, 0));
        self.offer(first, parts.len() as u16, false, token);
    }

    fn push_indirect(&mut self, table: Part, token: Token) {
        let id = self.number();
        self.memory.describe(id, table.addr, rest(table.len, DescFlags::INDIRECT.bits(), 0));
        self.offer(id, 1, false, token);
    }

    fn size(&self) -> usize {
        usize::from(self.memory.size())
    }

    fn next_slot(&self) -> u16 {
        if O::IN_ORDER { self.memory.slot(self.taken) } else { self.free.peek() }
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.memory.publish(self.offered);
    }

    #[inline(always)]
    fn done(&mut self, into: &mut [Token]) -> usize {
        if self.lie.is_some() {
            return 0;
        }
        let mut ready = self.known.wrapping_sub(self.seen);
        if usize::from(ready) < into.len() {
            self.known = self.memory.used_index();
            ready = self.known.wrapping_sub(self.seen);
            let outstanding = self.offered.wrapping_sub(self.seen);
            if ready > outstanding {
                self.lied(Lie::Index { said: ready, outstanding });
                return 0;
            }
        }
        let n = usize::from(ready).min(into.len());
        for (i, place) in into[..n].iter_mut().enumerate() {
            match self.take_one() {
                Ok(token) => *place = token,
                Err(lie) => {
                    self.lied(lie);
                    return i;
                }
            }
        }
        n
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.odd == 0
    }

    fn recall(&mut self) -> Vec<Token> {
        let seen = self.seen;
        let mut all: Vec<Chain> =
            self.shadow.iter().copied().filter(|c| c.token.is_some()).collect();
        all.sort_by_key(|chain| chain.turn.wrapping_sub(seen));
        self.shadow.iter_mut().for_each(|chain| chain.token = None);
        all.iter().filter_map(|chain| chain.token).collect()
    }
}

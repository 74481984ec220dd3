//! Sending over a packed ring: chains of descriptors.

use super::ids::Ids;
use super::packed::{PackedMemory, base, rest};
use super::{Lie, Order, Part, Ring, Token, TxRing};
use core::marker::PhantomData;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{Position, available};

/// A chain that the device has.
#[derive(Clone, Copy)]
struct Chain {
    token: Option<Token>,
    /// Descriptors of it.
    descs: u16,
    /// When it was put there: to give packets back in order.
    turn: u32,
}

/// Packets to be sent. The shadow is by number; in order, that is the position of the first
/// descriptor.
pub(crate) struct PackedTx<O> {
    memory: PackedMemory,
    shadow: Box<[Chain]>,
    free: Ids,
    next: Position,
    seen: Position,
    room: u16,
    turn: u32,
    /// The first descriptor since the last `publish`, not shown yet.
    held: Option<(u16, u64)>,
    /// In order: chains up to the one of this number are done.
    until: Option<u16>,
    lie: Option<Lie>,
    order: PhantomData<O>,
}

// SAFETY: tokens are addresses of packets that the ring owns, and packets may be sent elsewhere.
unsafe impl<O> Send for PackedTx<O> {}

impl<O: Order> PackedTx<O> {
    /// Over this memory.
    pub(crate) fn new(memory: PackedMemory) -> Self {
        let size = memory.size();
        let none = Chain { token: None, descs: 0, turn: 0 };
        PackedTx {
            shadow: vec![none; usize::from(size)].into(),
            free: Ids::all(size),
            next: Position::START,
            seen: Position::START,
            room: size,
            turn: 0,
            held: None,
            until: None,
            lie: None,
            order: PhantomData,
            memory,
        }
    }

    /// Writes a descriptor at the next position: the first since `publish` is held back.
    #[inline(always)]
    fn write(&mut self, part: Part, id: u16, flags: u16) {
        let at = self.next;
        let word = rest(part.len, id, flags | available(at.wrap));
        if self.held.is_none() {
            self.memory.point(at.at, part.addr);
            self.held = Some((at.at, word));
        } else {
            self.memory.show(at.at, part.addr, word);
        }
        self.next = at.ahead(1, self.memory.size());
        self.room -= 1;
    }

    #[inline(always)]
    fn number(&mut self) -> u16 {
        if O::IN_ORDER { self.next.at } else { self.free.pop() }
    }

    #[inline(always)]
    fn keep(&mut self, id: u16, descs: u16, token: Token) {
        self.shadow[usize::from(id)] = Chain { token: Some(token), descs, turn: self.turn };
        self.turn = self.turn.wrapping_add(1);
    }

    /// The chain `id` is done: it is taken from the shadow, and the device's position moves past it.
    #[inline(always)]
    fn finish(&mut self, id: u16) -> Result<Token, Lie> {
        let chain = self.shadow.get_mut(usize::from(id)).ok_or(Lie::Id(u32::from(id)))?;
        let token = chain.token.take().ok_or(Lie::Id(u32::from(id)))?;
        self.room += chain.descs;
        self.seen = self.seen.ahead(chain.descs, self.memory.size());
        if !O::IN_ORDER {
            self.free.push(id);
        }
        Ok(token)
    }

    /// The next chain that is done, if there is one.
    #[inline(always)]
    fn take_one(&mut self) -> Option<Result<Token, Lie>> {
        if self.room == self.memory.size() {
            // What stands there is of an earlier round.
            return None;
        }
        if !O::IN_ORDER {
            let (id, _) = self.memory.used(self.seen)?;
            return Some(self.finish(id));
        }
        let until = match self.until {
            Some(until) => until,
            None => self.memory.used(self.seen)?.0,
        };
        let at = self.seen.at;
        if let Err(lie) = self.check(until) {
            return Some(Err(lie));
        }
        self.until = (at != until).then_some(until);
        Some(self.finish(at))
    }

    /// The device has the chain that it names.
    #[inline(always)]
    fn check(&self, id: u16) -> Result<(), Lie> {
        let chain = self.shadow.get(usize::from(id));
        chain.and_then(|chain| chain.token).map(|_| ()).ok_or(Lie::Id(u32::from(id)))
    }
}

impl<O: Order> Ring for PackedTx<O> {
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
        (self.room, self.held, self.until) = (self.memory.size(), None, None);
        self.lie = None;
    }
}

impl<O: Order> TxRing for PackedTx<O> {
    #[inline(always)]
    fn free(&self) -> usize {
        usize::from(self.room)
    }

    #[inline(always)]
    fn push(&mut self, part: Part, token: Token) {
        let id = self.number();
        self.write(part, id, 0);
        self.keep(id, 1, token);
    }

    fn push_chain(&mut self, parts: &[Part], token: Token) {
        let Some((last, front)) = parts.split_last() else { return };
        let id = self.number();
        front.iter().for_each(|part| self.write(*part, id, DescFlags::NEXT.bits()));
        self.write(*last, id, 0);
        self.keep(id, parts.len() as u16, token);
    }

    fn push_indirect(&mut self, table: Part, token: Token) {
        let id = self.number();
        self.write(table, id, DescFlags::INDIRECT.bits());
        self.keep(id, 1, token);
    }

    fn size(&self) -> usize {
        usize::from(self.memory.size())
    }

    fn next_slot(&self) -> u16 {
        if O::IN_ORDER { self.next.at } else { self.free.peek() }
    }

    #[inline(always)]
    fn publish(&mut self) {
        if let Some((at, word)) = self.held.take() {
            self.memory.reveal(at, word);
        }
    }

    #[inline(always)]
    fn done(&mut self, into: &mut [Token]) -> usize {
        if self.lie.is_some() {
            return 0;
        }
        for (i, place) in into.iter_mut().enumerate() {
            match self.take_one() {
                None => return i,
                Some(Ok(token)) => *place = token,
                Some(Err(lie)) => {
                    self.lie = Some(lie);
                    return i;
                }
            }
        }
        into.len()
    }

    fn recall(&mut self) -> Vec<Token> {
        let mut all: Vec<Chain> =
            self.shadow.iter().copied().filter(|c| c.token.is_some()).collect();
        let newest = self.turn;
        all.sort_by_key(|chain| core::cmp::Reverse(newest.wrapping_sub(chain.turn)));
        self.shadow.iter_mut().for_each(|chain| chain.token = None);
        all.iter().filter_map(|chain| chain.token).collect()
    }
}

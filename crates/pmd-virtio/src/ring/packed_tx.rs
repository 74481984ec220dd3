//! Sending over a packed ring: chains of descriptors.

use super::packed::{PackedMemory, base, rest};
use super::shadow::Shadow;
use super::{Lie, Order, Part, Ring, Token, TxRing};
use core::marker::PhantomData;
use linecard_virtqueue::DescFlags;
use linecard_virtqueue::packed::{Position, available};

/// A chain that the device has.
#[derive(Clone, Copy)]
struct Chain {
    token: Token,
    /// Descriptors of it.
    descs: u16,
    /// Whether it is one of `push`.
    plain: bool,
    /// When it was put there: to give packets back in order.
    turn: u32,
}

/// Packets to be sent. In order, a chain's number is the position of its first descriptor.
pub(crate) struct PackedTx<O> {
    memory: PackedMemory,
    shadow: Shadow<Chain>,
    next: Position,
    seen: Position,
    room: u16,
    /// Chains that are not of `push`.
    odd: u16,
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
        PackedTx {
            shadow: Shadow::new(size),
            next: Position::START,
            seen: Position::START,
            room: size,
            odd: 0,
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
        let cell = self.memory.at(at.at);
        if self.held.is_none() {
            cell.point(part.addr);
            self.held = Some((at.at, word));
        } else {
            cell.show(part.addr, word);
        }
        self.next = at.ahead(1, self.memory.size());
        self.room -= 1;
    }

    /// Takes the next chain down as the device's, which has `descs` descriptors; says its number.
    #[inline(always)]
    fn keep(&mut self, descs: u16, plain: bool, token: Token) -> u16 {
        let at = self.next.at;
        let id = self.shadow.number(at);
        self.shadow.keep(id, at, Chain { token, descs, plain, turn: self.turn });
        self.turn = self.turn.wrapping_add(1);
        self.odd += u16::from(!plain);
        id
    }

    /// The chain `id` is done: it is taken from the shadow, and the device's position moves past it.
    #[inline(always)]
    fn finish(&mut self, id: u16) -> Result<Token, Lie> {
        let chain = self.shadow.take(id, self.seen.at).ok_or(Lie::Id(u32::from(id)))?;
        self.room += chain.descs;
        self.odd -= u16::from(!chain.plain);
        self.seen = self.seen.ahead(chain.descs, self.memory.size());
        Ok(chain.token)
    }

    /// Takes chains of `push` that are done and whose numbers are their positions, up to the ring's end; says how
    /// many. In order, one used descriptor may stand for all before it.
    #[inline(always)]
    fn done_run(&mut self, into: &mut [Token]) -> usize {
        let (from, until) = (self.seen, self.until.filter(|_| O::IN_ORDER));
        let most = usize::from(self.memory.size() - self.room);
        let cells = self.memory.from(from.at).iter().take(most);
        let mut n = 0;
        for ((cell, place), token) in cells.zip(self.shadow.from(from.at)).zip(into) {
            let at = from.at + n;
            // What stands before the last one of those that are done has not been written.
            let known = until.is_some_and(|until| at < until || until < from.at);
            if !known && cell.used(from.wrap).is_none_or(|(id, _)| id != at) {
                break;
            }
            let Some(chain) = place.take_if(|chain| chain.plain) else { break };
            *token = chain.token;
            n += 1;
        }
        self.room += n;
        self.seen = from.ahead(n, self.memory.size());
        usize::from(n)
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
        self.shadow.get(id).map(|_| ()).ok_or(Lie::Id(u32::from(id)))
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
        (self.next, self.seen) = (Position::START, Position::START);
        (self.room, self.odd) = (self.memory.size(), 0);
        (self.held, self.until) = (None, None);
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
        let id = self.keep(1, true, token);
        self.write(part, id, 0);
    }

    fn push_chain(&mut self, parts: &[Part], token: Token) {
        let Some((last, front)) = parts.split_last() else { return };
        let id = self.keep(parts.len() as u16, false, token);
        front.iter().for_each(|part| self.write(*part, id, DescFlags::NEXT.bits()));
        self.write(*last, id, 0);
    }

    fn push_indirect(&mut self, table: Part, token: Token) {
        let id = self.keep(1, false, token);
        self.write(table, id, DescFlags::INDIRECT.bits());
    }

    fn size(&self) -> usize {
        usize::from(self.memory.size())
    }

    fn next_slot(&self) -> u16 {
        self.shadow.number(self.next.at)
    }

    #[inline(always)]
    fn publish(&mut self) {
        if let Some((at, word)) = self.held.take() {
            self.memory.at(at).reveal(word);
        }
    }

    #[inline(always)]
    fn done(&mut self, into: &mut [Token]) -> usize {
        let mut n = 0;
        while n < into.len() && self.lie.is_none() {
            let quick = self.done_run(&mut into[n..]);
            n += quick;
            if quick > 0 {
                continue;
            }
            match self.take_one() {
                None => break,
                Some(Ok(token)) => {
                    into[n] = token;
                    n += 1;
                }
                Some(Err(lie)) => self.lie = Some(lie),
            }
        }
        n
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.odd == 0
    }

    fn recall(&mut self) -> Vec<Token> {
        let mut all: Vec<Chain> = self.shadow.recall().collect();
        let newest = self.turn;
        all.sort_by_key(|chain| core::cmp::Reverse(newest.wrapping_sub(chain.turn)));
        all.iter().map(|chain| chain.token).collect()
    }
}

//! The four protocols by which a side of a ring claims slots and publishes them.
//!
//! A ring has two sides, producers and consumers, and each follows one of these:
//!
//! | side | threads | progress | for |
//! |---|---|---|---|
//! | [`Single`] | one, by ownership | wait-free | the fastest hand-over |
//! | [`Multi`] | any | a stalled thread delays those that claimed after it | a thread a core |
//! | [`Rts`] | any | a stalled thread delays only what others can see, not their calls | more threads than cores |
//! | [`Hts`] | any, one at a time | a stalled thread stops its side | peek and abort with many threads |
//!
//! Positions are free-running counters; the distance of two is their wrapping difference; a mask is
//! applied only where a slot is touched. Every side keeps the position up to which it is *done* in
//! the low half of its tail, which is all that the other side ever reads of it.
//!
//! Edges, named at both ends: **A1 ↔ R0**: who reads the other side's tail sees the slots behind
//! it as the other side left them. **A0 ↔ R1**: who reads a head that a peer on the same side
//! claimed also sees at least the other side's tail that the peer saw; without it a thread could
//! pair a newer head with an older tail.

use crate::sync::{AtomicU32, AtomicU64, Ordering, spin_loop};

/// One side's shared state, in two lines: what its own threads contend for, and what the other side
/// reads. Were they one, every look of the other side would take the line away from under a claim.
#[repr(C)]
#[derive(Debug)]
pub struct End {
    claims: Claims,
    done: Done,
}

/// What only this side's threads touch. 128 bytes apart, since x86 fetches lines in pairs.
#[repr(C, align(128))]
#[derive(Debug)]
struct Claims {
    /// How far this side has claimed ([`Multi`]: a 64-bit position, so that a thread that slept
    /// through 2³² claims is not fooled; [`Rts`]: position and count).
    head: AtomicU64,
    /// Whose turn to publish it is ([`Multi`]): always the tail, but on a line that the other side
    /// does not keep taking away, so that waiting for one's turn is cheap.
    turn: AtomicU32,
    /// A tail of the other side that this side saw: a lower bound, shared by [`Multi`] threads so
    /// that they rarely touch the other side's line. Never more than three laps behind `head`, see
    /// `Multi::claim`.
    seen: AtomicU32,
}

/// What the other side reads.
#[repr(C, align(128))]
#[derive(Debug)]
struct Done {
    /// How far this side is done, in the low half ([`Rts`]: and a count; [`Hts`]: and the head).
    tail: AtomicU64,
    /// Live handles of this side.
    handles: AtomicU32,
}

impl End {
    pub(crate) fn new() -> Self {
        End {
            claims: Claims {
                head: AtomicU64::new(0),
                turn: AtomicU32::new(0),
                seen: AtomicU32::new(0),
            },
            done: Done { tail: AtomicU64::new(0), handles: AtomicU32::new(0) },
        }
    }

    /// Live handles of this side.
    pub(crate) fn handles(&self) -> &AtomicU32 {
        &self.done.handles
    }

    /// How far this side is done.
    #[inline(always)]
    pub(crate) fn done(&self) -> u32 {
        // A1: Acquire pairs with R0 in every `publish`.
        low(self.done.tail.load(Ordering::Acquire))
    }
}

/// All or nothing, or as many as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Exactly the number asked for, or none.
    Bulk,
    /// As many as possible up to the number asked for.
    Burst,
}

impl How {
    #[inline(always)]
    fn grant(self, want: u32, available: u32) -> u32 {
        match self {
            How::Bulk if available < want => 0,
            _ => want.min(available),
        }
    }
}

/// Slots `pos .. pos + n`, owned by who claimed them until published.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub(crate) pos: u32,
    pub(crate) n: u32,
}

/// What a claim asks for. `room` is the capacity for a producer and 0 for a consumer, so that
/// `room + other side's tail - own head` is what may be claimed.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub(crate) room: u32,
    pub(crate) want: u32,
    pub(crate) how: How,
}

/// A side of a ring: how its threads agree on who may touch which slot.
///
/// Sealed: [`Single`], [`Multi`], [`Rts`] and [`Hts`] are all there are.
pub trait Side: Protocol {}
impl<S: Protocol> Side for S {}

/// A side that any number of threads may use at once through a shared reference.
pub trait Concurrent: Side + Protocol<Local = ()> {}
impl Concurrent for Multi {}
impl Concurrent for Rts {}
impl Concurrent for Hts {}

/// A side on which at most one claim is in flight, so that elements may be looked at or filled in
/// place and the claim given back.
pub trait Exclusive: Side {}
impl Exclusive for Single {}
impl Exclusive for Hts {}

pub(crate) mod sealed {
    use super::{Ask, Claim, End};

    /// The protocol of a side.
    pub trait Protocol: 'static {
        /// What a handle keeps of it.
        type Local: Send;
        /// The number of handles that may live at once.
        const MOST_HANDLES: u32;
        /// A handle's state, from what is shared.
        fn local(own: &End, other: &End) -> Self::Local;
        /// Claims slots; a claim of none needs no `publish`.
        fn claim(own: &End, other: &End, local: &mut Self::Local, ask: Ask) -> Claim;
        /// Ends a claim: its first `n` slots are handed to the other side. Fewer than were claimed
        /// only on an exclusive side.
        fn publish(own: &End, local: &mut Self::Local, claim: Claim, n: u32);
    }
}
use sealed::Protocol;

/// The low half: a position.
#[inline(always)]
fn low(word: u64) -> u32 {
    word as u32
}

/// The high half: a count or a head.
#[inline(always)]
fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[inline(always)]
fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// What may be claimed, where `tail` may be older than `head`: then nothing.
///
/// Unambiguous as long as `tail` is at most `2³¹ - capacity` older, which is why
/// [`MAX_CAPACITY`](crate::MAX_CAPACITY) is 2³⁰: `seen` lags three laps at most.
#[inline(always)]
fn available(room: u32, tail: u32, head: u32) -> u32 {
    let n = room.wrapping_add(tail).wrapping_sub(head);
    if n > i32::MAX as u32 { 0 } else { n }
}

/// One thread, by ownership of the only handle. Wait-free: each call is a bounded number of steps.
///
/// The handle keeps the other side's last known tail and reads the shared one only when the ring
/// looks too full (too empty), so that the two cores exchange a cache line a lap, not a call.
#[derive(Debug)]
pub enum Single {}

/// What a [`Single`] handle knows without asking.
#[derive(Debug)]
pub struct SingleLocal {
    /// Own position: head and tail are one outside of a call.
    pos: u32,
    /// The other side's tail when last read.
    seen: u32,
}

impl Protocol for Single {
    type Local = SingleLocal;
    const MOST_HANDLES: u32 = 1;

    fn local(own: &End, other: &End) -> SingleLocal {
        SingleLocal { pos: own.done(), seen: other.done() }
    }

    #[inline(always)]
    fn claim(_own: &End, other: &End, local: &mut SingleLocal, ask: Ask) -> Claim {
        let pos = local.pos;
        let mut n = available(ask.room, local.seen, pos);
        if n < ask.want {
            // Possibly full (empty): refresh, and know.
            local.seen = other.done();
            n = available(ask.room, local.seen, pos);
        }
        Claim { pos, n: ask.how.grant(ask.want, n) }
    }

    #[inline(always)]
    fn publish(own: &End, local: &mut SingleLocal, claim: Claim, n: u32) {
        local.pos = claim.pos.wrapping_add(n);
        // R0: Release pairs with A1; the slots are written (read) before the other side sees it.
        own.done.tail.store(u64::from(local.pos), Ordering::Release);
    }
}

/// Any number of threads; the classic protocol: claim by compare-and-swap, publish in order of
/// claims. The fastest of the three as long as no thread is preempted inside a call; where threads
/// outnumber cores take [`Rts`] or [`Hts`].
#[derive(Debug)]
pub enum Multi {}

impl Protocol for Multi {
    type Local = ();
    const MOST_HANDLES: u32 = u32::MAX;

    fn local(_own: &End, _other: &End) {}

    #[inline(always)]
    fn claim(own: &End, other: &End, (): &mut (), ask: Ask) -> Claim {
        // A0: Acquire pairs with R1.
        let mut head = own.claims.head.load(Ordering::Acquire);
        loop {
            // Acquire pairs with the Release store of `seen` below: what its writer saw through
            // A1, we see.
            let mut tail = own.claims.seen.load(Ordering::Acquire);
            let possibly_short = available(ask.room, tail, low(head)) < ask.want;
            if possibly_short {
                tail = other.done();
            }
            let n = ask.how.grant(ask.want, available(ask.room, tail, low(head)));
            if n == 0 {
                return Claim { pos: low(head), n };
            }
            // R1: Release on success pairs with A0; Acquire on failure is A0 again.
            match own.claims.head.compare_exchange_weak(
                head,
                head.wrapping_add(u64::from(n)),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) if possibly_short => {
                    // Release pairs with the Acquire load of `seen` above. A slower thread may
                    // overwrite a newer value with an older one, still a lower bound; but only here,
                    // between its claim and its publishing, when both sides are stuck within a lap
                    // of it. Stored any earlier, by a thread that then slept through 2³¹ elements,
                    // it would be taken for room that there is not.
                    own.claims.seen.store(tail, Ordering::Release);
                    return Claim { pos: low(head), n };
                }
                Ok(_) => return Claim { pos: low(head), n },
                Err(now) => head = now,
            }
        }
    }

    #[inline(always)]
    fn publish(own: &End, (): &mut (), claim: Claim, n: u32) {
        debug_assert_eq!(n, claim.n, "only an exclusive side may publish less than it claimed");
        // Acquire pairs with the Release store of `turn` by who claimed just before us: its slots,
        // and those before them, are part of what our own store releases.
        while own.claims.turn.load(Ordering::Acquire) != claim.pos {
            spin_loop();
        }
        let pos = claim.pos.wrapping_add(n);
        // R0: Release pairs with A1.
        own.done.tail.store(u64::from(pos), Ordering::Release);
        // Release pairs with the Acquire above, in who claimed just after us.
        own.claims.turn.store(pos, Ordering::Release);
    }
}

/// Any number of threads, relaxed tail: whoever finishes last moves the tail, so no call waits for
/// another thread's call. Safe where threads outnumber cores: a thread that sleeps inside a call
/// keeps what came after its claim from being *seen*, but every other call returns.
#[derive(Debug)]
pub enum Rts {}

impl Protocol for Rts {
    type Local = ();
    const MOST_HANDLES: u32 = u32::MAX;

    fn local(_own: &End, _other: &End) {}

    #[inline]
    fn claim(own: &End, other: &End, (): &mut (), ask: Ask) -> Claim {
        // A0: Acquire pairs with R1.
        let mut head = own.claims.head.load(Ordering::Acquire);
        loop {
            let n = ask.how.grant(ask.want, available(ask.room, other.done(), low(head)));
            if n == 0 {
                return Claim { pos: low(head), n };
            }
            let next = pack(high(head).wrapping_add(1), low(head).wrapping_add(n));
            // R1: Release on success pairs with A0; Acquire on failure is A0 again.
            match own.claims.head.compare_exchange_weak(
                head,
                next,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Claim { pos: low(head), n },
                Err(now) => head = now,
            }
        }
    }

    #[inline]
    fn publish(own: &End, (): &mut (), claim: Claim, n: u32) {
        debug_assert_eq!(n, claim.n, "only an exclusive side may publish less than it claimed");
        // Acquire pairs with R0 of those who finished before: their slots are released by us too,
        // if we are the one to move the position over them.
        let mut tail = own.done.tail.load(Ordering::Acquire);
        loop {
            let count = high(tail).wrapping_add(1);
            // Relaxed: every claim whose finish `tail` counts is in `head` already, since it was
            // made before that finish, which the Acquire of `tail` has us see; and so is our own.
            // So equal counts mean that no claim up to this `head` is in flight.
            let head = own.claims.head.load(Ordering::Relaxed);
            let pos = if count == high(head) { low(head) } else { low(tail) };
            // R0: Release on success pairs with A1; Acquire on failure is the load above again.
            match own.done.tail.compare_exchange_weak(
                tail,
                pack(count, pos),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(now) => tail = now,
            }
        }
    }
}

/// Any number of threads, one in flight at a time: head and tail are one word and a claim waits
/// until they agree. Serialised, so that a claim may be looked at and given back.
///
/// While a chunk is open its side waits for it: a thread that calls on through a clone, with a chunk
/// of its own still open, waits for ever.
#[derive(Debug)]
pub enum Hts {}

impl Protocol for Hts {
    type Local = ();
    const MOST_HANDLES: u32 = u32::MAX;

    fn local(_own: &End, _other: &End) {}

    #[inline]
    fn claim(own: &End, other: &End, (): &mut (), ask: Ask) -> Claim {
        let mut word = idle(own);
        loop {
            let pos = low(word);
            let n = ask.how.grant(ask.want, available(ask.room, other.done(), pos));
            if n == 0 {
                return Claim { pos, n };
            }
            let taken = pack(pos.wrapping_add(n), pos);
            // Acquire on success pairs with R0 of who held the side before (the value compared
            // equal was published by it); Relaxed on failure, since `idle` loads again.
            match own.done.tail.compare_exchange_weak(
                word,
                taken,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Claim { pos, n },
                Err(_) => word = idle(own),
            }
        }
    }

    #[inline]
    fn publish(own: &End, (): &mut (), claim: Claim, n: u32) {
        let pos = claim.pos.wrapping_add(n);
        // R0: Release pairs with A1, and with the Acquire of who holds this side next.
        own.done.tail.store(pack(pos, pos), Ordering::Release);
    }
}

/// Waits until nobody holds the side.
#[inline(always)]
fn idle(own: &End) -> u64 {
    loop {
        // Acquire pairs with R0 in `publish`.
        let word = own.done.tail.load(Ordering::Acquire);
        if low(word) == high(word) {
            return word;
        }
        spin_loop();
    }
}

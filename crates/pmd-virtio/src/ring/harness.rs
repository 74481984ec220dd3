//! A device that lies: rings whose memory somebody else writes at will. One harness for property
//! tests and for the fuzz target.
//!
//! What must hold, whatever is written: no panic, no buffer twice, none lost, and after a [`Lie`]
//! silence.

use super::{
    AnyOrder, Empty, Filled, InOrder, Lie, Notify, PackedMemory, PackedRx, PackedTx, Part, Ring,
    RxRing, SplitMemory, SplitRx, SplitTx, Token, TxRing,
};
use core::ptr::NonNull;
use linecard_eal::mem::{PagePolicy, Request, Segment};
use linecard_mempool::Object;
use linecard_virtqueue::{packed, split};
use std::collections::HashSet;
use std::sync::Arc;

/// Descriptors of the rings.
const SIZE: u16 = 16;
/// Bytes of a buffer.
const LEN: u32 = 1526;

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// We post, or send, so many.
    Give(u8),
    /// We take what is used, at most so many.
    Take(u8),
    /// We ask whether to notify, and what we want to be told.
    Look,
    /// The device writes a 16-bit word at a place of the ring's memory.
    Write(u16, u16),
    /// The device does what an honest one would, so that the rest gets somewhere: it uses the next
    /// descriptor or entry, with this length.
    Use(u16),
    /// We start anew.
    Reset,
}

impl Step {
    /// A step from four bytes of a fuzzer's.
    pub fn of(bytes: [u8; 4]) -> Self {
        let (a, b) = (bytes[1], u16::from_le_bytes([bytes[2], bytes[3]]));
        match bytes[0] % 8 {
            0 | 1 => Step::Give(a % 20),
            2 | 3 => Step::Take(a % 20),
            4 => Step::Look,
            5 => Step::Write(u16::from(a) << 2 | b & 3, b),
            6 => Step::Use(b),
            _ if a == 0 => Step::Reset,
            _ => Step::Use(64),
        }
    }
}

/// Plays what bytes say: the first which ring, then four a step.
pub fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let steps = rest.chunks_exact(4).map(|four| Step::of([four[0], four[1], four[2], four[3]]));
    play(*kind, steps);
}

/// Plays the steps over one of the eight rings: `kind` says which.
pub fn play(kind: u8, steps: impl IntoIterator<Item = Step> + Clone) {
    for notify in [Notify::Flag, Notify::Index] {
        let steps = steps.clone();
        match kind % 8 {
            0 => receive(|m| SplitRx::<AnyOrder>::new(split_at(m, notify), LEN), false, steps),
            1 => receive(|m| SplitRx::<InOrder>::new(split_at(m, notify), LEN), false, steps),
            2 => receive(|m| PackedRx::<AnyOrder>::new(packed_at(m, notify), LEN), true, steps),
            3 => receive(|m| PackedRx::<InOrder>::new(packed_at(m, notify), LEN), true, steps),
            4 => send(|m| SplitTx::<AnyOrder>::new(split_at(m, notify)), false, steps),
            5 => send(|m| SplitTx::<InOrder>::new(split_at(m, notify)), false, steps),
            6 => send(|m| PackedTx::<AnyOrder>::new(packed_at(m, notify)), true, steps),
            _ => send(|m| PackedTx::<InOrder>::new(packed_at(m, notify)), true, steps),
        }
    }
}

fn memory() -> Arc<Segment> {
    let request = Request::new(8192).pages(PagePolicy::Small).name("lying");
    Arc::new(request.map().expect("two pages"))
}

fn split_at(memory: &Arc<Segment>, notify: Notify) -> SplitMemory {
    let layout = split::Layout::new(SIZE, 64).expect("a power of two");
    SplitMemory::new(memory, 0, layout, notify)
}

fn packed_at(memory: &Arc<Segment>, notify: Notify) -> PackedMemory {
    let layout = packed::Layout::new(SIZE, 64).expect("within the limit");
    PackedMemory::new(memory, 0, layout, notify)
}

/// The device's hand in the memory.
struct Hand {
    memory: Arc<Segment>,
    packed: bool,
    at: packed::Position,
    used: u16,
}

impl Hand {
    fn new(memory: &Arc<Segment>, packed: bool) -> Self {
        Hand { memory: Arc::clone(memory), packed, at: packed::Position::START, used: 0 }
    }

    fn write(&self, offset: usize, value: u16) {
        let at = self.memory.base().as_ptr().wrapping_add((offset % 8190) & !1).cast::<u16>();
        // SAFETY: within the segment and aligned; nobody else is here, and rings read atomics.
        unsafe { at.write_volatile(value) };
    }

    /// As an honest device would, if what it is given were in order.
    fn use_next(&mut self, len: u16) {
        if self.packed {
            let slot = usize::from(self.at.at) * 16;
            self.write(slot + 8, len);
            self.write(slot + 10, 0);
            self.write(slot + 14, packed::used(self.at.wrap));
            self.at = self.at.ahead(1, SIZE);
        } else {
            let used = split::Layout::new(SIZE, 64).expect("a power of two").used().start;
            let slot = used + 4 + usize::from(self.used % SIZE) * 8;
            for (i, value) in [self.used % SIZE, 0, len, 0].into_iter().enumerate() {
                self.write(slot + 2 * i, value);
            }
            self.used = self.used.wrapping_add(1);
            self.write(used + 2, self.used);
        }
    }
}

/// What we have given away, by address; given back, it must be among it.
#[derive(Default)]
struct Given {
    next: usize,
    away: HashSet<usize>,
}

impl Given {
    fn fresh(&mut self) -> NonNull<u8> {
        self.next += 64;
        self.away.insert(self.next);
        NonNull::new(core::ptr::without_provenance_mut(self.next)).expect("not zero")
    }

    fn back(&mut self, at: usize) {
        assert!(self.away.remove(&at), "given back once, and only what was given");
    }
}

fn silent_after(lie: Option<Lie>, taken: usize) {
    assert!(lie.is_none() || taken == 0, "a ring that was lied to gives nothing more");
}

fn receive<R: RxRing>(
    make: impl Fn(&Arc<Segment>) -> R,
    packed: bool,
    steps: impl IntoIterator<Item = Step>,
) {
    let memory = memory();
    let (mut ring, mut hand, mut given) =
        (make(&memory), Hand::new(&memory, packed), Given::default());
    for step in steps {
        match step {
            Step::Give(n) => {
                let n = usize::from(n).min(ring.free());
                let buffers: Vec<_> = (0..n)
                    .map(|_| given.fresh())
                    .map(|at| Empty { object: Object::new(at), addr: at.as_ptr().addr() as u64 })
                    .collect();
                ring.post(&buffers);
            }
            Step::Take(n) => {
                let filler = Filled { object: Object::new(NonNull::dangling()), len: 0 };
                let (lie, mut into) = (ring.lie(), [filler; 32]);
                let n = ring.take(&mut into[..usize::from(n)]);
                silent_after(lie, n);
                for filled in &into[..n] {
                    given.back(filled.object.as_ptr().addr());
                    assert!(filled.len <= LEN + 1, "a length that is too large is told from one");
                }
            }
            Step::Reset => {
                ring.recall().iter().for_each(|object| given.back(object.as_ptr().addr()));
                assert!(given.away.is_empty(), "nothing is lost");
                ring.reset();
                hand = Hand::new(&memory, packed);
            }
            other => common(&mut ring, &mut hand, other),
        }
    }
    ring.recall().iter().for_each(|object| given.back(object.as_ptr().addr()));
    assert!(given.away.is_empty(), "nothing is lost");
}

fn send<R: TxRing>(
    make: impl Fn(&Arc<Segment>) -> R,
    packed: bool,
    steps: impl IntoIterator<Item = Step>,
) {
    let memory = memory();
    let (mut ring, mut hand, mut given) =
        (make(&memory), Hand::new(&memory, packed), Given::default());
    for step in steps {
        match step {
            Step::Give(n) => {
                // Chains of one to three.
                let parts = [Part { addr: 4096, len: 60 }; 3];
                let n = usize::from(n % 3) + 1;
                if n <= ring.free() {
                    assert!(ring.next_slot() < SIZE);
                    let token = given.fresh();
                    match n {
                        1 => ring.push(parts[0], token),
                        2 => ring.push_chain(&parts[..2], token),
                        _ => ring.push_indirect(parts[0], token),
                    }
                }
                ring.publish();
            }
            Step::Take(n) => {
                let (lie, mut into) = (ring.lie(), [Token::dangling(); 32]);
                let n = ring.done(&mut into[..usize::from(n)]);
                silent_after(lie, n);
                into[..n].iter().for_each(|token| given.back(token.as_ptr().addr()));
            }
            Step::Reset => {
                ring.recall().iter().for_each(|token| given.back(token.as_ptr().addr()));
                assert!(given.away.is_empty(), "nothing is lost");
                ring.reset();
                hand = Hand::new(&memory, packed);
            }
            other => common(&mut ring, &mut hand, other),
        }
    }
    ring.recall().iter().for_each(|token| given.back(token.as_ptr().addr()));
    assert!(given.away.is_empty(), "nothing is lost");
}

fn common(ring: &mut impl Ring, hand: &mut Hand, step: Step) {
    match step {
        Step::Look => {
            let _ = ring.wants_doorbell();
            ring.wake();
            ring.quiet();
        }
        Step::Write(at, value) => hand.write(usize::from(at), value),
        Step::Use(len) => hand.use_next(len),
        Step::Give(_) | Step::Take(_) | Step::Reset => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u8..20).prop_map(Step::Give),
            4 => (0u8..20).prop_map(Step::Take),
            1 => Just(Step::Look),
            1 => (0u16..700, any::<u16>()).prop_map(|(at, value)| Step::Write(at, value)),
            1 => (0u16..700, 0u16..20).prop_map(|(at, value)| Step::Write(at, value)),
            4 => any::<u16>().prop_map(Step::Use),
            1 => Just(Step::Reset),
        ]
    }

    proptest! {
        #[test]
        fn a_device_that_lies_breaks_nothing_but_its_ring(
            kind in 0u8..8,
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            play(kind, steps);
        }
    }

    proptest! {
        #[test]
        fn whatever_bytes_a_fuzzer_has_can_be_played(
            data in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            run(&data);
        }
    }

    #[test]
    fn an_honest_device_is_believed_for_ever() {
        for kind in 0..4 {
            let round = [Step::Give(5), Step::Use(64), Step::Use(64), Step::Take(9)];
            let rounds = (0..100).flat_map(|_| round).collect::<Vec<_>>();
            play(kind, rounds);
        }
    }
}

//! The calls that only some sides have, for generic code that meets all of them.

use crate::operation::{Peek, PeekEnd, Reserve, ReserveEnd};
use linecard_ring::{
    Concurrent, Consumer, Exclusive, Hts, Multi, Producer, ReadChunk, Ring, Rts, Side, Single,
    WriteChunk,
};

/// All or nothing, or as many as there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Bulk,
    Burst,
}

/// What came of looking in place: what was seen, what was taken out, and how many are gone.
pub(crate) struct Looked<T> {
    pub(crate) seen: Vec<T>,
    pub(crate) taken: Vec<T>,
    pub(crate) gone: usize,
}

/// A producers' side, with what it may lack. `None`: it has no such call.
pub(crate) trait ProducerSide: Side {
    /// Reserves, and does with it what is asked; says how many slots were reserved and how many of
    /// `items` are in the ring.
    fn reserve<T: Send + Clone, C: Side>(
        _tx: &mut Producer<T, Self, C>,
        _how: How,
        _reserve: Reserve,
        _items: &[T],
    ) -> Option<(usize, usize)>
    where
        Self: Sized,
    {
        None
    }

    /// A burst through the ring itself.
    fn enqueue_shared<T: Send, C: Side>(
        _ring: &Ring<T, Self, C>,
        _items: &mut Vec<T>,
    ) -> Option<usize>
    where
        Self: Sized,
    {
        None
    }
}

/// A consumers' side, with what it may lack. `None`: it has no such call.
pub(crate) trait ConsumerSide: Side {
    fn peek<T: Send + Clone, P: Side>(
        _rx: &mut Consumer<T, P, Self>,
        _how: How,
        _peek: Peek,
    ) -> Option<Looked<T>>
    where
        Self: Sized,
    {
        None
    }

    /// A burst through the ring itself.
    fn dequeue_shared<T: Send, P: Side>(_ring: &Ring<T, P, Self>, _n: usize) -> Option<Vec<T>>
    where
        Self: Sized,
    {
        None
    }
}

macro_rules! reserves {
    () => {
        fn reserve<T: Send + Clone, C: Side>(
            tx: &mut Producer<T, Self, C>,
            how: How,
            asked: Reserve,
            items: &[T],
        ) -> Option<(usize, usize)> {
            Some(reserve(tx, how, asked, items))
        }
    };
}

macro_rules! peeks {
    () => {
        fn peek<T: Send + Clone, P: Side>(
            rx: &mut Consumer<T, P, Self>,
            how: How,
            asked: Peek,
        ) -> Option<Looked<T>> {
            Some(peek(rx, how, asked))
        }
    };
}

macro_rules! shares_enqueue {
    () => {
        fn enqueue_shared<T: Send, C: Side>(
            ring: &Ring<T, Self, C>,
            items: &mut Vec<T>,
        ) -> Option<usize> {
            Some(ring.enqueue_burst(items))
        }
    };
}

macro_rules! shares_dequeue {
    () => {
        fn dequeue_shared<T: Send, P: Side>(ring: &Ring<T, P, Self>, n: usize) -> Option<Vec<T>> {
            Some(dequeue_shared(ring, n))
        }
    };
}

impl ProducerSide for Single {
    reserves!();
}
impl ProducerSide for Multi {
    shares_enqueue!();
}
impl ProducerSide for Rts {
    shares_enqueue!();
}
impl ProducerSide for Hts {
    reserves!();
    shares_enqueue!();
}
impl ConsumerSide for Single {
    peeks!();
}
impl ConsumerSide for Multi {
    shares_dequeue!();
}
impl ConsumerSide for Rts {
    shares_dequeue!();
}
impl ConsumerSide for Hts {
    peeks!();
    shares_dequeue!();
}

fn dequeue_shared<T: Send, P: Side, C: Concurrent>(ring: &Ring<T, P, C>, n: usize) -> Vec<T> {
    let mut sink = Vec::with_capacity(n);
    ring.dequeue_burst(&mut sink, n);
    sink
}

fn reserve<T: Send + Clone, P: Exclusive, C: Side>(
    tx: &mut Producer<T, P, C>,
    how: How,
    Reserve { n, end }: Reserve,
    items: &[T],
) -> (usize, usize) {
    let chunk = match how {
        How::Bulk => match tx.reserve_bulk(n) {
            Some(chunk) => chunk,
            None => return (0, 0),
        },
        How::Burst => tx.reserve_burst(n),
    };
    let reserved = chunk.len();
    (reserved, end_reserve(chunk, end, items))
}

fn end_reserve<T: Send + Clone, P: Exclusive, C: Side>(
    mut chunk: WriteChunk<'_, T, P, C>,
    end: ReserveEnd,
    items: &[T],
) -> usize {
    match end {
        ReserveEnd::Fill(n) => chunk.fill(items.iter().take(n).cloned()),
        ReserveEnd::Commit(n) => {
            let n = n.min(chunk.len());
            for (slot, item) in chunk.slots().into_iter().flatten().zip(&items[..n]) {
                slot.write(item.clone());
            }
            // SAFETY: the first `n` slots have been written just now.
            unsafe { chunk.commit(n) };
            n
        }
        ReserveEnd::Abort => 0,
    }
}

fn peek<T: Send + Clone, P: Side, C: Exclusive>(
    rx: &mut Consumer<T, P, C>,
    how: How,
    Peek { n, end }: Peek,
) -> Looked<T> {
    let chunk = match how {
        How::Bulk => match rx.peek_bulk(n) {
            Some(chunk) => chunk,
            None => return Looked { seen: Vec::new(), taken: Vec::new(), gone: 0 },
        },
        How::Burst => rx.peek_burst(n),
    };
    let seen = chunk.items().concat();
    assert_eq!(chunk.len(), seen.len());
    let (taken, gone) = end_peek(chunk, end);
    Looked { seen, taken, gone }
}

fn end_peek<T: Send, P: Side, C: Exclusive>(
    chunk: ReadChunk<'_, T, P, C>,
    end: PeekEnd,
) -> (Vec<T>, usize) {
    match end {
        PeekEnd::Take(n) => {
            let mut sink = Vec::with_capacity(n);
            let gone = chunk.take(&mut sink, n);
            (sink, gone)
        }
        PeekEnd::Commit(n) => {
            let gone = n.min(chunk.len());
            chunk.commit(gone);
            (Vec::new(), gone)
        }
        PeekEnd::Abort => (Vec::new(), 0),
    }
}

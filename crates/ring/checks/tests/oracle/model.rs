//! A ring and a `VecDeque`, to which the same is done.

use crate::element::Element;
use crate::operation::{Operation, Peek, Reserve, Room};
use crate::sides::{ConsumerSide, How, ProducerSide};
use linecard_ring::{Consumer, Ends, Producer, Ring};
use std::collections::VecDeque;

pub(crate) struct Model<T: Element, P: ProducerSide, C: ConsumerSide> {
    ring: Ring<T, P, C>,
    /// Always there between operations; `None` while they are made anew.
    ends: Option<Ends<T, P, C>>,
    oracle: VecDeque<T>,
    made: u32,
}

impl<T: Element, P: ProducerSide, C: ConsumerSide> Model<T, P, C> {
    pub(crate) fn new(ring: Ring<T, P, C>) -> Self {
        let ends = Some(ring.clone().split().unwrap());
        Model { ring, ends, oracle: VecDeque::new(), made: 0 }
    }

    pub(crate) fn run(mut self, operations: &[Operation]) {
        for operation in operations {
            self.apply(*operation);
            self.compare();
        }
        // Half of the cases leave what is left to the ring's drop.
        if self.made.is_multiple_of(2) {
            while !self.oracle.is_empty() {
                self.dequeue();
            }
            self.compare();
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Enqueue => self.enqueue(),
            Operation::EnqueueBulk(n) => self.enqueue_bulk(n),
            Operation::EnqueueBurst(n) => self.enqueue_burst(n),
            Operation::EnqueueShared(n) => self.enqueue_shared(n),
            Operation::ReserveBulk(reserve) => self.reserve(How::Bulk, reserve),
            Operation::ReserveBurst(reserve) => self.reserve(How::Burst, reserve),
            Operation::Dequeue => self.dequeue(),
            Operation::DequeueBulk(room) => self.dequeue_many(How::Bulk, room),
            Operation::DequeueBurst(room) => self.dequeue_many(How::Burst, room),
            Operation::DequeueShared(n) => self.dequeue_shared(n),
            Operation::PeekBulk(peek) => self.peek(How::Bulk, peek),
            Operation::PeekBurst(peek) => self.peek(How::Burst, peek),
            Operation::NewHandles => {
                self.ends = None;
                self.ends = Some(self.ring.clone().split().unwrap());
            }
        }
    }

    /// What can be asked at any time.
    fn compare(&mut self) {
        let (tx, rx) = self.ends.as_ref().unwrap();
        let n = self.oracle.len();
        assert_eq!([tx.len(), rx.len(), self.ring.len()], [n; 3]);
        assert_eq!([tx.is_empty(), rx.is_empty(), self.ring.is_empty()], [n == 0; 3]);
        let full = n == self.ring.capacity();
        assert_eq!([tx.is_full(), rx.is_full(), self.ring.is_full()], [full; 3]);
        assert!(!tx.is_closed() && !rx.is_closed() && tx.feeds(rx));
    }

    fn free(&self) -> usize {
        self.ring.capacity() - self.oracle.len()
    }

    /// How many of `n` a call moves where there are `there`.
    fn granted(how: How, n: usize, there: usize) -> usize {
        match how {
            How::Bulk if n > there => 0,
            _ => n.min(there),
        }
    }

    fn fresh(&mut self, n: usize) -> Vec<T> {
        self.made += n as u32;
        (self.made - n as u32..self.made).map(T::nth).collect()
    }

    fn tx(&mut self) -> &mut Producer<T, P, C> {
        &mut self.ends.as_mut().unwrap().0
    }

    fn rx(&mut self) -> &mut Consumer<T, P, C> {
        &mut self.ends.as_mut().unwrap().1
    }

    fn enqueue(&mut self) {
        let item = self.fresh(1).remove(0);
        match self.tx().enqueue(item.clone()) {
            Ok(()) => {
                assert!(self.free() > 0);
                self.oracle.push_back(item);
            }
            Err(full) => {
                assert_eq!(self.free(), 0);
                assert_eq!(full.0, item);
            }
        }
    }

    fn enqueue_bulk(&mut self, n: usize) {
        let items = self.fresh(n);
        let mut source = items.clone();
        let fits = n <= self.free();
        assert_eq!(self.tx().enqueue_bulk(&mut source), fits);
        self.added(items, source, if fits { n } else { 0 });
    }

    fn enqueue_burst(&mut self, n: usize) {
        let items = self.fresh(n);
        let mut source = items.clone();
        let added = self.tx().enqueue_burst(&mut source);
        assert_eq!(added, n.min(self.free()));
        self.added(items, source, added);
    }

    fn enqueue_shared(&mut self, n: usize) {
        let items = self.fresh(n);
        let mut source = items.clone();
        if let Some(added) = P::enqueue_shared(&self.ring, &mut source) {
            assert_eq!(added, n.min(self.free()));
            self.added(items, source, added);
        }
    }

    /// The first `n` of `items` went, and `rest` was left in the source.
    fn added(&mut self, items: Vec<T>, rest: Vec<T>, n: usize) {
        assert_eq!(items[n..], rest);
        self.oracle.extend(items.into_iter().take(n));
    }

    fn reserve(&mut self, how: How, reserve: Reserve) {
        let items = self.fresh(80);
        let granted = Self::granted(how, reserve.n, self.free());
        if let Some((reserved, added)) = P::reserve(self.tx(), how, reserve, &items) {
            assert_eq!(reserved, granted);
            self.oracle.extend(items.into_iter().take(added));
        }
    }

    fn dequeue(&mut self) {
        let item = self.rx().dequeue();
        assert_eq!(item, self.oracle.pop_front());
    }

    fn dequeue_many(&mut self, how: How, Room { n, room }: Room) {
        let mut sink = Vec::with_capacity(room);
        // Of what takes no space a vector has room without end.
        let room = sink.capacity();
        let granted = match how {
            How::Bulk if n > room => 0,
            _ => Self::granted(how, n.min(room), self.oracle.len()),
        };
        match how {
            How::Bulk => assert_eq!(self.rx().dequeue_bulk(&mut sink, n), granted == n),
            How::Burst => assert_eq!(self.rx().dequeue_burst(&mut sink, n), granted),
        }
        assert_eq!(sink, self.gone(granted));
    }

    fn dequeue_shared(&mut self, n: usize) {
        if let Some(items) = C::dequeue_shared(&self.ring, n) {
            let n = n.min(self.oracle.len());
            assert_eq!(items, self.gone(n));
        }
    }

    fn peek(&mut self, how: How, peek: Peek) {
        let granted = Self::granted(how, peek.n, self.oracle.len());
        if let Some(looked) = C::peek(self.rx(), how, peek) {
            assert!(looked.seen.iter().eq(self.oracle.iter().take(granted)));
            let gone = self.gone(looked.gone);
            assert!(looked.taken.is_empty() || looked.taken == gone);
        }
    }

    /// The first `n` went.
    fn gone(&mut self, n: usize) -> Vec<T> {
        self.oracle.drain(..n).collect()
    }
}

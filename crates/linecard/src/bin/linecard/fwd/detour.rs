//! Packets for a transmit queue that the other side does not use, handed to the stream of one that it does: a guest
//! with one queue gets what came over two.

use linecard::mbuf::{Burst, Mbuf};
use linecard::pmd::{Direction, Event, QueueState, TxQueue};
use linecard::ring::{Consumer, Error, Multi, Producer, Single, mpsc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Packets that wait for another stream at most.
const WAITING: usize = 255;

/// Which transmit queues of a port the other side uses. Until a port tells of one, all are in use.
#[derive(Debug)]
pub(crate) struct Used {
    told: AtomicBool,
    queues: Vec<AtomicBool>,
}

impl Used {
    fn new(queues: usize) -> Self {
        let queues = (0..queues).map(|_| AtomicBool::new(false)).collect();
        Used { told: AtomicBool::new(false), queues }
    }

    /// Takes note of what has happened to the port.
    pub(crate) fn hear(&self, event: &Event) {
        let Event::Queue { direction: Direction::Transmit, queue, state } = event else { return };
        if let Some(used) = self.queues.get(usize::from(*queue)) {
            // Relaxed, both: hints, with which nothing else goes.
            used.store(*state == QueueState::Enabled, Ordering::Relaxed);
            self.told.store(true, Ordering::Relaxed);
        }
    }

    fn is(&self, queue: usize) -> bool {
        // Relaxed: as in `hear`.
        !self.told.load(Ordering::Relaxed) || self.queues[queue].load(Ordering::Relaxed)
    }

    /// The queue in place of one that is not in use, if there is one: those for several are spread.
    fn instead(&self, queue: usize) -> Option<usize> {
        let used = || (0..self.queues.len()).filter(|other| self.is(*other));
        let count = used().count();
        (count > 0).then(|| used().nth(queue % count)).flatten()
    }
}

/// What the stream of a transmit queue has besides the queue.
pub(crate) struct Detour {
    used: Arc<Used>,
    queue: usize,
    inbox: Consumer<Mbuf, Multi, Single>,
    /// Into the inboxes of the port's queues, this one's too.
    doors: Vec<Producer<Mbuf, Multi, Single>>,
    /// What came out of the inbox and has not been sent.
    late: Burst,
}

/// A detour for each of a port's queues that streams send to; none for a single queue.
pub(crate) fn between(queues: usize) -> Result<(Arc<Used>, Vec<Detour>), Error> {
    let used = Arc::new(Used::new(queues));
    if queues < 2 {
        return Ok((used, Vec::new()));
    }
    let ends: Result<Vec<_>, _> = (0..queues).map(|_| mpsc(WAITING)).collect();
    let (doors, inboxes): (Vec<_>, Vec<_>) = ends?.into_iter().unzip();
    let detour = |(queue, inbox)| Detour {
        used: Arc::clone(&used),
        queue,
        inbox,
        doors: doors.clone(),
        late: Burst::new(),
    };
    let detours = inboxes.into_iter().enumerate().map(detour).collect();
    Ok((used, detours))
}

impl Detour {
    /// Sends what others have brought, and brings to another what this queue does not take. Says how
    /// many packets moved.
    #[inline]
    pub(crate) fn step(&mut self, burst: &mut Burst, tx: &mut dyn TxQueue) -> usize {
        let mut moved = 0;
        if !self.inbox.is_empty() || !self.late.is_empty() {
            let spare = self.late.spare();
            self.inbox.dequeue_burst(&mut self.late, spare);
            moved += tx.send(&mut self.late);
        }
        if !burst.is_empty() && !self.used.is(self.queue) {
            moved += self.bring(burst);
        }
        moved
    }

    #[cold]
    fn bring(&mut self, burst: &mut Burst) -> usize {
        let other = self.used.instead(self.queue);
        other.map_or(0, |other| self.doors[other].enqueue_burst(burst))
    }

    /// Packets that wait to be sent here.
    pub(crate) fn waiting(&self) -> usize {
        self.inbox.len() + self.late.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard::mbuf::MbufPool;
    use linecard::pmd::Path;

    /// A queue that takes all.
    #[derive(Default)]
    struct Taker(usize);

    impl TxQueue for Taker {
        fn send(&mut self, burst: &mut Burst) -> usize {
            let n = burst.len();
            burst.clear();
            self.0 += n;
            n
        }

        fn path(&self) -> Path {
            Path { name: "test", reason: String::new() }
        }
    }

    fn told(used: &Used, queue: u16, state: QueueState) {
        used.hear(&Event::Queue { direction: Direction::Transmit, queue, state });
    }

    #[test]
    fn queues_out_of_use_are_spread_over_those_in_use() {
        let used = Used::new(4);
        assert!((0..4).all(|queue| used.is(queue)), "nobody has told of any");
        told(&used, 1, QueueState::Enabled);
        told(&used, 2, QueueState::Enabled);
        told(&used, 9, QueueState::Enabled);
        assert_eq!([0, 1, 2, 3].map(|queue| used.is(queue)), [false, true, true, false]);
        assert_eq!([0, 3].map(|queue| used.instead(queue)), [Some(1), Some(2)]);
        told(&used, 1, QueueState::Disabled);
        told(&used, 2, QueueState::Disabled);
        assert_eq!(used.instead(0), None);
    }

    #[test]
    fn packets_of_a_queue_out_of_use_are_sent_by_another() {
        let pool = MbufPool::builder("detour").size(63).cache(0).build().expect("a pool");
        let (used, mut detours) = between(2).expect("rings");
        let mut takers = [Taker::default(), Taker::default()];
        let mut burst = Burst::new();
        (0..5).for_each(|_| burst.push(pool.alloc().expect("a buffer")).expect("room"));
        assert_eq!(detours[1].step(&mut burst, &mut takers[1]), 0, "it may only be full");
        told(&used, 0, QueueState::Enabled);
        assert_eq!((detours[1].step(&mut burst, &mut takers[1]), burst.len()), (5, 0));
        assert_eq!(detours[0].waiting(), 5);
        assert_eq!(detours[0].step(&mut burst, &mut takers[0]), 5);
        assert_eq!((takers[0].0, takers[1].0, pool.in_use()), (5, 0, 0));
    }
}

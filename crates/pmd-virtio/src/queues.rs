//! Making the queues of a start: which ring, which way, and why.

use crate::latch::Latch;
use crate::layout::Rings;
use crate::ring::{AnyOrder, InOrder, PackedRx, PackedTx, RxRing, SplitRx, SplitTx, TxRing};
use crate::rx::{Rx, RxCore, RxSetup};
use crate::transport::{QueueControl, Quit};
use crate::tx::{Tx, TxCore, TxSetup};
use linecard_eal::device::Vector;
use linecard_pmd_core::{Path, RxQueue, TxQueue};
use linecard_virtqueue::Features;
use std::sync::Arc;

/// Which way queues go with these features, and why.
pub(crate) fn path(features: Features) -> Path {
    let has = |feature| features.contains(feature);
    let name = match (has(Features::RING_PACKED), has(Features::IN_ORDER)) {
        (false, false) => "split",
        (false, true) => "split-in-order",
        (true, false) => "packed",
        (true, true) => "packed-in-order",
    };
    let merge = if has(Features::MRG_RXBUF) { "mergeable" } else { "a buffer a frame" };
    let header = match features.intersects(SPEAKING) {
        true => "headers read, for offloads",
        false => "headers not read, as no offload was asked for",
    };
    Path { name, reason: format!("as negotiated: {merge}; {header}") }
}

/// With any of these, the header of a received frame may say something.
pub(crate) const SPEAKING: Features = Features::GUEST_CSUM.union(Features::HASH_REPORT);

/// A handle's end: stops its queue and gives the buffers back, if the device can stop one queue.
pub(crate) struct Leave {
    quit: Arc<dyn Quit>,
    index: u16,
    queue: Arc<dyn QueueControl>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.queue.pause();
        if self.quit.quit(self.index) {
            self.queue.reset();
        }
    }
}

/// A queue for its user, and for the control side.
pub(crate) type Made<Q> = (Box<Q>, Arc<dyn QueueControl>);

/// Who stops a queue of the device, and which.
pub(crate) type Quits = (Arc<dyn Quit>, u16);

/// What a receive queue's handle has besides the queue.
pub(crate) struct RxEnds {
    /// What to sleep on.
    pub(crate) wake: Option<Arc<Vector>>,
    pub(crate) quit: Option<Quits>,
}

/// The receive queue over ring `index`.
pub(crate) fn rx(
    rings: &Rings,
    index: usize,
    features: Features,
    setup: RxSetup,
    ends: RxEnds,
) -> Made<dyn RxQueue> {
    let len = setup.header + setup.pool.data_room() as u32;
    match (features.contains(Features::RING_PACKED), features.contains(Features::IN_ORDER)) {
        (false, false) => make_rx(SplitRx::<AnyOrder>::new(rings.split(index), len), setup, ends),
        (false, true) => make_rx(SplitRx::<InOrder>::new(rings.split(index), len), setup, ends),
        (true, false) => make_rx(PackedRx::<AnyOrder>::new(rings.packed(index), len), setup, ends),
        (true, true) => make_rx(PackedRx::<InOrder>::new(rings.packed(index), len), setup, ends),
    }
}

/// The transmit queue over ring `index`.
pub(crate) fn tx(
    rings: &Rings,
    index: usize,
    features: Features,
    setup: TxSetup,
    quit: Option<Quits>,
) -> Made<dyn TxQueue> {
    match (features.contains(Features::RING_PACKED), features.contains(Features::IN_ORDER)) {
        (false, false) => make_tx(SplitTx::<AnyOrder>::new(rings.split(index)), setup, quit),
        (false, true) => make_tx(SplitTx::<InOrder>::new(rings.split(index)), setup, quit),
        (true, false) => make_tx(PackedTx::<AnyOrder>::new(rings.packed(index)), setup, quit),
        (true, true) => make_tx(PackedTx::<InOrder>::new(rings.packed(index)), setup, quit),
    }
}

fn make_rx<R: RxRing + 'static>(mut ring: R, setup: RxSetup, ends: RxEnds) -> Made<dyn RxQueue> {
    ring.quiet();
    let latch = Arc::new(Latch::new(RxCore::new(ring, setup)));
    latch.paused(RxCore::fill);
    let leave = leave(&latch, ends.quit);
    (Box::new(Rx::new(&latch, ends.wake, leave)), latch)
}

fn make_tx<R: TxRing + 'static>(
    mut ring: R,
    setup: TxSetup,
    quit: Option<Quits>,
) -> Made<dyn TxQueue> {
    ring.quiet();
    let latch = Arc::new(Latch::new(TxCore::new(ring, setup)));
    let leave = leave(&latch, quit);
    (Box::new(Tx::new(&latch, leave)), latch)
}

fn leave<C: 'static>(latch: &Arc<Latch<C>>, quit: Option<Quits>) -> Option<Leave>
where
    Latch<C>: QueueControl,
{
    let (quit, index) = quit?;
    Some(Leave { quit, index, queue: Arc::clone(latch) as Arc<dyn QueueControl> })
}

impl<R: RxRing> QueueControl for Latch<RxCore<R>> {
    fn pause(&self) {
        Latch::pause(self);
    }

    fn hand_over(&self) -> Option<u32> {
        self.paused(RxCore::hand_over)
    }

    fn restart(&self) {
        self.paused(RxCore::restart);
    }

    fn resume(&self) {
        self.paused(RxCore::greet);
        Latch::resume(self);
    }

    fn reset(&self) {
        self.paused(RxCore::reset);
    }

    fn fault(&self) -> Option<String> {
        self.paused(|core| core.lie().map(|lie| lie.to_string()))
    }
}

impl<R: TxRing> QueueControl for Latch<TxCore<R>> {
    fn pause(&self) {
        Latch::pause(self);
    }

    fn hand_over(&self) -> Option<u32> {
        self.paused(TxCore::hand_over)
    }

    fn restart(&self) {
        self.paused(TxCore::restart);
    }

    fn resume(&self) {
        self.paused(TxCore::greet);
        Latch::resume(self);
    }

    fn reset(&self) {
        self.paused(TxCore::reset);
    }

    fn set_longest(&self, longest: usize) {
        self.paused(|core| core.set_longest(longest));
    }

    fn fault(&self) -> Option<String> {
        self.paused(|core| core.lie().map(|lie| lie.to_string()))
    }
}

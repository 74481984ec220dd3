//! Rings in caller memory whose counters the test moves, so that wraps of 2³² are near.
//!
//! There is no call for that, and should be none: the test writes the control block, whose layout
//! `repr(C)` fixes and two processes share. A ring whose counters all stand at one position is empty.

use linecard_ring::{Memory, Multi, Plain, Ring, Side, Single};
use std::ptr::NonNull;

/// Where a ring's counters stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// Of elements.
    pub(crate) position: u32,
    /// Of calls, which an `Rts` side counts.
    pub(crate) count: u32,
}

/// A line of memory.
#[repr(C, align(128))]
#[derive(Clone, Copy)]
struct Line([u64; 16]);

/// Lines of the heap, freed when dropped.
struct Lines {
    base: NonNull<Line>,
    lines: usize,
}

// SAFETY: owned memory, known to the ring alone.
unsafe impl Send for Lines {}
// SAFETY: as above.
unsafe impl Sync for Lines {}
// SAFETY: a boxed slice that stays where it is until dropped.
unsafe impl Memory for Lines {
    fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    fn len(&self) -> usize {
        self.lines * size_of::<Line>()
    }
}

impl Lines {
    fn new(bytes: usize) -> Self {
        let lines = bytes.div_ceil(size_of::<Line>());
        let boxed =
            Box::into_raw(vec![Line([0xA5A5_A5A5_A5A5_A5A5; 16]); lines].into_boxed_slice());
        Lines { base: NonNull::new(boxed.cast()).unwrap(), lines }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let boxed = std::ptr::slice_from_raw_parts_mut(self.base.as_ptr(), self.lines);
        // SAFETY: leaked by `new`, and dropped once, here.
        drop(unsafe { Box::from_raw(boxed) });
    }
}

/// Of a side in the control block, as lines: its claims, and what it is done with.
const PRODUCERS: usize = 1;
const CONSUMERS: usize = 3;

/// An empty ring that stands at `start`.
pub(crate) fn ring<T: Plain, P: Side, C: Side>(capacity: usize, start: Position) -> Ring<T, P, C> {
    over(Lines::new(Ring::<T, P, C>::bytes_for(capacity).unwrap()), capacity, start)
}

fn over<T: Plain, P: Side, C: Side>(
    lines: Lines,
    capacity: usize,
    start: Position,
) -> Ring<T, P, C> {
    let control = lines.base;
    let ring = Ring::<T, P, C>::create_in(lines, capacity).unwrap();
    // SAFETY: the ring holds the memory, five lines of it are the control block, and nobody else
    // uses it yet.
    unsafe {
        move_to::<P>(control.add(PRODUCERS), start);
        move_to::<C>(control.add(CONSUMERS), start);
    }
    assert!(ring.is_empty());
    ring
}

/// Moves a side's counters.
///
/// # Safety
/// `end` points at the two lines of a side that nobody else uses.
unsafe fn move_to<S: Side>(end: NonNull<Line>, Position { position, count }: Position) {
    let pack = |high: u32| u64::from(high) << 32 | u64::from(position);
    let kind = std::any::type_name::<S>().rsplit("::").next().unwrap();
    let (head, tail) = match kind {
        "Single" => (0, pack(0)),
        "Multi" => (pack(0), pack(0)),
        "Rts" => (pack(count), pack(count)),
        _ => (0, pack(position)),
    };
    // SAFETY: both lines are ours, see above. First line: head, then turn and what was seen of the
    // other side in one word; second line: the tail.
    unsafe {
        (*end.as_ptr()).0[0] = head;
        (*end.as_ptr()).0[1] = pack(position);
        (*end.add(1).as_ptr()).0[0] = tail;
    }
}

#[test]
fn counters_go_on_from_where_they_were_put() {
    let start = Position { position: u32::MAX, count: u32::MAX };
    let lines = Lines::new(Ring::<u8, Single, Multi>::bytes_for(4).unwrap());
    let control = lines.base;
    let mut tx = over::<u8, Single, Multi>(lines, 4, start).producer().unwrap();
    tx.enqueue(7).unwrap();
    tx.enqueue(8).unwrap();
    // SAFETY: the ring, which `tx` keeps alive, owns the memory, and nobody uses it at the moment.
    let (tail, slots) = unsafe {
        ((*control.add(PRODUCERS + 1).as_ptr()).0[0], *control.add(5).cast::<[u8; 4]>().as_ptr())
    };
    assert_eq!(tail, 1);
    assert_eq!((slots[3], slots[0]), (7, 8));
}

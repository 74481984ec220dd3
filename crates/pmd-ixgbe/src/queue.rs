//! Descriptor rings, and how a queue is stopped before its memory goes.

use crate::function::{Function, Ring};
use crate::hardware::{Arena, PATIENCE};
use crate::registers::Until;
use crate::trouble::Trouble;
use linecard_ixgbe_regs::descriptor;
use linecard_ixgbe_regs::registers::*;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// §7.1.10, §7.2.3.3: the fewest descriptors that make sense, and the most that RDLEN and TDLEN
/// hold as the driver uses them.
pub(crate) const LEAST: usize = 64;
pub(crate) const MOST: usize = 4096;
pub(crate) const USUAL: usize = 512;

/// Bytes of a ring; rings lie one after the other in an arena.
pub(crate) const fn bytes(descriptors: usize) -> usize {
    descriptors * descriptor::BYTES
}

/// A ring of descriptors that the device reads and writes as well. It moves memory around, and
/// knows no register.
///
/// Positions count up for ever; the slot is the position modulo the size, a power of two. Accesses
/// are volatile: what the device writes is not Rust's to reason about.
#[derive(Debug)]
pub(crate) struct Descriptors {
    cells: Cells,
    iova: u64,
    /// Keeps the memory.
    _arena: Arena,
}

/// Where a ring lies: copied out of it for a loop, so that the loop need not look for it again.
/// Whoever has it has the ring borrowed, or keeps it beside the ring, as a queue does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells {
    base: NonNull<[u64; 2]>,
    mask: u32,
}

/// Descriptors that stand together: a loop goes from one to the next without a look at the ring's end.
/// Whoever has it has the ring borrowed, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run(NonNull<[u64; 2]>);

// SAFETY: one queue has the ring alone; the memory is no thread's own.
unsafe impl Send for Descriptors {}

impl Descriptors {
    /// A ring of `count` descriptors, all zero, at `offset` of `arena`.
    pub(crate) fn new(arena: &Arena, offset: usize, count: usize) -> Result<Self, Trouble> {
        assert!(count.is_power_of_two() && offset.is_multiple_of(128), "rings are aligned");
        assert!(offset + bytes(count) <= arena.len(), "rings lie in their arena");
        let iova = arena.contiguous(offset, bytes(count));
        let iova = iova.ok_or(Trouble::Scattered { bytes: bytes(count) })?.raw();
        // SAFETY: within the arena, as was just asserted.
        let base = unsafe { arena.base().add(offset) }.cast();
        let cells = Cells { base, mask: count as u32 - 1 };
        (0..count as u32).for_each(|at| cells.write(at, [0, 0]));
        Ok(Descriptors { cells, iova, _arena: Arc::clone(arena) })
    }

    /// The ring itself. The copy is not used after the ring has gone: queues make it anew in every
    /// call.
    #[inline(always)]
    pub(crate) fn cells(&self) -> Cells {
        self.cells
    }
}

impl Cells {
    /// A ring in any memory: `count` descriptors, a power of two.
    #[cfg(test)]
    pub(crate) fn over(base: NonNull<[u64; 2]>, count: u32) -> Self {
        Cells { base, mask: count - 1 }
    }

    #[inline(always)]
    pub(crate) fn len(self) -> u32 {
        self.mask + 1
    }

    /// Where a position lies.
    #[inline(always)]
    pub(crate) fn slot(self, position: u32) -> usize {
        (position & self.mask) as usize
    }

    /// How many descriptors stand together from a position on.
    #[inline(always)]
    pub(crate) fn until_end(self, position: u32) -> usize {
        self.len() as usize - self.slot(position)
    }

    /// The descriptors from a position on, up to the ring's end.
    #[inline(always)]
    pub(crate) fn run(self, position: u32) -> Run {
        // SAFETY: the slot is below the ring's size.
        Run(unsafe { self.base.add(self.slot(position)) })
    }

    /// The second quadword, in which the device says that it is done.
    #[inline(always)]
    pub(crate) fn status(self, position: u32) -> u64 {
        // SAFETY: a run has one descriptor at the least.
        unsafe { self.run(position).status(0) }
    }

    /// The first quadword.
    #[inline(always)]
    pub(crate) fn first(self, position: u32) -> u64 {
        // SAFETY: as in `status`.
        unsafe { self.run(position).first(0) }
    }

    /// Writes a descriptor that the device has not been told of yet.
    #[inline(always)]
    pub(crate) fn write(self, position: u32, words: [u64; 2]) {
        // SAFETY: as in `status`.
        unsafe { self.run(position).write(0, words) }
    }

    /// Its second quadword alone.
    #[inline(always)]
    pub(crate) fn write_status(self, position: u32, word: u64) {
        // SAFETY: a run has one descriptor at the least, aligned; volatile, as the device reads it.
        unsafe { (&raw mut (*self.run(position).at(0))[1]).write_volatile(word.to_le()) }
    }
}

impl Run {
    /// What is behind the first `n`.
    ///
    /// # Safety
    /// As for [`at`](Self::at), or it is the ring's end.
    #[inline(always)]
    pub(crate) unsafe fn skip(self, n: usize) -> Self {
        // SAFETY: the caller's promise.
        Run(unsafe { self.0.add(n) })
    }

    /// Where a descriptor lies: aligned to its 16 bytes.
    ///
    /// # Safety
    /// `index` is before the ring's end.
    #[inline(always)]
    pub(crate) unsafe fn at(self, index: usize) -> *mut [u64; 2] {
        // SAFETY: the caller's promise.
        unsafe { self.0.as_ptr().add(index) }
    }

    /// The second quadword, in which the device says that it is done.
    ///
    /// # Safety
    /// As for [`at`](Self::at).
    #[inline(always)]
    pub(crate) unsafe fn status(self, index: usize) -> u64 {
        // SAFETY: in the ring, aligned; the device may write it meanwhile, hence volatile.
        unsafe { u64::from_le((&raw const (*self.at(index))[1]).read_volatile()) }
    }

    /// The first quadword.
    ///
    /// # Safety
    /// As for [`at`](Self::at).
    #[inline(always)]
    pub(crate) unsafe fn first(self, index: usize) -> u64 {
        // SAFETY: as in `status`.
        unsafe { u64::from_le((&raw const (*self.at(index))[0]).read_volatile()) }
    }

    /// Writes a descriptor that the device has not been told of yet.
    ///
    /// # Safety
    /// As for [`at`](Self::at).
    #[inline(always)]
    pub(crate) unsafe fn write(self, index: usize, [first, second]: [u64; 2]) {
        // SAFETY: as in `status`.
        unsafe {
            let at = self.at(index);
            (&raw mut (*at)[0]).write_volatile(first.to_le());
            (&raw mut (*at)[1]).write_volatile(second.to_le());
        }
    }
}

/// Which of the two rings of a queue pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Receive,
    Transmit,
}

/// The switch of a queue in the device: shared by the queue, which must stop it before its memory
/// goes, and the port, which stops all. Never touched on the hot path.
#[derive(Debug)]
pub(crate) struct QueueControl {
    function: Arc<Function>,
    side: Side,
    index: u32,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// The device will not touch the ring any more.
    Stopped,
    /// It was asked to, and did not say so.
    Stuck,
}

/// §4.6.7.1.2: after a receive queue says that it is disabled, the device may still write back.
const WRITE_BACK: Duration = Duration::from_micros(100);

/// How long transmit may take to send what it has before it is disabled all the same.
const DRAIN: Duration = Duration::from_millis(10);

impl QueueControl {
    /// The switch of a queue that is off.
    pub(crate) fn new(function: &Arc<Function>, side: Side, index: u32) -> Arc<Self> {
        let state = Mutex::new(State::Stopped);
        Arc::new(QueueControl { function: Arc::clone(function), side, index, state })
    }

    /// Tells the device where the ring is, and enables the queue (§4.6.7.1, §4.6.8.1).
    pub(crate) fn start(&self, ring: &Descriptors) -> Result<(), Trouble> {
        let mut state = self.lock();
        let (registers, index) = (&self.function.registers, self.index);
        let Ring { low, high, length, head, tail, .. } = *self.ring();
        registers.write_at(low, index, ring.iova as u32);
        registers.write_at(high, index, (ring.iova >> 32) as u32);
        registers.write_at(length, index, bytes(ring.cells.len() as usize) as u32);
        registers.write_at(head, index, 0);
        registers.write_at(tail, index, 0);
        *state = State::Running;
        let (register, enable) = self.switch();
        registers.put_at(register, index, enable, 1);
        registers.wait(&Until::set(register, enable, PATIENCE).at(index))
    }

    fn ring(&self) -> &'static Ring {
        match self.side {
            Side::Receive => &self.function.rings().receive,
            Side::Transmit => &self.function.rings().transmit,
        }
    }

    fn switch(&self) -> (&'static linecard_ixgbe_regs::Register, linecard_ixgbe_regs::Field) {
        let enable = match self.side {
            Side::Receive => rxdctl::ENABLE,
            Side::Transmit => txdctl::ENABLE,
        };
        (self.ring().control, enable)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a field of the register that also enables the queue, if it is of that side and runs: what
    /// has been disabled meanwhile must not be enabled again by an old word.
    pub(crate) fn put(&self, side: Side, field: linecard_ixgbe_regs::Field, value: u32) {
        let state = self.lock();
        if self.side == side && *state == State::Running {
            self.function.registers.put_at(self.switch().0, self.index, field, value);
        }
    }

    /// Whether the device will not touch the ring any more.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.lock() == State::Stopped
    }

    /// Stops the queue, once.
    pub(crate) fn stop(&self) -> Result<(), Trouble> {
        let mut state = self.lock();
        if *state != State::Running {
            return Ok(());
        }
        *state = State::Stuck;
        let registers = &self.function.registers;
        if registers.is_silent() {
            // It will not say so: one wait for each of a pulled card's queues would be minutes.
            return Err(Trouble::Silent { register: STATUS.name });
        }
        if self.side == Side::Transmit {
            self.drain();
        }
        let (register, enable) = self.switch();
        registers.put_at(register, self.index, enable, 0);
        registers.wait(&Until::clear(register, enable, PATIENCE).at(self.index))?;
        std::thread::sleep(WRITE_BACK);
        *state = State::Stopped;
        Ok(())
    }

    /// §4.6.8.2: until all is sent, if that comes to an end: without a link it does not.
    fn drain(&self) {
        let registers = &self.function.registers;
        let begin = Instant::now();
        let Ring { head, tail, .. } = self.ring();
        let places = || [head, tail].map(|place| registers.read_at(place, self.index));
        while let [head, tail] = places()
            && head != tail
            && begin.elapsed() < DRAIN
        {
            std::thread::yield_now();
        }
    }

    /// Stops the queue and lets go of what it used; kept, if the queue did not stop and could still
    /// reach it.
    pub(crate) fn retire(&self, memory: impl Send + 'static) {
        // What could not be stopped is told by the state.
        let _ = self.stop();
        let state = *self.lock();
        match state {
            State::Stuck if !self.function.device.is_cut_off() => self.function.keep(memory),
            _ => drop(memory),
        }
    }
}

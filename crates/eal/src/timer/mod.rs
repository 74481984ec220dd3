//! Deadlines for a loop that polls: flow ageing, ARP, retransmission, statistics.
//!
//! ```
//! use linecard_eal::timer::Timers;
//!
//! let mut timers = Timers::with_resolution(64); // in cycles of whatever clock
//! let early = timers.insert(1_000, "early");
//! timers.insert(5_000, "late");
//! timers.cancel(early);
//!
//! let mut fired = Vec::new();
//! timers.poll(4_000, |name| fired.push(name));
//! assert!(fired.is_empty());
//! assert!(timers.next_deadline().unwrap() <= 5_120);
//! timers.poll(6_000, |name| fired.push(name));
//! assert_eq!(fired, ["late"]);
//! ```
//!
//! # What holds
//!
//! * A timer never fires early, and at most one resolution late, polls permitting.
//! * Inserting and cancelling take constant time; nothing is searched. A poll with nothing due
//!   is one comparison.
//! * Memory is allocated only when there are more timers than ever before; see
//!   [`Timers::reserve`].
//! * One owner, no lock: every worker has timers of its own.
//!
//! # Why a wheel
//!
//! Most of a packet processor's timers are moved or cancelled before they expire: every packet
//! of a flow pushes its ageing on. A heap pays the logarithm of their number for that, at a cache
//! miss a level; a wheel pays a list insertion. Eleven levels of 64 slots cover all 64 bits of
//! time, so that no deadline is too far and none has to be cut. What a wheel costs is exactness:
//! hence the resolution, which may be one cycle.
//!
#![doc = include_str!("measured.md")]

mod slab;
mod wheel;

use slab::Slab;
pub use slab::TimerId;
use wheel::{Place, Wheel};

use crate::clock::Clock;

/// Timers with a value each, which polling hands back.
#[derive(Debug)]
pub struct Timers<T> {
    wheel: Wheel,
    slab: Slab<T>,
    shift: u32,
    /// No timer is due before this time; what makes an idle poll cheap.
    sleep_until: u64,
}

impl<T> Timers<T> {
    /// Timers with a resolution of about a microsecond of this clock.
    pub fn new(clock: &Clock) -> Self {
        Self::with_resolution(clock.ns_to_cycles(1000))
    }

    /// Timers with a resolution of that many cycles, rounded down to a power of two.
    pub fn with_resolution(cycles: u64) -> Self {
        let shift = cycles.max(1).ilog2();
        Self { wheel: Wheel::new(), slab: Slab::new(), shift, sleep_until: u64::MAX }
    }

    /// Makes room, so that the next `more` insertions do not allocate.
    pub fn reserve(&mut self, more: usize) {
        self.slab.reserve(more);
    }

    /// How many timers there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The resolution in cycles.
    pub fn resolution(&self) -> u64 {
        1 << self.shift
    }

    /// Adds a timer; one whose deadline has passed fires at the next poll.
    ///
    /// # Panics
    ///
    /// With 2^32 - 1 timers, which would take a hundred gigabytes.
    pub fn insert(&mut self, deadline: u64, value: T) -> TimerId {
        let id = self.slab.insert(deadline, value);
        self.place(id.index, deadline);
        id
    }

    /// Takes a timer out, and gives its value back; `None` if it has fired or was cancelled.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.slab.check(id)?;
        self.wheel.unlink(&mut self.slab, id.index);
        self.slab.remove(id.index)
    }

    /// Moves a timer to another deadline; `None` if it has fired or was cancelled.
    pub fn reset(&mut self, id: TimerId, deadline: u64) -> Option<()> {
        self.slab.check(id)?;
        self.wheel.unlink(&mut self.slab, id.index);
        self.slab.entry(id.index).deadline = deadline;
        self.place(id.index, deadline);
        Some(())
    }

    /// The value of a timer; `None` if it has fired or was cancelled.
    pub fn value(&mut self, id: TimerId) -> Option<&mut T> {
        self.slab.check(id)?;
        self.slab.entry(id.index).value.as_mut()
    }

    /// Hands out the value of every timer whose deadline is not after `now`, and returns how many
    /// these were. In the order of their deadlines, in steps of the resolution. Time that runs
    /// backwards is taken to stand still.
    #[inline]
    pub fn poll(&mut self, now: u64, fire: impl FnMut(T)) -> usize {
        if now < self.sleep_until { 0 } else { self.advance(now, fire) }
    }

    /// A time before which polling is in vain; `None` without timers. It is the earliest deadline
    /// or somewhat before it: a loop that sleeps until then may have to sleep once more.
    pub fn next_deadline(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.sleep_until)
    }

    fn place(&mut self, index: u32, deadline: u64) {
        let tick = self.tick_after(deadline);
        let place = self.wheel.link(&mut self.slab, index, tick);
        self.sleep_until = self.sleep_until.min(self.time_of(self.wheel.start(place)));
    }

    /// The first tick that does not begin before `time`.
    fn tick_after(&self, time: u64) -> u64 {
        let ticks = time >> self.shift;
        ticks + u64::from(ticks << self.shift != time)
    }

    /// When a tick begins; the very last may begin after the end of time.
    fn time_of(&self, tick: u64) -> u64 {
        if tick.leading_zeros() < self.shift { u64::MAX } else { tick << self.shift }
    }

    #[cold]
    fn advance(&mut self, now: u64, mut fire: impl FnMut(T)) -> usize {
        let (mut fired, tick) = (0, now >> self.shift);
        while let Some(place) = self.wheel.due(tick) {
            fired += self.open(place, now, &mut fire);
        }
        self.wheel.settle(tick);
        self.sleep_until = match self.wheel.first() {
            Some(place) => self.time_of(self.wheel.start(place)),
            None => u64::MAX,
        };
        fired
    }

    /// Empties a slot: what is due fires, the rest moves to finer slots. Nothing comes back to
    /// this one, as it is the present now. A panic of `fire` leaves the rest as it was.
    fn open(&mut self, place: Place, now: u64, fire: &mut impl FnMut(T)) -> usize {
        let mut fired = 0;
        while let Some(index) = self.wheel.head(place) {
            self.wheel.unlink(&mut self.slab, index);
            let deadline = self.slab.entry(index).deadline;
            let tick = self.tick_after(deadline);
            if tick > self.wheel.elapsed() {
                self.wheel.link(&mut self.slab, index, tick);
            } else {
                fired += 1;
                self.expire(index, now, fire);
            }
        }
        fired
    }

    fn expire(&mut self, index: u32, now: u64, fire: &mut impl FnMut(T)) {
        let renewed = self.renew(index, now);
        if let Some(value) = renewed.or_else(|| self.slab.remove(index)) {
            fire(value);
        }
    }

    /// The next deadline of a periodic timer keeps its phase. Those that have been missed are
    /// left out: the timer fires once for them. It ends with time itself.
    fn renew(&mut self, index: u32, now: u64) -> Option<T> {
        let entry = self.slab.entry(index);
        let (period, copy) = entry.renewal?;
        let missed = now.saturating_sub(entry.deadline) / period;
        let deadline = entry.deadline.checked_add(period.checked_mul(missed + 1)?)?;
        entry.deadline = deadline;
        let value = entry.value.as_ref().map(copy);
        let tick = self.tick_after(deadline);
        self.wheel.link(&mut self.slab, index, tick);
        value
    }
}

impl<T: Clone> Timers<T> {
    /// Adds a timer that fires at `first` and then every `period` cycles (at least one
    /// resolution) until it is cancelled, with a clone of its value each time. A poll that comes
    /// late by several periods sees it once.
    ///
    /// # Panics
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_every(&mut self, first: u64, period: u64, value: T) -> TimerId {
        let period = period.max(self.resolution());
        let id = self.slab.insert(first, value);
        self.slab.entry(id.index).renewal = Some((period, T::clone));
        self.place(id.index, first);
        id
    }
}

#[cfg(test)]
mod tests;

//! What a polling loop does when there is nothing to do.

use std::io;
use std::time::Duration;

use super::error::LcoreError;
use super::umwait;
use crate::event::{Epoll, Wake};

/// Empty polls that are answered with a mere pause, whatever the strategy: packets come in
/// bursts, and the next is most often close.
const PATIENCE: u32 = 256;
/// Pauses grow to this many per empty poll.
const MOST_PAUSES: u32 = 64;
/// Cycles that TPAUSE is asked to doze; a few microseconds.
const DOZE: u64 = 10_000;
/// The first sleep; they double up to the strategy's limit.
const SHORTEST_SLEEP: Duration = Duration::from_micros(1);

/// How to wait.
#[derive(Debug)]
pub enum Idle {
    /// Not at all: poll again at once. Lowest latency; the processor never cools down.
    Spin,
    /// `PAUSE`, more of them the longer nothing comes. Leaves an SMT sibling its resources.
    Pause,
    /// `TPAUSE`: the processor itself dozes for microseconds, without the kernel.
    Umwait,
    /// Sleep in the kernel, longer the longer nothing comes, up to this. The core is free for
    /// others; waking takes the kernel's 50 µs or so on top, unless timer slack is lowered.
    Sleep(Duration),
    /// Wait in the kernel for a queue's interrupt, an eventfd or an alarm, for at most this long.
    /// The queue's interrupt has to be armed before: see [`Idler::is_about_to_block`].
    Event(Epoll, Duration),
}

/// A strategy at work: counts empty polls, and waits harder the more there were in a row.
///
/// ```
/// use linecard_eal::lcore::{Idle, Idler};
/// # use std::time::Duration;
/// # fn receive() -> usize { 0 }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut idler = Idler::new(Idle::Sleep(Duration::from_micros(100)))?;
/// for _ in 0..1000 {
///     let packets = receive();
///     idler.polled(packets)?;
/// }
/// assert_eq!(idler.empty_polls(), 1000);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Idler {
    strategy: Idle,
    empty: u32,
}

impl Idler {
    /// Puts a strategy to work.
    ///
    /// # Errors
    ///
    /// [`LcoreError::NoUmwait`] on a processor without the instruction for [`Idle::Umwait`].
    pub fn new(strategy: Idle) -> Result<Self, LcoreError> {
        if matches!(strategy, Idle::Umwait) && !umwait::is_supported() {
            return Err(LcoreError::NoUmwait);
        }
        Ok(Self { strategy, empty: 0 })
    }

    /// To be called after every poll, with what it found. Waits if that was nothing.
    ///
    /// # Errors
    ///
    /// The kernel's, from waiting for an event.
    #[inline]
    pub fn polled(&mut self, found: usize) -> io::Result<()> {
        if found > 0 {
            self.empty = 0;
            return Ok(());
        }
        self.wait()
    }

    /// Whether the next empty poll will block in the kernel until an event. The loop arms its
    /// interrupts now and polls once more: what came in before the arming would wake nobody.
    #[inline]
    pub fn is_about_to_block(&self) -> bool {
        matches!(self.strategy, Idle::Event(..)) && self.empty >= PATIENCE
    }

    /// How many polls in a row have found nothing.
    pub fn empty_polls(&self) -> u32 {
        self.empty
    }

    /// The strategy.
    pub fn strategy(&self) -> &Idle {
        &self.strategy
    }

    fn wait(&mut self) -> io::Result<()> {
        let late = self.empty.saturating_sub(PATIENCE);
        let patient = self.empty < PATIENCE;
        self.empty = self.empty.saturating_add(1);
        match &self.strategy {
            Idle::Spin => {}
            _ if patient => std::hint::spin_loop(),
            Idle::Pause => (0..pauses(late)).for_each(|_| std::hint::spin_loop()),
            // SAFETY: `new` has refused this strategy on a processor without WAITPKG.
            Idle::Umwait => unsafe { umwait::doze(DOZE) },
            Idle::Sleep(limit) => std::thread::sleep(sleep(late, *limit)),
            Idle::Event(epoll, limit) => {
                epoll.wait(&mut [Wake::default(); 8], Some(*limit))?;
                self.empty = 0;
            }
        }
        Ok(())
    }
}

/// Doubles every 16 empty polls.
fn pauses(late: u32) -> u32 {
    (1 << (late / 16).min(6)).min(MOST_PAUSES)
}

/// Doubles every 8 empty polls.
fn sleep(late: u32, limit: Duration) -> Duration {
    (SHORTEST_SLEEP * (1 << (late / 8).min(20))).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventFd;
    use std::time::Instant;

    #[test]
    fn a_find_makes_an_idler_patient_again() {
        for strategy in [Idle::Spin, Idle::Pause] {
            let mut idler = Idler::new(strategy).unwrap();
            (0..300).for_each(|_| idler.polled(0).unwrap());
            assert_eq!(idler.empty_polls(), 300);
            idler.polled(1).unwrap();
            assert_eq!(idler.empty_polls(), 0);
        }
    }

    #[test]
    fn waits_grow_to_their_limit_and_no_further() {
        assert_eq!((pauses(0), pauses(16), pauses(u32::MAX)), (1, 2, MOST_PAUSES));
        let limit = Duration::from_micros(100);
        assert_eq!(sleep(0, limit), SHORTEST_SLEEP);
        assert_eq!(sleep(8, limit), SHORTEST_SLEEP * 2);
        assert_eq!(sleep(u32::MAX, limit), limit);
    }

    #[test]
    fn dozing_is_refused_with_advice_where_the_processor_cannot() {
        match Idler::new(Idle::Umwait) {
            Ok(mut idler) => (0..PATIENCE + 3).for_each(|_| idler.polled(0).unwrap()),
            Err(error) => assert!(error.to_string().contains("use Idle::Pause")),
        }
    }

    #[test]
    fn an_event_ends_the_wait_and_is_announced_before_it_begins() {
        let (epoll, bell) = (Epoll::new().unwrap(), EventFd::new().unwrap());
        epoll.add(&bell, 0).unwrap();
        let mut idler = Idler::new(Idle::Event(epoll, Duration::from_secs(60))).unwrap();
        while !idler.is_about_to_block() {
            idler.polled(0).unwrap();
        }
        bell.signal().unwrap();
        let start = Instant::now();
        idler.polled(0).unwrap();
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(!idler.is_about_to_block());
    }
}

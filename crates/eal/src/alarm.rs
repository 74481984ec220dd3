//! An alarm that a waiting thread can be woken by: a timer of the kernel as a descriptor.
//!
//! For deadlines that a polling loop looks at by itself, see [`timer`](crate::timer).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::event::TimerFd;

/// The shortest time: zero would switch the timer off.
const SOONEST: Duration = Duration::from_nanos(1);

/// An alarm; add it to an [`Epoll`](crate::event::Epoll). Setting it anew replaces what was set.
#[derive(Debug)]
pub struct Alarm(TimerFd);

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    ///
    /// The kernel's, when the process or the machine has too many open files.
    pub fn new() -> io::Result<Self> {
        TimerFd::new().map(Self)
    }

    /// Goes off once, after `delay`.
    ///
    /// # Errors
    ///
    /// The kernel's, for a delay of more than it can count.
    pub fn after(&self, delay: Duration) -> io::Result<()> {
        self.0.set(delay.max(SOONEST), Duration::ZERO)
    }

    /// Goes off every `period`.
    ///
    /// # Errors
    ///
    /// The kernel's, for a period of more than it can count.
    pub fn every(&self, period: Duration) -> io::Result<()> {
        let period = period.max(SOONEST);
        self.0.set(period, period)
    }

    /// Does not go off any more; what has gone off already is forgotten.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn cancel(&self) -> io::Result<()> {
        self.0.set(Duration::ZERO, Duration::ZERO)
    }

    /// How many times it has gone off since the last call. Never blocks.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn take(&self) -> io::Result<u64> {
        self.0.take()
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Epoll, Wake};

    #[test]
    fn an_alarm_wakes_a_waiting_thread_once() {
        let (epoll, alarm) = (Epoll::new().unwrap(), Alarm::new().unwrap());
        epoll.add(&alarm, 9).unwrap();
        alarm.after(Duration::from_millis(1)).unwrap();
        assert_eq!(epoll.wait(&mut [Wake::default()], None).unwrap()[0].token(), 9);
        assert_eq!((alarm.take().unwrap(), alarm.take().unwrap()), (1, 0));
    }

    #[test]
    fn a_periodic_alarm_counts_what_was_missed() {
        let alarm = Alarm::new().unwrap();
        alarm.every(Duration::from_millis(1)).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        assert!(alarm.take().unwrap() >= 5);
    }

    #[test]
    fn a_cancelled_alarm_stays_silent() {
        let alarm = Alarm::new().unwrap();
        alarm.after(Duration::ZERO).unwrap();
        alarm.cancel().unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(alarm.take().unwrap(), 0);
    }

    #[test]
    fn a_delay_of_zero_goes_off_at_once() {
        let alarm = Alarm::new().unwrap();
        alarm.after(Duration::ZERO).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(alarm.take().unwrap(), 1);
    }
}

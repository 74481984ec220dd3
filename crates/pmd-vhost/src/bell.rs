//! Where a receive queue sleeps.
//!
//! The guest's notifications come through a descriptor that changes with every connection; whoever
//! sleeps wants one that stays. So the bell is an epoll set, which can be put into another, with the
//! guest's descriptor of the day in it.

use linecard_eal::event::{Epoll, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

/// A bell that the guest rings, or control.
#[derive(Debug)]
pub(crate) struct Bell {
    epoll: Epoll,
    nudge: EventFd,
    kick: Mutex<Option<EventFd>>,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let (epoll, nudge) = (Epoll::new()?, EventFd::new()?);
        epoll.add(&nudge, 0)?;
        Ok(Bell { epoll, nudge, kick: Mutex::new(None) })
    }

    /// The guest rings with this from now on.
    pub(crate) fn set_kick(&self, kick: Option<EventFd>) -> io::Result<()> {
        let mut current = self.kick.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = current.take() {
            self.epoll.remove(&old)?;
        }
        if let Some(new) = kick {
            self.epoll.add(&new, 1)?;
            *current = Some(new);
        }
        Ok(())
    }

    /// Rings.
    pub(crate) fn ring(&self) {
        // An eventfd of ours takes this.
        let _ = self.nudge.signal();
    }

    /// Has not been rung.
    pub(crate) fn silence(&self) {
        let kick = self.kick.lock().unwrap_or_else(PoisonError::into_inner);
        // Both are eventfds, which have a count or none.
        let _ = (self.nudge.take(), kick.as_ref().map(EventFd::take));
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_eal::event::Wake;
    use std::time::Duration;

    #[test]
    fn a_bell_outlives_the_descriptors_that_ring_it() {
        let (bell, sleeper) = (Bell::new().expect("one"), Epoll::new().expect("another"));
        sleeper.add(&bell, 7).expect("an epoll set in another");
        let rung = || {
            let mut wakes = [Wake::default()];
            !sleeper.wait(&mut wakes, Some(Duration::ZERO)).expect("it waits").is_empty()
        };
        assert!(!rung());
        for _ in 0..2 {
            let guest = EventFd::new().expect("a descriptor");
            let ours = guest.as_fd().try_clone_to_owned().expect("another of it");
            bell.set_kick(Some(EventFd::from_fd(ours).expect("an eventfd"))).expect("added");
            guest.signal().expect("it counts");
            assert!(rung());
            bell.silence();
            assert!(!rung());
        }
        bell.set_kick(None).expect("removed");
        bell.ring();
        assert!(rung());
    }
}

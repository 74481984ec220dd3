//! Descriptors that wake a thread: eventfd, epoll, and the timer of [`Alarm`](crate::alarm).
//!
//! ```
//! use linecard_eal::event::{Epoll, EventFd, Wake};
//! use std::time::Duration;
//!
//! # fn main() -> std::io::Result<()> {
//! let (epoll, bell) = (Epoll::new()?, EventFd::new()?);
//! epoll.add(&bell, 7)?;
//! bell.signal()?;
//! let mut wakes = [Wake::default(); 4];
//! let woken = epoll.wait(&mut wakes, Some(Duration::ZERO))?;
//! assert_eq!(woken[0].token(), 7);
//! assert_eq!(bell.take()?, 1);
//! assert_eq!(epoll.wait(&mut wakes, Some(Duration::ZERO))?.len(), 0);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Takes ownership of a descriptor that the kernel just made, or tells why it did not.
fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller got `fd` from the system call that made it, and gave it to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads the 64-bit count of an eventfd or a timerfd; 0 if there is none yet.
fn count(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = [0; size_of::<u64>()];
    // SAFETY: `bytes` has room for the 8 bytes that are asked for, and is borrowed for the call.
    let got = unsafe { libc::read(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    if got >= 0 {
        return Ok(u64::from_ne_bytes(bytes));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        error => Err(error),
    }
}

/// A counter that wakes whoever waits for it. Never blocks.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A new one, at 0.
    ///
    /// # Errors
    ///
    /// The kernel's, when the process or the machine has too many open files.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        owned(fd).map(Self)
    }

    /// One that came from elsewhere, as a call or kick descriptor of a vhost-user peer does. It
    /// is switched to non-blocking, for everybody who holds it.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: F_GETFL and F_SETFL take no pointers; the descriptor is open while borrowed.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        let wanted = flags | libc::O_NONBLOCK;
        // SAFETY: as above.
        if flags < 0 || unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(fd))
    }

    /// Another descriptor of the same count, for the side that signals it.
    ///
    /// # Errors
    ///
    /// The kernel's, when the process or the machine has too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Adds 1 to the count. If it is full (2^64 - 2), the waiter has been woken long ago and
    /// nothing is added.
    ///
    /// # Errors
    ///
    /// The kernel's, if the descriptor is not an eventfd.
    pub fn signal(&self) -> io::Result<()> {
        let one = 1u64.to_ne_bytes();
        // SAFETY: `one` holds the 8 bytes that are written, and outlives the call.
        let put = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        match (put, io::Error::last_os_error()) {
            (0.., _) => Ok(()),
            (_, error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            (_, error) => Err(error),
        }
    }

    /// The count since the last time, which becomes 0.
    ///
    /// # Errors
    ///
    /// The kernel's, if the descriptor is not an eventfd.
    pub fn take(&self) -> io::Result<u64> {
        count(self.0.as_fd())
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One descriptor that became ready.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Wake(libc::epoll_event);

impl Wake {
    /// The number that the descriptor was added with.
    pub fn token(&self) -> u64 {
        self.0.u64
    }

    /// Whether it has been closed at the other end or is in error: nothing more will come.
    pub fn is_hangup(&self) -> bool {
        self.0.events & (libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLRDHUP) as u32 != 0
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self(libc::epoll_event { events: 0, u64: 0 })
    }
}

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wake({}, hangup: {})", self.token(), self.is_hangup())
    }
}

/// A set of descriptors to wait for, until one of them can be read.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// The kernel's, when the process or the machine has too many open files.
    pub fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers.
        owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
    }

    /// Adds a descriptor; a wake that it causes has `token`. Closing the descriptor (all of its
    /// duplicates) takes it out again.
    ///
    /// # Errors
    ///
    /// The kernel's, if it is in the set already or cannot be waited for.
    pub fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let events = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
        let mut event = libc::epoll_event { events, u64: token };
        self.control(libc::EPOLL_CTL_ADD, fd.as_fd(), &raw mut event)
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    ///
    /// The kernel's, if it is not in the set.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd.as_fd(), std::ptr::null_mut())
    }

    fn control(
        &self,
        operation: libc::c_int,
        fd: BorrowedFd<'_>,
        event: *mut libc::epoll_event,
    ) -> io::Result<()> {
        // SAFETY: both descriptors are open while borrowed; `event` is valid for EPOLL_CTL_ADD,
        // and not looked at by EPOLL_CTL_DEL, the only two callers.
        let refused =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), event) };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until a descriptor is ready or the time is over (`None`: for ever), and returns the
    /// wakes that happened: none after the time, or if a signal came in between. The time is
    /// rounded up to milliseconds.
    ///
    /// # Errors
    ///
    /// The kernel's; it has none for a set that was properly made and room for one wake.
    pub fn wait<'a>(
        &self,
        wakes: &'a mut [Wake],
        limit: Option<Duration>,
    ) -> io::Result<&'a [Wake]> {
        let room = libc::c_int::try_from(wakes.len()).unwrap_or(libc::c_int::MAX);
        let buffer = wakes.as_mut_ptr().cast();
        // SAFETY: `Wake` is a transparent epoll_event, and `buffer` has room for `room` of them.
        let got = unsafe { libc::epoll_wait(self.0.as_raw_fd(), buffer, room, millis(limit)) };
        match (usize::try_from(got), io::Error::last_os_error()) {
            (Ok(got), _) => Ok(&wakes[..got]),
            (_, error) if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
            (_, error) => Err(error),
        }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Milliseconds rounded up, so that waiting for the rest of a millisecond is not a busy loop.
fn millis(limit: Option<Duration>) -> libc::c_int {
    let Some(limit) = limit else { return -1 };
    libc::c_int::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

/// The kernel's timer, as a descriptor.
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: timerfd_create takes no pointers.
        owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) }).map(Self)
    }

    /// First after `first`, then every `period`; zero switches either off.
    pub(crate) fn set(&self, first: Duration, period: Duration) -> io::Result<()> {
        let setting = libc::itimerspec { it_value: timespec(first), it_interval: timespec(period) };
        // SAFETY: `setting` outlives the call, which only reads it; the old one is not asked for.
        let refused = unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut())
        };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub(crate) fn take(&self) -> io::Result<u64> {
        count(self.0.as_fd())
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_add_up_until_they_are_taken() {
        let bell = EventFd::new().unwrap();
        assert_eq!(bell.take().unwrap(), 0);
        bell.signal().unwrap();
        bell.signal().unwrap();
        assert_eq!((bell.take().unwrap(), bell.take().unwrap()), (2, 0));
    }

    #[test]
    fn an_eventfd_from_elsewhere_never_blocks() {
        // SAFETY: eventfd takes no pointers.
        let blocking = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }).unwrap();
        let bell = EventFd::from_fd(blocking).unwrap();
        assert_eq!(bell.take().unwrap(), 0);
    }

    #[test]
    fn another_thread_wakes_a_waiting_one() {
        let (epoll, bell) = (Epoll::new().unwrap(), EventFd::new().unwrap());
        epoll.add(&bell, 3).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| bell.signal().unwrap());
            let mut wakes = [Wake::default()];
            assert_eq!(epoll.wait(&mut wakes, None).unwrap()[0].token(), 3);
        });
    }

    #[test]
    fn a_removed_descriptor_wakes_nobody_and_a_closed_peer_is_a_hangup() {
        let epoll = Epoll::new().unwrap();
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut wakes = [Wake::default(); 2];
        epoll.add(&near, 1).unwrap();
        drop(far);
        assert!(epoll.wait(&mut wakes, None).unwrap()[0].is_hangup());
        epoll.remove(&near).unwrap();
        assert!(epoll.wait(&mut wakes, Some(Duration::ZERO)).unwrap().is_empty());
        assert!(epoll.remove(&near).is_err());
    }

    #[test]
    fn a_wait_is_rounded_up_and_no_room_is_an_error() {
        assert_eq!(millis(Some(Duration::from_nanos(1))), 1);
        assert_eq!(millis(Some(Duration::MAX)), libc::c_int::MAX);
        assert!(Epoll::new().unwrap().wait(&mut [], Some(Duration::ZERO)).is_err());
    }
}

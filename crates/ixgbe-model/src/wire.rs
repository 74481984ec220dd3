//! Wires that lead out of this process, or from card to card.
//!
//! A wire has two halves: the [`Wire`] that the device sends on, and an [`Outlet`] that a front end
//! polls for what comes in.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use crate::bus::{Light, Wire};
use crate::device::Device;

/// Longest frame on a wire: 16 KiB is more than the card takes.
const LONGEST: usize = 16384;

/// Frames that a cable holds; more are lost.
const CABLE_FRAMES: usize = 8192;

/// Nanoseconds that a bit is under way on a cable: ten metres of fibre.
pub const CABLE_DELAY: u64 = 50;

/// A frame that comes out of a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Without its check sequence.
    pub frame: Vec<u8>,
    /// When its first bit came, if the wire knows: nanoseconds of [`front::now`](crate::front::now).
    pub time: Option<u64>,
}

impl Arrival {
    fn now(frame: Vec<u8>) -> Self {
        Self { frame, time: None }
    }

    /// Gives it to the device at the wire's end.
    pub fn reach(&self, device: &mut Device) {
        device.receive_at(&self.frame, self.time.unwrap_or(device.now()));
    }
}

/// The end of a wire at which frames come in.
pub trait Outlet: Send {
    /// The next frame, if there is one. It does not wait.
    ///
    /// # Errors
    ///
    /// When the wire is broken.
    fn take(&mut self) -> io::Result<Option<Arrival>>;

    /// Becomes readable when a frame comes. `None` if none will ever, or no one need wait for it.
    fn readable(&self) -> Option<BorrowedFd<'_>>;

    /// Whether light comes from the other end.
    fn light(&self) -> Light {
        Light::On
    }

    /// Whether frames can be there as soon as the card has sent, so that they are to be taken before
    /// the driver goes on.
    fn is_prompt(&self) -> bool {
        false
    }
}

/// Both halves.
pub struct Plug {
    /// For the device.
    pub wire: Box<dyn Wire>,
    /// For the front end.
    pub outlet: Box<dyn Outlet>,
}

impl fmt::Debug for Plug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plug")
    }
}

/// No wire.
pub fn unplugged() -> Plug {
    Plug { wire: Box::new(crate::bus::Unplugged), outlet: Box::new(Nothing) }
}

struct Nothing;

impl Outlet for Nothing {
    fn take(&mut self) -> io::Result<Option<Arrival>> {
        Ok(None)
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

struct Direction {
    frames: Mutex<VecDeque<Arrival>>,
    is_dark: AtomicBool,
    bell: OwnedFd,
}

impl Direction {
    fn new() -> io::Result<Arc<Self>> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Arc::new(Self { frames: Mutex::default(), is_dark: AtomicBool::new(false), bell }))
    }
}

impl Direction {
    fn put(&self, arrival: Arrival) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.len() < CABLE_FRAMES {
            frames.push_back(arrival);
            self.ring();
        }
    }

    fn ring(&self) {
        // A bell that has rung too often is ringing already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

struct Cable(Arc<Direction>);

impl Wire for Cable {
    fn transmit(&mut self, frame: &[u8]) {
        self.0.put(Arrival::now(frame.to_vec()));
    }

    fn transmit_at(&mut self, frame: &[u8], time: u64) {
        self.0.put(Arrival { frame: frame.to_vec(), time: Some(time + CABLE_DELAY) });
    }

    fn light(&mut self, light: Light) {
        // Relaxed: the bell, a system call, orders it.
        self.0.is_dark.store(light == Light::Off, Ordering::Relaxed);
        self.0.ring();
    }
}

impl Outlet for Cable {
    fn take(&mut self) -> io::Result<Option<Arrival>> {
        let mut frames = self.0.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = frames.pop_front();
        if frames.is_empty() {
            // Nothing to read means that it has not rung.
            let _ = rustix::io::read(&self.0.bell, &mut [0u8; 8]);
        }
        Ok(frame)
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.bell.as_fd())
    }

    fn light(&self) -> Light {
        // Relaxed: as at the store.
        if self.0.is_dark.load(Ordering::Relaxed) { Light::Off } else { Light::On }
    }
}

/// A cable from card to card, within this process.
///
/// # Errors
///
/// When there are too many open files.
pub fn cable() -> io::Result<(Plug, Plug)> {
    let (there, back) = (Direction::new()?, Direction::new()?);
    let plug = |out: &Arc<Direction>, into: &Arc<Direction>| Plug {
        wire: Box::new(Cable(out.clone())),
        outlet: Box::new(Cable(into.clone())),
    };
    Ok((plug(&there, &back), plug(&back, &there)))
}

struct Mirror(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Wire for Mirror {
    fn transmit(&mut self, frame: &[u8]) {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.len() < CABLE_FRAMES {
            frames.push_back(frame.to_vec());
        }
    }
}

impl Outlet for Mirror {
    fn take(&mut self) -> io::Result<Option<Arrival>> {
        let frame = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        Ok(frame.map(Arrival::now))
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_prompt(&self) -> bool {
        true
    }
}

/// What the card sends comes back to it, in the same access of the driver's that had it sent: for a
/// guest that counts instructions, none goes by meanwhile.
pub fn mirror() -> Plug {
    let frames = Arc::new(Mutex::new(VecDeque::new()));
    Plug { wire: Box::new(Mirror(frames.clone())), outlet: Box::new(Mirror(frames)) }
}

struct Flood(Vec<u8>);

impl Outlet for Flood {
    fn take(&mut self) -> io::Result<Option<Arrival>> {
        Ok(Some(Arrival::now(self.0.clone())))
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_prompt(&self) -> bool {
        true
    }
}

/// The same frame again and again, as long as the card has room for it, within accesses of the driver's;
/// what the card sends is lost.
pub fn flood(frame: Vec<u8>) -> Plug {
    Plug { wire: Box::new(crate::bus::Unplugged), outlet: Box::new(Flood(frame)) }
}

struct Tap(File);

impl Wire for Tap {
    fn transmit(&mut self, frame: &[u8]) {
        // The kernel refuses frames while its interface is down: lost, as on a wire.
        let _ = self.0.write(frame);
    }
}

impl Outlet for Tap {
    fn take(&mut self) -> io::Result<Option<Arrival>> {
        let mut frame = vec![0; LONGEST];
        received(self.0.read(&mut frame), frame)
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn received(outcome: io::Result<usize>, mut frame: Vec<u8>) -> io::Result<Option<Arrival>> {
    match outcome {
        Ok(len) => {
            frame.truncate(len);
            // A link pads what is too short.
            frame.resize(len.max(60), 0);
            Ok(Some(Arrival::now(frame)))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// A TAP interface of this machine, which is made if there is none of this name.
///
/// # Errors
///
/// Without `CAP_NET_ADMIN`, or if the name is too long or taken by something else.
pub fn tap(name: &str) -> io::Result<Plug> {
    const TUNSETIFF: libc::c_ulong = 0x4004_54CA;
    let mut request = [0u8; 40];
    let place = request.get_mut(..name.len()).filter(|place| place.len() < libc::IFNAMSIZ);
    place.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(name.as_bytes());
    let flags = (libc::IFF_TAP | libc::IFF_NO_PI) as u16;
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: TUNSETIFF reads a `struct ifreq` (40 bytes here) and writes within it; the file
    // descriptor is open.
    let outcome =
        unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&file), TUNSETIFF, &mut request) };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    rustix::io::ioctl_fionbio(&file, true)?;
    Ok(Plug { wire: Box::new(Tap(file.try_clone()?)), outlet: Box::new(Tap(file)) })
}

struct Datagrams(UnixDatagram);

impl Wire for Datagrams {
    fn transmit(&mut self, frame: &[u8]) {
        let _ = self.0.send(frame);
    }
}

impl Outlet for Datagrams {
    fn take(&mut self) -> io::Result<Option<Arrival>> {
        let mut frame = vec![0; LONGEST];
        received(self.0.recv(&mut frame), frame)
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// One frame a datagram of a connected socket.
///
/// # Errors
///
/// When there are too many open files.
pub fn datagrams(socket: UnixDatagram) -> io::Result<Plug> {
    socket.set_nonblocking(true)?;
    Ok(Plug { wire: Box::new(Datagrams(socket.try_clone()?)), outlet: Box::new(Datagrams(socket)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_of_a_cable_sends_comes_out_of_the_other() {
        let (mut here, mut there) = cable().unwrap();
        here.wire.transmit(b"one");
        here.wire.transmit_at(b"two", 1_000);
        let mut taken = || there.outlet.take().unwrap().unwrap();
        assert_eq!(taken(), Arrival { frame: b"one".into(), time: None });
        assert_eq!(taken(), Arrival { frame: b"two".into(), time: Some(1_050) });
        assert_eq!(there.outlet.take().unwrap(), None);
        assert_eq!(here.outlet.take().unwrap(), None);
    }

    #[test]
    fn a_mirror_gives_back_what_it_gets() {
        let mut plug = mirror();
        plug.wire.transmit(b"one");
        assert!(plug.outlet.is_prompt());
        assert_eq!(plug.outlet.take().unwrap().unwrap().frame, b"one");
        assert_eq!(plug.outlet.take().unwrap(), None);
    }

    #[test]
    fn a_flood_does_not_end_and_takes_what_is_sent() {
        let mut plug = flood(vec![7; 60]);
        plug.wire.transmit(b"lost");
        assert!(plug.outlet.is_prompt());
        let mut taken = || plug.outlet.take().unwrap().unwrap();
        assert!((0..1000).all(|_| taken().frame == [7; 60]));
    }

    #[test]
    fn a_short_datagram_is_padded_as_on_a_link() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let mut plug = datagrams(ours).unwrap();
        theirs.send(&[7; 20]).unwrap();
        assert_eq!(plug.outlet.take().unwrap().unwrap().frame.len(), 60);
        assert_eq!(plug.outlet.take().unwrap(), None);
    }
}

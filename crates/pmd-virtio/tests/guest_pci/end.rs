//! The other end of the wire: the guest's kernel, with its own driver, and a raw socket on it.

use linecard_testbed::guest;
use linecard_testbed::programs::Program;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A guest in an interpreter, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An interface of the kernel's that takes all frames.
pub(crate) struct End {
    socket: Arc<OwnedFd>,
}

impl End {
    /// The one of the device at `address`; it says nothing by itself.
    pub(crate) fn of(address: &str) -> Self {
        if guest::driver_of(address).as_deref() != Some("virtio-pci") {
            guest::bind(address, "virtio-pci").unwrap();
        }
        let name = guest::interface_of(address).expect("an interface");
        // Its solicitations would disturb counts. Without IPv6 there is no such file.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
        let words = format!("link set {name} up promisc on");
        Program::new("ip").words(&words).run().unwrap();
        let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).unwrap();
        End { socket: Arc::new(raw_socket(index.trim().parse().unwrap()).unwrap()) }
    }

    /// Sends a frame.
    pub(crate) fn send(&self, frame: &[u8]) {
        let (fd, len) = (self.socket.as_raw_fd(), frame.len());
        // SAFETY: the frame is as long as is said, and outlives the call.
        let sent = unsafe { libc::send(fd, frame.as_ptr().cast(), len, 0) };
        assert_eq!(sent, len as isize, "{}", io::Error::last_os_error());
    }

    /// The next frame that comes, if one does in a while.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        receive(&self.socket)
    }

    /// Sends everything back until the echo is dropped.
    pub(crate) fn echo(&self) -> Echo {
        let (socket, end) = (Arc::clone(&self.socket), Arc::new(AtomicBool::new(false)));
        let theirs = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            while !theirs.load(Ordering::SeqCst) {
                if let Some(frame) = receive(&socket) {
                    End { socket: Arc::clone(&socket) }.send(&frame);
                }
            }
        });
        Echo { end, thread: Some(thread) }
    }
}

/// Frames go back as they come.
pub(crate) struct Echo {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Ends it. It may be at a send that waits for room, until somebody takes what was sent.
    pub(crate) fn end_while(self, mut taking: impl FnMut()) {
        self.end.store(true, Ordering::SeqCst);
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            taking();
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(std::thread::panicking() || joined.is_ok());
        }
    }
}

fn receive(socket: &OwnedFd) -> Option<Vec<u8>> {
    let mut frame = vec![0; 1 << 16];
    let (fd, at, len) = (socket.as_raw_fd(), frame.as_mut_ptr(), frame.len());
    // SAFETY: there is as much room as is said, and it outlives the call.
    let got = unsafe { libc::recv(fd, at.cast(), len, 0) };
    frame.truncate(usize::try_from(got).ok()?);
    Some(frame)
}

fn raw_socket(index: i32) -> io::Result<OwnedFd> {
    let all = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: it takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(all)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // What it sends itself it shall not receive.
    set(&socket, (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING), &1i32)?;
    let wait = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
    set(&socket, (libc::SOL_SOCKET, libc::SO_RCVTIMEO), &wait)?;
    set(&socket, (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE), &(16i32 << 20))?;
    // SAFETY: all zeroes is one of its values.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    address.sll_ifindex = index;
    let (at, len) = (&raw const address, size_of_val(&address) as u32);
    // SAFETY: an address of the length that is said, which outlives the call.
    match unsafe { libc::bind(fd, at.cast(), len) } {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set<T>(socket: &OwnedFd, (level, option): (i32, i32), value: &T) -> io::Result<()> {
    let (at, len) = (&raw const *value, size_of::<T>() as u32);
    // SAFETY: a value of the length that is said, which outlives the call.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, at.cast(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

//! Frames that are sent past the ring, a call each: those larger than a slot, and those to be cut.

use super::tx::Sent;
use crate::gather;
use crate::sys::PacketSocket;
use linecard_mbuf::Mbuf;
use linecard_virtqueue::offload::Head;
use std::io;

/// How often in a row a frame is offered for which the kernel has no room. It also says so of a frame that
/// it cannot cut, which must not stand in the way for ever.
const PATIENCE: u32 = 64;

/// Sockets without a ring.
///
/// A frame that passes no queueing discipline goes to the device as it is: one that the device cannot
/// cut is dropped (Linux 6.18, `__dev_direct_xmit`), without a word if it came by a ring. So large
/// frames never go by the ring, and where they are refused here, they pass the discipline, behind
/// which the kernel cuts them itself.
pub(super) struct Direct {
    /// As the ring's.
    straight: PacketSocket,
    /// One whose frames pass the queueing discipline, if the other's do not.
    passing: Option<PacketSocket>,
    /// Whether the device has refused a large frame that the kernel then cut.
    is_cut: bool,
    refusals: u32,
}

impl Direct {
    pub(super) fn new(straight: PacketSocket, passing: Option<PacketSocket>) -> Self {
        Direct { straight, passing, is_cut: false, refusals: 0 }
    }

    /// Writes a frame.
    pub(super) fn write(&mut self, packet: &Mbuf, head: &Head) -> Sent {
        let write = |socket: &PacketSocket| {
            gather::write(socket.file(), packet, head.bytes(), head.replaces()).map(drop)
        };
        let done = match self.passing.as_ref().filter(|_| head.is_large()) {
            Some(passing) if self.is_cut => write(passing),
            Some(passing) => write(&self.straight).or_else(|error| {
                self.is_cut = is_no_room(&error) && write(passing).is_ok();
                if self.is_cut { Ok(()) } else { Err(error) }
            }),
            None => write(&self.straight),
        };
        judge(done, &mut self.refusals)
    }
}

/// Whether the kernel says that it has no room, by which it may mean that it cannot cut.
fn is_no_room(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

/// What a refusal means for the frame, after so many for want of room.
fn judge(done: io::Result<()>, refusals: &mut u32) -> Sent {
    let Err(error) = done else {
        *refusals = 0;
        return Sent::Yes;
    };
    *refusals = if is_no_room(&error) { *refusals + 1 } else { 0 };
    match error.raw_os_error() {
        Some(libc::EMSGSIZE | libc::EINVAL | libc::EFAULT) => Sent::Never,
        _ if *refusals > PATIENCE => {
            *refusals = 0;
            Sent::Never
        }
        _ => Sent::NotNow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: i32, refusals: &mut u32) -> Sent {
        judge(Err(io::Error::from_raw_os_error(errno)), refusals)
    }

    #[test]
    fn a_frame_that_the_kernel_has_never_room_for_is_given_up() {
        let mut refusals = 0;
        for _ in 0..PATIENCE {
            assert_eq!(refused(libc::ENOBUFS, &mut refusals), Sent::NotNow);
        }
        assert_eq!(refused(libc::ENOMEM, &mut refusals), Sent::Never);
        assert_eq!(refused(libc::ENOBUFS, &mut refusals), Sent::NotNow, "the next one");
        assert_eq!((judge(Ok(()), &mut refusals), refusals), (Sent::Yes, 0));
    }

    #[test]
    fn a_frame_waits_for_a_link_and_is_given_up_if_it_is_wrong() {
        let mut refusals = 0;
        for _ in 0..2 * PATIENCE {
            assert_eq!(refused(libc::ENETDOWN, &mut refusals), Sent::NotNow);
        }
        assert_eq!(refused(libc::EINVAL, &mut refusals), Sent::Never);
    }
}

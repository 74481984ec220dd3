//! An open `/dev/vhost-net`: one queue pair, and the thread of the kernel that serves it.

use super::sys::{self, Addresses, MAX_REGIONS, MemoryRegion, MemoryTable, RingFile, State};
use crate::transport::{Region, RingPlan};
use linecard_virtqueue::Features;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

/// Its two rings.
pub(super) const RECEIVE: u32 = 0;
pub(super) const TRANSMIT: u32 = 1;

#[derive(Debug)]
pub(super) struct VhostNet(File);

impl VhostNet {
    /// Opens it, and makes this process its owner: the one whose memory its addresses mean.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let vhost = VhostNet(OpenOptions::new().read(true).write(true).open(path)?);
        sys::ioctl_number(vhost.0.as_fd(), sys::SET_OWNER, 0)?;
        Ok(vhost)
    }

    /// What it offers.
    pub(super) fn features(&self) -> io::Result<Features> {
        let mut bits = 0u64;
        // SAFETY: it writes a 64-bit number.
        unsafe { sys::ioctl(self.0.as_fd(), sys::GET_FEATURES, &mut bits) }?;
        Ok(Features::from_bits_truncate(bits))
    }

    /// What is agreed on.
    pub(super) fn set_features(&self, features: Features) -> io::Result<()> {
        let mut bits = features.bits();
        // SAFETY: it reads a 64-bit number.
        unsafe { sys::ioctl(self.0.as_fd(), sys::SET_FEATURES, &mut bits) }
    }

    /// The memory that descriptors may name. At most [`MAX_REGIONS`].
    pub(super) fn set_memory(&self, regions: &[Region]) -> io::Result<()> {
        let none = MemoryRegion::default();
        let mut table = MemoryTable { count: 0, padding: 0, regions: [none; MAX_REGIONS] };
        for (place, region) in table.regions.iter_mut().zip(regions) {
            let start = region.start as u64;
            *place = MemoryRegion { guest: start, len: region.len as u64, user: start, padding: 0 };
            table.count += 1;
        }
        // SAFETY: it reads a count and as many regions, which are there. The kernel reaches memory by
        // them as this process would by a system call, and the plan's regions are mapped until the
        // device has been stopped.
        unsafe { sys::ioctl(self.0.as_fd(), sys::SET_MEM_TABLE, &mut table) }
    }

    /// Describes a ring, which does not run.
    pub(super) fn set_ring(&self, index: u32, ring: &RingPlan) -> io::Result<()> {
        let fd = self.0.as_fd();
        let mut size = State { index, num: u32::from(ring.size) };
        let mut base = State { index, num: 0 };
        let mut addresses = Addresses {
            index,
            flags: 0,
            descriptors: ring.descriptors,
            used: ring.device,
            available: ring.driver,
            log: 0,
        };
        let file = |fd: BorrowedFd<'_>| RingFile { index, fd: fd.as_raw_fd() };
        let (mut kick, mut call) = (file(ring.kick.as_fd()), file(ring.call.as_fd()));
        // SAFETY: each reads the structure that goes with its number; addresses are those of a ring that
        // is mapped until the device has been stopped.
        unsafe {
            sys::ioctl(fd, sys::SET_VRING_NUM, &mut size)?;
            sys::ioctl(fd, sys::SET_VRING_BASE, &mut base)?;
            sys::ioctl(fd, sys::SET_VRING_ADDR, &mut addresses)?;
            sys::ioctl(fd, sys::SET_VRING_CALL, &mut call)?;
            sys::ioctl(fd, sys::SET_VRING_KICK, &mut kick)
        }
    }

    /// Joins a ring to a queue of a TAP, and lets it run; or, without one, stops it. When that returns,
    /// the kernel looks at the ring and its buffers no more.
    pub(super) fn set_backend(&self, index: u32, tap: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut backend = RingFile { index, fd: tap.map_or(-1, |fd| fd.as_raw_fd()) };
        // SAFETY: it reads the structure.
        unsafe { sys::ioctl(self.0.as_fd(), sys::NET_SET_BACKEND, &mut backend) }
    }
}

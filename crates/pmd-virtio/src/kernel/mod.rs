//! vhost-kernel: a port whose device is this machine's kernel, with a TAP behind it. The fast way into the
//! kernel's stack and out of it.
//!
//! * **A queue pair** is an open `/dev/vhost-net`, served by a thread of the kernel, and a queue of the TAP.
//!   Frames go from buffers of the port's pools straight into the stack, and no system call is made for one
//!   but to ring.
//! * **The memory table** is the port's pools and rings, at the addresses that they have here. The device
//!   is the kernel: it checks what it is given, and is trusted.
//! * **Offloads** are the TAP's: checksums and large TCP (large UDP since Linux 6.2) pass unfinished, both
//!   ways, as far as the port was configured for them. Rings are split; the kernel has no others.

mod link;
mod sys;
mod tap;
mod vhost;

use crate::options::KernelOptions;
use crate::port::VirtioPort;
use linecard_pmd_core::Error;
use link::KernelLink;

/// The most queues of a TAP.
const MAX_QUEUES: usize = 256;

impl VirtioPort {
    /// Opens a port of `/dev/vhost-net`, and makes the TAP behind it.
    ///
    /// # Errors
    /// There is no such device (the module is missing), it may not be opened, or is no vhost-net device;
    /// the TAP cannot be made; the kernel lacks what the options insist on.
    pub fn kernel(options: KernelOptions) -> Result<Self, Error> {
        let KernelOptions { name, queues, mac, rings, .. } = options.clone();
        if !(1..=MAX_QUEUES).contains(&queues) {
            let (what, hint) = ("queue pairs", String::new());
            let (asked, min, max) = (queues, 1, MAX_QUEUES);
            return Err(Error::Range { port: name, what, asked, min, max, hint });
        }
        let link = KernelLink::open(&options)?;
        Self::over(Box::new(link), (name, "virtio-user"), &rings, (mac, queues))
    }
}

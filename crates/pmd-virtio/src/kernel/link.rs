//! The way to the kernel's device.

use super::sys::MAX_REGIONS;
use super::tap::{Interface, TapQueue};
use super::vhost::{RECEIVE, TRANSMIT, VhostNet};
use crate::bell::Bell;
use crate::options::{KernelOptions, TapInterface};
use crate::transport::{Plan, QueueControl, Transport, called};
use linecard_eal::device::Vector;
use linecard_eal::event::EventFd;
use linecard_net::MacAddr;
use linecard_pmd_core::{Error, Event, Link};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::{MERGED, NetConfig};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

/// What we take of vhost's features. Not `ANY_LAYOUT`: to vhost-net the bit means that it makes headers
/// of its own, and the TAP's would be lost. Not `ACCESS_PLATFORM`, since nothing translates.
const OF_VHOST: Features = Features::VERSION_1
    .union(Features::MRG_RXBUF)
    .union(Features::INDIRECT_DESC)
    .union(Features::EVENT_IDX);

/// What a TAP with a virtio-net header can.
const OF_TAP: Features = Features::MAC
    .union(Features::CSUM)
    .union(Features::HOST_TSO4)
    .union(Features::HOST_TSO6)
    .union(Features::HOST_ECN)
    .union(Features::GUEST_CSUM)
    .union(Features::GUEST_TSO4)
    .union(Features::GUEST_TSO6)
    .union(Features::GUEST_ECN);

/// And since Linux 6.2.
const USO: Features = Features::HOST_USO.union(Features::GUEST_USO4).union(Features::GUEST_USO6);

/// What is negotiated, and the TAP's word for it.
const OFFLOADS: [(Features, libc::c_uint); 6] = [
    (Features::GUEST_CSUM, libc::TUN_F_CSUM),
    (Features::GUEST_TSO4, libc::TUN_F_TSO4),
    (Features::GUEST_TSO6, libc::TUN_F_TSO6),
    (Features::GUEST_ECN, libc::TUN_F_TSO_ECN),
    (Features::GUEST_USO4, libc::TUN_F_USO4),
    (Features::GUEST_USO6, libc::TUN_F_USO6),
];

/// A queue pair.
struct Pair {
    vhost: VhostNet,
    tap: TapQueue,
}

/// The driver's end of a vhost-kernel port.
pub(super) struct KernelLink {
    name: String,
    pairs: Vec<Pair>,
    interface: Interface,
    on_start: TapInterface,
    offered: Features,
    mac: MacAddr,
    /// Pairs that run.
    running: usize,
    /// Whether the kernel kept some of them when they were to stop.
    loose: bool,
}

impl KernelLink {
    pub(super) fn open(options: &KernelOptions) -> Result<Self, Error> {
        let KernelOptions { name, device, .. } = options;
        let open = || VhostNet::open(device).map_err(|error| no_vhost(name, device, error));
        let first = open()?;
        let theirs = first.features().map_err(|error| no_vhost(name, device, error))?;
        let mut vhosts = vec![first];
        for _ in 1..options.queues {
            vhosts.push(open()?);
        }
        let (taps, iface) = attach(options)?;
        let told = |error| Error::system(name, format!("setting up {iface}"), error);
        let interface = Interface::new(iface.clone()).map_err(told)?;
        for tap in &taps {
            tap.set_header(MERGED).map_err(told)?;
        }
        let all = OFFLOADS.iter().fold(0, |all, (_, flag)| all | flag);
        let uso = taps[0].set_offload(all).is_ok();
        taps[0].set_offload(0).map_err(told)?;
        // Kernels before 5.0 do not know how: the cable is always plugged in then.
        let _ = taps[0].set_carrier(0);
        if let Some(mac) = options.mac {
            interface.set_mac(mac).map_err(told)?;
        }
        let mac = interface.mac().map_err(told)?;
        let mut offered = theirs & OF_VHOST | OF_TAP;
        offered.set(USO, uso);
        offered.set(Features::MQ, options.queues > 1);
        let pairs = vhosts.into_iter().zip(taps).map(|(vhost, tap)| Pair { vhost, tap }).collect();
        let (name, on_start) = (name.clone(), options.interface);
        Ok(KernelLink { name, pairs, interface, on_start, offered, mac, running: 0, loose: false })
    }

    fn told(&self, doing: &str, error: io::Error) -> Error {
        Error::system(&self.name, format!("{doing} {}", self.interface.name), error)
    }

    /// Describes memory and rings, and lets them run.
    fn run(&mut self, plan: &Plan) -> io::Result<()> {
        let pairs = plan.rings.len() / 2;
        // A sender without a receiver shares the queue of another: the TAP spreads what it sends over
        // those that are joined, and somebody must be there to receive it.
        let joined = plan.receiving.max(1);
        for (i, pair) in self.pairs.iter_mut().enumerate() {
            pair.tap.set_joined(i < joined)?;
        }
        let wanted = OFFLOADS.iter().filter(|(feature, _)| plan.features.contains(*feature));
        self.pairs[0].tap.set_offload(wanted.fold(0, |all, (_, flag)| all | flag))?;
        self.pairs[..joined.min(self.pairs.len())].iter().for_each(|pair| pair.tap.drain());
        self.running = pairs;
        for (i, rings) in plan.rings.chunks_exact(2).enumerate() {
            let (vhost, tap) = (&self.pairs[i].vhost, &self.pairs[i % joined].tap);
            vhost.set_features(plan.features & OF_VHOST)?;
            vhost.set_memory(&plan.regions)?;
            vhost.set_ring(RECEIVE, &rings[0])?;
            vhost.set_ring(TRANSMIT, &rings[1])?;
            if i < plan.receiving {
                vhost.set_backend(RECEIVE, Some(tap.as_fd()))?;
            }
            vhost.set_backend(TRANSMIT, Some(tap.as_fd()))?;
        }
        // As when it was opened.
        let _ = self.pairs[0].tap.set_carrier(1);
        if self.on_start == TapInterface::Leave {
            return Ok(());
        }
        match self.interface.bring_up() {
            // Moved to another namespace since: whoever did that brings it up.
            Err(error)
                if error.raw_os_error() == Some(libc::ENODEV)
                    && self.pairs[0].tap.has_interface() =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Stops what runs: the kernel reaches no memory when this returns, unless some of it is loose.
    fn halt(&mut self) -> io::Result<()> {
        // As when it was opened.
        let _ = self.pairs[0].tap.set_carrier(0);
        let pairs = &self.pairs[..self.running];
        let ended = end_all(pairs.len(), |pair, ring| pairs[pair].vhost.set_backend(ring, None));
        self.loose = ended.is_err();
        if !self.loose {
            self.running = 0;
        }
        ended
    }
}

impl Transport for KernelLink {
    fn offered(&self) -> Features {
        self.offered
    }

    fn max_pairs(&self) -> usize {
        self.pairs.len()
    }

    fn config(&mut self) -> Option<NetConfig> {
        let pairs = self.pairs.len() as u16;
        let mac = self.mac.octets();
        Some(NetConfig { mac, max_virtqueue_pairs: pairs, ..NetConfig::default() })
    }

    fn bell(&mut self, _: u16, kick: &Arc<EventFd>) -> Result<Bell, Error> {
        Ok(Bell::Event(Arc::clone(kick)))
    }

    fn wake(&mut self, _: u16, call: &Arc<EventFd>) -> Result<Option<Arc<Vector>>, Error> {
        called(&self.name, call)
    }

    fn start(&mut self, plan: Plan, queues: Vec<Arc<dyn QueueControl>>) -> Result<(), Error> {
        if plan.regions.len() > MAX_REGIONS {
            let n = plan.regions.len();
            let what =
                format!("{n} memory regions, and vhost takes {MAX_REGIONS}: use fewer pools");
            return Err(Error::Refused { port: self.name.clone(), what });
        }
        if let Some(mtu) = plan.mtu {
            self.set_mtu(mtu)?;
        }
        if let Err(error) = self.run(&plan) {
            // The first error says it all; rings that run are stopped.
            let _ = self.halt();
            return Err(self.told("starting vhost for", error));
        }
        queues.iter().for_each(|queue| queue.resume());
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.halt().map_err(|error| self.told("stopping vhost for", error))
    }

    fn is_loose(&self) -> bool {
        self.loose
    }

    fn link(&mut self) -> Link {
        // One that was moved to another namespace is not to be seen from here; one that is gone carries
        // nothing.
        let up = self.interface.is_up().unwrap_or_else(|_| self.pairs[0].tap.has_interface());
        if up { Link::UP } else { Link::DOWN }
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), Error> {
        self.interface.set_mtu(mtu).map_err(|error| self.told("setting the MTU of", error))
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn next_event(&mut self) -> Option<Event> {
        None
    }
}

impl Drop for KernelLink {
    fn drop(&mut self) {
        // Closing the files, which comes next, stops them too.
        let _ = self.halt();
    }
}

/// Ends both rings of all pairs, whatever becomes of some; the error names those that go on.
fn end_all(pairs: usize, mut end: impl FnMut(usize, u32) -> io::Result<()>) -> io::Result<()> {
    let (mut first, mut loose) = (None, Vec::new());
    for (pair, (ring, name)) in
        (0..pairs).flat_map(|pair| [(pair, (RECEIVE, "receive")), (pair, (TRANSMIT, "transmit"))])
    {
        if let Err(error) = end(pair, ring) {
            first.get_or_insert(error);
            loose.push(format!("{name} {pair}"));
        }
    }
    let Some(error) = first else { return Ok(()) };
    let rings = loose.join(", ");
    let text = format!("{error}; the kernel keeps {rings}, whose memory nobody else is given");
    Err(io::Error::new(error.kind(), text))
}

/// Makes the TAP: all its queues, of which the first alone is part of the interface yet.
fn attach(options: &KernelOptions) -> Result<(Vec<TapQueue>, String), Error> {
    let more = if options.attach { 0 } else { libc::IFF_TUN_EXCL };
    let refused = |error| no_tap(options, error);
    let (first, iface) = TapQueue::attach(&options.iface, more).map_err(refused)?;
    let mut taps = vec![first];
    for _ in 1..options.queues {
        let (mut tap, _) = TapQueue::attach(&iface, 0).map_err(refused)?;
        tap.set_joined(false).map_err(refused)?;
        taps.push(tap);
    }
    Ok((taps, iface))
}

/// Why there is no vhost, and what to do.
fn no_vhost(name: &str, device: &Path, error: io::Error) -> Error {
    let path = device.display();
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
            "load the module: modprobe vhost_net".into()
        }
        Some(libc::EPERM | libc::EACCES) => {
            format!("take root, or have it given to this user: chown $USER {path}")
        }
        Some(libc::ENOTTY | libc::EINVAL | libc::ENOSYS) => {
            format!("{path} is no vhost-net device: the kernel's is /dev/vhost-net")
        }
        Some(libc::EISDIR) => format!("{path} is a folder: the kernel's device is /dev/vhost-net"),
        _ => return Error::system(name, format!("opening {path}"), error),
    };
    Error::system_hint(name, format!("opening {path}"), error, hint)
}

/// Why there is no TAP, and what to do.
fn no_tap(options: &KernelOptions, error: io::Error) -> Error {
    let iface = &options.iface;
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => "load the module: modprobe tun".into(),
        Some(libc::EPERM | libc::EACCES) => format!(
            "take root or CAP_NET_ADMIN, or make it beforehand, as root, for this user: ip tuntap \
             add {iface} mode tap vnet_hdr multi_queue user $USER, and attach to it (attach=1)"
        ),
        Some(libc::EBUSY) => {
            "there is one of this name: take another name, or attach to it (attach=1)".into()
        }
        Some(libc::EINVAL) => {
            "an interface of this name is no TAP, or not made for several queues".into()
        }
        Some(libc::ENAMETOOLONG) => "an interface's name has at most 15 bytes".into(),
        Some(libc::E2BIG) => "the kernel gives a TAP fewer queues".into(),
        _ => return Error::system(&options.name, format!("making the TAP {iface}"), error),
    };
    Error::system_hint(&options.name, format!("making the TAP {iface}"), error, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rings_are_ended_and_those_that_go_on_are_named() {
        let mut asked = Vec::new();
        let refused = end_all(3, |pair, ring| {
            asked.push((pair, ring));
            match (pair, ring) {
                (0, RECEIVE) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
                (2, TRANSMIT) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
                _ => Ok(()),
            }
        });
        let all = [0, 1, 2].map(|pair| [(pair, RECEIVE), (pair, TRANSMIT)]);
        assert_eq!(asked, all.as_flattened());
        let text = refused.expect_err("two go on").to_string();
        assert!(text.contains("Bad address") && text.contains("receive 0, transmit 2"), "{text}");
        end_all(3, |_, _| Ok(())).expect("none goes on");
    }
}
